"""Laws of the stopping policies: who asks more than whom, what thresholds do, what the limits are, JSON and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from jaxtyping import Float64

from quorate.consensus.posterior import Belief, Consensus, IndependentBelief, PeopleRows, Target
from quorate.errors import SchemaError, SettingError
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
    policy,
    policy_from_json,
)
from quorate.schema import Schema, Task

Array = np.ndarray
CLASSES = (2, 3, 4)
SCHEMA = Schema(tuple(Task(f"t{k}", tuple("abcd"[:k])) for k in CLASSES))
THRESHOLDS = np.linspace(0.0, 1.0, 21)
CONFIDENT: dict[str, type] = {
    name: POLICIES[name] for name in ("minimum", "mean", "maximum", "joint", "product", "per-task-confidence")
}
SOME = (
    Minimum(0.9), Mean(0.8), Maximum(0.99), Joint(0.7), Product(0.5), PerTaskConfidence(0.9, {"t2": 0.95}),
    PerTaskEntropy(0.3, {"t3": 0.5}), FixedOverlap(3, {"t4": 1}), MajorityAgreement(0.75, 2, 4),
)  # fmt: skip


@dataclass(frozen=True)
class Coupled(Belief):
    """A mixture over points at which tasks are independent: tasks hang together through the weights."""

    weights: Float64[Array, "items points"]
    shares: tuple[Float64[Array, "points _classes"], ...]

    def marginal(self, task: int) -> Float64[Array, "items latent"]:
        """The mean over points."""
        return self.weights @ self.shares[task]

    def expect(self, events: Sequence[Float64[Array, "items _latent"]]) -> Float64[Array, "items"]:
        """The mean over points of the product over tasks."""
        parts = [event @ shares.T for event, shares in zip(events, self.shares, strict=True)]
        return (self.weights * np.prod(parts, axis=0)).sum(axis=1)


def consensus(seed: int, n_items: int = 200, *, coupled: bool = True) -> Consensus:
    """Random beliefs from sure to unsure, with up to six labels per item and task."""
    rng = np.random.default_rng(seed)
    shares = tuple(rng.dirichlet(np.full(k, 0.3), 8) for k in CLASSES)
    belief: Belief = Coupled(rng.dirichlet(np.full(8, 0.3), n_items), shares)
    if not coupled:
        belief = IndependentBelief(tuple(belief.marginal(t) for t in range(len(CLASSES))))
    return Consensus(
        schema=SCHEMA,
        items=tuple(f"i{i}" for i in range(n_items)),
        counts=tuple(rng.integers(0, 3, (n_items, k)).astype(np.int32) for k in CLASSES),
        belief=belief,
        people=tuple(PeopleRows(np.eye(k), None, None) for k in CLASSES),
        targets=(Target("latent"),) * len(CLASSES),
    )


def asks_no_less(first: Policy, second: Policy, of: Consensus) -> bool:
    """Wherever the second asks, the first does."""
    return bool((first.needs(of) | ~second.needs(of)).all())


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_minimum_asks_no_less_than_mean_and_mean_no_less_than_maximum(threshold: float) -> None:
    """Min C <= mean C <= max C, so at one threshold the stricter statistic asks at least where the other does."""
    of = consensus(1)
    assert asks_no_less(Minimum(threshold), Mean(threshold), of)
    assert asks_no_less(Mean(threshold), Maximum(threshold), of)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("kind", [Joint, Product])
def test_all_tasks_right_is_asked_for_no_less_than_the_least_sure_one(kind: type, threshold: float) -> None:
    """P(all right) <= min C, in the joint posterior as in the product."""
    assert asks_no_less(kind(threshold), Minimum(threshold), consensus(2))


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_minimum_asks_for_an_item_if_per_task_confidence_asks_for_any_of_its_tasks(threshold: float) -> None:
    """And maximum only if it asks for all of them: the whole-item policies are its any and its all."""
    of = consensus(3)
    single = PerTaskConfidence(threshold).needs(of)
    assert np.array_equal(Minimum(threshold).needs(of)[:, 0], single.any(axis=1))
    assert np.array_equal(Maximum(threshold).needs(of)[:, 0], single.all(axis=1))


def test_joint_is_product_where_tasks_are_independent_and_differs_where_not() -> None:
    """P(all right) = prod C exactly if the tasks are independent given the data."""
    apart, together = consensus(4, coupled=False), consensus(4)
    np.testing.assert_allclose(Joint(0.5).of_items(apart), Product(0.5).of_items(apart), rtol=1e-12)
    assert np.abs(Joint(0.5).of_items(together) - Product(0.5).of_items(together)).max() > 0.01


@pytest.mark.parametrize("kind", CONFIDENT.values(), ids=CONFIDENT)
def test_a_higher_confidence_threshold_never_asks_for_less(kind: type) -> None:
    """What needs a label at one threshold needs it at every higher one."""
    of = consensus(5)
    assert all(asks_no_less(kind(high), kind(low), of) for low, high in pairwise(THRESHOLDS))


def test_a_lower_entropy_threshold_never_asks_for_less() -> None:
    """The entropy has to come down to the threshold."""
    of, thresholds = consensus(5), np.linspace(0.0, 1.5, 16)
    for low, high in pairwise(thresholds):
        assert asks_no_less(PerTaskEntropy(low), PerTaskEntropy(high), of)


@pytest.mark.parametrize("labels", range(6))
def test_more_overlap_and_more_agreement_never_ask_for_less(labels: int) -> None:
    """Also without a model."""
    of = consensus(6)
    assert asks_no_less(FixedOverlap(labels + 1), FixedOverlap(labels), of)
    assert asks_no_less(MajorityAgreement((labels + 1) / 6), MajorityAgreement(labels / 6), of)


@pytest.mark.parametrize("kind", CONFIDENT.values(), ids=CONFIDENT)
def test_at_zero_nothing_is_asked_and_at_one_all_that_is_not_certain(kind: type) -> None:
    """The limits of a confidence threshold."""
    of = consensus(7)
    assert not kind(0.0).needs(of).any()
    assert kind(1.0).needs(of).all()
    assert not kind(1.0).needs(certain(of)).any()


def certain(of: Consensus) -> Consensus:
    """The same items with no doubt left."""
    sure = tuple(np.eye(k)[np.zeros(len(of.items), int)] for k in CLASSES)
    return replace(of, belief=IndependentBelief(sure))


def test_at_the_largest_entropy_nothing_is_asked_and_at_zero_all_that_is_not_certain() -> None:
    """Log K is the most that K classes can have."""
    of = consensus(7)
    assert not PerTaskEntropy(float(np.log(max(CLASSES)))).needs(of).any()
    assert PerTaskEntropy(0.0).needs(of).all()
    assert not PerTaskEntropy(0.0).needs(certain(of)).any()


def test_agreement_asks_the_fewest_always_and_more_than_the_most_never() -> None:
    """Between the two it counts: 2 of 3 is not three quarters, 3 of 4 is."""
    counts = np.array([[0, 0], [1, 0], [2, 0], [2, 1], [3, 1], [2, 2], [3, 2], [4, 2]], np.int32)
    schema = Schema((Task("t", ("a", "b")),))
    of = Consensus(
        schema,
        tuple("abcdefgh"),
        (counts,),
        IndependentBelief((np.full((8, 2), 0.5),)),
        (PeopleRows(np.eye(2), None, None),),
        (Target("latent"),),
    )
    asked = MajorityAgreement(0.75, fewest=2, most=5).needs(of)[:, 0]
    assert asked.tolist() == [True, True, False, True, False, True, False, False]


def test_a_threshold_of_one_task_moves_that_task_alone() -> None:
    """And one of a task that does not exist is an error, not silence."""
    of = consensus(8)
    plain, own = PerTaskConfidence(0.8).needs(of), PerTaskConfidence(0.8, {"t3": 0.0}).needs(of)
    assert np.array_equal(plain[:, [0, 2]], own[:, [0, 2]])
    assert not own[:, 1].any()
    with pytest.raises(SchemaError, match="no task 'tone'"):
        PerTaskConfidence(0.8, {"tone": 0.9}).needs(of)


def test_rounding_in_the_last_bit_decides_nothing() -> None:
    """A confidence of 0.7, however it was added up, reaches a threshold of 0.7, however that was added up."""
    up, down = 0.1 + 0.6, 0.8 - 0.1
    assert up != down
    of = consensus(9, 1)
    for says, wanted in ((up, down), (down, up)):
        sure = tuple(np.array([[says, *[(1 - says) / (k - 1)] * (k - 1)]]) for k in CLASSES)
        assert not Mean(wanted).needs(replace(of, belief=IndependentBelief(sure))).any()


@pytest.mark.parametrize("kind", SOME, ids=lambda kind: kind.name)
def test_relabeling_items_only_relabels_the_answer(kind: Policy) -> None:
    """What an item needs hangs on that item alone."""
    of = consensus(10)
    order = np.random.default_rng(0).permutation(len(of.items))
    assert isinstance(of.belief, Coupled)
    moved = replace(
        of,
        items=tuple(of.items[i] for i in order),
        counts=tuple(counts[order] for counts in of.counts),
        belief=Coupled(of.belief.weights[order], of.belief.shares),
    )
    assert np.array_equal(kind.needs(moved), kind.needs(of)[order])


@pytest.mark.parametrize("kind", SOME, ids=lambda kind: kind.name)
def test_json_and_back_is_the_same_policy(kind: Policy) -> None:
    """Equal, and asking for the same."""
    back = policy_from_json(kind.to_json())
    assert back == kind
    assert type(back) is type(kind)
    assert np.array_equal(back.needs(consensus(11)), kind.needs(consensus(11)))
    assert json.loads(kind.to_json())["policy"] == kind.name


def test_every_policy_stands_in_the_table_and_is_tested_here() -> None:
    """A new policy must come into these laws."""
    assert {kind.name for kind in SOME} == set(POLICIES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "a policy is a JSON object"),
        ("[1]", "a policy is a JSON object"),
        ('{"policy": "patience"}', "there is no policy 'patience'"),
        ('{"policy": "minimum"}', "threshold"),
        ('{"policy": "minimum", "threshold": 1.5}', "between 0 and 1"),
        ('{"policy": "minimum", "threshold": "high"}', "minimum"),
        ('{"policy": "per-task-entropy", "threshold": -1}', "0 or more"),
        ('{"policy": "per-task-confidence", "threshold": 0.9, "of_task": [1]}', "per-task-confidence"),
        ('{"policy": "fixed-overlap", "labels": 2.5}', "whole number"),
        ('{"policy": "majority-agreement", "share": 0.7, "fewest": 3, "most": 2}', "3 or more"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_fault(text: str, says: str) -> None:
    """One error that names what is wrong."""
    with pytest.raises(SettingError, match=says):
        policy_from_json(text)


def test_not_a_number_is_no_threshold() -> None:
    """NaN compares false with everything: it would ask for nothing, silently."""
    with pytest.raises(SettingError):
        policy("minimum", threshold=float("nan"))


def test_an_empty_batch_and_an_empty_schema_are_fine() -> None:
    """No items, or no tasks: nothing is needed."""
    empty = Consensus(Schema(()), ("a", "b"), (), IndependentBelief(()), (), ())
    for kind in (Minimum(0.9), Mean(0.9), Maximum(0.9), Product(0.9), PerTaskConfidence(0.9), FixedOverlap(2)):
        assert kind.needs(empty).shape == (2, 0)
        assert kind.needs(consensus(1, 0)).shape == (0, 3)
