"""Who is better than whom: computed sentences say what the figures say."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.evaluate.protocol import clustered_mean
from quorate.measure.efficiency import Estimate
from quorate.study.front import front
from quorate.study.order import bands, clear, gap, order_found, over_seeds, paper_order, ranked, to_best
from quorate.study.recorded_page import _clustered, mean_ranks, ranks

AUCS = {"majority-all": [0.70, 0.72], "calco": [0.90, 0.93], "haic": [0.86, 0.88], "dawid-skene": [0.80, 0.84]}


def test_the_papers_order_holds_where_it_does() -> None:
    """Every neighbouring pair with its difference."""
    said = paper_order(AUCS, "here")
    assert said.startswith("The paper's order calco > haic > dawid-skene > majority-all holds here: ")
    assert "calco is above haic by .0450 ± .0050" in said


def test_where_the_order_is_broken_the_pair_and_its_difference_are_named() -> None:
    """And the pairs that hold are not."""
    said = paper_order({**AUCS, "haic": [0.92, 0.94]}, "here")
    assert "does not hold here: calco is below haic by .0150 ± .0050" in said
    assert "dawid-skene is above" not in said


def test_what_is_missing_is_said_and_the_rest_is_judged() -> None:
    """An estimator without its extra must not hide the others."""
    rest = {name: values for name, values in AUCS.items() if name != "calco"}
    assert paper_order(rest, "here").startswith(
        "The paper's order haic > dawid-skene > majority-all holds here (calco missing): "
    )
    assert "cannot be checked" in paper_order({"hybrid": [0.9]}, "here")


def test_a_difference_within_the_error_is_called_so() -> None:
    """Two seeds that disagree tell nothing; one seed has no error to judge by."""
    wild = {"calco": [0.90, 0.80], "haic": [0.80, 0.88]}
    assert clear(wild, "calco", "haic") is False
    assert "which the error over seeds could explain" in paper_order(wild, "here")
    assert clear({"calco": [0.9], "haic": [0.8]}, "calco", "haic") is None


def test_the_best_stands_first_and_has_no_difference_to_itself() -> None:
    """Best to worst, up or down."""
    assert ranked(AUCS) == ["calco", "haic", "dawid-skene", "majority-all"]
    assert ranked(AUCS, most=False)[0] == "majority-all"
    assert to_best(AUCS)["calco"] is None
    assert to_best(AUCS)["haic"] == gap(AUCS, "haic", "calco")
    assert order_found(AUCS, "AUC").startswith("AUC, best to worst: calco .915 ± .015, haic .870 ± .010, ")


def test_the_error_over_seeds_is_the_standard_error_of_the_mean() -> None:
    """Sd / sqrt(n)."""
    values = np.random.default_rng(0).normal(size=7)
    assert over_seeds(values.tolist()).se == pytest.approx(values.std(ddof=1) / np.sqrt(7))


def test_what_all_curves_share_widens_no_band() -> None:
    """A hard world is hard for everybody."""
    curves = np.random.default_rng(0).normal(size=(3, 5, 4))
    plain = bands({name: of.tolist() for name, of in zip("abc", curves, strict=True)})
    moved = bands({name: (of + np.arange(5)[:, None]).tolist() for name, of in zip("abc", curves, strict=True)})
    for name in "abc":
        np.testing.assert_allclose(plain[name].se, moved[name].se)


def test_a_policy_that_is_never_clearly_worse_is_on_the_whole_front() -> None:
    """Two that cross share it; one below both is never on it."""
    up, down = np.linspace(0.9, 0.7, 101), np.linspace(0.8, 0.75, 101)
    shares = front({
        "a": [{"accuracy": up.tolist()}],
        "b": [{"accuracy": down.tolist()}],
        "c": [{"accuracy": (down - 0.1).tolist()}],
    })  # fmt: skip
    assert shares["a"] + shares["b"] == pytest.approx(1.0, abs=1 / 91)
    assert 0 < shares["b"] < shares["a"]
    assert shares["c"] == 0.0


def test_ties_share_their_rank_and_ranks_add_up() -> None:
    """1 + 2 + ... + n, whatever ties."""
    row = {"a": Estimate(0.5, None), "b": Estimate(0.5, None), "c": Estimate(0.1, None)}
    assert ranks(row, most=False) == {"a": 2.5, "b": 2.5, "c": 1.0}
    assert sum(ranks(row, most=True).values()) == 6
    assert mean_ranks({"one": row, "two": {"a": Estimate(0.1, None)}}, most=False)["c"] == 1.0


def test_sums_by_item_are_enough_for_the_clustered_error() -> None:
    """The same figure and error as from every label."""
    rng = np.random.default_rng(3)
    item, loss = np.sort(rng.integers(0, 20, 90)), rng.normal(size=90)
    place = np.unique(item, return_inverse=True)[1]
    found = _clustered(np.bincount(place, loss), np.bincount(place).astype(float))
    whole = clustered_mean(loss, item)
    assert found.value == pytest.approx(whole.value)
    assert found.se == pytest.approx(whole.se)
