"""Searches for a judge against a fake server on a real socket."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.asking import Asker, Means, Space
from quorate.judge.calibrate import Calibrated
from quorate.judge.tune import Halving
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, Price
from quorate.llm.prompt import FOLDER
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer

RUBRIC = parse_rubric("tasks: [{name: care, kind: scale, classes: ['1', '2', '3', '4']}]")
N = 80
TEXTS = [f"answer number {n} of a helper" for n in range(N)]
ITEMS = Items(tuple(f"i{n}" for n in range(N)), {"text": TEXTS}, {})
RNG = np.random.default_rng(3)
TRUTH = RNG.integers(0, 4, N)
PEOPLE = np.clip(TRUTH[:, None] + RNG.integers(-1, 2, (N, 3)) * (RNG.random((N, 3)) < 0.3), 0, 3)
NOISE = {("weak", ""): 0.9, ("weak", "strict"): 0.8, ("strong", ""): 0.5, ("strong", "strict"): 0.05}
PRICES = {name: Price(1.0, 1.0, "2026-11-22", "a test") for name in ("weak", "strong")}


def people() -> Dataset:
    rows = [(item, str(1 + code)) for place, item in enumerate(ITEMS.ids) for code in PEOPLE[place]]
    table = pa.table(
        {
            "item": [item for item, _ in rows],
            "task": ["care"] * len(rows),
            "annotator": ["a", "b", "c"] * N,
            "label": [label for _, label in rows],
        }
    )
    return Dataset(table, None, None, None, None, RUBRIC.schema)


def answers() -> list[Row]:
    """A better prompt, a better model, and everybody one grade too high."""
    rng, rows = np.random.default_rng(4), []
    for (model, prompt), noise in NOISE.items():
        for text, truth in zip(TEXTS, TRUTH.tolist(), strict=True):
            said = rng.integers(4) if rng.random() < noise else min(truth + 1, 3)
            probs = np.full(4, 0.05)
            probs[said] = 0.85
            says = "Be strict." if prompt else None
            rows.append(Row(text, model, None, {"care": probs.tolist()}, None, says))
    return rows


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """A prompt variant in a folder."""
    (tmp_path / "annotate.jinja").write_text("Be strict.\n" + (FOLDER / "annotate.jinja").read_text())
    return tmp_path


def searched(
    strict: Path, journal: Journal, *, cap_usd: float = 9.0, examples: tuple[str, ...] = (), seed: int = 0
) -> tuple[Calibrated, FakeServer]:
    space = Space(("weak", "strong"), {"": None, "strict": strict}, examples=examples)
    with FakeServer(table=answers()) as server:
        means = Means(ChatClient(server.url), journal, Ledger(PRICES, cap_usd=cap_usd))
        asker = Asker(ITEMS, people(), RUBRIC, means, prompts=space.prompts)
        return Halving(first=20, finalists=2, seed=seed).search(asker, space), server


def test_the_best_candidate_is_found_and_its_map_takes_the_shift_away(strict: Path) -> None:
    """The judge is the candidate with least noise, and its mapped grades are nearer to people than its own."""
    with Journal() as journal:
        found, server = searched(strict, journal)
    assert found.chosen.name == "strong|strict"
    figures = found.standings[0].tasks["care"]
    assert figures["loss"].value < figures["raw_loss"].value - 2 * figures["raw_loss"].se
    assert figures["agreement"].value > found.constant["care"]["agreement"].value
    assert server.counts.answered < 4 * N
    assert Calibrated.from_json(found.to_json()) == found


def test_a_second_search_with_the_same_journal_asks_nothing_and_finds_the_same(strict: Path, tmp_path: Path) -> None:
    """Search is a function of seed and answers, and what the journal knows is not asked again."""
    with Journal(tmp_path / "calls.sqlite") as journal:
        first, _ = searched(strict, journal, examples=("errors 4",))
        second, server = searched(strict, journal, examples=("errors 4",))
    assert server.counts.received == 0
    assert dataclasses.replace(second, spent_usd=first.spent_usd) == first


def test_examples_that_a_candidate_is_shown_count_in_none_of_its_figures(strict: Path) -> None:
    """The items of the examples leave the figures and the map of the candidate that saw them, and of no other."""
    with Journal() as journal:
        found, _ = searched(strict, journal, examples=("cover 8",))
    shown = {each.candidate.name: each for each in found.standings if each.candidate.shown}
    assert shown
    for each in found.standings:
        assert each.items == N - len(each.candidate.shown)


def test_the_cap_ends_the_search_with_the_best_so_far(strict: Path) -> None:
    """Whatever the cap, no more is spent; the judge is the best of a whole rung, or nothing is claimed."""
    with Journal() as journal:
        whole, _ = searched(strict, journal)
    with Journal() as journal:
        part, _ = searched(strict, journal, cap_usd=0.7 * whole.spent_usd)
    assert part.stopped
    assert part.spent_usd <= 0.7 * whole.spent_usd
    assert part.chosen.model == "strong"
    with Journal() as journal, pytest.raises(SettingError, match="raise the cap"):
        searched(strict, journal, cap_usd=0.0001 * whole.spent_usd)
