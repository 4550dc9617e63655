"""What a local model writes itself: how likely its own thoughts were, and shares that are sure to be numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from quorate.llm.local import ANSWER, LocalModel

Array = np.ndarray
SHARES = tuple(f"{thousandth / 1000:.3f}" for thousandth in range(1001))  # 0.000 to 1.000
Ways = Mapping[tuple[int, ...], Sequence[int]]


def thought_logs(
    model: LocalModel, prompts: Sequence[Sequence[int]], thoughts: Sequence[Sequence[int]]
) -> list[Float64[Array, "_tokens"]]:
    """The log probability of each token of a thought behind its prompt (nats), row by row: rows are long."""
    import torch

    found: list[Array] = []
    for prompt, thought in zip(prompts, thoughts, strict=True):
        if not thought:
            found.append(np.empty(0))
            continue
        said = torch.tensor([list(thought)], device=model.model.device)
        with torch.inference_mode():
            logits = _logits(model, prompt, thought)[:, : len(thought)].float()
            logs = torch.log_softmax(logits, dim=-1).gather(-1, said[..., None])[0, :, 0]
        found.append(logs.double().cpu().numpy())
    return found


def shares(model: LocalModel, prompts: Sequence[Sequence[int]], thoughts: Sequence[Sequence[int]] | None) -> list[str]:
    """A number from 0.000 to 1.000 behind each prompt and thought: at every place the likeliest token that may be."""
    bridge = [] if thoughts is None else model.tokenizer(ANSWER, add_special_tokens=False)["input_ids"]
    before = [()] * len(prompts) if thoughts is None else [(*thought, *bridge) for thought in thoughts]
    ways, text_of = _ways(model)
    longest = max(map(len, text_of))
    if model.is_encoder_decoder:
        return [
            _written(model, ways, text_of, longest, [prompt], said)[0]
            for prompt, said in zip(prompts, before, strict=True)
        ]
    found: list[str] = []
    for start in range(0, len(prompts), model.batch):
        stop = start + model.batch
        rows = [(*prompt, *said) for prompt, said in zip(prompts[start:stop], before[start:stop], strict=True)]
        found += _written(model, ways, text_of, longest, rows, None)
    return found


def pieces(model: LocalModel, tokens: Sequence[int]) -> list[str]:
    """The text of each token; together they are the text of all.

    A character of several tokens goes to the last of them, and the others have none.
    """
    found: list[str] = []
    whole = model.tokenizer.decode(list(tokens))
    said = ""
    for place in range(1, len(tokens) + 1):
        text = model.tokenizer.decode(list(tokens[:place]))
        grown = place == len(tokens) or (whole.startswith(text) and not text.endswith("\ufffd"))
        text = whole if place == len(tokens) else text
        found.append(text[len(said) :] if grown else "")
        said = text if grown else said
    return found


# ---- parts ------------------------------------------------------------------------------------------------------
def _logits(model: LocalModel, prompt: Sequence[int], said: Sequence[int]) -> Any:
    """Logits of the place before each said token, and of the one behind the last."""
    import torch

    device = model.model.device
    if model.is_encoder_decoder:
        start = [model.decoder_start, *said]
        return model.model(
            input_ids=torch.tensor([list(prompt)], device=device),
            decoder_input_ids=torch.tensor([start], device=device),
        ).logits
    ids = torch.tensor([[*prompt, *said]], device=device)
    return model.model(input_ids=ids).logits[:, len(prompt) - 1 :]


def _ways(model: LocalModel) -> tuple[dict[tuple[int, ...], list[int]], dict[tuple[int, ...], str]]:
    """Which tokens may follow on the way to a share, and the share of each way that is whole."""
    text_of: dict[tuple[int, ...], str] = {}
    for space in ("", " "):
        spelled = model.tokenizer([f"{space}{text}" for text in SHARES], add_special_tokens=False)["input_ids"]
        for text, tokens in zip(SHARES, spelled, strict=True):
            text_of.setdefault(tuple(tokens), text)
    ways: dict[tuple[int, ...], set[int]] = {}
    for tokens in text_of:
        for place, token in enumerate(tokens):
            ways.setdefault(tokens[:place], set()).add(token)
    return {way: sorted(following) for way, following in ways.items()}, text_of


def _written(
    model: LocalModel,
    ways: Ways,
    text_of: Mapping[tuple[int, ...], str],
    longest: int,
    rows: Sequence[Sequence[int]],
    said: Sequence[int] | None,
) -> list[str]:
    """The share that is written behind each row; with an encoder, behind what the decoder has said."""
    import torch

    end = model.tokenizer.eos_token_id if model.tokenizer.eos_token_id is not None else 0
    ids, mask = model.padded(rows, before=True)
    more: dict[str, Any] = {}
    width = ids.shape[1]
    if said is not None:
        more["decoder_input_ids"] = torch.tensor([[model.decoder_start, *said]], device=ids.device)
        width = 1 + len(said)

    def allowed(_: int, tokens: Any) -> Sequence[int]:
        return ways.get(tuple(tokens[width:].tolist()), [end])

    with torch.inference_mode():
        made = model.model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=longest, do_sample=False, num_beams=1,
            pad_token_id=model.tokenizer.pad_token_id or 0, prefix_allowed_tokens_fn=allowed, **more,
        )  # fmt: skip
    return [_share_of(tuple(row), text_of) for row in made[:, width:].tolist()]


def _share_of(tokens: tuple[int, ...], text_of: Mapping[tuple[int, ...], str]) -> str:
    return next(text_of[tokens[:n]] for n in range(1, len(tokens) + 1) if tokens[:n] in text_of)
