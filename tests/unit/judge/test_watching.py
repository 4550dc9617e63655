"""A watch sees a judge that is no longer the one that passed, and seldom one that is."""

import json

import numpy as np
import pytest

from quorate.errors import FormatError, SettingError
from quorate.judge.anchor import Money, Running, ceiling
from quorate.judge.watching import Watch

N_ANCHORS = 60


def started(rng: np.random.Generator, sure: np.ndarray, gradings: int = 2, level: float = 0.1) -> Watch:
    """A watch of a judge that is right about each anchor with these probabilities."""
    said = rng.random((N_ANCHORS, gradings)) < sure[:, None]
    losses = {str(a): [float(not x) for x in said[a]] for a in range(N_ANCHORS)}
    answers = {str(a): [str(x) for x in said[a]] for a in range(N_ANCHORS)}
    return Watch.start(losses, answers, most=1.0, level=level)


def fed(watch: Watch, rng: np.random.Generator, sure: np.ndarray, n: int) -> None:
    """So many gradings of anchors drawn at random."""
    for a in rng.integers(0, N_ANCHORS, n):
        right = rng.random() < sure[a]
        watch.update(str(a), float(not right), str(right))


def test_stationary_streams_alarm_no_oftener_than_the_level() -> None:
    """P(alarm ever) and P(changed ever) are at most the level."""
    alarms = changes = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sure = rng.beta(3, 1, N_ANCHORS)
        watch = started(rng, sure)
        fed(watch, rng, sure, 400)
        alarms, changes = alarms + watch.alarm, changes + watch.changed
    assert max(alarms, changes) / 20 <= 0.1 + 3 * (0.09 / 20) ** 0.5


def test_a_judge_that_answers_worse_raises_the_alarm_and_names_the_last_good_grading() -> None:
    """After 200 good gradings the judge is right about a third of the anchors it was right about."""
    rng = np.random.default_rng(1)
    sure = (np.arange(N_ANCHORS) < 54).astype(float)
    watch = started(rng, sure)
    fed(watch, rng, sure, 200)
    assert not watch.alarm
    assert not watch.changed
    assert watch.since is None
    fed(watch, rng, (np.arange(N_ANCHORS) < 18).astype(float), 100)
    assert watch.alarm
    assert watch.changed
    assert watch.since is not None
    assert 180 <= watch.since <= 210
    assert watch.reading.alarm in {"worse", "above"}


def test_a_watch_read_back_goes_on_exactly_as_it_would_have() -> None:
    """State is JSON, bit for bit, and shares nothing with the watch it came from."""
    rng = np.random.default_rng(2)
    sure = rng.beta(3, 1, N_ANCHORS)
    watch = started(rng, sure)
    fed(watch, rng, sure, 150)
    again = Watch.from_json(json.loads(json.dumps(watch.as_json(), allow_nan=False)))
    for one in (watch, again):
        fed(one, np.random.default_rng(3), sure, 150)
    assert again.as_json() == watch.as_json()
    assert again.reading == watch.reading


def test_a_better_judge_is_changed_and_no_alarm() -> None:
    """Answers that differ are told apart from answers that are worse."""
    rng = np.random.default_rng(4)
    watch = started(rng, (np.arange(N_ANCHORS) < 30).astype(float))
    fed(watch, rng, np.ones(N_ANCHORS), 200)
    assert watch.changed
    assert not watch.alarm


def test_a_fair_game_is_expected_not_to_grow() -> None:
    """Mean money of fair bets is at most 1 at any time; it is 1 with what was not staked yet."""
    rng = np.random.default_rng(5)
    ends = []
    for _ in range(80):
        money = Money()
        for at in range(90):
            money.bet(float(rng.choice([-1.0, 1.0])), at)
        ends.append(np.exp(np.array(money.shares)).sum() + money.cash + 1 / (money.starts + 1))
    assert np.mean(ends) <= 1 + 4 * np.std(ends) / 80**0.5


def test_the_running_mean_lies_in_its_interval_at_all_times_at_once() -> None:
    """Misses at any time are no more than 1 - level of the streams."""
    missed = 0
    for seed in range(40):
        rng, running, out = np.random.default_rng(seed), Running(), False
        for loss in rng.random(200) < 0.2:
            running.add(float(loss), 0.1)
            found = running.interval(0.1)
            out = out or found is None or not found[1] <= 0.2 <= found[2]
        missed += out
    assert missed / 40 <= 0.1 + 3 * (0.09 / 40) ** 0.5


def test_a_ceiling_lies_above_the_anchors_mean_loss() -> None:
    """It fails with at most its level, for anchors that all differ."""
    rng = np.random.default_rng(6)
    chance = rng.beta(1, 6, 80)
    below = [ceiling((rng.random(80) < chance).astype(float).tolist(), 1.0, 0.1) < chance.mean() for _ in range(60)]
    assert np.mean(below) <= 0.1 + 3 * (0.09 / 60) ** 0.5


def test_comparisons_that_share_a_grading_would_break_their_promise() -> None:
    """The product of e = g(new) / mean g of an anchor, stopped when above 1, is expected above 1: why it is not used.

    One anchor, loss 1 with probability .1, g of 1 and 3: stopped at the second grading unless both were alike.
    """
    p, g = 0.1, np.array([1.0, 3.0])

    def factor(path: tuple[int, ...]) -> float:
        return float(g[path[-1]] / g[list(path)].mean())

    total = 0.0
    for first in (0, 1):
        for second in (0, 1):
            chance = (p if first else 1 - p) * (p if second else 1 - p)
            if first != second:
                total += chance * factor((first, second))
                continue
            total += chance * sum((p if x else 1 - p) * factor((first, second, x)) for x in (0, 1))
    assert total > 1.05


def test_what_a_watch_cannot_use_is_refused() -> None:
    """An unknown anchor, a loss outside its range, no anchor, a level that is none, a state of something else."""
    watch = Watch.start({"a": [0.0], "b": [1.0]}, most=1.0)
    for anchor, loss in (("c", 0.0), ("a", 1.5), ("a", float("nan"))):
        with pytest.raises(SettingError):
            watch.update(anchor, loss)
    for losses, most, level in (({}, 1.0, 0.05), ({"a": [2.0]}, 1.0, 0.05), ({"a": [0.0]}, 1.0, 0.0)):
        with pytest.raises(SettingError):
            Watch.start(losses, most=most, level=level)
    for plain in ({"version": 99}, {"version": 1}):
        with pytest.raises(FormatError):
            Watch.from_json(plain)
