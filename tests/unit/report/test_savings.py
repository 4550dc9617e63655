"""What stopping early saves, and what is said of it."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from quorate.consensus.registry import estimator
from quorate.data.dataset import Dataset
from quorate.measure.efficiency import Estimate
from quorate.measure.intervals import Interval
from quorate.policy.steps import Fold, fitted_folds
from quorate.report.absent import Absent
from quorate.report.savings import CHOSEN, OVERLAP, TODAY, Savings, agreement, savings, swept, vote_folds
from quorate.report.sentences import compared, headline, share_at
from quorate.report.words import money, percent
from unit.report import hostile

PRICE = 0.5
UNSURE = (0.7, 0.7, 0.65, 0.6)  # people who together are not right enough


@pytest.fixture(scope="module")
def folds() -> tuple[Fold, Fold]:
    """Forty items, two tasks, four people, three models."""
    return fitted_folds(hostile.dataset(), estimator("dawid-skene"), order="shuffled")


@pytest.fixture(scope="module")
def saved(folds: tuple[Fold, Fold]) -> Savings:
    """The savings of these folds at a floor of 90 %."""
    return savings(folds, vote_folds(folds), hostile.dataset().encode(), 0.9, PRICE)


def test_curves_run_from_nothing_to_everything(saved: Savings) -> None:
    """Every family starts at no label, and those that can end at all of them are as right as all labels are."""
    for family in saved.families:
        assert family.share[0] == 0.0 or family.name == "majority-agreement"  # which begins with two people
        assert (np.diff(family.share) >= -1e-12).all()
    by_name = {family.name: family for family in saved.families}
    assert by_name[OVERLAP].share[-1] == 1.0
    assert by_name[OVERLAP].accuracy[-1] == pytest.approx(saved.all.value)
    assert by_name[CHOSEN].accuracy[0] == pytest.approx(saved.none.value)


def test_the_choice_lies_on_its_curve_and_keeps_the_floor(saved: Savings) -> None:
    """Money, accuracy and threshold belong to one policy; its interval holds it."""
    chosen = next(family for family in saved.families if family.name == CHOSEN)
    stop = saved.stop
    assert chosen.threshold[stop.rung] == stop.threshold
    assert chosen.share[stop.rung] == stop.share.estimate
    assert stop.accuracy.value >= saved.goal - 1e-9
    assert stop.share.low <= stop.share.estimate <= stop.share.high
    assert share_at(saved, stop.threshold) == stop.share.estimate


def test_costs_are_labels_times_price(saved: Savings) -> None:
    """Forty items, two tasks, four labels each."""
    assert saved.labels == 320
    assert saved.cost == 160.0


def test_tasks_add_up_to_the_whole(saved: Savings) -> None:
    """Bought labels over the tasks are the labels bought."""
    bought = sum(row.share * row.labels for row in saved.tasks)
    assert bought / saved.labels == pytest.approx(saved.stop.share.estimate)
    assert [row.task for row in saved.tasks] == ["safe", "kind"]


def test_a_floor_that_nothing_reaches_asks_for_nearly_all_labels_quality(folds: tuple[Fold, Fold]) -> None:
    """With gold and a floor beyond four people: the goal is a point below all labels, and the headline says so."""
    golden = fitted_folds(hostile.dataset(gold=True, skill=UNSURE), estimator("dawid-skene"), order="shuffled")
    found = savings(golden, vote_folds(golden), hostile.dataset(gold=True, skill=UNSURE).encode(), 0.999, PRICE)
    assert not found.reached
    assert found.goal == pytest.approx(found.all.value - 0.01)
    assert headline(found).startswith("No threshold reaches a floor of")
    assert swept(folds)[CHOSEN][-1].to_json() == '{"policy": "per-task-confidence", "threshold": 1.0}'


def test_one_task_needs_no_policies_of_whole_items() -> None:
    """They would be the same line nine times."""
    labels = hostile.dataset().labels
    folds = fitted_folds(Dataset(labels=labels.filter(pc.equal(labels["task"], "safe"))), estimator("majority"))
    assert set(swept(folds)) == {CHOSEN, "per-task-entropy", OVERLAP, "majority-agreement"}


def test_the_headline_says_share_and_money(saved: Savings) -> None:
    """Computed, in one sentence; its extremes read as such."""
    share = saved.stop.share.estimate
    assert headline(saved) == (
        f"At a floor of {percent(0.9)} you need {percent(share)} of the labels: {money(share * 160)} instead of $160."
    )
    assert "need all of the labels: $160." in headline(_at(saved, 1.0))
    assert "hardly any label" in headline(_at(saved, 0.001))
    assert headline(Absent("No people.")) == "What was saved cannot be told."


def test_what_other_choices_cost_names_a_cheaper_one_where_there_is_one(saved: Savings) -> None:
    """Only beyond the interval of the choice itself."""
    assert compared(_at(saved, 1.0)).startswith("As right for less")
    assert compared(_at(saved, 0.0)).startswith("No other policy is clearly cheaper")


def test_votes_alone_begin_with_a_guess(saved: Savings) -> None:
    """No model speaks in them."""
    votes = next(family for family in saved.families if family.name == TODAY)
    assert votes.accuracy[0] <= saved.none.value
    assert saved.votes == Estimate(votes.accuracy[-1], votes.accuracy_se[-1])


def test_agreement_is_the_share_of_like_pairs() -> None:
    """Of three labels with one different, one pair of three."""
    assert agreement(np.array([[2, 1]])) == pytest.approx(1 / 3)
    assert agreement(np.array([[1, 0]])) is None


def _at(saved: Savings, share: float) -> Savings:
    return saved._replace(stop=saved.stop._replace(share=Interval(share, share, share, 0.0)))
