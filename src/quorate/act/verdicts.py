"""What a criticism says: an error probability, a level or a verdict with the tokens it is read from.

    error = P("yes") / (P("yes") + P("no"))                              [lin2025act], equation 6
    perplexity = exp(-mean log probability of the tokens of the thoughts)

Only a whole answer in its own place counts: a number in the thoughts is none. What cannot be read is a value with its
reason, which says whether another try may help.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from quorate.act.critic import CUT_OFF, Critic
from quorate.act.strategies import LEVELS, VERDICTS
from quorate.llm.confidence import first_token
from quorate.llm.prompt import REASONING
from quorate.llm.reading import Chosen, Place, Said, bare, find_object
from quorate.llm.wire import OUTSIDE, Answer, Token

UNSURE = 0.5
NO_LOGPROBS = "no log probabilities"
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
MOST_FIGURES = 24  # characters of a number


class Criticism(NamedTuple):
    """What one criticizer says of one label."""

    error: float  # in [0, 1]; of an order, its place until all are known
    reasoning: str = ""
    verdict: str | None = None  # yes or no, where it was asked for
    perplexity: float | None = None


class Malformed(NamedTuple):
    """Why there is no criticism in an answer, and whether to ask again."""

    why: str
    again: bool = True


def read_criticism(answer: Answer, critic: Critic) -> Criticism | Malformed:
    """The criticism of an answer.

    >>> from quorate.act.strategies import strategy
    >>> from quorate.llm.rubric_file import parse_rubric
    >>> from quorate.llm.wire import Usage
    >>> asked = Critic("m", strategy("naive"), parse_rubric("tasks: [{name: safe, kind: yes-no}]"))
    >>> read_criticism(Answer('{"error_probability": 0.911}', None, "stop", Usage(9, 9), "m"), asked).error
    0.911
    """
    text = _text(answer)
    said = find_object(text, {critic.strategy.key})
    if critic.strategy.key in said:
        found, thoughts = said[critic.strategy.key], said.get(REASONING)
    else:
        found, thoughts = _bracketed(text, thinks=critic.strategy.thinks)
    if found is None:
        return Malformed(CUT_OFF if answer.finish == "length" else _nothing(answer))
    reasoning = thoughts.value if thoughts is not None and isinstance(thoughts.value, str) else ""
    match critic.strategy.answers:
        case "probability":
            return _probability(found.value, reasoning)
        case "levels":
            return _level(found.value, reasoning)
        case _:
            return _verdict(answer, critic, found, thoughts, reasoning)


def perplexity(tokens: Sequence[Token], place: Place) -> float | None:
    """exp(-mean log p) of the tokens that lie in a stretch of the text (1 and up); None where one is unknown.

    >>> half = Token("a", math.log(0.5), ())
    >>> perplexity([half, half], Place(0, 2))
    2.0
    """
    logs = [token.logprob for token in _inside(tokens, place)]
    if not logs or min(logs) <= OUTSIDE:
        return None
    return math.exp(-math.fsum(logs) / len(logs))


# ---- parts ------------------------------------------------------------------------------------------------------
def _text(answer: Answer) -> str:
    """What places refer to: the tokens' own text, where they spell the answer."""
    joined = "" if answer.tokens is None else "".join(token.token for token in answer.tokens)
    return joined if joined.strip() else answer.text


def _bracketed(text: str, *, thinks: bool) -> tuple[Said | None, Said | None]:
    """The last pair of brackets at the end of the text, and all before it as thoughts; or the whole text, bare."""
    ends = text.rstrip(" \t\r\n.`*")
    pairs = list(BRACKETS.finditer(ends))
    if pairs and pairs[-1].end() == len(ends):
        last = pairs[-1]
        inner = bare(last[1])
        start = last.start(1) + inner.place.start
        found = Said(inner.value, Place(start, start + len(inner.value)))
        return found, _thoughts(text, last.start())
    whole = bare(text)
    return (None, None) if thinks or not whole.value else (whole, None)


def _thoughts(text: str, stop: int) -> Said:
    start = len(text) - len(text.lstrip(" \t\r\n["))
    inner = text[start:stop].rstrip(" \t\r\n]")
    return Said(inner, Place(start, start + len(inner)))


def _probability(value: object, reasoning: str) -> Criticism | Malformed:
    number = _number(value)
    if number is None:
        return Malformed("it holds no number between 0 and 1")
    return Criticism(number, reasoning)


def _number(value: object) -> float | None:
    """A share in [0, 1], also as a text or in percent; None for anything else: 80 is not taken for 0.8."""
    percent = isinstance(value, str) and value.strip().endswith("%")
    if isinstance(value, str):
        try:
            value = float(value.strip().removesuffix("%")[:MOST_FIGURES])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    share = value / 100 if percent else float(value)
    return share if 0.0 <= share <= 1.0 else None


def _level(value: object, reasoning: str) -> Criticism | Malformed:
    """The middle of a fifth of [0, 1]: levels are an order, not shares."""
    text = "" if isinstance(value, bool) else str(value).partition(":")[0].strip()
    if text not in LEVELS:
        return Malformed("it holds none of the levels 1 to 5")
    return Criticism((LEVELS.index(text) + 0.5) / len(LEVELS), reasoning)


def _verdict(
    answer: Answer, critic: Critic, found: Said, thoughts: Said | None, reasoning: str
) -> Criticism | Malformed:
    said = str(found.value).strip().casefold()
    if said not in VERDICTS:
        return Malformed("it says neither yes nor no")
    if answer.tokens is None or "".join(token.token for token in answer.tokens) != _text(answer):
        return Malformed(NO_LOGPROBS, again=False)
    if critic.strategy.name == "perplexity":
        surprise = None if thoughts is None else perplexity(answer.tokens, thoughts.place)
        if surprise is None:
            return Malformed("it did not think first" if not reasoning else NO_LOGPROBS, again=not reasoning)
        return Criticism(UNSURE, reasoning, said, surprise)
    scored = first_token(answer.tokens, Chosen(VERDICTS.index(said), found.place), VERDICTS)
    if scored is None:
        return Malformed(NO_LOGPROBS, again=False)
    return Criticism(float(scored.probs[0]), reasoning, said)


def _inside(tokens: Sequence[Token], place: Place) -> list[Token]:
    """The tokens that begin in a stretch of the text, or reach into it from before."""
    found: list[Token] = []
    at = 0
    for token in tokens:
        if at < place.stop and at + len(token.token) > place.start:
            found.append(token)
        at += len(token.token)
    return found


def _nothing(answer: Answer) -> str:
    return {"refusal": "it was a refusal", "content_filter": "it was filtered"}.get(
        answer.finish, "it was not of the form asked for"
    )
