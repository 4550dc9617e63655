"""Small ragged data sets with several tasks, for tests of joint models."""

from __future__ import annotations

import numpy as np

from quorate.data.encode import Coded
from unit.consensus.build import Said, coded_from

CLASSES = {"colour": ("red", "green", "blue"), "shape": ("round", "flat"), "size": ("s", "m", "l", "xl")}


def ragged(seed: int, n_items: int = 30, *, gold: bool = False, models: int = 2) -> Coded:
    """Three coupled tasks, four people and some models, each of whom leaves out something."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, str, str]] = []
    outputs: list[tuple[str, str, str, Said]] = []
    truths: list[tuple[str, str, str]] = []
    for i in range(n_items):
        mood = rng.normal()
        for task, classes in CLASSES.items():
            true = int(np.clip(round(mood + len(classes) / 2 - 0.5 + 0.4 * rng.normal()), 0, len(classes) - 1))
            people = rng.permutation(4)[: rng.integers(0, 4)]
            rows += [(f"i{i}", task, f"p{a}", _answer(rng, classes, true, 0.75)) for a in people]
            speak = np.flatnonzero(rng.random(models) < 0.8)
            outputs += [(f"i{i}", task, f"m{m}", _output(rng, classes, true, hard=m == 1)) for m in speak]
            if gold and rng.random() < 0.5:
                truths.append((f"i{i}", task, classes[true]))
    return coded_from(rows, CLASSES, outputs=outputs, gold=truths, items=[f"i{i}" for i in range(n_items)])


def _answer(rng: np.random.Generator, classes: tuple[str, ...], true: int, accuracy: float) -> str:
    return classes[true] if rng.random() < accuracy else str(rng.choice(classes))


def _output(rng: np.random.Generator, classes: tuple[str, ...], true: int, *, hard: bool) -> Said:
    if hard:
        return _answer(rng, classes, true, 0.7)
    scores = rng.dirichlet(1.0 + 3.0 * np.eye(len(classes))[true])
    return dict(zip(classes, scores.tolist(), strict=True))
