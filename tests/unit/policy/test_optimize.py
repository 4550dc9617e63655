"""Laws of the optimizer: menus are exact, the search finds the optimum, the proof holds, nothing is broken silently."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consensus.registry import estimator
from quorate.errors import DataError, SchemaError, SettingError
from quorate.policy.optimize import Constraints, optimize, optimize_on
from quorate.policy.optimize.advice import more_labels
from quorate.policy.optimize.attempt import attempt
from quorate.policy.optimize.choice import choice_of
from quorate.policy.optimize.families import families
from quorate.policy.optimize.ground import Ground, Part
from quorate.policy.optimize.menu import Bars, _roundest
from quorate.policy.optimize.prove import (
    Check,
    Draws,
    Judged,
    Sample,
    highest_floor,
    p_values,
    tail_of,
)
from quorate.policy.optimize.search import MOST_POINTS, Need, cheapest, finest
from quorate.policy.optimize.standing import accuracy_of
from quorate.policy.prices import Prices
from quorate.policy.replay import replay_steps
from quorate.policy.steps import Steps, cross_fitted, select
from quorate.policy.stopping import PerTaskConfidence, policy_from_json
from quorate.schema import Schema, Task
from quorate.simulate.world import world

REPETITIONS = 200


# ---- validation states ----------------------------------------------------------------------------------------------
def steps_of(confidence, credit, n_labels, cost=None, counted=None) -> Steps:
    """States with these confidences and credits; a label costs 1 unless costs are given."""
    n_steps, n_items, n_tasks = confidence.shape
    bought = np.minimum(np.arange(n_steps)[:, None, None], n_labels)
    wrong = np.clip(1 - confidence, 1e-9, 1)
    return Steps(
        schema=Schema(tuple(Task(f"t{t}", ("no", "yes")) for t in range(n_tasks))),
        items=tuple(f"i{i}" for i in range(n_items)),
        confidence=confidence,
        entropy=-(confidence * np.log(confidence) + wrong * np.log(wrong)),
        joint=confidence.prod(axis=2),
        largest=np.ceil(0.7 * bought).astype(np.int16),
        credit=credit,
        loss=-np.log(np.where(credit > 0.5, confidence, wrong)),
        n_labels=n_labels.astype(np.int64),
        cost=bought.astype(float) if cost is None else cost,
        counted=np.ones((n_items, n_tasks), bool) if counted is None else counted,
        kind=("gold",) * n_tasks,
    )


def drawn(seed, n_items=400, n_tasks=3, most=4, overconfident: Sequence[float] = (), first=0.6) -> Steps:
    """Confidences that rise with every label, and answers that are right as often as these say, or less often.

    overconfident: of a task, by how much its confidence is told too high.
    """
    rng = np.random.default_rng(seed)
    easy = rng.normal(0, 1, (n_items, 1)) + rng.normal(0, 1, (n_items, n_tasks))
    evidence = np.log(first / (1 - first)) + easy + 0.9 * np.arange(most + 1)[:, None, None]
    true = np.maximum(1 / (1 + np.exp(-evidence)), 0.5)
    luck = rng.random((n_items, n_tasks))  # the same at every label, so that more labels mend and do not shuffle
    said = true.copy()
    for task, exponent in enumerate(overconfident):
        said[:, :, task] = said[:, :, task] ** (1 / (1 + exponent))
    n_labels = rng.integers(most - 1, most + 1, (n_items, n_tasks))
    return steps_of(said, (luck < true).astype(float), n_labels)


def tiny(seed, n_items=5, n_tasks=3) -> Steps:
    """A few items with arbitrary states, and prices of labels that make sums differ."""
    rng = np.random.default_rng(seed)
    shape = (3, n_items, n_tasks)
    n_labels = rng.integers(0, 3, shape[1:])
    bought = np.minimum(np.arange(3)[:, None, None], n_labels)
    cost = bought * rng.uniform(0.5, 2.0, shape[1:])
    return steps_of(rng.uniform(0.5, 1, shape).round(1), rng.integers(0, 2, shape).astype(float), n_labels, cost)


def totals(steps: Steps, policy):
    """Credit per task, cost, labels and reviewed item-tasks under a policy."""
    ended = replay_steps(steps, [policy]).outcomes[0]
    return ended.credit.sum(axis=0), ended.cost.sum(), ended.bought.sum(), (ended.bought > 0).sum()


# ---- the menus ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(4))
def test_every_level_of_every_menu_is_what_the_policy_of_that_level_does(seed) -> None:
    """Totals of menus equal the replay of the policy at their threshold, for every family."""
    steps = tiny(seed, n_items=12)
    for family in families(steps, most_labels=2):
        depth = max(len(menu.total) for menu in family.menus)
        for level in range(depth):
            levels = [min(level, len(menu.total) - 1) for menu in family.menus]
            credit, cost, labels, reviewed = totals(steps, family.policy(levels))
            of = {
                name: np.concatenate([menu.of(name)[at] for menu, at in zip(family.menus, levels, strict=True)])
                for name in ("credit", "cost", "labels", "reviewed")
            }
            np.testing.assert_allclose(of["credit"], credit, atol=1e-9)
            assert (of["labels"].sum(), of["reviewed"].sum()) == (labels, reviewed)
            assert of["cost"].sum() == pytest.approx(cost)


@pytest.mark.parametrize("seed", range(3))
def test_a_menu_misses_no_threshold(seed) -> None:
    """Whatever a threshold on a fine grid leads to, some level of the menu leads to."""
    steps = tiny(seed)
    family = next(iter(families(steps, most_labels=2)))
    there = {tuple(np.round(row.ravel(), 9)) for row in family.menus[0].total[:, [0, 3]]}
    for threshold in np.linspace(0, 1, 201):
        ended = replay_steps(steps, [PerTaskConfidence(float(threshold))]).outcomes[0]
        assert tuple(np.round([*ended.credit.sum(axis=0), *ended.bought.sum(axis=0)], 9)) in there


def test_a_rising_threshold_buys_no_less() -> None:
    """Cost, labels and reviewed item-tasks never fall along a menu."""
    for family in families(drawn(0, 60), most_labels=4):
        for menu in family.menus:
            assert np.all(np.diff([menu.bar(level) for level in range(len(menu.total))]) > 0)
            for name in ("cost", "labels", "reviewed"):
                assert np.all(np.diff(menu.of(name).sum(axis=1)) >= -1e-9)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_roundest_number_lies_between_its_ends(one, other) -> None:
    """Above the lower, at most the higher."""
    low, high = sorted((one, other))
    if high - low > 1e-9:
        assert low < _roundest(low, high, Bars(0.0, 1.0)) <= high
    assert _roundest(0.8712, 0.9234, Bars(0.0, 1.0)) == 0.9


# ---- the search -----------------------------------------------------------------------------------------------------
def brute_force(steps: Steps, family, floor, floors, limits):
    """The least cost, and the most credit, over all combinations of levels that keep to the constraints."""
    costs, correct = [], []
    n = steps.counted.sum(axis=0)
    for levels in product(*(range(len(menu.total)) for menu in family.menus)):
        credit, cost, labels, reviewed = totals(steps, family.policy(levels))
        used = {"cost": cost, "labels": labels, "reviewed": reviewed}
        keeps = all(used[name] <= limit + 1e-9 for name, limit in limits.items())
        keeps &= all(credit[task] >= share * n[task] - 1e-9 for task, share in floors.items())
        if keeps and credit.sum() >= floor * n.sum() - 1e-9:
            costs.append(cost)
            correct.append(credit.sum())
    return (min(costs), max(correct)) if costs else None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("floor", "floors", "limits"),
    [
        (0.6, {}, {}),
        (0.8, {}, {}),
        (0.0, {0: 0.6, 2: 0.4}, {}),
        (0.5, {1: 0.6}, {"reviewed": 6.0}),
        (0.4, {}, {"cost": 5.0, "labels": 6.0}),
        (0.0, {}, {"cost": 3.0}),
    ],
)
def test_the_optimum_of_a_small_instance_is_that_of_all_combinations(seed, floor, floors, limits) -> None:
    """Least cost and best quality equal brute force, for every family, or both find nothing."""
    steps = tiny(seed, n_items=3)
    n = steps.counted.sum(axis=0)
    need = Need(floor * n.sum(), {task: share * n[task] for task, share in floors.items()}, limits)
    for family in families(steps, most_labels=2):
        expected = brute_force(steps, family, floor, floors, limits)
        least, best = cheapest(family.menus, need), finest(family.menus, need)
        if expected is None:
            assert least is None
            assert best is None
            continue
        assert least is not None
        assert best is not None
        assert totals(steps, family.policy(least))[1] == pytest.approx(expected[0])
        assert totals(steps, family.policy(best))[0].sum() == pytest.approx(expected[1])


def test_the_cost_falls_as_the_floor_falls() -> None:
    """Of every family: the least cost at a lower floor is at most that at a higher one."""
    steps = drawn(1)
    for family in families(steps, most_labels=4):
        costs = []
        for floor in np.linspace(0.95, 0.5, 10):
            levels = cheapest(family.menus, Need(floor * steps.counted.sum(), {}, {}))
            costs.append(np.inf if levels is None else totals(steps, family.policy(levels))[1])
        room = 0.01 * steps.n_labels.sum() if len(family.menus) > 1 else 1e-9  # many tasks: within a bin
        assert all(later <= earlier + room for earlier, later in pairwise(costs))


def test_many_tasks_come_within_a_bin_of_the_optimum() -> None:
    """With more sums than are kept, the cost is within a percent of the bound by the relaxed problem (its dual)."""
    steps = drawn(2, 300, n_tasks=8)
    family = next(each for each in families(steps, most_labels=4) if each.name == "per-task-confidence, by task")
    assert np.prod([len(menu.total) for menu in family.menus], dtype=float) > MOST_POINTS
    wanted = 0.85 * steps.counted.sum()
    levels = cheapest(family.menus, Need(wanted, {}, {}))
    assert levels is not None
    duals = [
        sum(float((m.of("cost") - price * m.of("credit")).sum(axis=1).min()) for m in family.menus) + price * wanted
        for price in np.linspace(0, 60, 601)
    ]
    assert totals(steps, family.policy(levels))[1] <= 1.01 * max(duals)


def test_relabeling_tasks_only_relabels_the_thresholds() -> None:
    """The same search on tasks in another order finds the same thresholds for them."""
    rng = np.random.default_rng(0)
    steps = tiny(3, n_items=6)
    order = rng.permutation(3)
    moved = steps._replace(
        **{name: getattr(steps, name)[..., order] for name in ("confidence", "entropy", "largest", "credit", "loss")},
        n_labels=steps.n_labels[:, order], cost=steps.cost[..., order], counted=steps.counted[:, order],
    )  # fmt: skip
    for one, other in zip(families(steps, 2), families(moved, 2), strict=True):
        need = Need(0.6 * steps.counted.sum(), {}, {})
        levels, there = cheapest(one.menus, need), cheapest(other.menus, need)
        assert (levels is None) == (there is None)
        if levels is None or there is None:
            continue
        bar = one.policy(levels).bar(steps.schema)
        bar_there = other.policy(there).bar(moved.schema)
        np.testing.assert_allclose(bar[order], bar_there)


# ---- the proof ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(("n_tasks", "tail"), [(1, "binomial"), (4, "betting")])
@pytest.mark.parametrize("together", [True, False])
def test_a_check_at_the_floor_is_passed_no_more_often_than_delta(n_tasks, tail, together) -> None:
    """P(p <= delta) <= delta a hair below the floor, whether tasks err together or apart, at delta .1 and .05."""
    passed = dict.fromkeys((0.1, 0.05), 0)
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        luck = np.repeat(rng.random((120, 1)), n_tasks, axis=1) if together else rng.random((120, n_tasks))
        sample = Sample((luck < 0.9 - 1e-9).astype(float), np.ones((120, n_tasks), bool))
        judged = Judged(sample, Draws(rng.random(120), rng.random(120)))
        assert tail_of(Check("", None, 0.9), sample) == tail
        for delta in passed:
            passed[delta] += p_values(Check("", None, 0.9), [judged], delta)[0] <= delta
    for delta, times in passed.items():
        assert times / REPETITIONS <= delta + 3 * (delta * (1 - delta) / REPETITIONS) ** 0.5


def test_policies_are_tested_together_as_they_are_alone() -> None:
    """The p-values of several are those of each, and the highest floor that passes does pass, the next does not."""
    rng = np.random.default_rng(0)
    draws = Draws(rng.random(200), rng.random(200))
    judged = [
        Judged(Sample((rng.random((200, 3)) < share).astype(float), np.ones((200, 3), bool)), draws)
        for share in (0.8, 0.9, 0.97)
    ]
    check = Check("", None, 0.9)
    alone = [p_values(check, [each], 0.1)[0] for each in judged]
    np.testing.assert_allclose(p_values(check, judged, 0.1), alone)
    highest = round(highest_floor(check, judged[2], 0.1), 3)
    assert p_values(Check("", None, highest), [judged[2]], 0.1)[0] <= 0.1
    assert p_values(Check("", None, highest + 0.005), [judged[2]], 0.1)[0] > 0.1


def test_what_is_searched_knows_nothing_of_the_answers_that_prove() -> None:
    """The sequence that is tested is the same whatever the answers on the other half are."""
    steps = drawn(4, 200)
    constraints = Constraints(floor=0.8)

    def sequence(of: Steps) -> list[str]:
        ground = Ground(of, replayed=None, n_items=None, margin="proven", delta=0.1, seed=0)
        return [each.choice.policy.to_json() for each in attempt(ground, constraints, "cost").sequence]

    ground = Ground(steps, replayed=None, n_items=None, margin="proven", delta=0.1, seed=0)
    credit = steps.credit.copy()
    credit[:, ground.proving] = 1 - credit[:, ground.proving]
    assert sequence(steps) == sequence(steps._replace(credit=credit))


@pytest.mark.slow
def test_the_floor_is_broken_no_more_often_than_delta_although_the_policy_was_chosen() -> None:
    """P(true accuracy < floor) <= delta = .1 over campaigns of 160 items, all families competing, within its error."""
    floor, pool, repetitions = 0.85, drawn(99, 6_000, n_tasks=2, overconfident=(1.0, 0.0)), 100
    broken = found = 0
    for seed in range(repetitions):
        rows = np.sort(np.random.default_rng(seed).choice(6_000, 160, replace=False))
        chosen = optimize(select(pool, rows), Constraints(floor=floor), delta=0.1, seed=seed).policy
        if chosen is not None:
            found += 1
            broken += replay_steps(pool, [chosen]).outcomes[0].credit.mean() < floor
    assert broken / repetitions <= 0.1 + 3 * (0.1 * 0.9 / repetitions) ** 0.5
    assert found > repetitions / 2  # and it is not idle


# ---- the whole ------------------------------------------------------------------------------------------------------
def test_a_budget_of_nothing_buys_nothing() -> None:
    """Nobody is asked, and the policy says so."""
    found = optimize(drawn(0), Constraints(budget=0))
    assert found.policy is not None
    assert found.chosen is not None
    assert (found.chosen.labels, found.chosen.cost, found.chosen.share_reviewed) == (0, 0, 0)


def test_a_floor_that_is_had_for_free_costs_nothing() -> None:
    """Where the models alone are right often enough, no label is bought."""
    found = optimize(drawn(0, first=0.99), Constraints(floor=0.7))
    assert found.chosen is not None
    assert found.chosen.labels == 0


@pytest.mark.slow
def test_a_lower_floor_costs_no_more_and_a_larger_budget_is_no_worse() -> None:
    """Through the whole optimizer; quality as the search saw it."""
    steps = drawn(5, 300)
    floors = [optimize(steps, Constraints(floor=floor), margin="point").chosen for floor in (0.9, 0.8, 0.7, 0.6)]
    assert all(choice is not None for choice in floors)
    assert np.all(np.diff([choice.cost for choice in floors if choice]) <= 0)
    budgets = [optimize(steps, Constraints(budget=budget)).chosen for budget in (0, 1_000, 3_000, 9_000)]
    assert np.all(np.diff([accuracy_of(choice, "") for choice in budgets if choice]) >= 0)


def test_a_proof_is_no_dearer_than_certainty_and_no_cheaper_than_the_estimate() -> None:
    """Cost under "point" <= cost under "proven" <= cost of everything."""
    steps = drawn(6, 800)
    point, proven = (optimize(steps, Constraints(floor=0.85), margin=margin).chosen for margin in ("point", "proven"))
    assert point is not None
    assert proven is not None
    assert point.cost <= proven.cost <= steps.n_labels.sum()


def test_thresholds_per_task_are_taken_where_tasks_differ() -> None:
    """One task tells its confidence far too high: with a floor on each, it gets a threshold of its own."""
    found = optimize(drawn(7, 1_200, n_tasks=2, overconfident=(0.0, 3.0)), Constraints(floor={"t0": 0.85, "t1": 0.85}))
    assert found.chosen is not None
    assert "by task" in found.chosen.name
    thresholds = found.chosen.policy.of_task  # type: ignore[attr-defined] # families by task have it
    one, other = (thresholds["t0"], thresholds["t1"])
    assert (one < other) == (found.chosen.policy.name != "per-task-entropy")  # entropies fall as confidence rises


SOME = drawn(8, 240)


@pytest.mark.slow
@settings(max_examples=6)
@given(
    floor=st.one_of(st.none(), st.floats(0.5, 0.99)),
    of_task=st.one_of(st.none(), st.floats(0.5, 0.95)),
    budget=st.one_of(st.none(), st.floats(0, 3_000)),
    reviewed=st.one_of(st.none(), st.floats(0, 1)),
    days=st.one_of(st.none(), st.floats(0, 20)),
)
def test_no_constraint_is_broken_silently(floor, of_task, budget, reviewed, days) -> None:
    """A policy keeps to every limit, and every floor is proven; without a policy, reasons and advice are given."""
    floors = ({"": floor} if floor else {}) | ({"t1": of_task} if of_task else {})
    if not floors and budget is None and reviewed is None and days is None:
        return
    constraints = Constraints(floors or None, budget, reviewed, 100.0 if days is not None else None, days)
    found = optimize(SOME, constraints)
    if found.policy is None:
        assert found.binding
        assert found.advice
        assert found.nearest is not None
        return
    assert found.chosen is not None
    assert found.chosen.breaks == ()
    assert all(proof.holds and proof.p_value <= 0.1 for proof in found.proofs)
    assert {proof.task for proof in found.proofs} == set(floors)
    for name, limit in constraints.limits().items():
        assert found.chosen.at_most[name] <= limit * (1 + 1e-9) + 1e-9
    assert policy_from_json(found.policy.to_json()) == found.policy


def test_limits_hold_with_the_probability_that_they_say() -> None:
    """P(the cost of a campaign of the same size > the bound) <= delta, over campaigns drawn from a pool."""
    pool = drawn(9, 4_000, n_tasks=2)
    over = 0
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        rows, campaign = rng.permutation(4_000)[:300].reshape(2, 150)
        found = Part(select(pool, rows), 150, 4)
        ground = Ground(select(pool, rows), replayed=None, n_items=150, margin="proven", delta=0.1, seed=seed)
        ended = found.ended([PerTaskConfidence(0.8)])[0]
        bound = choice_of("", ended, ground.frame(found, Constraints(budget=1.0))).at_most["cost"]
        over += replay_steps(select(pool, campaign), [PerTaskConfidence(0.8)]).outcomes[0].cost.sum() > bound
    assert over / REPETITIONS <= 0.1 + 3 * (0.1 * 0.9 / REPETITIONS) ** 0.5


@pytest.mark.slow
def test_the_budget_that_is_said_to_do_does() -> None:
    """A floor and a budget that contradict: the advice names an amount, and with that amount there is a policy."""
    steps = drawn(10, 800)
    found = optimize(steps, Constraints(floor=0.85, budget=50))
    assert found.policy is None
    assert found.binding == ("budget",)
    amount = re.search(r"budget of ([\d,]+)", found.advice[0])
    assert amount is not None
    again = optimize(steps, Constraints(floor=0.85, budget=float(amount[1].replace(",", ""))))
    assert again.policy is not None


@pytest.mark.slow
def test_two_limits_that_stand_in_the_way_together_are_both_named() -> None:
    """Neither alone is to blame; the advice says what each would have to be."""
    found = optimize(drawn(10, 800), Constraints(floor=0.85, budget=50, most_reviewed=0.05))
    assert found.binding == ("budget", "share of reviews")
    assert len(found.advice) == 2


def test_a_floor_above_what_all_labels_give_is_said_to_be_out_of_reach() -> None:
    """With the highest floor that could be proven, which then is."""
    steps = drawn(11, 800, first=0.3)
    found = optimize(steps, Constraints(floor=0.999))
    assert found.policy is None
    assert found.binding == ("floor",)
    reach = re.search(r"proven with these items is about ([\d.]+) %", " ".join(found.advice))
    assert reach is not None
    assert optimize(steps, Constraints(floor=float(reach[1]) / 100 - 0.005)).policy is not None


@pytest.mark.parametrize(("wanted", "says"), [(0.88, "about 5 labels"), (0.95, "toward 90 % at most")])
def test_labels_that_would_do_are_extrapolated_or_said_impossible(wanted, says) -> None:
    """accuracy(j) = .9 - .4 / 2^j: reaches .88 after 5 labels and .95 never, told from 3 labels."""
    credit = np.repeat(0.9 - 0.4 * 0.5 ** np.arange(4.0), 20).reshape(4, 20, 1)
    steps = steps_of(np.full((4, 20, 1), 0.8), credit, np.full((20, 1), 3))
    ground = Ground(steps, replayed=None, n_items=None, margin="proven", delta=0.1, seed=0)
    assert says in more_labels(ground, "", wanted)


def test_the_campaign_may_be_larger_than_the_validation() -> None:
    """Ten times the items cost ten times as much, and the same share is saved."""
    steps = drawn(12)
    one, ten = (optimize(steps, Constraints(floor=0.8), n_items=n).chosen for n in (400, 4_000))
    assert one is not None
    assert ten is not None
    assert ten.policy == one.policy
    assert ten.cost == pytest.approx(10 * one.cost)
    assert ten.share_saved == one.share_saved


def test_days_follow_from_labels_per_day() -> None:
    """Labels over labels per day; None where they are not said."""
    steps = drawn(12)
    found = optimize(steps, Constraints(floor=0.8, labels_per_day=50)).chosen
    assert found is not None
    assert found.days == pytest.approx(found.labels / 50)
    plain = optimize(steps, Constraints(floor=0.8)).chosen
    assert plain is not None
    assert plain.days is None


def test_all_of_it_is_json() -> None:
    """No NaN, no infinity; found or not."""
    for constraints in (Constraints(floor=0.8), Constraints(floor=0.9999), Constraints(budget=100)):
        told = json.loads(optimize(drawn(13), constraints).to_json())
        assert (told["policy"] is None) == (told["chosen"] is None)
        assert told["choices"]


def test_tasks_without_truth_are_asked_everything_and_named() -> None:
    """No figure says that less would do there; the note says so."""
    base = drawn(14, 600, n_tasks=2)
    counted = np.ones((600, 2), bool)
    counted[:, 1] = False
    found = optimize(base._replace(counted=counted), Constraints(floor={"t0": 0.8}))
    assert any("Nothing to judge by on task 't1'" in note for note in found.notes)
    if found.chosen is not None and "by task" in found.chosen.name:
        bought = replay_steps(base, [found.chosen.policy]).outcomes[0].bought
        assert (bought[:, 1] == base.n_labels[:, 1]).mean() > 0.99
    assert optimize(base._replace(counted=counted), Constraints(floor={"t1": 0.8})).policy is None


# ---- from data ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_on_data_the_figures_are_those_of_the_exact_replay() -> None:
    """Prices and all: a label of task-01 costs ten times the others; it is bought last, if at all."""
    data = world("paper", 300).coded()
    prices = Prices(1.0, of_task={"task-01": 10.0})
    found = optimize_on(data, estimator("dawid-skene"), Constraints(floor=0.75), prices=prices)
    assert found.chosen is not None
    assert found.n_searched + found.n_proved == 300
    assert found.chosen.labels <= found.chosen.cost < 2 * found.chosen.labels
    assert found.choices[-1].cost == pytest.approx(300 * 5 * 9 + 300 * 5 * 10)


def test_a_sample_of_the_items_speaks_for_all_of_them() -> None:
    """Judged on fewer items, costs are still for the whole folder."""
    data = world("paper", 300).coded()
    found = optimize_on(data, estimator("majority"), Constraints(floor=0.6), most_items=120)
    assert found.n_searched + found.n_proved == 120
    assert found.n_items == 300


# ---- bad input ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "nothing to optimize for"),
        ({"floor": 1.2}, "between 0 and 1"),
        ({"floor": 95}, "95 % is 0.95"),
        ({"floor": 1.0}, "no number of examples"),
        ({"floor": {"t0": float("nan")}}, "task 't0'"),
        ({"budget": -1}, "budget"),
        ({"most_reviewed": 1.5}, "most_reviewed"),
        ({"deadline_days": 5}, "labels_per_day"),
        ({"floor": 0.9, "labels_per_day": 0}, "labels_per_day"),
    ],
)
def test_bad_constraints_say_what_is_wrong(options, says) -> None:
    """One error that names the option."""
    with pytest.raises(SettingError, match=says):
        Constraints(**options)


def test_bad_settings_say_what_is_wrong() -> None:
    """Unknown task, aim, delta; and too few items."""
    steps = drawn(0, 40)
    with pytest.raises(SchemaError, match="no task 'x'"):
        optimize(steps, Constraints(floor={"x": 0.9}))
    with pytest.raises(SettingError, match="without a floor"):
        optimize(steps, Constraints(budget=5), aim="cost")
    with pytest.raises(SettingError, match="delta"):
        optimize(steps, Constraints(budget=5), delta=0.0)
    with pytest.raises(DataError, match="truth to judge by"):
        optimize(select(steps, np.arange(3)), Constraints(budget=5))


def test_steps_without_models_still_have_a_policy() -> None:
    """The majority of people alone, on a simulated world: fixed overlap and agreement compete like the others."""
    steps = cross_fitted(world("paper", 200).coded(), estimator("majority"))
    found = optimize(steps, Constraints(floor=0.7))
    assert found.chosen is not None
    assert {"fixed-overlap", "majority-agreement", "minimum", "joint", "product"} <= {
        each.name for each in found.choices
    }
