"""Human-AI complementarity."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from quorate.consensus import archive
from quorate.consensus.complementarity import Haic, HaicModel
from quorate.consensus.complementarity_scores import (
    person_rows,
    silence,
)
from quorate.errors import DataError, NotFittedError, SchemaError, SettingError
from unit.consensus.build import assert_within, coded_from
from unit.consensus.complementary_world import PAPER, drawn
from unit.consensus.many_tasks import CLASSES, ragged

DEFINITIONS = (Haic(), Haic(joint=False), Haic(scale="log-odds"), Haic(prevalence="uniform"))


# ---- the fit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", DEFINITIONS)
def test_the_end_is_no_lower_than_the_start(options):
    """L-BFGS never ends below where it began, and says how it ended."""
    fit = options.fit(ragged(0)).fit
    assert fit.objective[-1] >= fit.objective[0]
    assert fit.status == "converged"
    short = replace(options, max_iterations=1).fit(ragged(0, gold=True)).fit
    assert short.status == "iteration limit"


def test_the_scores_alone_may_say_what_the_truth_is_unless_they_are_given():
    """Three models that share one opinion draw the joint likelihood's truth to it; `joint=False` stays with people."""
    rng = np.random.default_rng(0)
    truth, opinion = rng.integers(0, 3, 600), rng.integers(0, 3, 600)
    opinion = np.where(rng.random(600) < 0.3, truth, opinion)
    rows, outputs = [], []
    for i, (k, o) in enumerate(zip(truth, opinion, strict=True)):
        rows += [(f"i{i}", "t", f"p{a}", "abc"[k if rng.random() < 0.7 else rng.integers(3)]) for a in range(2)]
        for m in range(3):
            scores = rng.dirichlet(1.0 + 12.0 * np.eye(3)[o])
            outputs.append((f"i{i}", "t", f"m{m}", dict(zip("abc", scores.tolist(), strict=True))))
    coded = coded_from(rows, {"t": "abc"}, outputs=outputs)
    right = [
        (options.fit(coded).predict(coded).latent().label_codes("t") == truth).mean()
        for options in (Haic(), Haic(joint=False))
    ]
    assert right[1] - right[0] > 4 * np.sqrt(0.25 / 600)


def test_a_hard_answer_given_is_worth_its_log_odds():
    """One model's answers, right in .7, the truth known: fitted given the scores their log odds are log(.7 / .15)."""
    rng, n = np.random.default_rng(0), 4_000
    truth = rng.integers(0, 3, n)
    answer = np.where(rng.random(n) < 0.7, truth, (truth + rng.integers(1, 3, n)) % 3)
    outputs = [(f"i{i}", "t", "m", "abc"[k]) for i, k in enumerate(answer)]
    gold = [(f"i{i}", "t", "abc"[k]) for i, k in enumerate(truth)]
    coded = coded_from([], {"t": "abc"}, outputs=outputs, gold=gold)
    model = Haic(joint=False, prevalence="uniform").fit(coded)
    probs = model.predict(coded_from([], {"t": "abc"}, outputs=outputs[:1])).latent().probs("t")[0]
    odds = np.log(probs[answer[0]] / probs[(answer[0] + 1) % 3])
    assert_within(odds, np.log(0.7 / 0.15), np.sqrt(1 / (0.7 * n) + 1 / (0.3 * n)))


# ---- relabeling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", DEFINITIONS)
def test_relabeling_items_agents_and_classes_only_relabels(options):
    """Shuffled items, turned classes and renamed agents give the same answer under the new names."""
    options = replace(options, tolerance=1e-13)
    rng = np.random.default_rng(1)
    rows, outputs, items = world_rows(1)
    turned, order = rng.permutation(3), rng.permutation(len(items))
    name = {f"p{a}": f"q{4 - a}" for a in range(5)} | {"m0": "n1", "m1": "n0"}
    classes = {"t": ["abc"[k] for k in turned]}
    rows2 = [(i, t, name[a], label) for i, t, a, label in (rows[j] for j in rng.permutation(len(rows)))]
    outputs2 = [(i, t, name[m], said) for i, t, m, said in outputs]
    one = coded_from(rows, {"t": "abc"}, outputs=outputs, items=items)
    two = coded_from(rows2, classes, outputs=outputs2, items=[items[i] for i in order])
    first, second = options.fit(one), options.fit(two)
    before, after = first.predict(one), second.predict(two)
    np.testing.assert_allclose(after.probs("t"), before.probs("t")[order][:, turned], atol=2e-4)
    for person, skill in first.skills("t").items():
        assert second.skills("t")[name[person]] == pytest.approx(skill, abs=1e-3)
    np.testing.assert_allclose(second.parameters("t").sd[::-1], first.parameters("t").sd, rtol=1e-3)


def world_rows(seed: int, n_items: int = 120):
    """Five people, a model with scores and one with hard answers, ragged."""
    rng = np.random.default_rng(seed)
    items, rows, outputs = [f"i{i}" for i in range(n_items)], [], []
    for item in items:
        k = rng.integers(3)
        asked = rng.permutation(5)[: rng.integers(0, 5)]
        rows += [(item, "t", f"p{a}", "abc"[k if rng.random() < 0.5 + 0.1 * a else rng.integers(3)]) for a in asked]
        if rng.random() < 0.8:
            scores = rng.dirichlet(1.0 + 3.0 * np.eye(3)[k])
            outputs.append((item, "t", "m0", dict(zip("abc", scores.tolist(), strict=True))))
        if rng.random() < 0.8:
            outputs.append((item, "t", "m1", "abc"[k if rng.random() < 0.6 else rng.integers(3)]))
    return rows, outputs, items


def test_tasks_stand_apart():
    """A task is fitted as it would be alone, and the joint confidence is the product."""
    both = ragged(3)
    together = Haic().fit(both)
    consensus = together.predict(both)
    product = np.ones(both.n_items)
    for t, task in enumerate(both.schema.tasks):
        alone = replace(
            both,
            schema=type(both.schema)((task,)),
            labels=one_task(both, t),
            outputs=(both.outputs[t],),
            gold=both.gold[:, t : t + 1],
        )
        np.testing.assert_allclose(Haic().fit(alone).predict(alone).probs(task.name), consensus.probs(task.name))
        product *= consensus.confidence(task.name)
    np.testing.assert_allclose(consensus.joint_confidence(), product)


def one_task(coded, t):
    """The labels of one task."""
    kept = coded.keep_labels(coded.cell_of_label() % coded.n_tasks == t).labels
    sizes = np.diff(kept.start).reshape(coded.n_items, coded.n_tasks)[:, t]
    return kept._replace(start=np.concatenate([[0], np.cumsum(sizes)]))


# ---- prediction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["others", "evidence"])
def test_a_held_out_label_is_predicted_by_the_data_without_it(given):
    """Posterior without the label, times that person's rows on that very item."""
    coded = ragged(4)
    model = Haic().fit(coded)
    held = model.held_out(coded, np.arange(len(coded.labels.code))[::5], given)
    cell = coded.cell_of_label()
    for t, task in enumerate(coded.schema.tasks):
        assert len(held.positions[t])
        for position, latent, probs in zip(held.positions[t], held.latent[t], held.label[t], strict=True):
            item = cell[position] // coded.n_tasks
            kept = np.arange(len(cell)) != position if given == "others" else np.zeros(len(cell), bool)
            without = model.predict(coded.keep_labels(kept)).latent().probs(task.name)[item]
            np.testing.assert_allclose(latent, without, atol=1e-9)
            taught = model.tasks[t]
            person = taught.place[coded.labels.annotator[[position]]]
            rows = person_rows(model.evidence(coded, t), taught.parameters, np.array([item]), person)[0]
            np.testing.assert_allclose(probs, without @ rows, atol=1e-9)
            assert probs.sum() == pytest.approx(1.0)


def test_held_out_positions_keep_their_meaning_when_tasks_change_places():
    """Data that lists its tasks in another order than the model is asked by its own positions."""
    coded = ragged(4)
    model = Haic().fit(coded)
    turned = coded.aligned(type(coded.schema)(coded.schema.tasks[::-1]), coded.annotators, coded.models)
    there = model.held_out(turned, np.arange(len(turned.labels.code)), "others")
    here = model.held_out(coded, np.arange(len(coded.labels.code)), "others")
    for t in range(3):
        by_row = dict(zip(coded.labels.row[here.positions[t]].tolist(), here.label[t], strict=True))
        assert len(by_row) == len(there.positions[t])
        for position, probs in zip(there.positions[t], there.label[t], strict=True):
            np.testing.assert_allclose(probs, by_row[int(turned.labels.row[position])])


@pytest.mark.parametrize("options", DEFINITIONS)
def test_a_session_is_the_batch(options):
    """Label after label the session equals the batch prediction with these labels."""
    rng = np.random.default_rng(0)
    model = options.fit(ragged(5))
    said = {"colour": {"m0": {"red": 0.1, "green": 0.6, "blue": 0.3}, "m1": "blue", "unknown": "red"}}
    outputs = [("x", "colour", m, output) for m, output in said["colour"].items()]
    session, rows = model.session(said, item="x"), []
    for j in range(12):
        task = list(CLASSES)[j % 3]
        annotator, label = (f"p{j // 3}" if j < 9 else f"new{j}"), str(rng.choice(CLASSES[task]))
        session.update(task, annotator, label)
        rows.append(("x", task, annotator, label))
        batch, online = model.predict(coded_from(rows, CLASSES, outputs=outputs)), session.consensus()
        for name in CLASSES:
            np.testing.assert_allclose(session.probs(name), batch.probs(name)[0], atol=1e-9)
            np.testing.assert_allclose(online.latent().probs(name), batch.latent().probs(name), atol=1e-9)
        np.testing.assert_array_equal(online.agents_seen, batch.agents_seen)
    assert any("annotators whom the fit never saw" in note for note in batch.notes)


def test_a_session_refuses_what_it_cannot_place():
    """An unknown task, an unknown class and a second answer of one person are errors; nothing is counted."""
    session = Haic().fit(ragged(5)).session()
    before = session.probs("shape")
    for task, label in (("other", "round"), ("shape", "cubic")):
        with pytest.raises(SchemaError, match=r"no task|no class"):
            session.update(task, "p0", label)
    np.testing.assert_array_equal(session.probs("shape"), before)
    session.update("shape", "p0", "flat")
    with pytest.raises(DataError, match="already answered"):
        session.update("shape", "p0", "round")


def test_an_unseen_annotator_has_the_populations_skill():
    """The posterior is that of somebody with exactly that skill; `skills` lists who answered."""
    coded = ragged(6)
    model = Haic().fit(coded)
    assert set(model.skills("size")) <= {"p0", "p1", "p2", "p3"}
    asked = coded_from([("x", "size", "stranger", "m")], CLASSES)
    of = model.parameters("size")
    row = person_rows(silence(4, 2), of, np.zeros(1, np.int64), np.full(1, len(of.skill) - 1))[0]
    expected = of.prevalence * row[:, 1]
    np.testing.assert_allclose(model.predict(asked).latent().probs("size")[0], expected / expected.sum(), atol=1e-9)


def test_a_model_comes_back_from_its_state_and_its_file(tmp_path):
    """Arrays and JSON settings, and the archive, rebuild a model that answers the same, bit for bit."""
    coded = ragged(7, gold=True)
    model = Haic(floor=5e-3).fit(coded)
    arrays, settings = model.state()
    archive.save(model, tmp_path / "model")
    for again in (HaicModel.from_state(arrays, json.loads(json.dumps(settings))), archive.load(tmp_path / "model")):
        assert (again.fit, again.options, again.targets) == (model.fit, model.options, model.targets)
        for task in CLASSES:
            np.testing.assert_array_equal(again.predict(coded).probs(task), model.predict(coded).probs(task))
            assert again.skills(task) == model.skills(task)


# ---- targets ---------------------------------------------------------------------------------------------------------


def test_the_populations_rows_are_what_people_say_of_each_truth():
    """The mean over items of P(label | scores, truth) is how often a person of the population says it."""
    world = drawn(PAPER._replace(skill=np.full(11, 1.2)), 20_000, 2)
    classes = {"t": "abcd"}
    labels = zip(world.votes.person, world.votes.code, strict=True)
    rows = [(f"i{i}", "t", f"p{a}", "abcd"[h]) for i, (a, h) in enumerate(labels)]
    logs = world.evidence.x[:, :, 0]
    scores = np.exp(logs - logs.max(axis=1, keepdims=True))
    scores = (scores / scores.sum(axis=1, keepdims=True)).tolist()
    outputs = [(f"i{i}", "t", "m", dict(zip("abcd", s, strict=True))) for i, s in enumerate(scores)]
    gold = [(f"i{i}", "t", "abcd"[k]) for i, k in enumerate(world.truth)]
    model = Haic(floor=1e-7).fit(coded_from(rows, classes, outputs=outputs, gold=gold))
    found = model.tasks[0].population
    for k in range(4):
        on = world.truth == k
        share = np.bincount(world.votes.code[on], minlength=4) / on.sum()
        # One skill for all classes: every row errs by its own sample.
        assert_within(found[k], share, np.sqrt(share * (1 - share) / on.sum()))


def test_the_panel_is_the_default_where_there_is_no_gold():
    """Its size is the mean number of labels of a labeled cell; gold was not seen."""
    model = Haic().fit(ragged(8))
    assert {target.kind for target in model.targets} == {"panel"}
    with pytest.raises(NotFittedError):
        model.predict(ragged(8)).gold()


def test_gold_is_known_truth_and_its_rows_are_learned():
    """With gold, the default target is gold, the rows are those of the expert, and prediction never reads it."""
    told = ragged(8, 80, gold=True)
    model = Haic().fit(told)
    assert {target.kind for target in model.targets} == {"gold"}
    for taught in model.tasks:
        assert taught.gold is not None
        assert (taught.gold.argmax(axis=1) == np.arange(len(taught.gold))).all()
    hidden = replace(told, gold=np.full_like(told.gold, -1))
    np.testing.assert_array_equal(model.predict(told).probs("size"), model.predict(hidden).probs("size"))
    aside, without = Haic(use_gold=False).fit(told), Haic().fit(hidden)
    assert (aside.fit, aside.targets) == (without.fit, without.targets)


# ---- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", DEFINITIONS)
def test_one_class_is_certain(options):
    """A task with one class has nothing to be uncertain about."""
    said = [("i1", "t", "m", {"only": 1.0})]
    coded = coded_from([("i1", "t", "p", "only")], {"t": ["only"]}, outputs=said, items=["i0"])
    model = options.fit(coded)
    np.testing.assert_array_equal(model.predict(coded).probs("t"), np.ones((2, 1)))
    np.testing.assert_allclose(model.held_out(coded, np.zeros(1, np.int64), "others").label[0], 1.0)


@pytest.mark.parametrize("options", DEFINITIONS)
@pytest.mark.parametrize("hard", [True, False])
def test_one_class_seen_of_several_stays_finite(options, hard):
    """When everybody, machines too, says `a`, `a` is the answer, and every number is finite."""
    said = "a" if hard else {"a": 0.9, "b": 0.1, "c": 0.0}
    rows = [(f"i{i}", "t", f"p{a}", "a") for i in range(30) for a in range(3)]
    coded = coded_from(rows, {"t": "abc"}, outputs=[(f"i{i}", "t", "m", said) for i in range(30)])
    consensus = options.fit(coded).predict(coded)
    assert np.isfinite(consensus.probs("t")).all()
    assert (consensus.label_codes("t") == 0).all()


@pytest.mark.parametrize("options", DEFINITIONS)
def test_hard_answers_that_never_err_stay_finite(options):
    """A model that always says what people say, in hard answers: no density grows without bound."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    rows = [(f"i{i}", "t", f"p{a}", "abc"[k]) for i, k in enumerate(truth) for a in range(2)]
    coded = coded_from(rows, {"t": "abc"}, outputs=[(f"i{i}", "t", "m", "abc"[k]) for i, k in enumerate(truth)])
    model = options.fit(coded)
    assert all(np.isfinite(part).all() for part in model.parameters("t"))
    assert (model.predict(coded).label_codes("t") == truth).all()


def test_one_label_is_enough():
    """A single label in all is a fit, and its class the answer."""
    coded = coded_from([("i", "t", "p", "b")], {"t": "abc"})
    assert Haic().fit(coded).predict(coded).label_codes("t").tolist() == [1]


def test_people_alone_and_models_alone():
    """Labels without models fit skills; models without labels make a consensus and a note that people are unknown."""
    rows, outputs, items = world_rows(2, 400)
    people = coded_from(rows, {"t": "abc"}, items=items)
    model = Haic().fit(people)
    assert model.fit.status == "converged"
    skills = model.skills("t")
    assert skills["p4"] > skills["p0"]  # right in .5 + .1 of their answers, plus a third of the rest
    alone = coded_from([], {"t": "abc"}, outputs=outputs, items=items)
    machine = Haic().fit(alone)
    assert "no labels from people" in machine.fit.notes[0]
    consensus = machine.predict(alone)
    agreed = consensus.latent().label_codes("t") == np.array([alone.outputs[0].answer[:, 0]])
    assert agreed[:, alone.outputs[0].kind[:, 0] > 0].mean() > 0.6


def test_without_any_label_the_prior_speaks_and_it_says_so():
    """Status 'prior only', even prevalence, a note; new labels are still weighed by the usual skill."""
    model = Haic().fit(coded_from([], {"t": "ab"}, items=["i1"]))
    assert (model.fit.status, model.fit.objective) == ("prior only", ())
    assert "no labels" in model.fit.notes[0]
    np.testing.assert_allclose(model.predict(coded_from([], {"t": "ab"}, items=["i1"])).probs("t"), 0.5)
    asked = coded_from([("i", "t", "p", "b")], {"t": "ab"})
    right = ndtr(1.0 / np.sqrt(2.0))  # of two classes, with skill one
    np.testing.assert_allclose(model.predict(asked).latent().probs("t"), [[1 - right, right]], atol=1e-6)


def test_an_item_without_answers_gets_the_prevalence():
    """Nothing said leaves P(truth) as learned, and agents_seen says so."""
    model = Haic().fit(ragged(9))
    consensus = model.predict(coded_from([], CLASSES, items=["new"]))
    np.testing.assert_allclose(consensus.latent().probs("size")[0], model.parameters("size").prevalence)
    assert not consensus.agents_seen.any()
    even = Haic(prevalence="uniform").fit(ragged(9)).parameters("size").prevalence
    np.testing.assert_allclose(even, 0.25)


def test_no_items_and_no_tasks_are_no_trouble():
    """An empty data set can be fitted and predicted, and so can one without tasks."""
    empty = coded_from([], {"t": "ab"})
    model = Haic().fit(empty)
    assert model.predict(empty).table().num_rows == 0
    assert model.held_out(empty, np.zeros(0, np.int64), "others").label[0].shape == (0, 2)
    bare = coded_from([], {}, items=["i"])
    assert Haic().fit(bare).predict(bare).items == ("i",)
    assert Haic().fit(bare).session().consensus().items == ("item",)


def test_thousands_of_labels_on_one_item_do_not_underflow():
    """The posterior stays finite and sums to one."""
    model = Haic().fit(ragged(9))
    rows = [("x", "shape", f"s{a}", "round" if a % 2 else "flat") for a in range(5_001)]
    probs = model.predict(coded_from(rows, CLASSES)).latent().probs("shape")[0]
    assert np.isfinite(probs).all()
    assert probs.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "settings",
    [{"floor": 0.0}, {"tolerance": -1.0}, {"max_iterations": 0}],
)
def test_settings_outside_their_range_are_refused(settings):
    """A SettingError names the option."""
    with pytest.raises(SettingError, match=next(iter(settings))):
        Haic(**settings)


def test_progress_is_told():
    """The share done and the task in hand."""
    told = []
    Haic().fit(ragged(0), progress=lambda share, what: told.append((share, what)))
    assert told == [(t / 3, f"haic: {task}") for t, task in enumerate(CLASSES)]
