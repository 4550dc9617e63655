"""Laws of the replay: cases computed by hand, a plain loop that it must equal, limits, order relations, prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from jaxtyping import Float64

from quorate.consensus.estimator import Model
from quorate.consensus.hybrid import Hybrid
from quorate.consensus.majority import Majority
from quorate.consensus.posterior import Consensus
from quorate.data.encode import Coded
from quorate.errors import DataError, SchemaError
from quorate.evaluate.protocol import Truth, aimed, judged, n_labels, truth_of
from quorate.policy import rounds
from quorate.policy.outcome import Outcome, Replayed
from quorate.policy.prices import Prices
from quorate.policy.replay import replay, replay_folds, replay_steps
from quorate.policy.rounds import Asking, gathered, with_labels
from quorate.policy.steps import fitted_folds, of_folds, steps_of
from quorate.policy.stopping import (
    POLICIES,
    FixedOverlap,
    Joint,
    MajorityAgreement,
    Maximum,
    Mean,
    Minimum,
    PerTaskConfidence,
    PerTaskEntropy,
    Policy,
    Product,
)
from quorate.simulate.world import world
from unit.consensus.build import coded_from

Array = np.ndarray
FIELDS = ("bought", "cost", "confidence", "credit", "loss")
WHOLE = (Minimum, Mean, Maximum, Joint, Product)
MIXED: tuple[Policy, ...] = (
    *(kind(threshold) for kind in WHOLE for threshold in (0.5, 0.8)),
    *(PerTaskConfidence(threshold) for threshold in (0.0, 0.5, 0.7, 0.9, 1.0)),
    PerTaskConfidence(0.7, {"task-01": 0.95}), PerTaskEntropy(0.3), PerTaskEntropy(0.6),
    FixedOverlap(2), FixedOverlap(4), MajorityAgreement(0.6), MajorityAgreement(0.7, 3, 4),
)  # fmt: skip


# ---- by hand --------------------------------------------------------------------------------------------------------
# Two tasks, votes of people, no smoothing. Asked: two people, then on until three quarters of them agree.
#   i: safe  a a | a      two agree: 2 bought             tone  x y | y y    1/2, 2/3, 3/4: 4 bought
#   j: safe  a b | b b    1/2, 2/3, 3/4: 4 bought         tone  x x          2 bought
#   k: safe  b            all there is: 1 bought          tone  nobody labeled it
HAND = coded_from(
    [
        *(("i", "safe", who, label) for who, label in zip(("ann", "bo", "cy"), "aaa", strict=True)),
        *(("i", "tone", who, label) for who, label in zip(("bo", "ann", "cy", "di"), "xyyy", strict=True)),
        *(("j", "safe", who, label) for who, label in zip(("cy", "di", "bo", "ann"), "abbb", strict=True)),
        *(("j", "tone", who, label) for who, label in zip(("ann", "cy"), "xx", strict=True)),
        ("k", "safe", "di", "b"),
    ],
    {"safe": ("a", "b"), "tone": ("x", "y")},
)
HAND_TRUTH = Truth(np.array([[0, 1], [1, 1], [0, -1]], np.int16), ("latent", "latent"))
HAND_POLICY = MajorityAgreement(0.75, fewest=2, most=9)
HAND_PRICES = Prices(1.0, of_task={"tone": 2.0}, of_annotator={"ann": 5.0})


@pytest.fixture
def by_hand() -> Replayed:
    """The policy above on the labels above."""
    model = Majority(smoothing=0.0).fit(HAND)
    return replay(model, HAND, [HAND_POLICY], truth=HAND_TRUTH, prices=HAND_PRICES)


def test_labels_are_those_counted_by_hand(by_hand: Replayed) -> None:
    """Task by task, each in its own order of arrival."""
    assert by_hand.outcomes[0].bought.tolist() == [[2, 4], [4, 2], [1, 0]]
    assert by_hand.n_labels.tolist() == [[3, 4], [4, 2], [1, 0]]


def test_cost_is_that_of_the_labels_bought_by_hand(by_hand: Replayed) -> None:
    """Ann costs 5 everywhere; others 1 on safe and 2 on tone."""
    assert by_hand.outcomes[0].cost.tolist() == [[5 + 1, 2 + 5 + 2 + 2], [1 + 1 + 1 + 5, 5 + 2], [1, 0]]
    assert by_hand.full_cost.tolist() == [[5 + 1 + 1, 11], [8, 7], [1, 0]]


def test_quality_is_that_of_the_votes_bought_by_hand(by_hand: Replayed) -> None:
    """Of i safe a for sure, tone y with 3/4; of j safe b with 3/4, tone x for sure, but y is true; k safe is wrong."""
    outcome = by_hand.outcomes[0]
    assert outcome.credit.tolist() == [[1, 1], [1, 0], [0, 0]]
    np.testing.assert_allclose(outcome.confidence[:2], [[1, 0.75], [0.75, 1]], atol=1e-9)
    np.testing.assert_allclose(outcome.loss[:2, 0], [0, -np.log(0.75)], atol=1e-9)


def test_the_table_adds_up_by_hand(by_hand: Replayed) -> None:
    """13 of 14 labels; 33 of 34 spent; safe: 2 of 3 right, tone: 1 of 2, of the item-tasks that have a truth."""
    rows = {row["task"]: row for row in by_hand.table().to_pylist()}
    assert list(rows) == ["", "safe", "tone"]
    assert {task: row["labels"] for task, row in rows.items()} == {"": 13, "safe": 7, "tone": 6}
    assert {task: row["cost"] for task, row in rows.items()} == {"": 33.0, "safe": 15.0, "tone": 18.0}
    assert {task: row["saved"] for task, row in rows.items()} == {"": 1.0, "safe": 1.0, "tone": 0.0}
    assert [row["efficiency"] for row in rows.values()] == pytest.approx([1 / 14, 1 / 8, 0.0])
    assert [row["accuracy"] for row in rows.values()] == pytest.approx([3 / 5, 2 / 3, 1 / 2])
    # three items with 2, 2 and 1 judged: sums of (right - 3/5) are .8, -.2, -.6
    se = np.sqrt(3 / 2 * (0.8**2 + 0.2**2 + 0.6**2)) / 5
    assert rows[""]["accuracy_se"] == pytest.approx(se)
    assert rows[""]["policy"] == HAND_POLICY.to_json()


def test_a_task_that_stopped_asks_again_when_another_makes_it_doubtful() -> None:
    """Tasks inform each other: what was sure before the other task's labels came need not be after."""
    data = world("coupled", 400, 2).coded()
    model = Hybrid(factors=2, subtypes=1).fit(data.select(np.arange(200)))
    judge = data.select(np.arange(200, 400))
    instant = replay_steps(steps_of(model, judge, truth_of(judge)), [PerTaskConfidence(0.8)]).outcomes[0]
    exact = replay(model, judge, [PerTaskConfidence(0.8)]).outcomes[0]
    assert (exact.confidence[exact.bought < n_labels(judge)] >= 0.8).all()
    assert (instant.bought != exact.bought).any()


# ---- against a plain loop -------------------------------------------------------------------------------------------
class Ended(NamedTuple):
    """How one policy ended."""

    bought: Array
    confidence: Array
    credit: Array
    loss: Array


def one_by_one(model: Model, coded: Coded, truth: Truth, policy: Policy) -> Ended:
    """One policy, one item at a time, as a campaign would go; nothing shared."""
    ends: list[list[Array]] = []
    for i in range(coded.n_items):
        item, true = coded.select(np.array([i])), truth.select(np.array([i]))
        bought, wanted = np.zeros((1, coded.n_tasks), np.int16), np.ones((1, coded.n_tasks), bool)
        while wanted.any():
            consensus = aimed(model.predict(with_labels(item, bought)), item, true)
            state = judged([consensus.probs(task.name) for task in consensus.schema.tasks], true)
            wanted = policy.needs(consensus) & (bought < n_labels(item))
            last, bought = bought, bought + wanted
        ends.append([last[0], *(each[0] for each in state)])
    return Ended(*(np.array(each) for each in zip(*ends, strict=True)))


@pytest.fixture(scope="module")
def ragged() -> Coded:
    """Items of ten tasks with models and people, up to five labels of each."""
    full = world("paper", 90, 5).coded()
    return full.keep_labels(np.random.default_rng(3).random(len(full.labels.code)) < 0.8)


@pytest.fixture(scope="module")
def fitted(ragged: Coded) -> Model:
    """Tasks inform each other in it."""
    return Hybrid(factors=2, subtypes=1, max_iterations=15, points=64).fit(ragged.select(np.arange(60)))


@pytest.fixture(scope="module")
def judge(ragged: Coded) -> Coded:
    """What that model never saw."""
    return ragged.select(np.arange(60, 90))


@pytest.fixture(scope="module")
def mixed(fitted: Model, judge: Coded) -> Replayed:
    """All kinds of policies at once."""
    return replay(fitted, judge, MIXED)


@pytest.mark.parametrize("place", range(0, len(MIXED), 4))
def test_shared_states_give_what_a_plain_loop_gives(place: int, fitted: Model, judge: Coded, mixed: Replayed) -> None:
    """Policy by policy, item by item: labels the same, probabilities to rounding."""
    few = np.arange(8)
    plain = one_by_one(fitted, judge.select(few), truth_of(judge).select(few), MIXED[place])
    outcome = mixed.outcomes[place]
    assert outcome.policy == MIXED[place]
    np.testing.assert_array_equal(outcome.bought[few], plain.bought)
    for name in ("confidence", "credit", "loss"):
        np.testing.assert_allclose(getattr(outcome, name)[few], getattr(plain, name), atol=1e-9)


def test_what_else_is_replayed_changes_nothing(fitted: Model, judge: Coded, mixed: Replayed) -> None:
    """A policy alone ends as among others."""
    for place in range(0, len(MIXED), 5):
        assert_same(replay(fitted, judge, [MIXED[place]]).outcomes[0], mixed.outcomes[place])


def test_batches_change_nothing(fitted: Model, judge: Coded, mixed: Replayed, monkeypatch: pytest.MonkeyPatch) -> None:
    """States are predicted so many at a time, and belong to their own policies."""
    monkeypatch.setattr(rounds, "BATCH", 40)
    places = [3, 10, 12, 15, 19]
    found = replay(fitted, judge, [MIXED[place] for place in places])
    for one, place in zip(found.outcomes, places, strict=True):
        assert_same(one, mixed.outcomes[place])


def assert_same(one: Outcome, other: Outcome) -> None:
    """Labels equal; figures to rounding."""
    np.testing.assert_array_equal(one.bought, other.bought)
    for name in FIELDS[1:]:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


class Every(Policy):
    """A user's own: asks about the first task only, three times."""

    name = "every"
    whole_item = False

    def __init__(self, most: int) -> None:
        self.most = most

    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """Three less the labels of the first task."""
        seen = np.minimum(consensus.counts[0].sum(axis=1), self.most).astype(float)
        return np.column_stack([seen, *[np.full(len(seen), float(self.most))] * (len(consensus.schema) - 1)])

    def bar(self, schema) -> Float64[Array, "tasks"]:
        """The number of labels."""
        return np.full(len(schema), float(self.most))


def test_a_policy_of_the_users_own_is_replayed_too(fitted: Model, judge: Coded) -> None:
    """Whatever it looks at; two of them are never taken for one."""
    found = replay(fitted, judge, [Every(1), Every(3), PerTaskConfidence(0.0)])
    available = n_labels(judge)
    for outcome, most in zip(found.outcomes, (1, 3, 0), strict=True):
        assert (outcome.bought[:, 1:] == 0).all()
        np.testing.assert_array_equal(outcome.bought[:, 0], np.minimum(available[:, 0], most))


# ---- limits and order -----------------------------------------------------------------------------------------------
def test_at_a_threshold_of_nothing_nothing_is_bought(fitted: Model, judge: Coded) -> None:
    """Efficiency 1, cost 0."""
    kinds: list[Policy] = [*(kind(0.0) for kind in WHOLE), PerTaskConfidence(0.0), PerTaskEntropy(9.0), FixedOverlap(0)]
    found = replay(fitted, judge, kinds, prices=Prices(3.0))
    for place in range(len(kinds)):
        figures = found.figures(place)[""]
        assert (figures.labels, figures.efficiency, figures.cost) == (0, 1.0, 0.0)
        assert figures.saved == 3.0 * n_labels(judge).sum()


def test_where_nobody_is_ever_certain_a_threshold_of_one_buys_all(fitted: Model, judge: Coded) -> None:
    """Efficiency 0, nothing saved. The panel's target is certain once decided, so the latent class is asked for."""
    latent = Truth(np.maximum(truth_of(judge).code, 0), ("latent",) * 10)
    kinds: list[Policy] = [Minimum(1.0), Mean(1.0), Maximum(1.0), PerTaskConfidence(1.0), PerTaskEntropy(0.0)]
    found = replay(fitted, judge, kinds, truth=latent)
    for place in range(len(kinds)):
        figures = found.figures(place)[""]
        assert (figures.labels, figures.efficiency, figures.saved) == (n_labels(judge).sum(), 0.0, 0.0)


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_items_cost_more_as_the_threshold_rises(kind: type, fitted: Model, judge: Coded) -> None:
    """Item by item: a higher bar is met no earlier."""
    found = replay(fitted, judge, [kind(threshold) for threshold in np.linspace(0, 1, 11)], prices=Prices(0.5))
    for lower, higher in pairwise(found.outcomes):
        assert (lower.cost <= higher.cost).all()


def test_a_policy_that_asks_whenever_another_does_ends_with_no_less(fitted: Model, judge: Coded) -> None:
    """The least sure task below the bar: so is the mean, where the surest is; item by item."""
    maximum, mean, minimum = (
        replay(fitted, judge, [kind(0.8)]).outcomes[0].bought for kind in (Maximum, Mean, Minimum)
    )
    assert (maximum <= mean).all()
    assert (mean <= minimum).all()


@pytest.mark.parametrize("policy", [kind(threshold) for kind in WHOLE for threshold in (0.4, 0.7, 0.95)])
def test_whole_items_are_the_same_from_the_states_after_each_label(policy: Policy, fitted: Model, judge: Coded) -> None:
    """Their tasks stop together, so every state has as many labels of every task."""
    steps = steps_of(fitted, judge, truth_of(judge), Prices(0.5))
    assert_same(
        replay_steps(steps, [policy]).outcomes[0], replay(fitted, judge, [policy], prices=Prices(0.5)).outcomes[0]
    )


def test_where_tasks_are_apart_all_policies_are_the_same_from_the_states_after_each_label(judge: Coded) -> None:
    """Votes on one task say nothing of another."""
    model = Majority(who="all").fit(judge)
    kinds = [policy for policy in MIXED if not policy.whole_item]
    one, other = replay_steps(steps_of(model, judge, truth_of(judge)), kinds), replay(model, judge, kinds)
    for first, second in zip(one.outcomes, other.outcomes, strict=True):
        assert_same(first, second)
    assert one.table().drop(["log_loss", "log_loss_se"]).equals(other.table().drop(["log_loss", "log_loss_se"]))


# ---- names, orders, prices ------------------------------------------------------------------------------------------
def test_names_of_items_and_annotators_mean_nothing(judge: Coded) -> None:
    """Relabeling only relabels the answer."""
    renamed = replace(judge, items=tuple(f"z{i}" for i in range(30)), annotators=tuple(f"w{a}" for a in range(50)))
    one, other = (replay(Majority().fit(each), each, MIXED, order="shuffled", seed=3) for each in (judge, renamed))
    assert one.table().equals(other.table())
    assert other.items == renamed.items


def test_the_order_of_items_means_nothing(fitted: Model, judge: Coded, mixed: Replayed) -> None:
    """Items in another order end as they did."""
    order = np.random.default_rng(0).permutation(judge.n_items)
    found = replay(fitted, judge.select(order), MIXED)
    for one, other in zip(found.outcomes, mixed.outcomes, strict=True):
        np.testing.assert_array_equal(one.bought, other.bought[order])


def test_shuffles_of_one_seed_are_the_same_and_of_another_are_not(fitted: Model, judge: Coded) -> None:
    """The seed decides in which order the labels of an item-task are bought."""
    first, again, other = (
        replay(fitted, judge, [PerTaskConfidence(0.7)], order="shuffled", seed=seed).outcomes[0] for seed in (1, 1, 2)
    )
    assert_same(first, again)
    assert (first.bought != other.bought).any()


def test_fixed_overlap_buys_as_many_labels_in_any_order(fitted: Model, judge: Coded) -> None:
    """It looks at their number only; a shuffle changes who is paid, not how many."""
    for order in ("arrival", "shuffled"):
        bought = replay(fitted, judge, [FixedOverlap(3)], order=order).outcomes[0].bought
        np.testing.assert_array_equal(bought, np.minimum(n_labels(judge), 3))


def test_prices_decide_what_labels_cost_and_not_which_are_bought(fitted: Model, judge: Coded, mixed: Replayed) -> None:
    """Twice the price, twice the cost; the price of nobody who was asked changes nothing."""
    dear = replay(fitted, judge, MIXED, prices=Prices(2.0))
    of_task = replay(fitted, judge, MIXED, prices=Prices(1.0, {"task-02": 4.0}))
    for one, twice, apart in zip(mixed.outcomes, dear.outcomes, of_task.outcomes, strict=True):
        np.testing.assert_array_equal(one.bought, twice.bought)
        np.testing.assert_allclose(twice.cost, 2.0 * one.cost, atol=1e-9)
        np.testing.assert_allclose(one.cost, one.bought, atol=1e-9)
        np.testing.assert_allclose(np.delete(apart.cost, 1, 1), np.delete(one.cost, 1, 1), atol=1e-9)
        np.testing.assert_allclose(apart.cost[:, 1], 4.0 * one.cost[:, 1], atol=1e-9)


# ---- folds ----------------------------------------------------------------------------------------------------------
def test_folds_are_replayed_each_under_its_own_model(ragged: Coded) -> None:
    """Items in the order of the data; whole-item policies as from the states of both folds."""
    folds = fitted_folds(ragged, Majority(who="all"), order="shuffled", seed=2)
    kinds = [*MIXED[:4], PerTaskConfidence(0.6)]
    found, steps = replay_folds(folds, kinds, Prices(0.1)), of_folds(folds, Prices(0.1))
    assert found.items == steps.items == ragged.items
    for one, other in zip(found.outcomes, replay_steps(steps, kinds).outcomes, strict=True):
        assert_same(one, other)
    np.testing.assert_allclose(found.full_cost, steps.cost[-1], atol=1e-9)
    np.testing.assert_array_equal(found.counted, steps.counted)


def test_policies_share_the_states_in_which_they_end(ragged: Coded) -> None:
    """Many thresholds need no more memory than their distinct ends."""
    folds = fitted_folds(ragged, Majority(who="all"))
    found = replay_folds(folds, [PerTaskConfidence(threshold) for threshold in np.linspace(0, 1, 50)])
    assert len({id(outcome.states) for outcome in found.outcomes}) == 1
    assert len(found.outcomes[0].states.bought) <= 50 * ragged.n_items


# ---- states ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_tasks", [1, 3, 80])
def test_states_are_told_apart_however_many_tasks_there_are(n_tasks: int) -> None:
    """Also where the counts of all tasks do not fit into one number."""
    rng = np.random.default_rng(n_tasks)
    bought = rng.integers(0, 3, (40, n_tasks)).astype(np.int16)[rng.integers(0, 40, 500)]
    asking = Asking(np.arange(500), rng.integers(0, 3, 500), bought)
    found = gathered(asking)
    rows = {(int(item), *row) for item, row in zip(asking.item, bought.tolist(), strict=True)}
    assert len(found.item) == len(rows)
    assert sorted(found.policy.tolist()) == list(range(500))
    for state in range(len(found.item)):
        inside = found.policy[found.start[state] : found.start[state + 1]]
        assert len(inside)
        assert (bought[inside] == found.bought[state]).all()
        assert (asking.item[inside] == found.item[state]).all()


def test_the_first_labels_of_every_cell_in_order_of_arrival() -> None:
    """As many as asked for, cell by cell."""
    few = with_labels(HAND, np.array([[1, 3], [3, 0], [0, 0]], np.int16))
    assert few.counts(0).tolist() == [[1, 0], [1, 2], [0, 0]]
    assert few.counts(1).tolist() == [[1, 2], [0, 0], [0, 0]]


# ---- errors and progress --------------------------------------------------------------------------------------------
def test_no_policy_is_an_empty_table(fitted: Model, judge: Coded) -> None:
    """Nothing asked, nothing told."""
    assert replay(fitted, judge, []).table().num_rows == 0


def test_a_threshold_of_an_unknown_task_is_refused(fitted: Model, judge: Coded) -> None:
    """By name, before any work."""
    with pytest.raises(SchemaError, match="'nowhere'"):
        replay(fitted, judge, [PerTaskConfidence(0.8, {"nowhere": 0.9})])


def test_no_item_is_one_clear_error(fitted: Model, judge: Coded) -> None:
    """There is nothing to replay."""
    with pytest.raises(DataError, match="no item"):
        replay(fitted, judge.select(np.zeros(0, np.int64)), [Minimum(0.5)])


def test_progress_runs_from_start_to_end(fitted: Model, judge: Coded) -> None:
    """Shares never fall, and stay between 0 and 1."""
    shares: list[float] = []
    replay(fitted, judge, MIXED, progress=lambda share, _what: shares.append(share))
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_every_kind_of_policy_was_replayed() -> None:
    """The table of policies and the list above know the same kinds."""
    kinds: Sequence[type[Policy]] = [type(policy) for policy in MIXED]
    assert set(kinds) == set(POLICIES.values())
