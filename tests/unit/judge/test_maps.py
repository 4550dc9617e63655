"""Score maps: laws of the fits, of cut points and of what is read back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import ArchiveError, DataError
from quorate.judge.graded import Graded
from quorate.judge.map_choice import chosen_map, constant, fitted, kinds_of, loss_of, raw
from quorate.judge.map_grades import CURVES, best_cuts, shares
from quorate.judge.maps import ScoreMap
from quorate.judge.tilt import tilted
from quorate.schema import Task

SCALE = Task("care", ("1", "2", "3", "4", "5"), ordered=True)
KINDS = Task("kind", ("a", "b", "c"))


def world(task: Task, n: int, *, shift: int = 0, noise: float = 0.3, soft: bool = False, seed: int = 0) -> Graded:
    """Three people and a judge about hidden classes; the judge is `shift` classes off, and at random at times."""
    rng, k = np.random.default_rng(seed), len(task.classes)
    truth = rng.integers(0, k, n)
    people = np.zeros((n, k), np.int64)
    for _ in range(3):
        said = np.where(rng.random(n) < 0.7, truth, rng.integers(0, k, n))
        people[np.arange(n), said] += 1
    answer = np.where(rng.random(n) < noise, rng.integers(0, k, n), np.clip(truth + shift, 0, k - 1))
    probs = np.eye(k)[answer]
    if soft:
        probs = 0.9 * probs + 0.1 * rng.dirichlet(np.ones(k), n)
    return Graded(task, tuple(map(str, range(n))), people, answer, probs)


@pytest.mark.parametrize("task", [SCALE, KINDS], ids=["grades", "classes"])
@pytest.mark.parametrize("soft", [False, True], ids=["answers", "probabilities"])
def test_every_map_gives_probabilities_that_sum_to_one_and_reads_back_equal(task: Task, soft: bool) -> None:
    """Of what was said: probabilities ≥ 0 with sum 1 whose mean is the grade; of silence none; JSON is exact."""
    judged = world(task, 60, shift=1, soft=soft)
    said = judged.said.copy()
    said[:3] = -1
    for kind in kinds_of(judged):
        score_map = fitted(kind, judged)
        mapped = score_map.apply(said, judged.probs)
        assert (mapped.said[:3] == -1).all()
        assert not mapped.probs[:3].any()
        assert (mapped.probs >= 0).all()
        np.testing.assert_allclose(mapped.probs[3:].sum(axis=1), 1.0)
        if task.ordered and kind not in {"identity", "expected"}:
            np.testing.assert_allclose(mapped.probs[3:] @ judged.values, mapped.grades[3:], atol=1e-4)
        assert ScoreMap.from_json(score_map.to_json()) == score_map


def test_relabeling_items_only_relabels_the_answers() -> None:
    """A fit does not know the order of the items."""
    judged = world(SCALE, 80, shift=1)
    order = np.random.default_rng(1).permutation(80)
    for kind in kinds_of(judged):
        one, other = fitted(kind, judged), fitted(kind, judged.select(order))
        before, after = one.apply(judged.said, judged.probs), other.apply(judged.said, judged.probs)
        np.testing.assert_allclose(before.grades, after.grades, atol=1e-9)


def test_each_richer_curve_fits_its_own_items_at_least_as_well() -> None:
    """Squared error on the items of the fit: linear ≤ shift ≤ identity, and isotonic ≤ a rising line."""
    judged = world(SCALE, 120, shift=1)
    loss = {}
    for kind in ("identity", "shift", "linear", "isotonic", "grades"):
        mapped = fitted(kind, judged).apply(judged.said, judged.probs)
        loss[kind] = loss_of(judged, mapped).mean()
    assert loss["isotonic"] <= loss["linear"] <= loss["shift"] <= loss["identity"]
    assert loss["grades"] <= loss["linear"] + 1e-9


def test_a_judge_like_people_but_shifted_is_put_right() -> None:
    """Of a judge that is a class too high the chosen map lowers the error elsewhere by more than its own noise."""
    judged, fresh = world(SCALE, 200, shift=1, noise=0.0), world(SCALE, 2000, shift=1, noise=0.0, seed=9)
    mapped = chosen_map(judged).score_map.apply(fresh.said, fresh.probs)
    gain = loss_of(fresh, raw(fresh)) - loss_of(fresh, mapped)
    assert gain.mean() > 4 * gain.std() / len(gain) ** 0.5


@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(2, 6))
def test_cut_points_reach_the_largest_quadratic_kappa_there_is(seed: int, n_classes: int, n_knots: int) -> None:
    """Among all rising assignments of distinct grades to classes none has a larger kappa."""
    rng = np.random.default_rng(seed)
    values = np.arange(1.0, n_classes + 1)
    x = np.sort(rng.normal(size=n_knots))
    grades = np.concatenate([x, rng.choice(x, 12)])
    people = rng.dirichlet(np.ones(n_classes), len(grades))

    def kappa(codes: np.ndarray) -> float:
        said, mean, square = values[codes], people @ values, people @ values**2
        apart = (said**2 - 2 * said * mean + square).mean()
        chance = (said**2 - 2 * said * mean.mean() + square.mean()).mean()
        return 1 - apart / chance

    found = kappa(np.searchsorted(np.array(best_cuts(grades, people, values)), grades, side="right"))
    at = np.searchsorted(x, grades)
    every = itertools.combinations_with_replacement(range(n_classes), n_knots)
    assert found >= max(kappa(np.array(codes)[at]) for codes in every) - 1e-9


def test_a_tilted_distribution_has_the_wanted_mean_and_keeps_its_base_at_the_base_mean() -> None:
    """Mean as asked for; at the mean of the base the base itself."""
    values, base = np.array([-2.0, 0.0, 1.0, 5.0]), np.array([0.1, 0.2, 0.3, 0.4])
    mean = np.array([-1.9, 0.0, float(base @ values), 4.9])
    found = tilted(base, values, mean)
    np.testing.assert_allclose(found @ values, mean, atol=1e-9)
    np.testing.assert_allclose(found[2], base, atol=1e-9)


def test_silence_is_worth_no_more_than_the_constant_judge() -> None:
    """A judge that never says anything has the figures of the constant judge, up to what a fold does not know."""
    judged = world(SCALE, 100)
    silent = Graded(SCALE, judged.items, judged.people, np.full(100, -1), np.zeros((100, 5)))
    still = loss_of(judged, constant(judged)).mean()
    assert chosen_map(silent).losses["linear"] >= still


def test_a_useless_judge_is_mapped_to_what_people_say_without_it() -> None:
    """Where answers tell nothing, rows of classes come near people's shares: held out no worse than 2 errors."""
    judged = world(KINDS, 300, noise=1.0)
    chosen = chosen_map(judged)
    more = loss_of(judged, chosen.held_out) - loss_of(judged, constant(judged))
    assert more.mean() < 3 * more.std() / len(more) ** 0.5 + 0.01
    np.testing.assert_allclose(shares(judged).sum(axis=1), 1.0)


def test_what_is_no_map_is_refused_with_a_word_on_what_to_do() -> None:
    """A broken file names the way out."""
    whole = fitted("linear", world(SCALE, 30)).to_dict()
    for broken in ("{", "[]", "{}"):
        with pytest.raises(ArchiveError, match="calibrate again"):
            ScoreMap.from_json(broken)
    with pytest.raises(ArchiveError, match="calibrate again"):
        ScoreMap.from_dict({**whole, "cuts": [1.5]})
    with pytest.raises(DataError, match="graded only"):
        chosen_map(world(SCALE, 3))
    assert set(CURVES) >= {"identity", "shift", "linear", "grades", "isotonic"}
