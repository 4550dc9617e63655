"""The table in the form of the source's table 3, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from quorate.cascade.fit import Options, fit
from quorate.cascade.table import CASCADE, MAJORITY, WEIGHTED, answered_by, cross_judged, judged
from unit.cascade.simulated import said


@pytest.mark.parametrize("positive", [None, 1])
def test_figures_are_scikit_learn_s(positive: int | None) -> None:
    """F1, precision and recall, averaged over classes or of one."""
    cascade, judge = fit(said(600, seed=0), Options(budget=4.0)).cascade, said(500, seed=1)
    answered, _ = answered_by(cascade, judge)
    rows = {row.name: row for row in judged(cascade, judge, positive=positive, resamples=20).rows}
    for name in ("m0 alone", MAJORITY, WEIGHTED, CASCADE):
        how = {"average": "macro"} if positive is None else {"labels": [positive], "average": "macro"}
        wanted = precision_recall_fscore_support(judge.truth, answered[name].label, **how)[:3]
        found = [rows[name].of[each] for each in ("precision", "recall", "f1")]
        assert [each.estimate for each in found if each] == pytest.approx(wanted)
        relative = rows[name].relative["cost"]
        assert relative is not None
        assert relative.estimate == pytest.approx(answered[name].cost.mean() / 1.0)


def test_intervals_hold_their_estimate_and_the_reference_is_one() -> None:
    """The cheapest agent relative to itself, without any spread."""
    found = cross_judged(said(500, seed=2), Options(budget=4.0), n_folds=3, resamples=100)
    assert found.n_items == 500
    for row in found.rows:
        for each in (*row.of.values(), *row.relative.values()):
            assert each is not None
            assert each.low <= each.estimate <= each.high
    first = found.rows[0]
    assert first.name == "m0 alone"
    assert {(each.low, each.high) for each in first.relative.values() if each} == {(1.0, 1.0)}
    costs = {row.name: row.of["cost"].estimate for row in found.rows if row.of["cost"]}
    assert costs[CASCADE] == pytest.approx(
        sum(share * price for share, price in zip(found.called.values(), (1.0, 3.0, 9.0), strict=True))
    )


def test_every_item_is_judged_once() -> None:
    """Whatever the folds."""
    assert cross_judged(said(203, seed=3), Options(budget=4.0), n_folds=4, resamples=10).n_items == 203


def test_free_agents_have_no_relative_cost() -> None:
    """A ratio to nothing is unknown, not infinite."""
    answers = said(300, seed=4, prices=(0.0, 0.0, 0.0))
    found = judged(fit(answers, Options(cost_weight=0.0)).cascade, answers, resamples=10)
    assert {row.relative["cost"] for row in found.rows} == {None}
    assert np.isfinite(found.rows[0].of["accuracy"].estimate if found.rows[0].of["accuracy"] else 0)
