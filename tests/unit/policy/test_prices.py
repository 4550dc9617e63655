"""Laws of prices: who decides the price of a label, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.policy.prices import Prices
from unit.consensus.build import coded_from

ROWS = [
    ("i", "safe", "ann", "y"), ("i", "safe", "bo", "n"), ("i", "tone", "ann", "y"),
    ("j", "tone", "bo", "n"), ("j", "tone", "cy", "n"),
]  # fmt: skip
CODED = coded_from(ROWS, {"safe": ("y", "n"), "tone": ("y", "n")})


def test_every_label_costs_the_same_unless_told_otherwise() -> None:
    """One price for all; 1 by default, so that cost counts labels."""
    assert Prices().of_labels(CODED).tolist() == [1.0] * 5
    assert Prices(0.08).of_labels(CODED).tolist() == [0.08] * 5


def test_an_annotators_price_goes_before_a_tasks_and_that_before_the_price_of_a_label() -> None:
    """Label by label: ann by name, bo and cy by the task, or at the common price."""
    found = Prices(1.0, of_task={"tone": 2.0}, of_annotator={"ann": 5.0}).of_labels(CODED)
    assert found.tolist() == [5.0, 1.0, 5.0, 2.0, 2.0]


def test_a_price_of_nothing_is_a_price() -> None:
    """Zero is not unknown."""
    assert Prices(1.0, of_annotator={"bo": 0.0}).of_labels(CODED).tolist() == [1.0, 0.0, 1.0, 0.0, 1.0]


def test_an_annotator_whom_the_model_never_saw_costs_what_the_task_does() -> None:
    """In a model's vocabulary a stranger has code -1, which is nobody's price."""
    known = CODED.aligned(CODED.schema, ("ann", "bo"), ())
    assert Prices(1.0, of_task={"tone": 3.0}, of_annotator={"bo": 7.0}).of_labels(known).tolist() == [1, 7, 3, 7, 3]


@pytest.mark.parametrize("price", [-0.01, float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["label", "task", "annotator"])
def test_a_price_that_is_none_is_refused_by_name(where: str, price: float) -> None:
    """Negative, NaN, infinite."""
    settings = {"label": price} if where == "label" else {f"of_{where}": {"x": price}}
    with pytest.raises(SettingError, match=r"the price of (a label|task 'x'|annotator 'x') is a number of 0 or more"):
        Prices(**settings)


@pytest.mark.parametrize("kind", ["task", "annotator"])
def test_a_price_for_somebody_unknown_is_refused(kind: str) -> None:
    """A misspelled name would be passed over without a word."""
    prices = Prices(**{f"of_{kind}": {"anne": 2.0}})
    with pytest.raises(SettingError, match=rf"{kind} 'anne', which the data does not have; it has '(safe|ann)'"):
        prices.of_labels(CODED)


def test_prices_follow_the_order_of_labels_within_a_selection() -> None:
    """Items taken in another order bring their prices along."""
    prices = Prices(1.0, of_annotator={"cy": 4.0})
    assert prices.of_labels(CODED.select(np.array([1, 0]))).tolist() == [1.0, 4.0, 1.0, 1.0, 1.0]


def test_first_labels_cost_what_they_cost_one_by_one() -> None:
    """In order of arrival; an item-task with fewer labels stays at the price of all."""
    found = Prices(1.0, of_annotator={"ann": 5.0}).of_first_labels(CODED)
    assert found.tolist() == [[[0, 0], [0, 0]], [[5, 5], [0, 1]], [[6, 5], [0, 2]]]


def test_sums_of_odd_prices_do_not_drift() -> None:
    """A label more in another item changes no other sum, not even in the last digit."""
    rows = [(f"i{n}", "safe", person, "y") for n in range(200) for person in ("ann", "bo")]
    found = Prices(0.07).of_first_labels(coded_from(rows, {"safe": ("y", "n")}))
    assert set(found[1].ravel()) == {0.07}
    assert set(found[2].ravel()) == {0.14}
