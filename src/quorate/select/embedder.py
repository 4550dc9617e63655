"""Texts as places by a model of transformers on this machine: the mean of its last layer over tokens [reimers2019].

Any encoder does, the models of sentence-transformers among them; of an encoder-decoder the encoder is taken. Texts
longer than the model reads are cut. What was computed is kept in a file that is named by the model and the texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from quorate.data.write import whole
from quorate.errors import MissingExtraError, SettingError

Array = np.ndarray
Progress = Callable[[float, str], None]
BATCH = 32
ENDLESS = 10**9  # what a tokenizer without a limit says, or more


@dataclass(frozen=True)
class Embedder:
    """A model and its tokenizer, as transformers has them."""

    model: Any
    tokenizer: Any
    batch: int = BATCH

    @classmethod
    def load(cls, name: str) -> Embedder:
        """A model by its name on the hub or the path of its folder, on an accelerator where there is one.

        Code that comes with a model is never run. Raises MissingExtraError without transformers, SettingError for a
        model that is not there.
        """
        torch, transformers = _libraries()
        transformers.utils.logging.disable_progress_bar()
        try:
            model = transformers.AutoModel.from_pretrained(name)
            tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SettingError(f"model {name!r} cannot be loaded: {reason}") from None
        finally:
            transformers.utils.logging.enable_progress_bar()
        read_by = model.get_encoder() if model.config.is_encoder_decoder else model
        return cls(read_by.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer)

    def rows(self, texts: Sequence[str], progress: Progress | None = None) -> Float32[Array, "items dimensions"]:
        """A row of length 1 per text, the same whatever else is in its batch, up to rounding."""
        torch, _ = _libraries()
        found = list[Array]()
        order = np.argsort(
            [-len(text) for text in texts], kind="stable"
        )  # of similar length together: little is padded
        with torch.inference_mode():
            for start in range(0, len(texts), self.batch):
                part = [texts[at] or " " for at in order[start : start + self.batch].tolist()]
                read = self.tokenizer(part, padding=True, truncation=True, max_length=self._most(), return_tensors="pt")
                kept = {name: read[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
                last = self.model(**kept).last_hidden_state.float()
                mask = kept["attention_mask"][..., None].float()
                mean = (last * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
                found.append(torch.nn.functional.normalize(mean, dim=1).cpu().numpy())
                if progress is not None:
                    progress(min((start + self.batch) / len(texts), 1.0), "embedding texts")
        placed = np.concatenate(found) if found else np.zeros((0, 1), np.float32)
        rows = np.empty_like(placed)
        rows[order] = placed
        return rows.astype(np.float32)

    def _most(self) -> int:
        """Tokens that the model reads."""
        positions = getattr(self.model.config, "max_position_embeddings", None) or ENDLESS
        told = self.tokenizer.model_max_length or ENDLESS
        return min(positions, told, 8_192)


def embedded_by(
    name: str, columns: Mapping[str, Sequence[str]], folder: Path, progress: Progress | None = None
) -> Float32[Array, "items dimensions"]:
    """The texts of every item by the model of that name, columns one behind the other; kept in the folder.

    Raises what `Embedder.load` raises.
    """
    texts = ["\n".join(parts) for parts in zip(*columns.values(), strict=True)]
    digest = hashlib.sha256(json.dumps([name, texts]).encode()).hexdigest()
    path = folder / f"embeddings-{digest[:16]}.npy"
    if path.is_file():
        return np.load(path, allow_pickle=False)
    rows = Embedder.load(name).rows(texts, progress)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(path) as part, part.open("wb") as file:
        np.save(file, rows)
    return rows


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtraError("transformers with torch", "local") from None
    return torch, transformers
