"""Whether confidences mean what they say, and what is proven."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus.registry import estimator
from quorate.errors import DataError
from quorate.policy.steps import Steps, fitted_folds
from quorate.report.trust import proof, trust, verdict
from quorate.schema import Schema, Task
from unit.report import hostile


def states(n_items: int = 4_000, n_steps: int = 4, seed: int = 0) -> Steps:
    """Confidences that are right exactly as often as they say; with all labels everything is certain."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.5, 1.0, (n_steps, n_items, 1))
    credit = (rng.random(sure.shape) < sure).astype(float)
    sure[-1] = credit[-1] = 1.0
    most = np.full((n_items, 1), n_steps - 1)
    zeros = np.zeros_like(sure)
    return Steps(
        schema=Schema((Task("t", ("a", "b")),)),
        items=tuple(map(str, range(n_items))),
        confidence=sure,
        entropy=zeros,
        joint=sure[:, :, 0],
        largest=zeros.astype(np.int16),
        credit=credit,
        loss=zeros,
        n_labels=most,
        cost=np.cumsum(np.ones_like(sure), axis=0) - 1,
        counted=np.ones((n_items, 1), bool),
        kind=("panel",),
    )


def test_calibrated_confidences_lie_inside_their_intervals() -> None:
    """Of all bins, no more than four standard errors beyond 5 % miss."""
    found = trust(states())
    bins = [series.bins for series in found.series]
    missed = np.concatenate([(b.confidence < b.right.low) | (b.confidence > b.right.high) for b in bins])
    assert missed.mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(missed))
    assert [series.labels for series in found.series] == [0, 1, 2]


def test_the_last_state_is_not_counted() -> None:
    """With all labels a panel is certain: that would flatter."""
    assert all(series.n == 4_000 and series.bins.n.sum() == 4_000 for series in trust(states()).series)
    assert len(trust(states(n_steps=2)).series) == 1


def test_too_few_answers_are_no_diagram() -> None:
    """A reason instead."""
    with pytest.raises(DataError, match="fewer than 50"):
        trust(states(n_items=20))


def test_the_verdict_tells_how_often_sure_answers_are_right() -> None:
    """In words, with the interval and the number."""
    said = verdict(trust(states()))
    assert said.startswith("Answers that were 90\xa0% sure or more were right before any label in 9")
    assert "answers)" in said


def test_the_certificate_is_of_items_that_did_not_teach() -> None:
    """It checks that itself; its thresholds do not come from the items it tests."""
    folds = fitted_folds(hostile.dataset(), estimator("dawid-skene"), order="shuffled")
    found = proof(folds, 0.5, 0.1).certificate
    assert found.fit_checked
    assert found.target == "the majority of all people asked"
    assert found.n_items <= 20
    assert not set(folds[0].judge.items) & set(folds[1].judge.items)


def test_a_floor_that_is_not_proven_says_what_it_would_take() -> None:
    """Validation answers, where the surest are right often enough; else nothing is promised."""
    folds = fitted_folds(hostile.dataset(gold=True), estimator("dawid-skene"), order="shuffled")
    found = proof(folds, 0.99, 0.05)
    assert found.certificate.threshold is None
    assert found.needed is None or found.needed > found.certificate.n
    assert not proof(folds[:1], 0.99, 0.05).certificate.fit_checked
