"""Why models gave no scores, in words for the lead, and whether that is the item's matter or everybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quorate.llm.failures import FATAL
from quorate.llm.tally import NO_LOGPROBS, Failed

WORDS: Mapping[str, str] = {  # by kind; a server's own words may hold what nobody else should read
    "budget": "the cap is reached; raise it to go on",
    "quota": "the account at the models' server is empty; it is tried again later",
    "auth": "the models' server does not accept the key; it is tried again later",
    "overload": "the models' server is overloaded or down; it is tried again later",
    "rate": "the models' server asks for patience; it is tried again later",
    "tokens": "the models' server asks for patience; it is tried again later",
    "timeout": "the models' server does not answer in time; it is tried again later",
    "broken": "the models' server cannot be reached, or breaks off; it is tried again later",
    "bad request": "the models' server cannot use what it is sent; it is tried again later",
    NO_LOGPROBS: "the model shows no probabilities; set labeler.confidence to consistency or verbalised",
}
PASSING = frozenset({"overload", "rate", "tokens", "timeout", "broken"})
OF_ITEM: Mapping[str, str] = {
    "refusal": "the server refuses to answer about it",
    "filtered": "a filter of the server stopped it",
    "bad request": "the server cannot use it: too long, perhaps",
    "restricted": "it is restricted",
    **dict.fromkeys(PASSING, "the server did not answer"),
}


class Outage(NamedTuple):
    """Why nothing more is asked now, and whether that may mend itself."""

    why: str
    mends: bool


def outage_of(misses: Sequence[Failed], *, nothing: bool, ever: bool) -> Outage | None:
    """What speaks against asking on, by what failed.

    `nothing`: there is not one score; `ever`: there were some before, so that a failure may be the items' matter.
    """
    kinds = [miss.kind for miss in misses]
    fatal = next((kind for kind in kinds if kind in FATAL), None)
    if fatal is not None:
        return Outage(WORDS[fatal], mends=fatal != "budget")
    if not kinds or not nothing:
        return None
    likely = max(set(kinds), key=kinds.count)
    if likely in PASSING:
        return Outage(WORDS[likely], mends=True)
    if likely in WORDS and not ever:
        return Outage(f"{WORDS[likely]} (model {misses[kinds.index(likely)].model})", mends=likely != NO_LOGPROBS)
    return None


def why_of(miss: Failed) -> str:
    """Why one item has no scores."""
    return OF_ITEM.get(miss.kind, f"its answer could not be used: {miss.kind}")
