"""Laws of the certificate: its risk, its use, its limits."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from quorate.consensus.hybrid import Hybrid
from quorate.errors import SettingError
from quorate.measure.intervals import clopper_pearson
from quorate.policy.certificate import certificate_from_json
from quorate.policy.certify import certify, item_digest, labels_needed, thresholds_from
from quorate.policy.floor import binomial_p, hoeffding_bentkus_p, randomized_binomial_p, rejected
from quorate.policy.floor_ceiling import Law, ceiling
from quorate.policy.stopping import PerTaskConfidence
from quorate.study.campaign import campaign, model_steps, watched

FLOORS, DELTAS, METHODS = (0.90, 0.95, 0.98), (0.1, 0.05), ("fixed-sequence", "bonferroni-holm")
REPETITIONS, N = 400, 1000


# ---- worlds: a draw of sureness, and of P(right) --------------------------------------------------------------------
def calibrated(rng, n, _):
    """The posterior of one of two classes after a signal of normal errors, right 88 % of the time."""
    chance = expit(np.abs(2.4**2 / 2 + 2.4 * rng.standard_normal(n)))
    return chance, chance


def overconfident(rng, n, _):
    """The same, with log odds told two and a half times too high."""
    chance, _ = calibrated(rng, n, None)
    return expit(2.5 * np.log(chance / (1 - chance))), chance


def misled(rng, n, _):
    """Overconfident, and a fiftieth of all is surest and right by luck: accuracy does not rise with sureness."""
    sure, chance = overconfident(rng, n, None)
    by_luck = rng.random(n) < 0.02
    return np.where(by_luck, 1.0, sure), np.where(by_luck, 0.5, chance)


def at_the_floor(rng, n, floor):
    """Sureness tells nothing: every threshold is a hair's breadth below the floor, so that any certificate breaks."""
    return rng.random(n), np.full(n, floor - 1e-9)


WORLDS = {"calibrated": calibrated, "overconfident": overconfident, "misled": misled, "at the floor": at_the_floor}
RISKY = ("calibrated", "misled", "at the floor")  # plain overconfidence orders answers as calibration does


def true_accuracy(world, floor):
    """Sureness from the highest, the share that is at least as sure, and the accuracy of these."""
    sure, chance = world(np.random.default_rng(99), 200_000, floor)
    order = np.argsort(-sure)
    return sure[order], np.arange(1, len(order) + 1) / len(order), chance[order].cumsum() / np.arange(1, len(order) + 1)


def closed_truly(found, sure):
    return 0 if found.threshold is None else int(np.searchsorted(-sure, -found.threshold, side="right"))


def campaigns(world, floor, repetitions=REPETITIONS, n=N):
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        sure, chance = world(rng, n, floor)
        yield seed, sure, (rng.random(n) < chance).astype(float)


def error_of_share(share, n):
    """Three standard errors of a share of n."""
    return 3 * (share * (1 - share) / n) ** 0.5


# ---- the risk -------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(("name", "floor"), list(product(RISKY, FLOORS)))
def test_a_certificate_breaks_its_floor_no_more_often_than_it_says(name, floor):
    """P(true accuracy of the closed < floor) <= delta, over 400 campaigns."""
    sure, _, accuracy = true_accuracy(WORLDS[name], floor)
    broken = dict.fromkeys(DELTAS, 0)
    for seed, *data in campaigns(WORLDS[name], floor):
        for delta in DELTAS:
            closed = closed_truly(certify(*data, floor, delta, seed=seed), sure)
            broken[delta] += closed > 0 and accuracy[closed - 1] < floor
    for delta in DELTAS:
        assert broken[delta] / REPETITIONS <= delta + error_of_share(delta, REPETITIONS)


@pytest.mark.parametrize(
    ("method", "p_value"),
    [
        (method, p_value)
        for method in METHODS
        for p_value in ("binomial", "randomized-binomial", "hoeffding-bentkus", "betting")
    ],
)
def test_every_way_of_testing_holds_the_risk_where_every_threshold_is_false(method, p_value):
    """P(any rejected) <= delta where all thresholds are a hair below the floor."""
    found = [
        certify(sure, right, 0.9, 0.1, method, p_value, seed=seed).threshold
        for seed, sure, right in campaigns(at_the_floor, 0.9, n=300)
    ]
    assert sum(each is not None for each in found) / REPETITIONS <= 0.1 + error_of_share(0.1, REPETITIONS)


@pytest.mark.parametrize("p_value", ["binomial", "randomized-binomial", "hoeffding-bentkus", "betting"])
def test_tasks_that_fail_together_do_not_raise_the_risk(p_value):
    """Five tasks of an item are all right or all wrong, below the floor by a hair: still broken in at most delta."""
    items = np.repeat(np.arange(200), 5).astype(str)
    broken = 0
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        right = np.repeat((rng.random(200) < 0.9 - 1e-9).astype(float), 5)
        found = certify(rng.random(1000), right, 0.9, 0.1, p_value=p_value, items=items.tolist(), seed=seed)
        broken += found.threshold is not None
    assert broken / REPETITIONS <= 0.1 + error_of_share(0.1, REPETITIONS)


def test_stopping_label_by_label_holds_the_risk():
    """Right at every step just below the floor, while sureness wanders: broken in at most delta."""
    broken = 0
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        right = (rng.random((300, 3)) < 0.9 - 1e-9).astype(float)
        broken += certify(rng.random((300, 3)), right, 0.9, 0.1, seed=seed).threshold is not None
    assert broken / REPETITIONS <= 0.1 + error_of_share(0.1, REPETITIONS)


# ---- the use --------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("floor", [0.90, 0.95])
@pytest.mark.parametrize("name", ["calibrated", "overconfident"])
def test_a_thousand_items_save_most_of_what_the_oracle_saves(name, floor):
    """Share closed >= 70 % of that at the lowest threshold that truly holds the floor, at delta .1, on average."""
    assert useful(WORLDS[name], floor, 0.1).mean() >= 0.7


@pytest.mark.slow
@pytest.mark.parametrize(("name", "floor"), [("calibrated", 0.98), ("misled", 0.95)])
@pytest.mark.parametrize("delta", DELTAS)
def test_where_so_few_items_cannot_save_most_they_save_the_better_part_of_what_can_be_proven(name, floor, delta):
    """More than half of what no procedure can pass, and never more than that."""
    found = useful(WORLDS[name], floor, delta)
    highest = ceiling(law_of(WORLDS[name], floor), N, delta, draws=4000)
    assert 0.5 * highest <= found.mean() <= highest + 3 * found.std() / len(found) ** 0.5


def useful(world, floor, delta, repetitions=200):
    """Share closed over that of the oracle, a broken floor counted as no more; the campaign's sureness is known."""
    sure, share, accuracy = true_accuracy(world, floor)
    oracle = share[np.flatnonzero(accuracy >= floor)[-1]]
    campaign = sure[:: len(sure) // 2000]
    closed = [
        closed_truly(certify(*data, floor, delta, campaign=campaign, seed=seed), sure) / len(sure)
        for seed, *data in campaigns(world, floor, repetitions)
    ]
    return np.minimum(closed, oracle) / oracle


def law_of(world, floor, points=50):
    """The world in fiftieths of sureness, each with its mean accuracy."""
    accuracy = true_accuracy(world, floor)[2]
    right = np.diff(
        (accuracy * np.arange(1, len(accuracy) + 1))[len(accuracy) // points - 1 :: len(accuracy) // points]
    )
    mean = np.concatenate([accuracy[len(accuracy) // points - 1 :][:1], right * points / len(accuracy)])
    closes = np.arange(points) >= np.arange(points)[:, None]
    score = np.concatenate([closes * (1 - floor), closes * -floor])
    return Law(np.concatenate([mean, 1 - mean]) / points, score, np.arange(1, points + 1) / points)


@pytest.mark.parametrize("p_value", ["randomized-binomial", "betting"])
def test_more_items_prove_more_on_average(p_value):
    """The mean share closed rises from 250 to 500 to 1,000 items, within three standard errors."""
    sure = true_accuracy(calibrated, 0.95)[0]
    closed = np.array(
        [
            [closed_truly(certify(*data, 0.95, p_value=p_value, seed=seed), sure) for seed, *data in of_size]
            for of_size in (campaigns(calibrated, 0.95, 40, n) for n in (250, 500, 1000))
        ]
    )
    error = 3 * (closed.var(axis=1) / 40) ** 0.5
    assert (np.diff(closed.mean(axis=1)) > -np.hypot(error[1:], error[:-1])).all()
    assert closed[2].mean() > closed[0].mean()


# ---- the simulator --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def simulated():
    """Sureness and rightness of the hybrid label by label, 12,000 items of the paper's world with ten tasks."""
    of = campaign(10, 24_000, 11)
    model = Hybrid(factors=2, subtypes=1, annotator_shrinkage=2.0, model_shrinkage=300.0, people_shrinkage=15.0).fit(
        of.teach.select(np.arange(3_000))
    )
    steps = watched(model_steps(model, of), of, [PerTaskConfidence(1.0)])
    return steps.sureness["per-task-confidence"].transpose(1, 2, 0), steps.credit.transpose(1, 2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("floor", FLOORS)
def test_in_the_simulator_the_floor_holds_and_most_of_the_saving_is_kept(simulated, floor):
    """400 campaigns of 1,000 items: broken in at most delta; labels saved >= 70 % of those that the oracle saves."""
    sure, right = simulated
    grid = np.unique(np.quantile(sure, np.linspace(0, 1, 400)))[::-1]
    holds, saved = zip(*(at_threshold(sure, right, floor, each) for each in grid), strict=True)
    oracle = max(each for each, is_held in zip(saved, holds, strict=True) if is_held)
    for delta in DELTAS:
        broken, kept = np.zeros(REPETITIONS), np.zeros(REPETITIONS)
        for seed in range(REPETITIONS):
            found = simulated_certificate(sure, right, floor, delta, seed).threshold
            if found is not None:
                is_held, own = at_threshold(sure, right, floor, found)
                broken[seed], kept[seed] = not is_held, min(own, oracle)
        assert broken.mean() <= delta + error_of_share(delta, REPETITIONS)
        assert kept.mean() >= 0.7 * oracle


def simulated_certificate(sure, right, floor, delta, seed):
    """On 1,000 items, given the sureness of 1,000 others."""
    drawn = np.random.default_rng(seed).integers(0, len(sure), 2 * N)
    n_tasks, n_steps = sure.shape[1:]
    tested, others = (sure[part].reshape(-1, n_steps) for part in (drawn[:N], drawn[N:]))
    items = np.repeat(np.arange(N), n_tasks).astype(str).tolist()
    return certify(tested, right[drawn[:N]].reshape(-1, n_steps), floor, delta, items=items, campaign=others, seed=seed)


def at_threshold(sure, right, floor, threshold):
    """Whether the floor holds among all items, and the labels saved per item-task."""
    passed = sure >= threshold
    first, closed = passed.argmax(axis=2), passed.any(axis=2)
    score = np.take_along_axis(right, first[:, :, None], axis=2)[:, :, 0] - floor
    return bool((closed * score).sum() >= 0), float((closed * (sure.shape[2] - 1 - first)).mean())


# ---- what chance decides --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p_value", ["binomial", "randomized-binomial", "hoeffding-bentkus"])
def test_the_order_of_items_means_nothing_where_no_item_is_drawn(p_value):
    """One task per item and the campaign's sureness: another order of the rows, the same certificate."""
    (_, sure, right), *_ = campaigns(calibrated, None, repetitions=1)
    order = np.random.default_rng(1).permutation(N)
    first = certify(sure, right, 0.9, p_value=p_value, campaign=np.linspace(0.5, 1.0, 200))
    assert first == certify(sure[order], right[order], 0.9, p_value=p_value, campaign=np.linspace(0.5, 1.0, 200))


def test_by_betting_another_order_is_another_seed():
    """Mean share closed over orders of the rows equals that over seeds, within three standard errors."""
    (_, sure, right), *_ = campaigns(calibrated, None, repetitions=1)
    settings = {"floor": 0.95, "p_value": "betting", "campaign": np.linspace(0.5, 1.0, 200)}
    orders = [np.random.default_rng(each).permutation(N) for each in range(40)]
    by_order = np.array([certify(sure[each], right[each], **settings).share_closed for each in orders])
    by_seed = np.array([certify(sure, right, **settings, seed=each).share_closed for each in range(1, 41)])
    assert abs(by_order.mean() - by_seed.mean()) <= 3 * ((by_order.var() + by_seed.var()) / 40) ** 0.5 + 1e-12


def test_the_strongest_valid_test_is_the_default():
    """One task and hard answers: the binomial with a coin; credits or several tasks: betting."""
    ones, grid = np.ones(100), np.ones(1)
    assert certify(ones, ones, thresholds=grid).tail == "randomized-binomial"
    assert certify(ones, np.full(100, 0.99), thresholds=grid).tail == "betting"
    assert certify(ones, ones, thresholds=grid, items=["a", "b"] * 50).tail == "betting"


def test_what_is_known_of_the_campaign_need_not_be_set_aside():
    """With its sureness all items are tested; without it the square root of their number is not."""
    ones = np.ones(100)
    assert certify(ones, ones, campaign=ones).n_items == 100
    assert certify(ones, ones).n_items == 90
    assert certify(ones, ones, thresholds=np.array([0.5, 1.0])).n_items == 90


def test_the_labels_said_to_be_needed_are():
    """P(proven) is at least the power from that number on, and just before it is not, summed over all outcomes."""

    def power(n):
        right = np.arange(n + 1)
        passed = binomial_p(right.astype(float), np.full(n + 1, n), 0.9) <= 0.1
        return stats.binom.pmf(right, n, 0.95)[passed].sum()

    needed = labels_needed(0.9, 0.1, 0.95)
    assert power(needed - 1) < 0.8 <= min(power(n) for n in range(needed, needed + 60))
    assert labels_needed(0.9, 0.1, 0.95, share_closed=0.5) == 2 * needed
    assert labels_needed(0.95, 0.1, 1.0) == 45  # 0.95 ** 45 <= 0.1 < 0.95 ** 44
    with pytest.raises(SettingError, match="accuracy is above it"):
        labels_needed(0.9, 0.1, 0.9)
    with pytest.raises(SettingError, match="over 1000000"):
        labels_needed(0.9, 0.1, 0.9001)


# ---- p-values and rules ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 7, 60, 250])
@pytest.mark.parametrize("floor", FLOORS)
def test_p_values_are_super_uniform_where_the_hypothesis_holds(n, floor):
    """P(p <= u) <= u for every u, summed over all outcomes, for accuracies up to the floor."""
    right = np.arange(n + 1)
    closed = np.full(n + 1, n)
    for p_values in (binomial_p(right.astype(float), closed, floor), hoeffding_bentkus_p(right / n, closed, floor)):
        assert ((p_values >= 0) & (p_values <= 1)).all()
        for accuracy in (floor, floor - 0.05, 0.5):
            chance = stats.binom.pmf(right, n, accuracy)
            for level in p_values:
                assert chance[p_values <= level].sum() <= level + 1e-12


@pytest.mark.parametrize("floor", FLOORS)
def test_with_a_coin_the_p_value_is_uniform_at_the_floor(floor):
    """P(p <= u) = u, summed over all outcomes: of each, p is even between the tail without it and the tail with it."""
    right = np.arange(41)
    low, high = (randomized_binomial_p(right.astype(float), np.full(41, 40), floor, coin) for coin in (0.0, 1.0))
    assert np.allclose(high, binomial_p(right.astype(float), np.full(41, 40), floor))
    chance = stats.binom.pmf(right, 40, floor)
    assert np.allclose(high - low, chance, atol=1e-12)
    for u in (0.01, 0.05, 0.1, 0.7):
        share = np.clip((u - low) / np.maximum(high - low, 1e-300), 0, 1)
        assert (chance * share).sum() == pytest.approx(u, abs=1e-9)


def test_the_binomial_p_value_is_the_exact_tail():
    """It equals the sum of the outcomes at least as right."""
    right = np.arange(31)
    tail = [stats.binom.pmf(np.arange(each, 31), 30, 0.9).sum() for each in right]
    assert np.allclose(binomial_p(right.astype(float), np.full(31, 30), 0.9), tail, rtol=1e-10)


def test_holm_and_the_sequence_equal_cases_worked_by_hand():
    """Holm at .1: .01 <= .1/3, then .06 > .1/2. In sequence: a stop ends it, unless a later start has a level."""
    p_values = np.array([0.06, 0.01, 0.09])
    alike, first = np.full(3, 1 / 3), np.array([1.0, 0.0, 0.0])
    assert rejected(p_values, alike, 0.1, "bonferroni-holm").tolist() == [False, True, False]
    assert rejected(p_values, first, 0.1, "fixed-sequence").tolist() == [True, True, True]
    assert rejected(p_values, first, 0.05, "fixed-sequence").tolist() == [False, False, False]
    assert rejected(p_values, np.array([0.5, 0.5, 0.0]), 0.1, "fixed-sequence").tolist() == [False, True, False]


# ---- order and limits -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p_value", ["binomial", "randomized-binomial", "hoeffding-bentkus"])
@pytest.mark.parametrize("method", METHODS)
def test_a_higher_floor_or_a_smaller_risk_never_closes_more(method, p_value):
    """share_closed falls in the floor and rises in delta, where the sequence begins at the same place."""
    first = None if method == "bonferroni-holm" else np.eye(1, 9)[0]
    settings = {"thresholds": np.linspace(0.6, 1.0, 9), "weights": first, "method": method, "p_value": p_value}
    for seed, *data in campaigns(misled, None, repetitions=4):
        by_floor = [certify(*data, floor, 0.1, seed=seed, **settings) for floor in np.linspace(0.6, 0.99, 14)]
        by_delta = [certify(*data, 0.93, delta, seed=seed, **settings) for delta in (0.3, 0.1, 0.03, 0.01)]
        for looser, stricter in (*pairwise(by_floor), *pairwise(by_delta)):
            assert stricter.share_closed <= looser.share_closed


@pytest.mark.parametrize("p_value", ["binomial", "randomized-binomial", "hoeffding-bentkus", "betting"])
def test_all_right_closes_all_and_none_right_closes_none(p_value):
    """The limits: accuracy 1 and accuracy 0."""
    sure = np.linspace(0.5, 1.0, 500)
    every, none = (
        certify(sure, np.full(500, right), p_value=p_value, thresholds=np.array([0.5])) for right in (1.0, 0.0)
    )
    assert (every.threshold, every.closed, every.accuracy, every.share_closed) == (0.5, 500, 1.0, 1.0)
    assert (none.threshold, none.closed, none.accuracy, none.lower, none.p_value) == (None, 0, None, None, None)
    assert "0 % agree" in none.reason


def test_the_lower_bound_is_the_one_at_which_the_test_just_passes():
    """It is Clopper and Pearson's, and for credits the floor whose p-value is delta; never below the floor."""
    sure, right = np.ones(400), np.concatenate([np.ones(390), np.zeros(10)])
    exact = certify(sure, right, 0.9, 0.05, p_value="binomial", thresholds=np.ones(1))
    assert exact.lower == pytest.approx(clopper_pearson(390, 400, level=0.9).at().low)
    loose = certify(sure, right, 0.9, 0.05, p_value="hoeffding-bentkus", thresholds=np.ones(1))
    assert 0.9 <= loose.lower < exact.lower
    tossed = certify(sure, right, 0.9, 0.05, thresholds=np.ones(1))
    assert exact.lower < tossed.lower < exact.accuracy
    bet = certify(sure, right, 0.9, 0.05, p_value="betting", thresholds=np.ones(1))
    assert 0.9 <= bet.lower < exact.accuracy
    at_bound = hoeffding_bentkus_p(np.array([0.975]), np.array([400]), loose.lower)
    assert at_bound[0] == pytest.approx(0.05, abs=1e-6)


def test_why_nothing_is_proven_is_said():
    """Nothing sure enough; too few whatever they say; too few to tell; not right enough."""
    ones = np.ones(40)
    grid = np.array([0.5])
    assert "nothing is as sure" in certify(0.1 * ones, ones, thresholds=grid).reason
    assert "it takes 45" in certify(ones, ones, p_value="binomial", thresholds=grid).reason
    few = np.concatenate([np.ones(59), np.zeros(1)])
    assert "too few to tell" in certify(np.ones(60), few, 0.97, 0.2, thresholds=grid).reason
    assert "lower floor" in certify(np.ones(60), few, 0.985, 0.5, thresholds=grid).reason


def test_a_task_closes_at_its_first_step_that_is_sure_enough():
    """Later steps do not count, and missing ones never close."""
    sure = np.tile([0.5, 0.9, 0.99], (100, 1))
    sure[:10, 1:] = -np.inf
    right = np.tile([0.0, 1.0, 0.0], (100, 1))
    found = certify(sure, right, thresholds=np.array([0.8]))
    assert (found.closed, found.accuracy) == (90, 1.0)
    assert certify(sure, right, thresholds=np.array([0.95])).threshold is None


def test_credits_of_items_with_several_tasks_count_in_full_but_with_the_binomial():
    """Without repeated items the two ways agree on what closes; with them the binomial tests one task an item."""
    rng = np.random.default_rng(0)
    items = np.repeat(np.arange(300), 3).astype(str).tolist()
    found = certify(np.ones(900), np.ones(900), p_value="binomial", items=items, thresholds=np.ones(1))
    assert (found.n, found.n_items, found.closed) == (300, 300, 300)
    credits_ = rng.uniform(0.98, 1.0, 900)
    for p_value in ("hoeffding-bentkus", "betting"):
        found = certify(np.ones(900), credits_, p_value=p_value, items=items, thresholds=np.ones(1))
        assert (found.n, found.n_items, found.closed, found.threshold) == (900, 300, 900, 1.0)
        assert found.accuracy == pytest.approx(credits_.mean())


def test_the_grid_closes_even_shares_and_knows_no_answers():
    """A fiftieth to all of what it was taken from; ties once; steps that are missing are none."""
    sure = np.random.default_rng(0).random(1000)
    shares = [(sure >= each).mean() for each in thresholds_from(sure)]
    assert np.allclose(shares, np.linspace(0.02, 1.0, 50), atol=1 / 1000)
    assert thresholds_from(np.array([1.0, 1.0, 0.5])).tolist() == [1.0, 0.5]
    steps = np.array([[0.5, -np.inf], [0.25, 0.75]])
    assert thresholds_from(steps, points=2).tolist() == [0.75, 0.5, 0.25]
    with pytest.raises(SettingError, match="at least one"):
        thresholds_from(np.zeros(0))


# ---- the door -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fitted", [{"b", "z"}, ["b"], {item_digest("b")}])
def test_items_of_the_fit_are_refused_by_name(fitted):
    """Answers that the fit has seen look better than new ones."""
    with pytest.raises(SettingError, match=r"1 of 3 validation items were used in the fit \(b\).*leave them out"):
        certify(np.ones(3), np.ones(3), items=["a", "b", "c"], fitted_items=fitted)


def test_items_apart_from_the_fit_are_certified_as_checked():
    """fit_checked says whether anybody looked."""
    items = [f"item-{each}" for each in range(100)]
    found = certify(np.ones(100), np.ones(100), items=items, fitted_items={"other"})
    assert found.fit_checked
    assert "none of which was used in the fit" in found.sentence()
    assert not certify(np.ones(100), np.ones(100), items=items).fit_checked


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sureness": np.zeros(0), "right": np.zeros(0)}, "no validation data"),
        ({"sureness": np.ones(1), "right": np.ones(1)}, "at least two validation items"),
        ({"sureness": np.full(50, np.nan)}, "NaN"),
        ({"right": np.full(50, 2.0)}, "0 or 1"),
        ({"right": np.full(50, 0.5), "p_value": "binomial"}, "hoeffding-bentkus"),
        ({"floor": 1.0}, "floor lies between"),
        ({"delta": 0.0}, "delta lies between"),
        ({"thresholds": np.zeros(0)}, "at least one number"),
        ({"thresholds": np.ones(1), "weights": np.array([1.5])}, "share of delta"),
        ({"thresholds": np.ones(1), "weights": np.full(2, 0.5)}, "share of delta"),
        ({"items": ["a"]}, "one name per row"),
        ({"fitted_items": {"a"}}, "give items too"),
    ],
)
def test_what_does_not_go_together_is_said(settings, message):
    """Bad input is an exception that says what to do."""
    with pytest.raises(SettingError, match=message):
        certify(**{"sureness": np.ones(50), "right": np.ones(50), **settings})


# ---- as text --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("right", [0.0, 1.0])
def test_a_certificate_survives_json_and_names_its_target_and_size(right):
    """certificate_from_json(to_json(c)) == c, whether proven or not."""
    found = certify(np.ones(200), np.full(200, right), target="the panel of 5")
    assert certificate_from_json(found.to_json()) == found
    assert "the panel of 5" in found.sentence()
    assert "186 validation answers from 186 items" in found.sentence()
    for broken in ("[]", "{", '{"floor": 1}', "3"):
        with pytest.raises(SettingError, match="certificate"):
            certificate_from_json(broken)
