"""The items on which people and models answer differently, or, where there are no models, people among themselves.

How much speaks against "people and models answer alike" on an item and task, in nats: with n_p labels of people in
shares p, n_m answers of models in shares q, and both thrown together in shares r,

    n_p KL(p, r) + n_m KL(q, r)

half of the log likelihood ratio of [wilks1938]. It grows with how far the two are apart and with how many spoke. Models
that err together are fewer than they seem: n_m is at most their effective number.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Shaped
from scipy.special import rel_entr

from quorate.consensus.estimator import Model
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.data.restricted import restricted_items
from quorate.errors import DataError
from quorate.schema import Task

Array = np.ndarray
MOST_SHOWN = 25
MOST_LETTERS = 600  # of an item's text
LEAST_NATS = 1e-6  # less is rounding


class Doubt(NamedTuple):
    """One item and task."""

    item: str
    task: str
    people: tuple[tuple[str, int], ...]  # class and labels, most first
    models: tuple[tuple[str, int], ...]  # class and answers, most first
    consensus: str
    confidence: float
    gold: str | None
    nats: float  # that speak against "all answer alike"
    text: tuple[tuple[str, str], ...]  # column and content of the item, where it has any


class Doubts(NamedTuple):
    """The items worth reading first."""

    between: Literal["people and models", "people"]
    shown: tuple[Doubt, ...]
    found: int  # item-tasks on which there is any such difference, most of different opinion first


def doubts(data: Dataset, coded: Coded, model: Model, effective: float | None) -> Doubts:
    """Item-tasks by how much speaks against one opinion, the most first. Raises DataError where nobody disagrees.

    effective: independent models that are worth as much as all of them; None: each counts as one.
    """
    if not len(coded.labels.code):
        raise DataError("no person has labeled anything", mend="add people's labels")
    counts = [coded.counts(t).astype(float) for t in range(coded.n_tasks)]
    answers = [_answers(coded, t) for t in range(coded.n_tasks)]
    both = any((said.sum(axis=1) * told.sum(axis=1)).any() for said, told in zip(counts, answers, strict=True))
    of_task = [
        apart(said, told, effective) if both else divided(said) for said, told in zip(counts, answers, strict=True)
    ]
    nats = np.column_stack(of_task)
    order = np.argsort(-nats, axis=None, kind="stable")
    found = int((nats > LEAST_NATS).sum())
    if not found:
        raise DataError("nobody contradicts anybody here", mend="have items labeled by two people, or by a model too")
    shown = [divmod(int(cell), coded.n_tasks) for cell in order[: min(found, MOST_SHOWN)]]
    consensus = model.predict(coded.select(np.array([i for i, _ in shown])))
    texts = item_texts(data.items, {coded.items[i] for i, _ in shown})
    rows = [
        Doubt(
            item=coded.items[i],
            task=task.name,
            people=_votes(task, counts[t][i]),
            models=_votes(task, answers[t][i]),
            consensus=task.classes[int(consensus.label_codes(task.name)[place])],
            confidence=float(consensus.confidence(task.name)[place]),
            gold=task.classes[int(coded.gold[i, t])] if coded.gold[i, t] >= 0 else None,
            nats=float(nats[i, t]),
            text=texts.get(coded.items[i], ()),
        )
        for place, (i, t) in enumerate(shown)
        for task in [coded.schema.tasks[t]]
    ]
    return Doubts("people and models" if both else "people", tuple(rows), found)


def apart(
    people: Shaped[Array, "items classes"], models: Shaped[Array, "items classes"], effective: float | None = None
) -> Float64[Array, "items"]:
    """Nats against "people and models answer alike"; 0 where one of them is silent.

    >>> apart(np.array([[3.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 3.0], [3.0, 0.0]])).round(2).tolist()
    [4.16, 0.0]
    """
    n_people, n_models = (votes.sum(axis=1, keepdims=True) for votes in (people, models))
    worth = n_models if effective is None else np.minimum(n_models, effective)
    p, q = people / np.maximum(n_people, 1), models / np.maximum(n_models, 1)
    r = (n_people * p + worth * q) / np.maximum(n_people + worth, 1e-300)
    value = (n_people * rel_entr(p, r) + worth * rel_entr(q, r)).sum(axis=1)
    return np.where((n_people[:, 0] > 0) & (n_models[:, 0] > 0), value, 0.0)


def divided(people: Shaped[Array, "items classes"]) -> Float64[Array, "items"]:
    """Nats against "people are of one opinion": the entropy of their labels times their number.

    >>> divided(np.array([[2.0, 2.0], [4.0, 0.0]])).round(2).tolist()
    [2.77, 0.0]
    """
    n = people.sum(axis=1, keepdims=True)
    return rel_entr(people, people * people / np.maximum(n, 1)).sum(axis=1)


def _answers(coded: Coded, task: int) -> Float64[Array, "items classes"]:
    """How many models gave each class."""
    answer, n_classes = coded.outputs[task].answer.astype(np.int64), len(coded.schema.tasks[task].classes)
    item, model = np.nonzero(answer >= 0)
    cell = item * n_classes + answer[item, model]
    return np.bincount(cell, minlength=coded.n_items * n_classes).reshape(coded.n_items, n_classes).astype(float)


def _votes(task: Task, counts: Float64[Array, "classes"]) -> tuple[tuple[str, int], ...]:
    order = [int(code) for code in np.argsort(-counts, kind="stable") if counts[code] > 0]
    return tuple((task.classes[code], int(counts[code])) for code in order)


def item_texts(items: pa.Table | None, wanted: Collection[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """The text columns of these items, cut to a readable length; nothing of one that people may not be shown.

    >>> item_texts(pa.table({"item": ["a", "b"], "body": ["hello", "oh"], "x_length": [5, 2]}), {"a"})
    {'a': (('body', 'hello'),)}
    """
    if items is None:
        return {}
    columns = [
        field.name
        for field in items.schema
        if field.name != "item" and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type))
    ]
    if not columns:
        return {}
    shown = set(wanted) - restricted_items(items)
    return {
        str(row["item"]): tuple((name, _cut(row[name])) for name in columns if row[name])
        for row in items.select(["item", *columns]).to_pylist()
        if str(row["item"]) in shown
    }


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1].rstrip() + "…"
