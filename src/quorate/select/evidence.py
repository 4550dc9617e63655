"""What a data set holds for choosing: what models say of each item, as probabilities and as a committee."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.data.encode import Coded
from quorate.errors import DataError, SettingError

Array = np.ndarray


def said_by(coded: Coded, task: int, models: Sequence[str] | None = None) -> Float64[Array, "members items classes"]:
    """The probabilities of every model that speaks of this task; even ones where it is silent about an item.

    Raises SettingError for a model that is not there, DataError where nobody speaks.
    """
    name, of = coded.schema.tasks[task].name, coded.outputs[task]
    unknown = [model for model in models or () if model not in coded.models]
    if unknown:
        raise SettingError(f"there is no model {unknown[0]!r}; there are: {', '.join(coded.models) or 'none'}")
    wanted = range(len(coded.models)) if models is None else [coded.models.index(model) for model in models]
    speaking = [at for at in wanted if (of.kind[:, at] > 0).any()]
    if not speaking:
        raise DataError(f"no model says anything of task {name!r}", mend="label the items first: `quorate label`")
    n_classes = len(coded.schema.tasks[task].classes)
    scores = np.moveaxis(of.scores[:, speaking, :n_classes].astype(np.float64), 1, 0)
    total = scores.sum(axis=2, keepdims=True)
    return np.where(total > 0, scores / np.where(total > 0, total, 1.0), 1.0 / n_classes)


def labeled_enough(coded: Coded, tasks: Sequence[int], enough: int = 1) -> Bool[Array, "items"]:
    """Items with so many labels of people, or gold, on all of these tasks."""
    found = np.ones(coded.n_items, bool)
    for task in tasks:
        found &= (coded.counts(task).sum(axis=1) >= enough) | (coded.gold[:, task] >= 0)
    return found


def places_of(coded: Coded, items: Sequence[str]) -> Int64[Array, "some"]:
    """Where these items are; those that there are not are left out."""
    place = {item: at for at, item in enumerate(coded.items)}
    return np.array([place[item] for item in items if item in place], np.int64)
