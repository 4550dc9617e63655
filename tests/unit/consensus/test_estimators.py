"""Laws of every estimator: one table of them, one row per law."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from quorate.consensus.archive import load, save
from quorate.consensus.estimator import Model
from quorate.consensus.registry import ESTIMATORS, estimator
from quorate.data.encode import Coded, Labels
from quorate.schema import Schema, Task
from unit.consensus.build import coded_from
from unit.consensus.many_tasks import CLASSES, ragged

QUICK: dict[str, dict[str, object]] = {
    "majority": {},
    "majority-all": {},
    "dawid-skene": {},
    "calibrated-dawid-skene": {},
    "haic": {},
    "calco": {"max_steps": 20, "batch": 64, "points": 16, "hidden": 4},
    "calco, items": {"max_steps": 20, "batch": 64, "points": 32, "guide": "items"},
    "hybrid": {
        "factors": 1,
        "subtypes": 1,
        "annotator_shrinkage": 5.0,
        "model_shrinkage": 300.0,
        "people_shrinkage": 15.0,
        "points": 16,
        "max_iterations": 60,
    },
}
NAMES = tuple(QUICK)
every_estimator = pytest.mark.parametrize("name", NAMES)


def fitted(name: str, data: Coded) -> Model:
    """A quick fit."""
    return estimator(name.split(",", maxsplit=1)[0], **QUICK[name]).fit(data)


@cache
def taught(name: str, *, gold: bool = False) -> Model:
    """Fitted on one ragged data set, once."""
    return fitted(name, ragged(1, 40, gold=gold))


def all_probs(model: Model, data: Coded) -> list[np.ndarray]:
    """Probabilities of every task."""
    consensus = model.predict(data)
    return [consensus.probs(task.name) for task in data.schema.tasks]


def assert_probabilities(model: Model, data: Coded) -> None:
    """Finite, none negative, every row sums to 1."""
    for probs in all_probs(model, data):
        assert np.isfinite(probs).all()
        assert probs.min(initial=0.0) >= 0.0
        np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-9)


def test_every_registered_estimator_stands_in_the_table() -> None:
    """A new estimator has to keep these laws."""
    assert {name.split(",")[0] for name in NAMES} == set(ESTIMATORS)


@every_estimator
@pytest.mark.parametrize("gold", [False, True])
def test_new_items_get_probabilities(name: str, gold: bool) -> None:
    """Items that the fit never saw, with whatever is known of them, get a proper distribution for every task."""
    assert_probabilities(taught(name, gold=gold), ragged(2, 25))


@every_estimator
def test_strangers_and_silence_are_no_trouble(name: str) -> None:
    """Unseen annotators, models that are missing, items of which nothing is known."""
    model, data = taught(name), ragged(3, 20, models=1)
    strangers = replace(data, annotators=("nobody knows", "these", "four", "people"))
    assert_probabilities(model, strangers)
    assert_probabilities(model, data.without_labels())
    silent = tuple(output._replace(kind=output.kind * 0, scores=output.scores * 0) for output in data.outputs)
    assert_probabilities(model, replace(data.without_labels(), outputs=silent))


@every_estimator
def test_prediction_knows_no_order_of_items(name: str) -> None:
    """Items in another order have the same probabilities."""
    model, data = taught(name), ragged(4, 30)
    order = np.random.default_rng(0).permutation(30)
    for straight, turned in zip(all_probs(model, data), all_probs(model, data.select(order)), strict=True):
        np.testing.assert_allclose(straight[order], turned, atol=1e-12)


@every_estimator
def test_prediction_never_reads_gold(name: str) -> None:
    """Gold is for teaching and judging."""
    data = ragged(5, 20, gold=True)
    hidden = replace(data, gold=np.full_like(data.gold, -1))
    for told, untold in zip(*(all_probs(taught(name, gold=True), each) for each in (data, hidden)), strict=True):
        np.testing.assert_array_equal(told, untold)


@every_estimator
def test_a_session_is_a_batch_prediction(name: str) -> None:
    """Label by label, one item online says what a batch says of it."""
    model, data = taught(name), ragged(6, 12)
    for i in range(data.n_items):
        session = model.session(_scores_of(data, i), item=data.items[i])
        for t, task in enumerate(data.schema.tasks):
            cell = slice(*data.labels.start[i * 3 + t : i * 3 + t + 2])
            for a, k in zip(data.labels.annotator[cell], data.labels.code[cell], strict=True):
                session.update(task.name, data.annotators[a], task.classes[k])
        batch = all_probs(model, data.select(np.array([i])))
        for task, probs in zip(data.schema.tasks, batch, strict=True):
            np.testing.assert_allclose(session.probs(task.name), probs[0], atol=1e-6)
            np.testing.assert_allclose(session.consensus().probs(task.name), probs, atol=1e-6)


def _scores_of(data: Coded, item: int) -> dict[str, dict[str, dict[str, float] | str]]:
    out: dict[str, dict[str, dict[str, float] | str]] = {}
    for task, output in zip(data.schema.tasks, data.outputs, strict=True):
        out[task.name] = {
            model: task.classes[output.answer[item, m]]
            if output.kind[item, m] == 2
            else dict(zip(task.classes, output.scores[item, m].astype(float).tolist(), strict=True))
            for m, model in enumerate(data.models)
            if output.kind[item, m]
        }
    return out


@every_estimator
def test_a_held_out_label_is_predicted_as_if_it_had_never_come(name: str) -> None:
    """The latent posterior without a label is that of the data without it; from the models alone no label counts."""
    model, data = taught(name), ragged(7, 15)
    position = len(data.labels.code) // 2
    task = int(data.cell_of_label()[position] % 3)
    item = int(data.cell_of_label()[position] // 3)
    found = model.held_out(data, np.array([position]), "others")
    np.testing.assert_allclose(found.label[task].sum(axis=1), 1.0, atol=1e-9)
    without = data.keep_labels(np.arange(len(data.labels.code)) != position)
    expected = model.predict(without).belief.marginal(task)[item]
    np.testing.assert_allclose(found.latent[task][0], expected, atol=1e-9)
    alone = model.held_out(data, np.array([position]), "evidence")
    expected = model.predict(data.without_labels()).belief.marginal(task)[item]
    np.testing.assert_allclose(alone.latent[task][0], expected, atol=1e-9)


@every_estimator
def test_a_saved_model_is_the_same_model(name: str, tmp_path: Path) -> None:
    """What comes back from a file predicts the same, to the last bit."""
    model = taught(name, gold=True)
    save(model, tmp_path / "model.quorate")
    again = load(tmp_path / "model.quorate")
    assert (again.name, again.fit, again.annotators) == (model.name, model.fit, model.annotators)
    for before, after in zip(*(all_probs(each, ragged(8, 10)) for each in (model, again)), strict=True):
        np.testing.assert_array_equal(before, after)


@every_estimator
def test_the_same_data_teach_the_same(name: str) -> None:
    """A fit has no chance in it but its seed."""
    first, second = (fitted(name, ragged(9, 15)) for _ in range(2))
    for one, other in zip(*(all_probs(each, ragged(10, 10)) for each in (first, second)), strict=True):
        np.testing.assert_array_equal(one, other)


@every_estimator
def test_data_without_labels_models_or_variety_teach_what_they_can(name: str) -> None:
    """No label at all, no model at all, one class seen, one item, one task of one class, nothing."""
    whole = ragged(11, 20)
    nobody = whole.aligned(whole.schema, whole.annotators, ())
    assert_probabilities(fitted(name, whole.without_labels()), whole)
    assert_probabilities(fitted(name, nobody), whole)
    assert_probabilities(fitted(name, nobody.without_labels()), whole)
    assert_probabilities(fitted(name, whole.select(np.array([0]))), whole)
    same = coded_from([(f"i{i}", "t", f"a{i % 2}", "yes") for i in range(6)], {"t": ("yes", "no")})
    assert_probabilities(fitted(name, same), same)
    one = coded_from([("i", "t", "a", "only")], {"t": ("only",)})
    assert_probabilities(fitted(name, one), one)


@every_estimator
def test_hard_answers_are_enough(name: str) -> None:
    """Models that give no scores are heard too."""
    rng = np.random.default_rng(12)
    truth = rng.integers(0, 2, 60)
    rows = [(f"i{i}", "t", f"a{a}", "ny"[truth[i] ^ (rng.random() < 0.2)]) for i in range(60) for a in range(3)]
    outputs = [(f"i{i}", "t", "m", "ny"[truth[i] ^ (rng.random() < 0.2)]) for i in range(60)]
    data = coded_from(rows, {"t": ("n", "y")}, outputs=outputs)
    assert_probabilities(fitted(name, data), data)


@every_estimator
@pytest.mark.parametrize("kind", ["panel", "latent", "gold"])
def test_every_target_is_offered_where_it_can_be(name: str, kind: str) -> None:
    """The same posterior, read as the majority of people, as the latent class, as the expert's label."""
    consensus = taught(name, gold=True).predict(ragged(13, 10))
    if consensus.people[0].population is None:
        assert kind == "latent" or name.startswith("majority")  # vote shares have no rows for people
        return
    read = {"panel": lambda: consensus.panel(3), "latent": consensus.latent, "gold": consensus.gold}[kind]()
    for task in CLASSES:
        np.testing.assert_allclose(read.probs(task).sum(axis=1), 1.0, atol=1e-9)


@every_estimator
def test_joint_confidence_lies_between_the_bounds_of_frechet(name: str) -> None:
    """P(all right) is at most the least of the tasks, and at least 1 minus the sum of their doubts."""
    consensus = taught(name).predict(ragged(14, 30))
    each = np.column_stack([consensus.confidence(task) for task in CLASSES])
    joint = consensus.joint_confidence()
    assert (joint <= each.min(axis=1) + 1e-9).all()
    assert (joint >= 1 - (1 - each).sum(axis=1) - 1e-9).all()


@every_estimator
def test_no_items_at_all_are_no_trouble(name: str) -> None:
    """An empty batch has an empty consensus."""
    empty = ragged(15, 5).select(np.zeros(0, np.int64))
    assert taught(name).predict(empty).table().num_rows == 0


@every_estimator
def test_progress_rises_to_no_more_than_one(name: str) -> None:
    """Shares never fall and never pass 1."""
    told: list[float] = []
    kind = estimator(name.split(",", maxsplit=1)[0], **QUICK[name])
    kind.fit(ragged(16, 10), progress=lambda share, _what: told.append(share))
    assert told == sorted(told)
    assert all(0.0 <= share <= 1.0 for share in told)


@every_estimator
def test_tasks_are_known_by_name(name: str) -> None:
    """A prediction asked with tasks in another order, or for fewer, is the same task by task."""
    model, data = taught(name), ragged(17, 10)
    schema = Schema(tuple(Task(task, CLASSES[task]) for task in ("size", "colour", "shape")))
    turned = data.aligned(schema, data.annotators, data.models)
    assert isinstance(turned.labels, Labels)
    straight, other = model.predict(data), model.predict(turned)
    for task in CLASSES:
        np.testing.assert_allclose(straight.probs(task), other.probs(task), atol=1e-12)
