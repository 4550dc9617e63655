"""Laws of a comparison: names decide nothing, everybody is judged alike, what cannot be told is absent."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from quorate.consensus.dawid_skene import DawidSkene
from quorate.consensus.majority import Majority
from quorate.data.dataset import Dataset
from quorate.errors import DataError, SettingError
from quorate.evaluate.compare import compare
from quorate.simulate.world import Setting, shared_components, simulate

SETTING = Setting(
    classes=(2, 3), task_correlation=shared_components((2, 3), 0.5), n_annotators=9, labels_per_item=(2, 5)
)


@pytest.fixture(scope="module")
def made():
    """A small world of two tasks."""
    return simulate(SETTING, 120, seed=1)


@pytest.fixture(scope="module")
def result(made):
    """Both majorities and Dawid-Skene on it."""
    return compare(made.coded(), ["dawid-skene"])


def renamed(table: pa.Table, columns) -> pa.Table:
    """Every name of these columns replaced by one that sorts the other way round."""
    for column in columns:
        names = sorted(set(table[column].to_pylist()))
        codes = pc.index_in(table[column], pa.array(names, table[column].type))
        new = pa.array([f"{column}{len(names) - i:05d}" for i in range(len(names))])
        table = table.set_column(table.column_names.index(column), column, new.take(codes))
    return table


def numbers(figures):
    """Every figure but the seconds, in a fixed order."""
    if isinstance(figures, dict):
        return [n for key in sorted(figures) if key not in ("fit_s", "status") for n in numbers(figures[key])]
    if isinstance(figures, list):
        return [n for entry in figures for n in numbers(entry)]
    return [figures] if isinstance(figures, int | float) else []


@pytest.mark.parametrize("columns", [["item"], ["annotator"], ["model"], ["label"], ["item", "annotator", "label"]])
def test_renaming_changes_no_figure(made, columns):
    """Items, annotators, models and classes under names that sort the other way round: the same figures."""
    data = made.dataset()
    plain = Dataset(labels=data.labels, scores=data.scores)
    other = Dataset(
        labels=renamed(data.labels, set(columns) & {"item", "annotator", "label"}),
        scores=renamed(data.scores, set(columns) & {"item", "model", "label"}),
    )
    one, two = (compare(each, ["dawid-skene"]).figures() for each in (plain, other))
    np.testing.assert_allclose(numbers(one["estimators"]), numbers(two["estimators"]), atol=2e-6)


def test_the_same_seed_gives_the_same_figures(made, result):
    """Nothing but the seed decides."""
    again = compare(made.coded(), ["dawid-skene"]).figures()
    assert numbers(again) == numbers(result.figures())
    other = compare(made.coded(), ["dawid-skene"], seed=1).figures()
    assert numbers(other) != numbers(again)


def test_the_json_has_the_shape_that_is_promised(result):
    """Estimators: hidden_label, truth, auc, fit_s; numbers or null, never NaN."""
    found = json.loads(result.to_json())
    assert list(found["estimators"]) == ["majority", "majority-all", "dawid-skene"]
    for figures in found["estimators"].values():
        assert {"nll", "se", "hit"} <= set(figures["hidden_label"]["all_others"])
        assert {"nll", "se", "hit"} <= set(figures["hidden_label"]["evidence_only"])
        assert set(figures["auc"]) == {"minimum", "per_task"}
        assert [row["labels"] for row in figures["truth"]] == [0, 1, 2, 3, 4, 5]
        assert all({"accuracy", "log_loss", "cells"} <= set(row) for row in figures["truth"])
        assert figures["fit_s"] >= 0


def test_the_table_has_a_row_per_estimator(result):
    """And the figures of the JSON."""
    table = result.table()
    assert table["estimator"].to_pylist() == list(result.results)
    nll = result.results["majority"].hidden["all_others"].nll.value
    assert table["nll_all_others"][0].as_py() == nll
    assert table["log_loss_2"][0].as_py() == result.results["majority"].truth[2].log_loss.value


def test_every_item_is_judged_once(made, result):
    """Hidden labels: one per item-task with two or more; cells that have j labels never grow in number with j."""
    assert result.n_hidden == (np.diff(made.coded().labels.start) >= 2).sum()
    for each in result.results.values():
        assert len(each.held["all_others"].loss) == result.n_hidden
        assert len(np.unique(each.held["all_others"].item)) == result.n_items
        reached = [row.reached for row in each.truth]
        assert reached == sorted(reached, reverse=True)
        assert {row.cells for row in each.truth} == {reached[0]}


def test_paired_differences_are_those_of_the_means_and_change_sign_with_the_order(result):
    """Mean of the difference = difference of the means; its error is that of the difference, not of the sum."""
    gap, back = result.paired("dawid-skene", "majority"), result.paired("majority", "dawid-skene")
    one, other = (result.results[name].hidden["all_others"].nll for name in ("dawid-skene", "majority"))
    assert gap.value == pytest.approx(one.value - other.value)
    assert (back.value, back.se) == pytest.approx((-gap.value, gap.se))
    assert result.paired("majority", "majority") == (0.0, 0.0)


def test_options_can_be_given_under_any_name(made):
    """A mapping names estimators freely; the majorities stay the first rows, and can be overruled."""
    found = compare(made.coded(), {"flat": DawidSkene(), "majority": Majority(smoothing=1.0)})
    assert list(found.results) == ["majority", "majority-all", "flat"]


def test_people_alone_know_nothing_before_the_first_label(result):
    """With no label people alone can only name the commonest class; the models' votes do better."""
    alone, everybody = result.results["majority"].truth[0], result.results["majority-all"].truth[0]
    assert everybody.accuracy.value > alone.accuracy.value


def test_an_estimator_that_cannot_work_is_named_and_the_others_stand(made):
    """A QuorateError of one estimator is a line in `failed`."""

    class Refusing:
        def fit(self, data, *, progress=None):  # noqa: ARG002  the protocol's arguments
            raise SettingError("not on this data")

    found = compare(made.coded(), {"refusing": Refusing()})
    assert found.failed == {"refusing": "not on this data"}
    assert list(found.results) == ["majority", "majority-all"]


def test_progress_rises_to_one(made):
    """Shares never fall and stay within 0 and 1."""
    seen = []
    compare(made.coded(), ["dawid-skene"], progress=lambda share, what: seen.append((share, what)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_seconds_come_from_the_clock_that_is_given(made):
    """The clock is an argument: two ticks per fit."""
    ticks = iter(range(100))
    found = compare(made.coded(), [], clock=lambda: float(next(ticks)))
    assert found.results["majority"].fit_s == 1.0


def test_a_folder_is_as_good_as_its_data(made, result, tmp_path):
    """compare(folder) = compare(data)."""
    made.dataset().write(tmp_path)
    assert numbers(compare(tmp_path, ["dawid-skene"]).figures()) == pytest.approx(numbers(result.figures()), abs=1e-6)


def test_without_labels_only_gold_is_judged(made):
    """No hidden label, one step, no label to save: the area is the accuracy; a note says so."""
    data = replace(made.coded().without_labels(), gold=made.truth)
    found = compare(data, [])
    figures = found.figures()["estimators"]["majority-all"]
    assert figures["hidden_label"] == {"all_others": None, "evidence_only": None}
    assert len(figures["truth"]) == 1
    assert figures["auc"]["per_task"] == pytest.approx(figures["truth"][0]["accuracy"])
    assert any("no label can be hidden" in note for note in found.notes)
    json.loads(found.to_json())


def test_without_models_the_evidence_alone_is_the_class_shares(made):
    """Both majorities agree; a note says that no model answered."""
    data = made.coded()
    outputs = tuple(
        output._replace(kind=output.kind[:, :0], scores=output.scores[:, :0], answer=output.answer[:, :0])
        for output in data.outputs
    )
    found = compare(replace(data, models=(), outputs=outputs), [])
    one, other = (numbers(found.results[name].figures()) for name in ("majority", "majority-all"))
    assert one == other
    assert any("No model answered" in note for note in found.notes)


def test_a_task_that_nobody_answered_is_named(made):
    """Nothing to judge in one task: a note, and the figures of the other."""
    data = made.coded()
    found = compare(data.keep_labels(data.cell_of_label() % 2 == 0), [])
    assert any("task-2" in note for note in found.notes)
    assert found.results["majority"].truth[0].cells > 0


def test_too_little_to_judge_is_refused(made):
    """One item is not enough."""
    with pytest.raises(DataError, match="at least two"):
        compare(made.coded().select(np.array([0])), [])


def test_an_unknown_estimator_is_refused_before_any_work(made):
    """The registry's own error."""
    with pytest.raises(SettingError):
        compare(made.coded(), ["no-such-estimator"])
