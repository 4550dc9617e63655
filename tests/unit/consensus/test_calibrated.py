"""Calibrated Dawid-Skene: people's rows times calibrated model probabilities."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest

from quorate.consensus import calibrated_em as em
from quorate.consensus import calibrated_scores as scores
from quorate.consensus.archive import load, save
from quorate.consensus.calibrated import CalibratedDawidSkene, CalibratedModel
from quorate.consensus.dawid_skene import DawidSkene
from quorate.consensus.dawid_skene_em import shares
from quorate.consensus.registry import estimator
from quorate.data.encode import Coded, Labels, ModelOutput
from quorate.errors import DataError, NotFittedError, SchemaError, SettingError
from quorate.schema import Schema, Task
from unit.consensus.build import assert_within, coded_from, simulated
from unit.consensus.many_tasks import CLASSES, ragged

OPTIONS = [
    CalibratedDawidSkene(),
    CalibratedDawidSkene(bias=False),
    CalibratedDawidSkene(calibrate="joint"),
    CalibratedDawidSkene(prior="flat"),
]
NAMES = ["left out", "no bias", "joint", "flat"]
PREVALENCE = np.array([0.4, 0.3, 0.2, 0.1])
SHARPNESS = 1.6  # of the simulated classifier: one over its true temperature


def every_option(law):
    """Run a law on every kind of fit."""
    return pytest.mark.parametrize("options", OPTIONS, ids=NAMES)(law)


class Known(NamedTuple):
    """A simulated labeling with one classifier or several, and what is behind it."""

    coded: Coded
    truth: np.ndarray
    oracle: np.ndarray  # posterior under the true parameters


def known(
    seed: int, n_items: int, n_labels: int, *, n_annotators: int = 200, n_models: int = 1, gold: float = 0.0
) -> Known:
    """Rows Dirichlet(8 m), m .7 on the diagonal; a model scores softmax(z), z ~ N(1.6 [k = y], 1): its T is 1 / 1.6.

    By Bayes p(y | z) ~ prevalence_y exp(1.6 z_y): the bias is the log prevalence. Everybody is asked equally often.
    """
    rng = np.random.default_rng(seed)
    n = len(PREVALENCE)
    centre = np.full((n, n), 0.1) + 0.6 * np.eye(n)
    rows = np.array([[rng.dirichlet(8.0 * row) for row in centre] for _ in range(n_annotators)])
    truth = rng.choice(n, n_items, p=PREVALENCE)
    stride = n_annotators // max(n_labels, 1)
    people = (rng.integers(n_annotators, size=n_items)[:, None] + stride * np.arange(n_labels)) % n_annotators
    limits = rows.cumsum(axis=2)[people, truth[:, None]]
    labels = np.minimum((rng.random((n_items, n_labels, 1)) > limits).sum(axis=2), n - 1)
    z = SHARPNESS * np.eye(n)[truth][:, None] + rng.normal(size=(n_items, n_models, n))
    said = np.exp(z - z.max(axis=2, keepdims=True))
    said = (said / said.sum(axis=2, keepdims=True)).astype(np.float32)
    logits = np.log(PREVALENCE) + SHARPNESS * z.sum(axis=1) + np.log(rows[people, :, labels]).sum(axis=1)
    oracle = np.exp(logits - logits.max(axis=1, keepdims=True))
    coded = Coded(
        schema=Schema((Task("t", tuple("abcd")),)),
        items=tuple(f"i{i}" for i in range(n_items)),
        annotators=tuple(f"p{a}" for a in range(n_annotators)),
        models=tuple(f"m{m}" for m in range(n_models)),
        labels=Labels(
            n_labels * np.arange(n_items + 1),
            people.ravel().astype(np.int32),
            labels.ravel().astype(np.int16),
            np.arange(people.size),
        ),
        outputs=(ModelOutput(np.ones((n_items, n_models), np.int8), said, said.argmax(axis=2).astype(np.int16)),),
        gold=np.where(rng.random(n_items) < gold, truth, -1).astype(np.int16)[:, None],
        features=np.zeros((n_items, 0), np.float32),
        features_known=np.zeros(n_items, bool),
    )
    return Known(coded, truth, oracle / oracle.sum(axis=1, keepdims=True))


def accuracy(probs: np.ndarray, truth: np.ndarray) -> float:
    return float((probs.argmax(axis=1) == truth).mean())


def log_loss(probs: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(probs[np.arange(len(truth)), truth]).mean())


def latent(model: CalibratedModel, coded: Coded, task: str = "t") -> np.ndarray:
    return model.predict(coded).latent().probs(task)


def by_hand(model: CalibratedModel, coded: Coded, task: int, item: int) -> np.ndarray:
    """The posterior of one item in logs, from what the model says of itself, agent by agent."""
    name = coded.schema.tasks[task].name
    output = coded.outputs[task]
    weight = {m: 1.0 / t for m, t in model.temperatures(name).items()}
    logs, spoken = model.bias(name).copy(), False
    for m, model_name in enumerate(coded.models):
        if output.kind[item, m] and model_name in weight:
            s = output.scores[item, m].astype(float)
            s = 0.9 * s + 0.1 / len(s) if output.kind[item, m] == 2 else np.maximum(s, 1e-6)
            logs, spoken = logs + weight[model_name] * np.log(s), True
    with np.errstate(divide="ignore"):  # under a flat prior a class may have no share, and a label no chance
        logs = logs if spoken else np.log(model.class_shares(name))
        log_rows = {annotator: np.log(row) for annotator, row in model.confusion(name).items()}
    cell, before = item * coded.n_tasks + task, logs
    for j in range(coded.labels.start[cell], coded.labels.start[cell + 1]):
        logs = logs + log_rows[coded.annotators[coded.labels.annotator[j]]][:, coded.labels.code[j]]
    logs = before if np.isinf(logs).all() else logs
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


# ---- the fit --------------------------------------------------------------------------------------------------------


@every_option
@pytest.mark.parametrize("gold", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_the_objective_never_falls(options, gold, seed):
    """Every pass raises the log posterior, up to rounding, whatever moves in it."""
    for coded in (ragged(seed, gold=gold), known(seed, 80, 3, n_annotators=9, n_models=2, gold=0.3 * gold).coded):
        fitted = CalibratedDawidSkene(
            options.bias, options.prior, options.calibrate, tolerance=0.0, max_iterations=150
        ).fit(coded)
        objective = np.array(fitted.fit.objective)
        assert len(objective) > 1
        assert (np.diff(objective) >= -1e-11 * np.abs(objective[1:])).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("calibrate", ["left out", "joint"])
def test_the_end_is_a_maximum_of_the_log_posterior(calibrate, bias):
    """No small change of what was free raises likelihood plus log prior."""
    problem = problem_of(known(3, 120, 3, n_annotators=8, n_models=2, gold=0.2).coded)
    learned = em.maximise_posterior(problem, "map", calibrate, bias=bias, tolerance=0.0, max_iterations=3_000)
    rows = em.maximised_rows(learned.expected, learned.rules)

    def log_posterior(rows: np.ndarray, calibration: scores.Calibration) -> float:
        parameters = em.Parameters(rows, calibration)
        return em.expect(problem, parameters).log_likelihood + em.log_prior(parameters, learned.rules)

    at_end, rng = log_posterior(rows, learned.calibration), np.random.default_rng(0)
    for _ in range(20):
        moved, calibration = rows * np.exp(1e-3 * rng.normal(size=rows.shape)), learned.calibration
        if calibrate == "joint":
            weights = calibration.weights * np.exp(1e-3 * rng.normal(size=2))
            shift = 1e-3 * rng.normal(size=4) * bias
            calibration = calibration._replace(weights=weights, bias=calibration.bias + shift)
        moved /= moved.sum(axis=1, keepdims=True)
        assert log_posterior(moved, calibration) < at_end + 1e-9 * abs(at_end)


def problem_of(coded: Coded) -> em.Problem:
    """The problem of task "t" with one place for every annotator."""
    starts = coded.labels.start.astype(np.uint64)
    n = len(coded.schema.tasks[0].classes)
    code = ((coded.labels.annotator.astype(np.int64) * n + coded.labels.code) * n).astype(np.uint32)
    models = scores.models_of(coded.outputs[0], np.arange(len(coded.models)))
    return em.Problem(em.Answers(starts, code), coded.gold[:, 0].copy(), models, len(coded.annotators))


@pytest.mark.parametrize("n_classes", [3, 40])
def test_the_slope_is_that_of_the_soft_cross_entropy(n_classes):
    """Gradient by differences; the curvature too, or where classes are many at least as large in every direction."""
    rng = np.random.default_rng(n_classes)
    x = rng.normal(size=(30, 2, n_classes))
    x -= x.mean(axis=2, keepdims=True)
    models = scores.Models(x.astype(np.float32), rng.random(30) < 0.8)
    r = rng.dirichlet(np.ones(n_classes), 30)
    at = scores.Calibration(np.array([0.7, 1.3]), rng.normal(size=n_classes), np.full(n_classes, 1.0 / n_classes))

    def value(v: np.ndarray) -> float:
        moved = at._replace(weights=at.weights + v[:2], bias=at.bias + v[2:])
        return float((r * scores.log_probs(models, moved))[models.spoken].sum())

    found = scores.slope(models, scores.log_probs(models, at), r)
    for step in 1e-4 * rng.normal(size=(8, 2 + n_classes)):
        forth, back, here = value(step), value(-step), value(0 * step)
        np.testing.assert_allclose((forth - back) / 2, found.gradient @ step, rtol=1e-4, atol=1e-9)
        measured = 2 * here - forth - back
        exact = n_classes <= scores.WIDEST
        assert step @ found.curvature @ step >= measured - 1e-9
        if exact:
            np.testing.assert_allclose(step @ found.curvature @ step, measured, rtol=1e-3, atol=1e-9)


@every_option
def test_relabeling_items_agents_and_classes_only_relabels(options):
    """Shuffled rows, turned classes and renamed agents give the same answer under the new names."""
    world, rng = simulated(1, n_models=2, n_items=80), np.random.default_rng(1)
    gold = [(f"i{i}", "t", "abc"[world.truth[i]]) for i in range(0, 80, 9)]
    turned, items = rng.permutation(3), rng.permutation(len(world.items))
    name = {f"p{a}": f"q{(a * 5) % 6}" for a in range(6)} | {f"m{m}": f"n{1 - m}" for m in range(2)}
    rows = [(i, t, name[a], label) for i, t, a, label in (world.rows[j] for j in rng.permutation(len(world.rows)))]
    outputs = [(i, t, name[m], label) for i, t, m, label in world.outputs]
    classes = {"t": [world.classes["t"][k] for k in turned]}
    other = coded_from(rows, classes, outputs=outputs, gold=gold, items=[world.items[i] for i in items])
    first, second = options.fit(world.coded(gold=gold)), options.fit(other)
    before, after = first.predict(world.coded()), second.predict(other)
    np.testing.assert_allclose(after.probs("t"), before.probs("t")[items][:, turned], atol=1e-5)
    for m, t in first.temperatures("t").items():
        assert second.temperatures("t")[name[m]] == pytest.approx(t, rel=1e-4)
    np.testing.assert_allclose(second.bias("t"), first.bias("t")[turned], atol=1e-4)


def test_tasks_stand_apart():
    """A task is fitted as it would be alone."""
    one, two = simulated(1, n_models=1), simulated(2, n_classes=2)
    rows = [*one.rows, *((i, "u", a, label) for i, _, a, label in two.rows)]
    both = coded_from(rows, {"t": one.classes["t"], "u": two.classes["t"]}, outputs=one.outputs, items=one.items)
    together = CalibratedDawidSkene().fit(both).predict(both)
    for task, alone in (("t", one.coded()), ("u", two.coded())):
        probs = CalibratedDawidSkene().fit(alone).predict(alone).probs("t")
        np.testing.assert_allclose(together.probs(task), probs, atol=1e-12)


@pytest.mark.parametrize("prior", ["map", "flat"])
def test_where_all_is_gold_rows_are_counts_and_temperatures_those_of_supervised_scaling(prior):
    """Rows are (counts + pseudo-counts) / total; no weight and no bias raises sum log q_truth + log prior."""
    world = known(5, 600, 2, n_annotators=10, n_models=2, gold=1.1)
    model = CalibratedDawidSkene(prior=prior, tolerance=0.0).fit(world.coded)
    counts = np.zeros((10, 4, 4))
    np.add.at(counts, (world.coded.labels.annotator, np.repeat(world.truth, 2), world.coded.labels.code), 1.0)
    pseudo = model.tasks[0].rows - counts
    np.testing.assert_allclose(pseudo, np.repeat(pseudo[:1], 10, axis=0), atol=1e-9)
    if prior == "flat":
        np.testing.assert_allclose(pseudo, 0.0, atol=1e-9)
    np.testing.assert_allclose(np.stack(list(model.confusion("t").values())), shares(model.tasks[0].rows))
    models, calibration = problem_of(world.coded).models, model.tasks[0].calibration
    slope = scores.slope(models, scores.log_probs(models, calibration), np.eye(4)[world.truth])
    u, held = np.log(calibration.weights), float(prior == "map")
    pull = 1.0 - (u + 0.5 + np.log(2)) / 0.25
    np.testing.assert_allclose(slope.gradient[:2] * calibration.weights + held * pull, 0.0, atol=1e-3)
    np.testing.assert_allclose(slope.gradient[2:] - held * calibration.bias, 0.0, atol=1e-3)


def test_the_temperature_of_tempered_truth_is_recovered_with_gold():
    """Scores that are the tempered true probability: 1 / T and the bias within their own error at every seed."""
    for seed in range(5):
        world = known(seed, 2_000, 1, gold=1.1)
        model = CalibratedDawidSkene(prior="flat").fit(world.coded)
        models = problem_of(world.coded).models
        log_q = scores.log_probs(models, model.tasks[0].calibration)
        covariance = np.linalg.pinv(scores.slope(models, log_q, np.eye(4)[world.truth]).curvature)
        se = np.sqrt(np.diag(covariance))
        assert_within(model.tasks[0].calibration.weights, SHARPNESS, se[:1])
        true = np.log(PREVALENCE) - np.log(PREVALENCE).mean()
        assert_within(model.bias("t") - model.bias("t").mean(), true, se[1:])


@pytest.mark.slow
def test_the_temperature_of_tempered_truth_is_recovered_without_gold():
    """With enough labels per person the mean over worlds is the true 1 / T, within its own error."""
    found = [CalibratedDawidSkene().fit(known(seed, 4_000, 4, n_annotators=20).coded) for seed in range(12)]
    weights = np.array([model.tasks[0].calibration.weights[0] for model in found])
    assert_within(weights.mean(), SHARPNESS, weights.std(ddof=1) / np.sqrt(len(weights)))


def test_a_label_that_counts_itself_makes_models_look_too_sure():
    """With one label per item the joint fit halves the temperature; left-out labels come nearer and predict better."""
    world = known(0, 2_000, 1)
    honest, joint = (CalibratedDawidSkene(calibrate=how).fit(world.coded) for how in ("left out", "joint"))
    true = 1.0 / SHARPNESS
    assert abs(honest.temperatures("t")["m0"] - true) < abs(joint.temperatures("t")["m0"] - true)
    losses = [log_loss(latent(model, world.coded), world.truth) for model in (honest, joint)]
    assert losses[0] < losses[1]


def test_models_that_say_the_same_share_one_vote():
    """A classifier given twice has the weight of one: the sum of the weights stays, and so does the posterior."""
    one = known(2, 1_500, 3, n_annotators=30)
    output = one.coded.outputs[0]
    twice = ModelOutput(*(np.repeat(part, 2, axis=1) for part in output))
    doubled = Coded(**{**vars(one.coded), "models": ("m0", "m1"), "outputs": (twice,)})
    single, double = (CalibratedDawidSkene(prior="flat").fit(coded) for coded in (one.coded, doubled))
    weights = [model.tasks[0].calibration.weights.sum() for model in (single, double)]
    assert weights[1] == pytest.approx(weights[0], rel=1e-3)
    np.testing.assert_allclose(latent(double, doubled), latent(single, one.coded), atol=1e-3)


def test_a_useless_model_is_silenced_and_a_perfect_one_believed():
    """Noise gets a weight near zero; scores that are always right outvote people, and every number is finite."""
    world = known(4, 600, 3, n_annotators=12)
    rng = np.random.default_rng(4)
    noise = rng.dirichlet(np.ones(4), 600)
    right = 0.94 * np.eye(4)[world.truth] + 0.015
    for said, perfect in ((noise, False), (right, True)):
        output = ModelOutput(
            np.ones((600, 1), np.int8), said[:, None].astype(np.float32), said.argmax(axis=1)[:, None].astype(np.int16)
        )
        for options in OPTIONS:
            coded = Coded(**{**vars(world.coded), "outputs": (output,)})
            model = options.fit(coded)
            probs = latent(model, coded)
            assert np.isfinite(probs).all()
            if perfect:
                assert accuracy(probs, world.truth) > 0.99
            else:
                assert model.tasks[0].calibration.weights[0] < 0.15


@pytest.mark.parametrize("seed", range(2))
def test_without_models_a_flat_prior_is_the_dawid_skene_of_1979(seed):
    """Class shares take the place of q: the same fixed point, from a start among names."""
    coded = simulated(seed, n_items=200, n_annotators=5, diagonal=12.0).coded()
    ours = CalibratedDawidSkene(prior="flat", tolerance=1e-12, max_iterations=3_000).fit(coded)
    theirs = DawidSkene(prior="flat", tolerance=1e-12, max_iterations=3_000).fit(coded)
    assert ours.fit.objective[-1] == pytest.approx(theirs.fit.objective[-1], rel=1e-9)
    np.testing.assert_allclose(latent(ours, coded), theirs.predict(coded).latent().probs("t"), atol=1e-4)
    np.testing.assert_allclose(ours.class_shares("t"), theirs.prevalence("t"), atol=1e-4)


def test_a_model_that_always_says_the_same_is_a_fixed_prevalence():
    """Constant scores without bias: the prior of every item is the same, and people alone tell items apart."""
    world = simulated(2, n_items=150)
    outputs = [(item, "t", "m", {"a": 0.5, "b": 0.3, "c": 0.2}) for item in world.items]
    coded = coded_from(world.rows, world.classes, outputs=outputs, items=world.items)
    model = CalibratedDawidSkene(bias=False).fit(coded)
    alone = latent(model, coded.without_labels())
    np.testing.assert_allclose(alone, np.repeat(alone[:1], len(alone), axis=0), atol=1e-7)
    tempered = np.array([0.5, 0.3, 0.2]) ** (1.0 / model.temperatures("t")["m"])
    np.testing.assert_allclose(alone[0], tempered / tempered.sum(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_items", "n_labels", "gap"), [(2_000, 1, 0.043), (2_000, 2, 0.036), (2_000, 5, 0.009), (10_000, 2, 0.017)]
)
def test_the_distance_to_the_oracle_is_the_published_one(n_items, n_labels, gap):
    """Four seeds: accuracy falls short of the true parameters' by what was measured, within .01, or by less."""
    found = []
    for seed in range(4):
        world = known(seed, n_items, n_labels)
        probs = latent(CalibratedDawidSkene().fit(world.coded), world.coded)
        found.append(accuracy(world.oracle, world.truth) - accuracy(probs, world.truth))
    assert np.mean(found) <= gap + 0.01


# ---- what the data lack ---------------------------------------------------------------------------------------------


@every_option
def test_ragged_data_with_everything_missing_somewhere_stays_finite(options):
    """Three tasks, missing models, hard answers, gold: probabilities sum to 1 under every target."""
    coded = ragged(7, gold=True)
    model = options.fit(coded)
    consensus = model.predict(coded)
    for view in (consensus, consensus.latent(), consensus.panel(3), consensus.gold()):
        for task in CLASSES:
            np.testing.assert_allclose(view.probs(task).sum(axis=1), 1.0)
    assert [target.kind for target in model.targets] == ["gold"] * 3
    assert model.fit.status == "converged"


@every_option
def test_without_any_label_the_models_speak_by_the_prior_and_it_says_so(options):
    """Status 'prior only', a note, even shares; several models have the weight of one together."""
    outputs = [("i1", "t", f"m{m}", {"a": 0.7, "b": 0.3}) for m in range(3)]
    coded = coded_from([], {"t": "ab"}, outputs=outputs, items=["i0"])
    model = options.fit(coded)
    assert model.fit.status == "prior only"
    assert model.fit.objective == ()
    assert "no labels" in model.fit.notes[0]
    np.testing.assert_allclose(latent(model, coded)[0], 0.5)
    assert 0.5 < latent(model, coded)[1, 0] < 0.75
    asked = coded_from([("i", "t", "p", "b")], {"t": "ab"})
    np.testing.assert_allclose(latent(model, asked), [[0.25, 0.75]])


@every_option
def test_gold_and_models_without_people_are_a_calibration(options):
    """Nothing is known of people, and it says so; the models are calibrated by gold."""
    world = known(1, 800, 0, gold=0.9)
    model = options.fit(world.coded)
    assert model.fit.status == "converged"
    assert "no labels from people" in model.fit.notes[0]
    assert 0.4 < model.temperatures("t")["m0"] < 0.9
    rest = world.coded.gold[:, 0] < 0
    assert accuracy(model.predict(world.coded).probs("t")[rest], world.truth[rest]) > 0.7


@every_option
@pytest.mark.parametrize("classes", [["only"], ["a", "b", "only"]])
def test_one_class_seen_stays_finite(options, classes):
    """One class is certain; of several, the only one that anybody ever said is the answer."""
    rows = [(f"i{i}", "t", f"p{a}", "only") for i in range(5) for a in range(3)]
    outputs = [(f"i{i}", "t", "m", "only") for i in range(4)]
    coded = coded_from(rows, {"t": classes}, outputs=outputs)
    probs = options.fit(coded).predict(coded).probs("t")
    assert np.isfinite(probs).all()
    assert (probs.argmax(axis=1) == len(classes) - 1).all()


@every_option
def test_one_label_is_enough(options):
    """A single label in all is a fit, and its class the answer."""
    coded = coded_from([("i", "t", "p", "b")], {"t": "abc"})
    assert options.fit(coded).predict(coded).table().column("label").to_pylist() == ["b"]


def test_no_items_at_all_are_no_trouble():
    """An empty data set can be fitted and predicted, and so can one without tasks."""
    empty = coded_from([], {"t": "ab"})
    model = CalibratedDawidSkene().fit(empty)
    assert model.predict(empty).table().num_rows == 0
    assert model.held_out(empty, np.zeros(0, np.int64), "others").label[0].shape == (0, 2)
    nothing = coded_from([], {}, items=["i"])
    assert CalibratedDawidSkene().fit(nothing).predict(nothing).items == ("i",)


def test_hard_answers_weigh_as_they_deserve():
    """Hard answers alone: an accurate model gets more weight than a poor one, and no certainty is infinite."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 500)
    rows = [
        (f"i{i}", "t", f"p{a}", "abc"[k if rng.random() < 0.8 else rng.integers(3)])
        for i, k in enumerate(truth)
        for a in range(3)
    ]
    outputs = [
        (f"i{i}", "t", name, "abc"[k if rng.random() < right else rng.integers(3)])
        for i, k in enumerate(truth)
        for name, right in (("good", 0.9), ("poor", 0.2))
    ]
    coded = coded_from(rows, {"t": "abc"}, outputs=outputs)
    model = CalibratedDawidSkene().fit(coded)
    assert model.temperatures("t")["good"] < model.temperatures("t")["poor"]
    np.testing.assert_array_less(latent(model, coded), 1.0 - 1e-9)


def test_many_classes_are_fitted_by_a_bound():
    """With 40 classes the curvature is bounded, and the objective still never falls."""
    world = simulated(0, n_items=60, n_models=1)
    classes = {"t": [*"abc", *(f"c{k}" for k in range(37))]}
    coded = coded_from(world.rows, classes, outputs=world.outputs, items=world.items)
    model = CalibratedDawidSkene(calibrate="joint").fit(coded)
    assert model.fit.status == "converged"
    assert (np.diff(model.fit.objective) >= 0).all()


def test_an_annotator_with_one_label_is_near_the_population():
    """A row is the population's pseudo-counts, the same for everybody, plus as many counts as labels."""
    world = simulated(6, n_items=400)
    coded = coded_from([*world.rows, ("i0", "t", "once", "a")], world.classes, items=world.items)
    taught = CalibratedDawidSkene().fit(coded).tasks[0]
    pseudo = taught.rows.sum(axis=(1, 2)) - taught.n_answers
    np.testing.assert_allclose(pseudo, pseudo[0])
    assert taught.n_answers.min() == 1


def test_confusion_rows_beyond_memory_are_refused():
    """The error names the task, the size and what to do."""
    classes = [f"c{k}" for k in range(1_000)]
    rows = [("i", "t", f"p{a}", "c0") for a in range(300)]
    with pytest.raises(DataError, match=r"300 people and 1000 classes.*GiB.*majority"):
        CalibratedDawidSkene().fit(coded_from(rows, {"t": classes}))


# ---- prediction -----------------------------------------------------------------------------------------------------


@every_option
def test_the_posterior_is_scores_times_rows(options):
    """Every item of every task: calibrated probabilities, or class shares, times the rows of whoever answered."""
    model = options.fit(ragged(1))
    other = ragged(2, n_items=12, models=3)  # one model and nobody else is new
    consensus = model.predict(other).latent()
    aligned = other.aligned(model.schema, model.annotators, model.models)
    for t, task in enumerate(CLASSES):
        for i in range(other.n_items):
            np.testing.assert_allclose(consensus.probs(task)[i], by_hand(model, aligned, t, i), atol=1e-6)


def test_an_annotator_whom_the_fit_never_saw_is_the_population():
    """The row of a stranger is all people's counts together, and the consensus says how many there are."""
    world = simulated(8, n_models=2)
    model = CalibratedDawidSkene().fit(world.coded())
    strange = coded_from([("x", "t", "stranger", "c")], world.classes)
    consensus = model.predict(strange)
    expected = model.class_shares("t") * consensus.people[0].population[:, 2]
    np.testing.assert_allclose(consensus.latent().probs("t")[0], expected / expected.sum(), atol=1e-12)
    assert any("annotators whom the fit never saw" in note for note in consensus.notes)


def test_impossible_answers_leave_the_prior():
    """Under a flat prior two certain annotators may contradict each other: then scores or class shares decide."""
    rows = [(f"i{i}", "t", a, "ab"[i % 2]) for i in range(4) for a in ("p", "q")]
    model = CalibratedDawidSkene(prior="flat").fit(coded_from(rows, {"t": "ab"}))
    torn = [("x", "t", "p", "a"), ("x", "t", "q", "b")]
    np.testing.assert_allclose(latent(model, coded_from(torn, {"t": "ab"})), [[0.5, 0.5]])
    session = model.session()
    for _, task, annotator, label in torn:
        session.update(task, annotator, label)
    np.testing.assert_allclose(session.consensus().latent().probs("t"), [[0.5, 0.5]])


def test_thousands_of_labels_on_one_item_do_not_underflow():
    """The posterior of an item with 5,000 labels equals the one computed in logs, in the fit as in prediction."""
    world, rng = simulated(7), np.random.default_rng(7)
    codes = rng.choice(3, 5_000, p=[0.34, 0.33, 0.33])
    rows = [*world.rows, *(("x", "t", f"new{a}", "abc"[k]) for a, k in enumerate(codes))]
    coded = coded_from(rows, world.classes)
    model = CalibratedDawidSkene().fit(world.coded())
    aligned = coded.aligned(model.schema, model.annotators, model.models)
    item = coded.items.index("x")
    population = np.log(model.predict(coded).people[0].population)
    logs = np.log(model.class_shares("t")) + population[:, codes].sum(axis=1)
    expected = np.exp(logs - logs.max())
    np.testing.assert_allclose(latent(model, aligned)[item], expected / expected.sum(), atol=1e-9)
    assert np.isfinite(CalibratedDawidSkene().fit(coded).fit.objective).all()


@every_option
def test_a_held_out_label_is_predicted_by_the_data_without_it(options):
    """The latent posterior is that of the data without the label; the label is read off its annotator's row."""
    coded = ragged(3)
    model = options.fit(coded)
    held = model.held_out(coded, np.arange(len(coded.labels.code))[::5], "others")
    for t, task in enumerate(CLASSES):
        for position, posterior, probs in zip(held.positions[t], held.latent[t], held.label[t], strict=True):
            keep = np.arange(len(coded.labels.code)) != position
            item = (int(np.searchsorted(coded.labels.start, position, side="right")) - 1) // 3
            without = latent(model, coded.keep_labels(keep), task)[item]
            np.testing.assert_allclose(posterior, without, atol=1e-12)
            row = model.confusion(task)[coded.annotators[coded.labels.annotator[position]]]
            np.testing.assert_allclose(probs, without @ row, atol=1e-12)


def test_the_evidence_alone_is_the_models():
    """Given the evidence, the latent posterior is that of the data without any person."""
    coded = ragged(4)
    model = CalibratedDawidSkene().fit(coded)
    held = model.held_out(coded, np.arange(40), "evidence")
    for t, task in enumerate(CLASSES):
        item = (np.searchsorted(coded.labels.start, held.positions[t], side="right") - 1) // 3
        np.testing.assert_allclose(held.latent[t], latent(model, coded.without_labels(), task)[item], atol=1e-12)


@every_option
def test_a_session_is_the_batch(options):
    """Label after label the session equals the batch prediction, strangers and new models included."""
    model = options.fit(ragged(5, gold=True))
    said = {"colour": {"m0": {"red": 0.1, "green": 0.6, "blue": 0.3}, "m1": "blue", "new": "red"}, "size": {"m1": "l"}}
    outputs = [(("x"), task, m, what) for task, each in said.items() for m, what in each.items()]
    session, rows = model.session(said, item="x"), []
    for j in range(21):
        task = list(CLASSES)[j % 3]
        row = ("x", task, f"p{j // 3}", CLASSES[task][j % len(CLASSES[task])])
        session.update(*row[1:])
        rows.append(row)
        batch = model.predict(coded_from(rows, CLASSES, outputs=outputs))
        np.testing.assert_array_equal(session.consensus().agents_seen, batch.agents_seen)
        for name in CLASSES:
            np.testing.assert_allclose(session.probs(name), batch.probs(name)[0], atol=1e-10)
    assert session.consensus().n_labels("colour").tolist() == [7]


def test_a_session_refuses_what_it_cannot_place():
    """An unknown task, an unknown class and a second answer of one person are errors; nothing is counted."""
    session = CalibratedDawidSkene().fit(simulated(3).coded()).session()
    before = session.probs("t")
    with pytest.raises(SchemaError, match="no task"):
        session.update("other", "p0", "a")
    with pytest.raises(SchemaError, match="no class 'd'"):
        session.update("t", "p0", "d")
    np.testing.assert_array_equal(session.probs("t"), before)
    session.update("t", "p0", "a")
    with pytest.raises(DataError, match="already answered"):
        session.update("t", "p0", "b")


@every_option
def test_a_model_comes_back_from_its_state(options, tmp_path):
    """Arrays and JSON settings, and an archive of them, rebuild a model that answers the same, bit for bit."""
    coded = ragged(4, gold=options.bias)
    model = options.fit(coded)
    arrays, settings = model.state()
    save(model, tmp_path / "model.quorate")
    for again in (
        CalibratedModel.from_state(arrays, json.loads(json.dumps(settings))),
        load(tmp_path / "model.quorate"),
    ):
        assert (again.fit, again.options, again.targets) == (model.fit, model.options, model.targets)
        for task in CLASSES:
            np.testing.assert_array_equal(again.predict(coded).probs(task), model.predict(coded).probs(task))


# ---- gold and targets -----------------------------------------------------------------------------------------------


def test_gold_that_calls_things_otherwise_is_learned():
    """Where the expert says b and people say a, the truth is what the expert means; a panel still says a."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    rows = [
        (f"i{i}", "t", f"p{a}", "ab"[k if rng.random() < 0.9 else 1 - k]) for i, k in enumerate(truth) for a in range(3)
    ]
    gold = [(f"i{i}", "t", "ba"[k]) for i, k in enumerate(truth[:200])]
    model = CalibratedDawidSkene().fit(coded_from(rows, {"t": "ab"}, gold=gold))
    asked = coded_from(rows[600:], {"t": "ab"})
    assert model.targets[0].kind == "gold"
    assert accuracy(model.predict(asked).probs("t"), 1 - truth[200:]) > 0.9
    assert accuracy(model.predict(asked).panel(3).probs("t"), truth[200:]) > 0.9


def test_the_row_of_an_expert_is_the_most_probable_one():
    """With certain posteriors it is counts over pseudo-counts; no gold leaves the strong diagonal."""
    pseudo = 0.5 + 10.0 * np.eye(2)
    certain = np.eye(2)[[0, 0, 0, 1]]
    row = em.learned_gold_row(certain, np.array([0, 0, 1, 1], np.int16), pseudo)
    np.testing.assert_allclose(row, shares(pseudo + np.array([[2.0, 1.0], [0.0, 1.0]])))
    none = em.learned_gold_row(np.zeros((0, 2)), np.zeros(0, np.int16), pseudo)
    np.testing.assert_allclose(none, shares(pseudo))


def test_gold_helps_and_can_be_left_aside():
    """Known truths lower the loss on the other items; use_gold=False fits as if there were none."""
    world = known(6, 1_000, 1, n_annotators=40, gold=0.5)
    told, aside = (CalibratedDawidSkene(use_gold=use).fit(world.coded) for use in (True, False))
    rest = world.coded.gold[:, 0] < 0
    losses = [log_loss(latent(model, world.coded)[rest], world.truth[rest]) for model in (told, aside)]
    assert losses[0] < losses[1]
    bare = Coded(**{**vars(world.coded), "gold": np.full_like(world.coded.gold, -1)})
    assert aside.fit == CalibratedDawidSkene().fit(bare).fit
    assert [model.targets[0].kind for model in (told, aside)] == ["gold", "panel"]
    with pytest.raises(NotFittedError):
        aside.predict(world.coded).gold()
    np.testing.assert_array_equal(told.predict(bare).probs("t"), told.predict(world.coded).probs("t"))


# ---- the door -------------------------------------------------------------------------------------------------------


def test_it_is_asked_for_by_name():
    """The registry knows it and its options."""
    assert estimator("calibrated-dawid-skene", bias=False) == CalibratedDawidSkene(bias=False)


@pytest.mark.parametrize("settings", [{"tolerance": -1.0}, {"max_iterations": 0}])
def test_settings_outside_their_range_are_refused(settings):
    """A SettingError names the option."""
    with pytest.raises(SettingError, match=next(iter(settings))):
        CalibratedDawidSkene(**settings)


def test_progress_is_told():
    """The share done and the task in hand."""
    told = []
    CalibratedDawidSkene().fit(simulated(0).coded(), progress=lambda share, what: told.append((share, what)))
    assert told == [(0.0, "calibrated-dawid-skene: t")]
