"""The choice among noisy figures, and what a calibration says of all candidates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import ArchiveError, SettingError
from quorate.judge import candidates
from quorate.judge.calibrate import Calibrated, calibrate
from quorate.judge.candidates import Answered, Candidate
from quorate.judge.choose import noise_of, shrunken, survivors

PARTS = [(f"m{a}", f"p{b}") for a in range(8) for b in range(6)]


def drawn(rng: np.random.Generator, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """True figures of models by prompts, and answers that are right so often."""
    model, prompt = rng.normal(0, 0.08, 8), rng.normal(0, 0.03, 6)
    true = np.clip(0.7 + np.add.outer(model, prompt).ravel() + rng.normal(0, 0.01, 48), 0.05, 0.95)
    return true, (rng.random((48, n_items)) < true[:, None]).astype(np.float64)


def test_shrunken_figures_are_nearer_to_the_truth_and_pick_no_worse() -> None:
    """Over 25 worlds: less squared error than raw figures by 4 of its own errors, and no larger mean regret."""
    nearer, regret = [], []
    for seed in range(25):
        true, right = drawn(np.random.default_rng(seed), 100)
        figures = right.mean(axis=1)
        found = shrunken(figures, right - figures[:, None], PARTS)
        nearer.append(((figures - true) ** 2).mean() - ((found.mean - true) ** 2).mean())
        regret.append(true[int(found.mean.argmax())] - true[int(figures.argmax())])
    assert np.mean(nearer) > 4 * np.std(nearer) / 25**0.5
    assert np.mean(regret) > -2 * np.std(regret) / 25**0.5


def test_renaming_candidates_only_renames_the_answer() -> None:
    """The order of candidates plays no part."""
    _, right = drawn(np.random.default_rng(1), 80)
    figures = right.mean(axis=1)
    order = np.random.default_rng(2).permutation(48)
    one = shrunken(figures, right - figures[:, None], PARTS)
    other = shrunken(figures[order], (right - figures[:, None])[order], [PARTS[place] for place in order])
    np.testing.assert_allclose(one.mean[order], other.mean, atol=1e-4)


def test_what_all_candidates_share_is_no_noise() -> None:
    """Items that are hard for everybody move all figures alike and make no choice less sure."""
    rng = np.random.default_rng(3)
    own = rng.normal(size=(5, 100))
    np.testing.assert_allclose(noise_of(own), noise_of(own + 10 * rng.normal(size=100)))


def test_the_likeliest_best_survive() -> None:
    """Of clearly apart candidates the better half goes on."""
    figures = np.array([0.1, 0.9, 0.2, 0.8])
    influence = np.random.default_rng(4).normal(0, 0.1, (4, 50))
    assert survivors(shrunken(figures, influence, [("a",), ("b",), ("c",), ("d",)]), 2).tolist() == [False, True] * 2


def test_candidates_that_answered_other_items_are_refused() -> None:
    """Figures are compared on the same items only."""
    with pytest.raises(SettingError, match="no candidate"):
        calibrate([])
    with pytest.raises(ArchiveError, match="calibrate again"):
        Calibrated.from_json("{}")


@pytest.mark.slow
def test_a_recorded_judge_is_picked_near_the_best(recorded_folder: Path) -> None:
    """Of 48 judges, 200 items pick one within two errors of a share of the best, and beat the constant one."""
    data = Dataset.read(recorded_folder)
    whole = {each.candidate: each for each in candidates.recorded(data)}
    task = next(iter(whole.values())).tasks["stance"]
    seeds = np.sort(np.random.default_rng(0).choice(len(task.items), 200, replace=False))
    part = [Answered(each.candidate, {"stance": each.tasks["stance"].select(seeds)}) for each in whole.values()]
    found = calibrate(part)

    def agreed(candidate: Candidate) -> float:
        graded = whole[candidate].tasks["stance"]
        return float((graded.people.argmax(axis=1) == graded.said).mean())

    se = (0.25 / 200) ** 0.5
    assert agreed(found.chosen) > max(map(agreed, whole)) - 2 * se
    assert found.standings[0].tasks["stance"]["agreement"].value >= found.constant["stance"]["agreement"].value
    assert Calibrated.from_json(found.to_json()) == found


@pytest.fixture
def recorded_folder(recorded: Callable[[str], Path]) -> Path:
    """The stance of tweets on vaccination, by 6 models and 8 prompts."""
    return recorded("vaccine_stance")
