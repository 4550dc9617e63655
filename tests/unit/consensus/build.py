"""Coded data sets from rows of text, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from quorate.data.encode import Coded, Labels, ModelOutput, no_output
from quorate.schema import Schema, Task

Said = str | Mapping[str, float]


def coded_from(
    rows: Sequence[tuple[str, str, str, str]],
    classes: Mapping[str, Sequence[str]],
    *,
    outputs: Sequence[tuple[str, str, str, Said]] = (),
    gold: Sequence[tuple[str, str, str]] = (),
    items: Sequence[str] = (),
) -> Coded:
    """Rows (item, task, annotator, label), outputs (item, task, model, label or scores), gold (item, task, label).

    Items stand as in `items`, then by first appearance; annotators and models by name.
    """
    schema = Schema(tuple(Task(name, tuple(names)) for name, names in classes.items()))
    named = dict.fromkeys([*items, *(r[0] for r in rows), *(o[0] for o in outputs), *(g[0] for g in gold)])
    place = {item: i for i, item in enumerate(named)}
    annotators = tuple(sorted({row[2] for row in rows}))
    models = tuple(sorted({output[2] for output in outputs}))
    return Coded(
        schema=schema,
        items=tuple(named),
        annotators=annotators,
        models=models,
        labels=_labels(rows, schema, place, annotators),
        outputs=_outputs(outputs, schema, place, models),
        gold=_gold(gold, schema, place),
        features=np.zeros((len(named), 0), np.float32),
        features_known=np.zeros(len(named), bool),
    )


def _labels(
    rows: Sequence[tuple[str, str, str, str]], schema: Schema, place: Mapping[str, int], annotators: Sequence[str]
) -> Labels:
    agent = {name: a for a, name in enumerate(annotators)}
    task = np.array([schema.code_of[t] for _, t, _, _ in rows], np.int64)
    cell = np.array([place[item] for item, *_ in rows], np.int64) * len(schema) + task
    order = np.argsort(cell, kind="stable")
    sizes = np.bincount(cell, minlength=len(place) * len(schema))
    return Labels(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([agent[a] for _, _, a, _ in rows], np.int32)[order],
        np.array([schema.task(t).code_of[label] for _, t, _, label in rows], np.int16)[order],
        order.astype(np.int64),
    )


def _outputs(
    outputs: Sequence[tuple[str, str, str, Said]], schema: Schema, place: Mapping[str, int], models: Sequence[str]
) -> tuple[ModelOutput, ...]:
    tables = tuple(no_output(len(place), len(models), len(task.classes)) for task in schema.tasks)
    for item, task, model, said in outputs:
        code_of, table = schema.task(task).code_of, tables[schema.code_of[task]]
        i, m = place[item], models.index(model)
        table.kind[i, m] = 2 if isinstance(said, str) else 1
        for label, score in ({said: 1.0} if isinstance(said, str) else said).items():
            table.scores[i, m, code_of[label]] = score
        table.answer[i, m] = table.scores[i, m].argmax()
    return tables


def _gold(gold: Sequence[tuple[str, str, str]], schema: Schema, place: Mapping[str, int]) -> np.ndarray:
    codes = np.full((len(place), len(schema)), -1, np.int16)
    for item, task, label in gold:
        codes[place[item], schema.code_of[task]] = schema.task(task).code_of[label]
    return codes


class Simulated(NamedTuple):
    """Rows of a simulated labeling, and what is behind them."""

    rows: list[tuple[str, str, str, str]]
    outputs: list[tuple[str, str, str, Said]]
    classes: dict[str, tuple[str, ...]]
    items: list[str]
    truth: np.ndarray
    confusion: np.ndarray  # agents, truth, label
    prevalence: np.ndarray

    def coded(self, **more: object) -> Coded:
        """As codes; more: gold."""
        return coded_from(self.rows, self.classes, outputs=self.outputs, items=self.items, **more)


def simulated(
    seed: int,
    *,
    n_items: int = 60,
    n_annotators: int = 6,
    n_labels: int = 4,
    n_models: int = 0,
    n_classes: int = 3,
    diagonal: float = 6.0,
) -> Simulated:
    """One task whose agents have Dirichlet rows: a ragged number of labels, at most `n_labels` per item."""
    rng = np.random.default_rng(seed)
    classes = tuple("abcdefgh"[:n_classes])
    rows = rng.dirichlet(np.ones(n_classes), (n_annotators + n_models, n_classes))
    for k in range(n_classes):
        rows[:, k] = rng.dirichlet(1.0 + diagonal * np.eye(n_classes)[k], n_annotators + n_models)
    prevalence = rng.dirichlet(5.0 * np.ones(n_classes))
    truth = rng.choice(n_classes, n_items, p=prevalence)
    labels, outputs = [], []
    for i, k in enumerate(truth):
        asked = rng.permutation(n_annotators)[: rng.integers(0, n_labels + 1)]
        labels += [(f"i{i}", "t", f"p{a}", classes[rng.choice(n_classes, p=rows[a, k])]) for a in asked]
        for m in range(n_models):
            if rng.random() < 0.9:
                label = classes[rng.choice(n_classes, p=rows[n_annotators + m, k])]
                outputs.append((f"i{i}", "t", f"m{m}", label))
    return Simulated(labels, outputs, {"t": classes}, [f"i{i}" for i in range(n_items)], truth, rows, prevalence)


def assert_within(found: np.ndarray | float, expected: np.ndarray | float, se: np.ndarray | float, sigmas: float = 4):
    """Every figure is within so many of its own standard errors."""
    off = np.abs(np.asarray(found) - np.asarray(expected)) / np.asarray(se)
    assert np.all(off <= sigmas), f"{np.max(off):.1f} standard errors away, more than {sigmas}"
