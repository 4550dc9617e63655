"""A probability for every class from what a model said: from its label tokens, its words, or its repeated answers.

    first_token    the probability of each class at the token where the answer names its class
    largest        the largest log probability of each class over all tokens and positions, then softmax
                   [hovsepian2024], step 1
    verbalised     what the model says of itself, in percent
    agreement      shares among several samples of the same prompt

No class ever gets nothing: a class that a server does not list gets what is left over, evenly, and never more than the
least likely token that is listed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.llm.reading import Chosen, Place
from quorate.llm.wire import OUTSIDE, Token

Array = np.ndarray
FLOOR = 1e-6  # a probability that is known to be above nothing, and no more
LEAD = " \t\r\n\"'`*([{:▁ĠĊ"  # what may stand before a label in its own token
TAIL = " \t\r\n\"'`*.,)]}"  # and after it


class Scored(NamedTuple):
    """Probabilities of the classes of one answer, and how much of the model's own probability stood on their names."""

    probs: Float64[Array, "classes"]
    covered: float


def first_token(tokens: Sequence[Token], chosen: Chosen, ids: Sequence[str]) -> Scored | None:
    """The probability of each class at the place of the answer; None where the server lists no probability there.

    p_c ∝ Σ over tokens that name class c (in any spelling: with a space or a quotation mark, in either case). Where a
    short name takes several tokens, what leaves the answer's way at one of them is shared by the names that begin so.
    """
    spent = list(_within(tokens, chosen.place))
    if not spent or all(token.logprob <= OUTSIDE and not token.listed() for token, _ in spent):
        return None
    mass = [0.0] * len(ids)
    reach, least, said = 1.0, 1.0, ""
    for token, cut in spent:
        own = token.token[cut:] if said else token.token[cut:].lstrip(LEAD)
        if not own:
            continue  # a mark before the name
        options = _options(token)
        least = min(least, reach * _least(token))
        for text, p in options.items():
            if text != token.token:
                _share(mass, reach * p, said, text, ids)
        reach *= options.get(token.token, max(0.0, 1.0 - sum(options.values())))
        said += own
    mass[chosen.code] += reach
    return _filled(mass, least)


def largest(tokens: Sequence[Token], ids: Sequence[str], place: Place | None = None) -> Scored | None:
    """Softmax over the classes of the largest log probability at any position; None where no token names a class.

    x_c = max over tokens i of class c and positions j of x_ij, z = softmax(x) [hovsepian2024], section 2.1. With
    several questions in one answer, positions are those of `place`.
    """
    within = [token for token, _ in _within(tokens, place)] if place is not None else list(tokens)
    best = [0.0] * len(ids)
    least = 1.0
    for token in within:
        options = _options(token)
        named = {text: code for text in options if (code := _named(text, ids)) is not None}
        for text, code in named.items():
            best[code] = max(best[code], options[text])
        if named:
            least = min(least, _least(token))
    return _filled(best, least) if any(best) else None


def verbalised(chances: Mapping[str, object], ids: Sequence[str]) -> Scored | None:
    """What a model says of its own certainty, made to sum to 1; None where that is no chance for any class.

    >>> verbalised({"A": 60, "B": 20}, ["A", "B"]).probs.round(2)
    array([0.75, 0.25])
    """
    by_name = {name.casefold(): value for name, value in chances.items()}
    said = np.array([_number(by_name.get(name.casefold())) for name in ids])
    total = said.sum()
    if not total > 0:
        return None
    return Scored(_floored(said / total), 1.0)


def agreement(codes: Iterable[int], n_classes: int) -> Float64[Array, "classes"]:
    """Shares of the answers of several samples, with one more answer spread evenly over the classes.

    (n_c + 1/K) / (n + 1): the mean of a Dirichlet posterior whose prior weighs one answer.

    >>> agreement([0, 0, 1], 2)
    array([0.625, 0.375])
    """
    counts = np.bincount(np.fromiter(codes, np.int64), minlength=n_classes).astype(np.float64)
    return (counts + 1.0 / n_classes) / (counts.sum() + 1.0)


# ---- tokens -----------------------------------------------------------------------------------------------------


def _within(tokens: Sequence[Token], place: Place) -> Iterable[tuple[Token, int]]:
    """The tokens that a stretch of the text lies in, and how many characters of each stand before it."""
    at = 0
    for token in tokens:
        stop = at + len(token.token)
        if stop > place.start and at < place.stop:
            yield token, max(0, place.start - at)
        at = stop


def _options(token: Token) -> dict[str, float]:
    """Probabilities of the token and of the likeliest at its place, by their text; those outside the list left out."""
    found: dict[str, float] = {}
    for text, log in token.listed():
        found[text] = found.get(text, 0.0) + math.exp(min(log, 0.0))
    if token.token not in found and token.logprob > OUTSIDE:
        found[token.token] = math.exp(min(token.logprob, 0.0))
    return found


def _least(token: Token) -> float:
    """What a token outside the list has at most: as much as the least likely in it; 1 where there is no list."""
    return min((math.exp(min(log, 0.0)) for _, log in token.listed()), default=1.0)


def _share(mass: list[float], p: float, said: str, text: str, ids: Sequence[str]) -> None:
    """Give the probability of a token that was not chosen to the classes whose names go on that way, evenly."""
    own = text if said else text.lstrip(LEAD)
    core = own.rstrip(TAIL)
    if not core:
        return
    way = (said + core).casefold()
    whole = core != own  # something stands after the name: it ends here
    fits = [k for k, name in enumerate(map(str.casefold, ids)) if name == way or (not whole and name.startswith(way))]
    for code in fits:
        mass[code] += p / len(fits)


def _named(text: str, ids: Sequence[str]) -> int | None:
    """The class whose whole name a token is."""
    core = text.strip(LEAD + TAIL).casefold()
    return next((code for code, name in enumerate(ids) if name.casefold() == core), None)


def _filled(mass: Sequence[float], least: float) -> Scored:
    """Probabilities that sum to 1; classes that got nothing share what is left over, each at most the least listed."""
    covered = math.fsum(mass)
    n_empty = sum(each <= 0 for each in mass)
    left = min(max(0.0, 1.0 - covered) / n_empty, least) if n_empty else 0.0
    filled = np.array([each if each > 0 else left for each in mass])
    total = filled.sum()
    return Scored(_floored(filled / total) if total > 0 else np.full(len(filled), 1 / len(filled)), covered)


def _floored(probs: Float64[Array, "classes"]) -> Float64[Array, "classes"]:
    """The same where every class has at least FLOOR."""
    if probs.min() >= FLOOR:
        return probs
    raised = np.maximum(probs, FLOOR)
    return raised / raised.sum()


def _number(value: object) -> float:
    """A chance that a model wrote: a number, or a text such as "80 %"; nothing for anything else."""
    if isinstance(value, str):
        try:
            value = float(value.strip().removesuffix("%"))
        except ValueError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))
