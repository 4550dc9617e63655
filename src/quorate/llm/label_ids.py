"""Short names of classes that a model answers with: one token each, so that its probability is the class's.

A class whose name is one token anywhere keeps it (yes and no, single letters, single digits); else classes are A, B,
C, and above 26 of them numbers of three digits, which are one token to most tokenizers. No name begins another and none
differs from another by case only: what a model says can be read in one way.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.errors import SchemaError

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
FIRST_NUMBER, MOST_CLASSES = 100, 900
WORDS = frozenset({"yes", "no", "true", "false"})


def label_ids(classes: Sequence[str]) -> tuple[str, ...]:
    """A short name for every class, in their order. Raises SchemaError for more classes than there are names.

    >>> label_ids(["no", "yes"]), label_ids(["1", "2", "3"]), label_ids(["calm", "angry"])
    (('no', 'yes'), ('1', '2', '3'), ('A', 'B'))
    """
    if len(classes) > MOST_CLASSES:
        raise SchemaError(
            f"{len(classes)} classes are more than the {MOST_CLASSES} that a model can be asked to choose from",
            mend="split the task in two: a coarse one and a fine one",
        )
    if all(_is_one_token(name) for name in classes) and len({name.casefold() for name in classes}) == len(classes):
        return tuple(classes)
    if len(classes) <= len(LETTERS):
        return LETTERS[: len(classes)]
    return tuple(str(FIRST_NUMBER + place) for place in range(len(classes)))


def _is_one_token(name: str) -> bool:
    return name.casefold() in WORDS or (len(name) == 1 and name.isascii() and name.isalnum())
