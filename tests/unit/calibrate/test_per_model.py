"""Laws of calibrating a data set: nothing judges what it taught, what is written is what was fitted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quorate.calibrate.calibrators import Identity, Temperature
from quorate.calibrate.kept import calibrated_scores, entries_of, from_file, to_file
from quorate.calibrate.per_model import Options, calibrate_all, cases_of, judged, others_of
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded, Labels, ModelOutput
from quorate.errors import DataError, NotFittedError, SchemaError, SettingError
from quorate.schema import Schema, Task
from unit.calibrate.simulated import bent

FEW = Options(resamples=20)


def campaign(n: int = 200, n_tasks: int = 2, *, slope: float = 0.4, seed: int = 0) -> Coded:
    """Two models on tasks with three classes: the first too sure, the second calibrated; all items have gold."""
    outputs, gold = [], []
    for task in range(n_tasks):
        first = bent(n, seed=seed + 10 * task, slopes=slope)
        second = np.exp(first.log_probs)
        raw = np.exp(first.x - first.x.max(axis=1, keepdims=True))
        scores = np.stack([raw / raw.sum(axis=1, keepdims=True), second], axis=1).astype(np.float32)
        outputs.append(ModelOutput(np.ones((n, 2), np.int8), scores, scores.argmax(axis=2).astype(np.int16)))
        gold.append(first.truth)
    return Coded(
        schema=Schema(tuple(Task(f"t{task}", ("a", "b", "c")) for task in range(n_tasks))),
        items=tuple(f"i{i}" for i in range(n)),
        annotators=(),
        models=("sure", "honest"),
        labels=Labels(
            np.zeros(n * n_tasks + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, int)
        ),
        outputs=tuple(outputs),
        gold=np.column_stack(gold).astype(np.int16),
        features=np.zeros((n, 0), np.float32),
        features_known=np.zeros(n, bool),
    )


def test_the_sure_model_is_cooled_and_the_honest_one_left_alone() -> None:
    """Log loss falls beyond its error for the first; the second's temperature is near 1 and does not harm it."""
    coded = campaign(800)
    found = calibrate_all(cases_of(coded, coded.gold), FEW)
    assert found.failed == {}
    for each in found.judged:
        assert isinstance(each.calibrator, Temperature)
        assert each.n_judged == each.n_fitted == 800
        if each.case.model == "sure":
            assert each.gain_nats.low > 0
            assert each.after.ace.estimate < 0.5 * each.before.ace.estimate
        else:
            assert each.calibrator.scale == pytest.approx(1.0, abs=0.2)
            assert each.gain_nats.estimate > -0.01


def test_no_item_is_judged_by_a_calibrator_that_saw_it() -> None:
    """Truth that is pure chance cannot be learned: a rich method shows no gain, by folds or by shots."""
    coded = campaign(300, 1)
    noise = np.random.default_rng(0).integers(0, 3, (300, 1)).astype(np.int16)
    for options in (replace(FEW, method="isotonic"), replace(FEW, method="isotonic", shots=150)):
        of = calibrate_all(cases_of(coded, noise), options)
        for each in of.judged:
            assert each.after.log_loss.estimate > np.log(3) - 4 * each.after.log_loss.se


def test_shots_are_fitted_and_all_others_judge() -> None:
    """Numbers add up to the labeled items; unlabeled ones are neither."""
    coded = campaign(200)
    truth = coded.gold.copy()
    truth[:50] = -1
    for each in calibrate_all(cases_of(coded, truth), replace(FEW, shots=40)).judged:
        assert (each.n_fitted, each.n_judged) == (40, 110)


@pytest.mark.parametrize("selection", ["stratified", "importance"])
def test_selection_by_surrogate_error_learns_from_the_models_other_tasks(selection: str) -> None:
    """With another task it works; without one the case is left out and says why."""
    options = replace(FEW, shots=40, selection=selection)
    coded = campaign(200)
    assert len(calibrate_all(cases_of(coded, coded.gold), options).judged) == 4
    alone = campaign(200, 1)
    with pytest.raises(NotFittedError, match="needs labels of another task"):
        calibrate_all(cases_of(alone, alone.gold), options)


def test_a_prior_from_other_tasks_helps_few_shots() -> None:
    """Ten labels and nine other tasks of the same model: log loss after is lower than with the default prior."""
    coded = campaign(300, 10, slope=0.25)
    of = {transfer: calibrate_all(cases_of(coded, coded.gold), replace(FEW, shots=10, transfer=transfer)).judged
          for transfer in ("none", "prior")}  # fmt: skip
    loss = {name: np.mean([each.after.log_loss.estimate for each in found if each.case.model == "sure"])
            for name, found in of.items()}  # fmt: skip
    assert loss["prior"] < loss["none"]


def test_other_tasks_alone_can_calibrate() -> None:
    """All of them, or those whose items are alike by their features; not a label of the task itself is used."""
    coded = campaign(200, 4)
    truth = coded.gold.copy()
    truth[:100, :2], truth[100:, 2:] = -1, -1  # tasks 0 and 1 are asked of one half of the items, 2 and 3 of the other
    near = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32) * 0.1
    near[100:] += 5
    coded = replace(coded, features=near, features_known=np.ones(200, bool))
    cases = cases_of(coded, truth)
    for transfer, n_taught in (("all", 300), ("similar", 100)):
        each = judged(cases[0], others_of(cases[0], cases), replace(FEW, transfer=transfer))
        assert (each.n_fitted, each.n_judged) == (n_taught, 100)
        assert each.calibrator.scale < 0.7
    with pytest.raises(NotFittedError, match="features of items"):
        calibrate_all(cases_of(campaign(50), campaign(50).gold), replace(FEW, transfer="similar"))
    with pytest.raises(NotFittedError, match="needs labels of another task"):
        calibrate_all(cases_of(campaign(50, 1), campaign(50, 1).gold), replace(FEW, transfer="all"))


def test_others_are_the_same_models_tasks_with_as_many_classes() -> None:
    """Never the same task, never another model."""
    cases = cases_of(campaign(20, 3), campaign(20, 3).gold)
    assert {(each.task, each.model) for each in others_of(cases[0], cases)} == {("t1", "sure"), ("t2", "sure")}


def test_few_labels_are_left_out_by_name() -> None:
    """Nine known answers cannot judge; the other tasks go on."""
    coded = campaign(100)
    truth = coded.gold.copy()
    truth[9:, 1] = -1
    found = calibrate_all(cases_of(coded, truth), FEW)
    assert {key[0] for key in found.failed} == {"t1"}
    assert "9 of the items" in found.failed["t1", "sure"]
    with pytest.raises(NotFittedError, match="nothing can be calibrated"):
        calibrate_all(cases_of(coded, np.full_like(truth, -1)), FEW)
    with pytest.raises(NotFittedError, match="no model gives scores"):
        calibrate_all([], FEW)


def test_the_same_seed_gives_the_same_figures() -> None:
    """And each case has draws of its own: leaving others out changes nothing for it."""
    coded = campaign(100)
    cases = cases_of(coded, coded.gold)
    options = replace(FEW, shots=30)
    all_of_them = calibrate_all(cases, options).judged
    alone = judged(cases[2], [], options)
    assert alone.before == all_of_them[2].before
    assert alone.calibrator == all_of_them[2].calibrator


def test_what_is_written_is_applied_again_bit_by_bit(tmp_path: Path) -> None:
    """Calibrators through a file make the same table as those in memory, also where scores are 0."""
    coded = campaign(100)
    coded.outputs[0].scores[0, 0] = (1.0, 0.0, 0.0)
    entries = entries_of(calibrate_all(cases_of(coded, coded.gold), FEW), coded.schema)
    path = tmp_path / "deep" / "calibrators.json"
    to_file(entries, path)
    table = calibrated_scores(coded, entries)
    assert calibrated_scores(coded, from_file(path)).equals(table)
    assert len(table) == 100 * 2 * 2 * 3
    total = np.array(table["score"]).reshape(-1, 3).sum(axis=1)
    np.testing.assert_allclose(total, 1.0, atol=1e-9)
    made = Dataset(scores=table, schema=coded.schema).encode()
    assert made.models == ("honest", "sure")


def test_models_without_a_calibrator_keep_their_scores() -> None:
    """Nothing fitted, nothing changed."""
    coded = campaign(30, 1)
    table = calibrated_scores(coded, {})
    expected = coded.outputs[0].scores.transpose(1, 0, 2).ravel()
    np.testing.assert_allclose(np.array(table["score"]), expected)


def test_strange_files_and_classes_are_refused(tmp_path: Path) -> None:
    """No JSON, other JSON, another version, another calibrator's classes."""
    path = tmp_path / "calibrators.json"
    for text in ("{", "[]", '{"version": 1}', '{"version": 2, "calibrators": []}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"holds no calibrators|version 2"):
            from_file(path)
    coded = campaign(30, 1)
    entries = entries_of(calibrate_all(cases_of(coded, coded.gold), FEW), coded.schema)
    to_file(entries, path)
    value = json.loads(path.read_text())
    value["calibrators"][0]["classes"] = ["x", "y", "z"]
    path.write_text(json.dumps(value))
    with pytest.raises(SchemaError, match="knows other classes"):
        calibrated_scores(coded, from_file(path))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"method": "magic"}, "no method"),
        ({"selection": "importance"}, "needs a number of shots"),
        ({"method": "platt", "transfer": "prior"}, "take a prior"),
        ({"shots": 0}, "at least 1"),
        ({"shots": 10, "transfer": "all"}, "leave the shots out"),
    ],
)
def test_wrong_options_are_refused_at_the_door(wrong: dict, says: str) -> None:
    """Before anything is read."""
    with pytest.raises(SettingError, match=says):
        Options(**wrong)


def test_identity_changes_nothing() -> None:
    """Before and after are the same figures."""
    coded = campaign(60, 1)
    for each in calibrate_all(cases_of(coded, coded.gold), replace(FEW, method="identity")).judged:
        assert each.before == each.after
        assert isinstance(each.calibrator, Identity)
