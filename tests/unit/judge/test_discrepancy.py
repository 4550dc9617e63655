"""Where judge and behavior disagree: planted mistakes are found far above chance, and chance finds next to none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quorate.errors import DataError, FormatError, SettingError
from quorate.judge.behavior import Log, read_log
from quorate.judge.discrepancy import residuals
from quorate.judge.position import looked_at, shown

RATES = np.array([0.02, 0.05, 0.1, 0.2, 0.35])  # of clicks, grade by grade
CHANCES = 1 / np.arange(1, 11) ** 0.8  # to be looked at, position by position


def world(
    seed: int, *, wrong: float = 0.06, n: int = 700, shows: int = 50, places: bool = False, real: bool = False
) -> tuple[Log, np.ndarray, np.ndarray]:
    """A log, a judge's grades, and which of them are two grades off; better items stand higher."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, n)
    off = rng.random(n) < wrong
    grade = np.where(off, np.where(truth > 3, truth - 2, truth + 2), truth)
    rate = RATES[truth - 1]
    good = rng.beta(40 * rate, 40 * (1 - rate))
    item = np.repeat(np.arange(n), rng.poisson(shows, n) + 1)
    position = np.clip(5 - truth[item] + rng.integers(0, 6, len(item)), 0, 9) if places else None
    chance = CHANCES[position] if places else 1.0
    if real:
        signal = truth[item] + rng.normal(0, 0.5, n)[item] + rng.exponential(2.0, len(item)) + 3 * chance
    else:
        signal = (rng.random(len(item)) < good[item] * chance).astype(float)
    query = rng.integers(0, 30, n)[item]
    names = tuple(f"i{at}" for at in range(n)), tuple(f"q{at}" for at in range(30))
    return Log(*names, item, query, signal, np.ones(len(item)), position), grade.astype(float), off


@pytest.mark.parametrize("kind", [{}, {"places": True}, {"real": True}, {"real": True, "places": True}])
def test_planted_mistakes_are_found_far_above_random(kind):
    """Of as many cells as there are mistakes, a random list would hold 6 %: this one lies ten standard errors above;
    and what it says that chance may bring is no less than what chance brings.
    """
    right = told = total = 0.0
    for seed in range(4):
        log, grade, off = world(seed, **kind)
        found = residuals(log, grade)
        item, _, _ = log.pairs
        first = np.lexsort((-np.abs(found.residual), found.p))[: off.sum()]
        right += off[item[first]].sum()
        told += (1 - found.q[first[-1]]) * len(first)
        total += len(first)
    error = (total * 0.25) ** 0.5
    assert right > 0.06 * total + 10 * (0.06 * 0.94 * total) ** 0.5
    assert told < right + 2 * error


@pytest.mark.parametrize("kind", [{}, {"places": True}, {"real": True}])
def test_where_the_judge_is_right_chance_finds_next_to_nothing(kind):
    """At a false discovery rate of 10 % at most every tenth such log has a finding at all."""
    any_found = [bool((residuals(*world(seed, wrong=0.0, n=250, **kind)[:2]).q < 0.1).any()) for seed in range(20)]
    assert np.mean(any_found) <= 0.1 + 3 * (0.1 * 0.9 / 20) ** 0.5


def test_residuals_of_a_right_judge_are_in_units_of_their_own_error():
    """Mean 0 and variance 1, and the shrunken signal is as far from the truth as its error says."""
    log, grade, _ = world(11, wrong=0.0, n=3_000)
    found = residuals(log, grade)
    assert abs(found.residual.mean()) < 4 / 3_000**0.5
    assert abs(found.residual.var() - 1) < 4 * (2 / 3_000) ** 0.5 + 0.1
    raw = np.abs(found.found - found.expected)
    assert (np.abs(found.shrunken - found.expected) <= raw + 1e-12).all()
    assert (found.error < found.found.std()).all()


def test_without_positions_the_shrunken_rate_is_the_beta_binomial_posterior_mean():
    """The rate m + (c - m n) / (s + n), with s told from any one cell."""
    log, grade, _ = world(12)
    found = residuals(log, grade)
    spread = found.error**2
    m, n, off = found.expected, found.looks, (found.found - found.expected) * found.looks
    precision = off / (found.shrunken - m) - n
    np.testing.assert_allclose(precision, np.median(precision), rtol=1e-6)
    np.testing.assert_allclose(spread, m * (1 - m) / (precision + 1) * precision / (precision + n), rtol=1e-6)


def test_a_falling_signal_is_the_rising_one_upside_down():
    """Skips in the place of clicks: the same cells, with the other sign."""
    log, grade, _ = world(13)
    skips = Log(*log[:4], 1 - log.signal, *log[5:])
    there, back = residuals(log, grade), residuals(skips, grade, falling=True)
    assert np.corrcoef(there.residual, back.residual)[0, 1] < -0.99


def test_an_item_does_not_set_what_is_expected_of_itself():
    """With other clicks on one item, what is expected of it stays as it was."""
    log, grade, _ = world(14)
    item, _, _ = log.pairs
    changed = Log(*log[:4], np.where(log.item == 5, 1.0, log.signal), *log[5:])
    before, after = (residuals(each, grade).expected[item == 5] for each in (log, changed))
    np.testing.assert_allclose(before, after, rtol=0.02)  # by way of the weights of other cells only


def test_how_often_positions_are_looked_at_is_told_though_better_items_stand_higher():
    """Within a tenth of the truth, and not half as far off as plain shares of clicks."""
    log, grade, _ = world(15, places=True, n=1_500, shows=80)
    item, _, cell = log.pairs
    theta = looked_at(shown(cell, log.position, log.weight, log.signal), grade[item])
    plain = np.bincount(log.position, log.signal) / np.bincount(log.position)
    truth = CHANCES[: len(theta)]
    assert np.abs(theta - truth).max() < min(0.1, np.abs(plain / plain[0] - truth).max() / 2)


def test_a_weight_is_as_many_rows():
    """Ten rows, or one with the weight 10: the same residuals."""
    log, grade, _ = world(16, n=60)
    cell = log.item * 100 + log.query * 2 + log.signal.astype(int)
    _, first, times = np.unique(cell, return_index=True, return_counts=True)
    short = Log(*log[:2], log.item[first], log.query[first], log.signal[first], times.astype(float), None)
    np.testing.assert_allclose(residuals(short, grade).residual, residuals(log, grade).residual, rtol=1e-9)


# ---- reading --------------------------------------------------------------------------------------------------------
def test_a_log_is_read_and_a_bad_row_is_named(tmp_path: Path):
    """Flags, numbers and positions; the message says row, column and mend."""
    path = tmp_path / "log.csv"
    path.write_text("item,query,signal,position\na,x,1,1\nb,x,0,2\na,y,1,1\n")
    log = read_log(path)
    assert (log.items, log.queries, log.binary) == (("a", "b"), ("x", "y"), True)
    assert log.position is not None
    assert log.position.tolist() == [0, 1, 0]
    for row, column, text in (
        ("b,x,often,1", "signal", "this is not a number"),
        ("b,x,1,0", "position", "1 at the top"),
        (",x,1,1", "item", "there is no name"),
    ):
        path.write_text(f"item,query,signal,position\na,x,1,1\n{row}\n")
        with pytest.raises(DataError, match=text) as caught:
            read_log(path)
        assert (caught.value.row, caught.value.column) == (2, column)
    path.write_text("item,signal\na,1\n")
    with pytest.raises(DataError, match="item, query, signal"):
        read_log(path)
    path.write_text("item,query,signal\n")
    with pytest.raises(FormatError, match="no row"):
        read_log(path)


def test_what_cannot_be_compared_is_refused():
    """Too few cells, a signal that never changes, an item without a grade."""
    log, grade, _ = world(17, n=40)
    with pytest.raises(DataError, match="19 pairs"):
        residuals(log.keep(log.item < 19), grade)
    with pytest.raises(DataError, match="never changes"):
        residuals(Log(*log[:4], np.ones(len(log.signal)), *log[5:]), grade)
    with pytest.raises(SettingError, match="finite grade"):
        residuals(log, np.where(np.arange(40) == 3, np.nan, grade))
