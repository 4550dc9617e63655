"""A small folder, as a user has it, and the command line without a process around it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from quorate.cli.app import app

Run = Callable[..., Any]  # a result with exit_code, stdout and stderr


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call a verb in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return called


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty items with a yes-or-no task and a scale: labels of five people, scores of two models, as CSV."""
    rng = np.random.default_rng(0)
    items = [f"item-{i:02d}" for i in range(60)]
    truth = {"safe": rng.integers(0, 2, 60), "quality": rng.integers(0, 3, 60)}
    classes = {"safe": ("no", "yes"), "quality": ("1", "2", "3")}
    labels = [
        (item, task, f"person-{person}", classes[task][_said(rng, truth[task][i], len(classes[task]), 0.8)])
        for i, item in enumerate(items)
        for task in classes
        for person in range(5)
    ]
    scores = [
        (item, task, model, name, score)
        for i, item in enumerate(items)
        for task in classes
        for model in ("left", "right")
        for name, score in zip(classes[task], _scores(rng, truth[task][i], len(classes[task])), strict=True)
    ]
    place = tmp_path / "data"
    place.mkdir()
    write_csv(place / "labels.csv", ("item", "task", "annotator", "label"), labels)
    write_csv(place / "scores.csv", ("item", "task", "model", "label", "score"), scores)
    return place


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _said(rng: np.random.Generator, truth: int, n_classes: int, skill: float) -> int:
    return int(truth if rng.random() < skill else rng.integers(n_classes))


def _scores(rng: np.random.Generator, truth: int, n_classes: int) -> np.ndarray:
    weight = rng.gamma(1.0 + 3.0 * (np.arange(n_classes) == truth))
    return weight / weight.sum()
