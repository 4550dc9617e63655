"""Which graded items a judge is shown as worked examples.

    cover k     of every class in turn, the items on which people agree most
    errors k    the items on which the judge so far was farthest from people who agree (classes in turn too)
    random k    any k

People's answer to an item is the class that most of them gave; an item without one (a tie, or nobody) is no example,
nor is one that is marked `restricted`. What a candidate is shown counts in none of its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Literal, cast, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.errors import SettingError
from quorate.judge.graded import Graded
from quorate.judge.map_grades import shares
from quorate.llm.items import Items
from quorate.llm.rubric import Example

Array = np.ndarray
Way = Literal["cover", "errors", "random"]


def parsed(name: str) -> tuple[Way, int]:
    """How examples are chosen and how many, from `errors 4`. Raises SettingError for anything else.

    >>> parsed("cover 6")
    ('cover', 6)
    """
    way, _, number = name.partition(" ")
    if way not in get_args(Way) or not number.isdigit() or int(number) < 1:
        raise SettingError(f"examples {name!r}: write one of {', '.join(get_args(Way))}, and how many, as 'cover 4'")
    return cast("Way", way), int(number)


def chosen_examples(
    name: str,
    people: Mapping[str, Graded],
    *,
    losses: Mapping[str, Float64[Array, "items"]] | None = None,
    barred: Bool[Array, "items"] | None = None,
    seed: int = 0,
) -> tuple[int, ...]:
    """Places of the items to show; fewer than asked for where people agree on fewer. `losses`: of the judge so far."""
    way, number = parsed(name)
    clear = np.logical_and.reduce([_clear(graded) for graded in people.values()])
    pool = np.flatnonzero(clear if barred is None else clear & ~barred)
    order = np.random.default_rng(seed).permutation(pool)
    if way == "random":
        return tuple(order[:number].tolist())
    worth = _worth(way, people, losses)
    order = order[np.argsort(-worth[order], kind="stable")]
    return tuple(_in_turn(order, people)[:number])


def example_of(place: int, items: Items, people: Mapping[str, Graded]) -> Example:
    """An item with people's answers, as a prompt shows it; of images, the paths."""
    fields = {name: column[place] for name, column in items.texts.items()}
    pictures = {name: str(column[place]) for name, column in items.images.items() if column[place] is not None}
    labels = {task: graded.task.classes[int(graded.people[place].argmax())] for task, graded in people.items()}
    return Example({**fields, **pictures}, labels)


def restricted(items: Items) -> Bool[Array, "items"]:
    """The items that are marked so in the column `restricted` of their table."""
    return np.array([item in items.restricted for item in items.ids], bool)


# ---- inside ---------------------------------------------------------------------------------------------------------
def _clear(graded: Graded) -> Bool[Array, "items"]:
    """Items of which one class was given most often."""
    top = np.sort(graded.people, axis=1)
    return (top[:, -1] > 0) & ((top[:, -1] > top[:, -2]) if top.shape[1] > 1 else True)


def _worth(
    way: Way, people: Mapping[str, Graded], losses: Mapping[str, Float64[Array, "items"]] | None
) -> Float64[Array, "items"]:
    agreed = np.mean([(shares(graded) ** 2).sum(axis=1) for graded in people.values()], axis=0)
    if way == "cover":
        return agreed
    if losses is None:
        raise SettingError("examples by errors need a judge's answers: ask it without examples first")
    return agreed * np.mean([loss / max(float(loss.std()), 1e-9) for loss in losses.values()], axis=0)


def _in_turn(order: Int64[Array, "pool"], people: Mapping[str, Graded]) -> list[int]:
    """The places in this order, but one of each class of the first task before the second of any."""
    code = next(iter(people.values())).people.argmax(axis=1)
    by_class: dict[int, list[int]] = {}
    for place in order.tolist():
        by_class.setdefault(int(code[place]), []).append(place)
    rounds: Sequence[tuple[int | None, ...]] = list(zip_longest(*by_class.values()))
    return [place for each in rounds for place in each if place is not None]
