"""What a data set cannot tell, and why: a report says it in one line instead of showing an empty frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from quorate.errors import DataError, QuorateError

S = TypeVar("S")
T = TypeVar("T")


class Absent(NamedTuple):
    """A part that is not there."""

    why: str  # one sentence


def told(part: Callable[[], T]) -> T | Absent:
    """The part, or the reason why this data has none.

    >>> from quorate.data.dataset import Dataset
    >>> told(Dataset)
    Absent(why='A data set needs a table; to have it, give at least one of labels, scores, model_labels, gold, items.')
    """
    try:
        return part()
    except QuorateError as error:
        return Absent(sentence(f"{error.problem}; to have it, {error.mend}" if isinstance(error, DataError) else error))


def then(part: S | Absent, make: Callable[[S], T]) -> T | Absent:
    """What can be made of a part that is there; where it is not, the reason stays.

    >>> then(Absent("No labels."), len)
    Absent(why='No labels.')
    """
    return part if isinstance(part, Absent) else told(lambda: make(part))


def sentence(text: object) -> str:
    """With a capital and a full stop."""
    words = str(text).rstrip(".")
    return f"{words[:1].upper()}{words[1:]}."
