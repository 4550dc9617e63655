"""A policy replayed as it would go, against cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus.majority import Majority
from quorate.evaluate.protocol import Truth, n_labels
from quorate.measure.efficiency import curve
from quorate.policy.stopping import FixedOverlap, MajorityAgreement, Mean, Minimum, PerTaskConfidence, Policy
from quorate.study.asking import asked, with_labels
from quorate.study.campaign import campaign, curves_of, model_steps, watched
from unit.consensus.build import coded_from

ROWS = (
    [("i", "t", person, label) for person, label in zip("pqrs", "aaab", strict=True)]
    + [("j", "t", person, label) for person, label in zip("pqrs", "abbb", strict=True)]
    + [("k", "t", "p", "b")]
)
CODED = coded_from(ROWS, {"t": ("a", "b")})
TRUTH = Truth(np.array([[0], [1], [0]], np.int16), ("latent",))


def test_agreement_of_two_of_two_by_hand() -> None:
    """I stops at a, a; j sees a, b and goes on: a b b is two thirds, a b b b three quarters; k has one label only."""
    found = asked(Majority().fit(CODED), CODED, TRUTH, MajorityAgreement(0.75, fewest=2, most=9))
    assert found.bought.tolist() == [[2], [4], [1]]
    assert found.credit.tolist() == [[1.0], [1.0], [0.0]]
    assert found.efficiency(n_labels(CODED)) == pytest.approx(1 - 7 / 9)


@pytest.mark.parametrize("labels", range(6))
def test_fixed_overlap_buys_so_many_or_all_there_are(labels: int) -> None:
    """Item by item."""
    found = asked(Majority().fit(CODED), CODED, TRUTH, FixedOverlap(labels))
    assert found.bought.tolist() == [[min(labels, 4)], [min(labels, 4)], [min(labels, 1)]]


def test_the_first_labels_of_every_cell_in_order_of_arrival() -> None:
    """As many as asked for, cell by cell."""
    few = with_labels(CODED, np.array([[1], [3], [0]]))
    assert few.counts(0).tolist() == [[1, 0], [1, 2], [0, 0]]


@pytest.fixture(scope="module")
def world():
    """A campaign of three tasks, and the consensus of votes on it."""
    of = campaign(3, 80, 5)
    return of, Majority(who="all").fit(of.teach)


@pytest.mark.parametrize("threshold", [0.0, 0.45, 0.62, 0.8, 1.0])
@pytest.mark.parametrize("kind", [Minimum, Mean])
def test_a_whole_item_policy_as_it_goes_is_a_point_of_the_protocols_curve(kind: type, threshold: float, world) -> None:
    """Its tasks stop together, so every state has as many labels of every task, as the protocol's have."""
    of, model = world
    policy: Policy = kind(threshold)
    steps = watched(model_steps(model, of), of, [policy])
    accuracy, log_loss = curves_of(steps, policy)
    found = asked(model, of.judge, of.truth, policy)
    saved = found.efficiency(steps.n_labels)
    place = int(np.abs(accuracy.efficiency - saved).argmin())
    assert saved == pytest.approx(accuracy.efficiency[place], abs=1e-12)
    assert found.credit.mean() == pytest.approx(accuracy.accuracy[place], abs=1e-12)
    assert found.loss.mean() == pytest.approx(log_loss.accuracy[place], abs=1e-12)


def test_where_tasks_are_apart_per_task_confidence_as_it_goes_is_the_protocols_too(world) -> None:
    """Votes on one task say nothing of another, so labels that nobody bought change nothing."""
    of, model = world
    policy = PerTaskConfidence(0.7)
    steps = watched(model_steps(model, of), of, [policy])
    whole = curve(steps.sureness[policy.name], steps.credit, steps.n_labels)
    found = asked(model, of.judge, of.truth, policy)
    place = int(np.abs(whole.efficiency - found.efficiency(steps.n_labels)).argmin())
    assert found.efficiency(steps.n_labels) == pytest.approx(whole.efficiency[place], abs=1e-12)
    assert found.credit.mean() == pytest.approx(whole.accuracy[place], abs=1e-12)
