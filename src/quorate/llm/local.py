"""Models on this machine, causal and encoder-decoder, through transformers: logits of the labels, taken directly.

Nothing is sampled and nothing is cut from a list: the probability of a class is that of the tokens that name it, right
behind the prompt. Prompts of a batch are padded behind their end, where a causal model does not look and an encoder is
told not to; so a batch gives what its prompts give one by one, up to rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.errors import MissingExtraError, SettingError
from quorate.llm.wire import Message

Array = np.ndarray
Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
BATCH = 16
ANSWER = "\nAnswer:"  # where a model without a chat form is to go on
ENDLESS = 10**9  # what a tokenizer without a limit says, or more


class Spelling(NamedTuple):
    """One way in which a model may write a label: the text, its tokens."""

    label: int
    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class LocalModel:
    """A model and its tokenizer, as transformers has them."""

    model: Any
    tokenizer: Any
    batch: int = BATCH

    @classmethod
    def load(cls, name: str, *, device: Device = "auto", dtype: Dtype = "auto", batch: int = BATCH) -> LocalModel:
        """A model by its name on the hub or the path of its folder; code that comes with a model is never run.

        Raises MissingExtraError without transformers, SettingError for a device or a model that is not there.
        """
        torch, transformers = _libraries()
        if device == "cuda" and not torch.cuda.is_available():
            raise SettingError("device 'cuda': there is none here; take 'cpu' or 'auto'")
        place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        transformers.utils.logging.disable_progress_bar()
        try:
            config = transformers.AutoConfig.from_pretrained(name)
            kind = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
            kept: Any = dtype if dtype == "auto" else getattr(torch, dtype)
            model = getattr(transformers, kind).from_pretrained(name, dtype=kept)
            tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SettingError(f"model {name!r} cannot be loaded: {reason}") from None
        finally:
            transformers.utils.logging.enable_progress_bar()
        return cls(model.to(place).eval(), tokenizer, batch)

    # ---- prompts ------------------------------------------------------------------------------------------------

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt is read by an encoder."""
        return bool(self.model.config.is_encoder_decoder)

    @cached_property
    def most_tokens(self) -> int:
        """How long a prompt may be."""
        positions = getattr(self.model.config, "max_position_embeddings", None) or ENDLESS
        told = self.tokenizer.model_max_length or ENDLESS
        return min(int(positions), int(min(told, ENDLESS)))

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of a conversation: in the form of the model's chats, or as plain text up to the answer."""
        turns = [{"role": message.role, "content": _text(message)} for message in messages]
        if getattr(self.tokenizer, "chat_template", None):
            try:
                text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            except Exception:  # noqa: BLE001 - a template's own error: most often it knows no system message
                first, *rest = turns[1:] or turns
                joined = {"role": first["role"], "content": f"{turns[0]['content']}\n\n{first['content']}"}
                text = self.tokenizer.apply_chat_template([joined, *rest], tokenize=False, add_generation_prompt=True)
            return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return tuple(self.tokenizer(plain_text(messages))["input_ids"])

    def spellings(self, labels: Sequence[str]) -> list[Spelling]:
        """How each label may be written: by one token, with or without a space, if every label can; else in full.

        Raises SettingError where the tokenizer cannot tell two labels apart.
        """
        unknown = self.tokenizer.unk_token_id
        found: dict[tuple[int, ...], Spelling] = {}
        for label, name in enumerate(labels):
            for text in (f" {name}", name):
                tokens = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
                if not tokens or unknown in tokens:
                    continue
                known = found.setdefault(tokens, Spelling(label, text, tokens))
                if known.label != label:
                    raise SettingError(f"the tokenizer writes {labels[known.label]!r} and {name!r} alike")
        single = [each for each in found.values() if len(each.tokens) == 1]
        if {each.label for each in single} == set(range(len(labels))):
            return single
        first = {
            label: next((each for each in found.values() if each.label == label), None) for label in range(len(labels))
        }
        missing = next((labels[label] for label, each in first.items() if each is None), None)
        if missing is not None:
            raise SettingError(f"the tokenizer has no tokens for the label {missing!r}")
        return [each for each in first.values() if each is not None]

    # ---- logits -------------------------------------------------------------------------------------------------

    def log_probs(
        self, prompts: Sequence[Sequence[int]], spellings: Sequence[Spelling]
    ) -> Float64[Array, "prompts spellings"]:
        """The log probability of each spelling behind each prompt (nats), of all that the model could write there."""
        result = np.empty((len(prompts), len(spellings)))
        single = all(len(each.tokens) == 1 for each in spellings)
        for at in _batches(prompts, self.batch if single else max(1, self.batch // len(spellings))):
            if single:
                logs = self._behind([prompts[i] for i in at], [()] * len(at))
                tokens = [each.tokens[0] for each in spellings]
                result[at] = np.stack([log[-1][tokens] for log in logs])
            else:
                pairs = [(prompts[i], each.tokens) for i in at for each in spellings]
                logs = self._behind([prompt for prompt, _ in pairs], [tokens[:-1] for _, tokens in pairs])
                sums = [
                    sum(log[j, t] for j, t in enumerate(tokens)) for log, (_, tokens) in zip(logs, pairs, strict=True)
                ]
                result[at] = np.array(sums).reshape(len(at), len(spellings))
        return result

    def scores(
        self, conversations: Sequence[Sequence[Message]], labels: Sequence[str]
    ) -> Float64[Array, "rows labels"]:
        """The probability of each label, of these labels: p_c ∝ Σ over its spellings of exp(log probability)."""
        spellings = self.spellings(labels)
        logs = self.log_probs([self.prompt(messages) for messages in conversations], spellings)
        powers = np.exp(logs - logs.max(axis=1, keepdims=True))
        sums = np.stack([powers[:, [s.label == c for s in spellings]].sum(axis=1) for c in range(len(labels))], axis=1)
        return sums / sums.sum(axis=1, keepdims=True)

    def _behind(
        self, prompts: Sequence[Sequence[int]], said: Sequence[Sequence[int]]
    ) -> list[Float64[Array, "_places vocabulary"]]:
        """Log probabilities of the next token behind each prompt, and behind each token said after it."""
        torch, _ = _libraries()
        with torch.inference_mode():
            if self.is_encoder_decoder:
                ids, mask = self.padded(prompts)
                start = self.decoder_start
                decoder, _ = self.padded([(start, *tokens) for tokens in said])
                logits = self.model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder).logits
                firsts = [0] * len(prompts)
            else:
                ids, mask = self.padded([(*prompt, *tokens) for prompt, tokens in zip(prompts, said, strict=True)])
                firsts = [len(prompt) - 1 for prompt in prompts]
                kept = self._kept(firsts, said)
                logits = self.model(input_ids=ids, attention_mask=mask, **kept).logits
                if kept:  # only the places from the shortest prompt's end on came back
                    firsts = [first - min(firsts) for first in firsts]
            return [
                torch.log_softmax(logits[row, first : first + len(tokens) + 1].float(), dim=-1).double().cpu().numpy()
                for row, (first, tokens) in enumerate(zip(firsts, said, strict=True))
            ]

    def _kept(self, firsts: Sequence[int], said: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Spare the logits before the shortest prompt's end, where the model can: they are most of the memory."""
        if "logits_to_keep" not in inspect.signature(self.model.forward).parameters:
            return {}
        stop = max(first + len(tokens) + 1 for first, tokens in zip(firsts, said, strict=True))
        return {"logits_to_keep": stop - min(firsts)}

    @cached_property
    def decoder_start(self) -> int:
        """The token that a decoder starts with. Raises SettingError where the model names none."""
        config = self.model.config
        start = getattr(config, "decoder_start_token_id", None)
        start = self.model.generation_config.decoder_start_token_id if start is None else start
        if start is None:
            raise SettingError("the model does not say with which token its decoder starts")
        return int(start)

    def padded(self, rows: Sequence[Sequence[int]], *, before: bool = False) -> tuple[Any, Any]:
        """Rows of tokens as one table on the model's device, and which of its places are tokens."""
        torch, _ = _libraries()
        width = max(map(len, rows))
        blank = self.tokenizer.pad_token_id
        blank = (self.tokenizer.eos_token_id or 0) if blank is None else blank
        ids = torch.full((len(rows), width), blank, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, tokens in enumerate(rows):
            at = slice(width - len(tokens), width) if before else slice(0, len(tokens))
            ids[row, at] = torch.tensor(list(tokens), dtype=torch.long)
            mask[row, at] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    # ---- reasoning ----------------------------------------------------------------------------------------------

    def log_probs_after(
        self, prompts: Sequence[Sequence[int]], thoughts: Sequence[Sequence[int]], spellings: Sequence[Spelling]
    ) -> Float64[Array, "prompts spellings"]:
        """`log_probs` behind what the model has written itself, and the word that leads to the answer."""
        bridge = tuple(self.tokenizer(ANSWER, add_special_tokens=False)["input_ids"])
        if not self.is_encoder_decoder:
            joined = [(*prompt, *thought, *bridge) for prompt, thought in zip(prompts, thoughts, strict=True)]
            return self.log_probs(joined, spellings)
        result = np.empty((len(prompts), len(spellings)))
        for row, (prompt, thought) in enumerate(zip(prompts, thoughts, strict=True)):
            said = [(*thought, *bridge, *each.tokens) for each in spellings]
            logs = self._behind([prompt] * len(said), [tokens[:-1] for tokens in said])
            first = len(thought) + len(bridge)
            for column, (log, tokens) in enumerate(zip(logs, said, strict=True)):
                result[row, column] = sum(log[j, tokens[j]] for j in range(first, len(tokens)))
        return result

    def thoughts(self, prompts: Sequence[Sequence[int]], most_tokens: int) -> list[tuple[int, ...]]:
        """What the model writes behind each prompt, the likeliest token at every place, up to so many tokens."""
        torch, _ = _libraries()
        result: list[tuple[int, ...]] = [()] * len(prompts)
        special = set(self.tokenizer.all_special_ids)
        for at in _batches(prompts, self.batch):
            ids, mask = self.padded([prompts[i] for i in at], before=True)
            with torch.inference_mode():
                made = self.model.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=most_tokens, do_sample=False, num_beams=1,
                    pad_token_id=self.tokenizer.pad_token_id or 0,
                )  # fmt: skip
            begin = 1 if self.is_encoder_decoder else ids.shape[1]
            for i, row in zip(at, made[:, begin:].tolist(), strict=True):
                result[i] = tuple(token for token in row if token not in special)
        return result


def plain_text(messages: Sequence[Message]) -> str:
    """A conversation as a model without a chat form reads it, up to where the answer is to stand."""
    parts: list[str] = []
    for message in messages:
        said = _text(message)
        parts.append(f"{ANSWER.strip()} {said}" if message.role == "assistant" else said)
    return "\n\n".join(parts) + ANSWER


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    if any("image_url" in part for part in message.content):
        raise SettingError("local models read texts only, and this item shows an image: take a model of a server")
    return "\n".join(part["text"] for part in message.content)


def _batches(rows: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Places of rows, of similar length together: little is padded."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtraError("transformers with torch", "local") from None
    return torch, transformers
