"""Data sets for pages: an ordinary one, and one whose every name wants to be markup."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.schema import Schema, Task

ATTACK = "</script><img src=x onerror=alert(1)>"
ITEMS, PEOPLE, MODELS = 40, 4, 3
CLASSES = ("no", "yes")


def plain(text: str) -> str:
    """The name itself."""
    return text


def wicked(text: str) -> str:
    """The same name, with markup, a template, a formula and a quote in it."""
    return f"{text} {ATTACK} <b>%{{x}} {{{{ 7 * 7 }}}} $\\alpha$ \"'&lt;"


def dataset(
    name: Callable[[str], str] = plain,
    *,
    n_models: int = MODELS,
    gold: bool = False,
    skill: Sequence[float] = (0.95, 0.9, 0.9, 0.55),
    seed: int = 0,
) -> Dataset:
    """Two tasks; four people of whom one is careless, models that are right less often, texts of items."""
    rng = np.random.default_rng(seed)
    classes = tuple(name(each) for each in CLASSES)
    tasks = (name("safe"), name("kind"))
    truth = rng.integers(0, 2, (ITEMS, len(tasks)))
    labels = _rows("annotator", [name(f"ann-{a}") for a in range(PEOPLE)], skill, truth, tasks, classes, name, rng)
    answers = _rows(
        "model", [name(f"bot-{m}") for m in range(n_models)], [0.8] * n_models, truth, tasks, classes, name, rng
    )
    texts = [{"item": name(f"i{i}"), "text": name(f"What of {i}?"), "x_length": float(i)} for i in range(ITEMS)]
    trusted = [
        {"item": name(f"i{i}"), "task": task, "label": classes[truth[i, t]]}
        for i in range(ITEMS)
        for t, task in enumerate(tasks)
    ]
    return Dataset(
        labels=pa.Table.from_pylist(labels),
        model_labels=pa.Table.from_pylist(answers) if answers else None,
        gold=pa.Table.from_pylist(trusted) if gold else None,
        items=pa.Table.from_pylist(texts),
        schema=Schema(tuple(Task(task, classes) for task in tasks)),
    )


def _rows(column, names, skill, truth, tasks, classes, name, rng) -> list[dict[str, str]]:
    return [
        {
            "item": name(f"i{i}"),
            "task": task,
            column: who,
            "label": classes[truth[i, t] if rng.random() < right else 1 - truth[i, t]],
        }
        for i in range(len(truth))
        for t, task in enumerate(tasks)
        for who, right in zip(names, skill, strict=True)
    ]
