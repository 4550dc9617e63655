"""Laws of `hybrid`."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.hybrid import Hybrid, HybridModel
from quorate.consensus.hybrid.fitting import problem_of, quadrature_points, vocabulary_of
from quorate.consensus.hybrid.habits import Habits, habits_of, people_row
from quorate.consensus.hybrid.objective import Objective
from quorate.consensus.hybrid.options import Settings
from quorate.consensus.hybrid.parameters import start_vector
from quorate.data.encode import Coded
from quorate.errors import DataError, NotFittedError, SchemaError, SettingError
from quorate.schema import Schema
from unit.consensus.build import assert_within, coded_from, simulated
from unit.consensus.many_tasks import ragged

GIVEN = Hybrid(factors=2, subtypes=1, annotator_shrinkage=5.0, model_shrinkage=300.0, people_shrinkage=15.0, points=32)


def fitted(data: Coded, **options: float) -> HybridModel:
    """A fit under given settings."""
    return replace(GIVEN, **options).fit(data)


def ordered(data: Coded) -> Coded:
    """The same data with every task on a scale."""
    return replace(data, schema=Schema(tuple(replace(task, ordered=True) for task in data.schema.tasks)))


def objective_of(data: Coded, settings: Settings) -> tuple[Objective, np.ndarray]:
    """The objective and a random point."""
    vocabulary, habits = vocabulary_of(data, settings), habits_of(data)
    problem = problem_of(data, vocabulary, habits, quadrature_points(settings.factors, 16, 0))
    start = start_vector(vocabulary.shapes, problem.priors, strength=0.8, seed=0)
    return Objective(problem, settings, np.float64), start + 0.3 * np.random.default_rng(1).normal(size=start.shape)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("agreement", [0.1, 0.36, 0.9])
def test_two_people_of_the_prior_row_agree_as_often_as_people_do(agreement: float, scale: bool) -> None:
    """The row's own chance of agreement is the one it was made from, on a scale and off it."""
    share = np.array([0.2, 0.3, 0.1, 0.4])
    row = people_row(Habits(share, agreement), ordered=scale)
    chance = share @ share
    np.testing.assert_allclose(row.sum(axis=1), 1.0)
    assert share @ (row**2).sum(axis=1) == pytest.approx(chance + (1 - chance) * agreement, abs=1e-9)


def test_agreement_of_people_who_know_half_and_guess_half() -> None:
    """Answers are the truth with probability .7, else by shares: the habit found is .49 within four of its errors."""
    rng = np.random.default_rng(0)
    share, q, n = np.array([0.5, 0.3, 0.2]), 0.7, 4_000
    truth = rng.choice(3, n, p=share)
    answers = np.where(rng.random((n, 3)) < q, truth[:, None], rng.choice(3, (n, 3), p=share))
    rows = [(f"i{i}", "t", f"a{a}", str(answers[i, a])) for i in range(n) for a in range(3)]
    found = habits_of(coded_from(rows, {"t": ("0", "1", "2")}))[0]
    assert found.agreement == pytest.approx(q * q, abs=0.04)
    np.testing.assert_allclose(found.share, share, atol=0.03)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("settings", [Settings(), Settings(factors=0), Settings(factors=3, subtypes=2, apart=4.0)])
def test_the_gradient_is_the_slope_of_the_objective(settings: Settings, scale: bool) -> None:
    """Central differences in random directions agree with the gradient to the order of their own error."""
    data = ragged(3, gold=True)
    objective, point = objective_of(ordered(data) if scale else data, settings)
    _, gradient = objective.value(point)
    rng = np.random.default_rng(2)
    for _ in range(12):
        direction = rng.normal(size=point.shape) * (rng.random(point.shape) < 0.1)
        step = 1e-5
        rise = (objective.value(point + step * direction)[0] - objective.value(point - step * direction)[0]) / 2 / step
        assert rise == pytest.approx(float(gradient @ direction), rel=1e-5, abs=1e-5)


def test_every_single_parameter_has_the_right_slope() -> None:
    """One parameter at a time, on a tiny problem: no block of the gradient is left out."""
    objective, point = objective_of(ordered(ragged(5, n_items=4, gold=True)), Settings(factors=1, subtypes=2))
    _, gradient = objective.value(point)
    for place in range(0, len(point), 3):
        unit = np.zeros_like(point)
        unit[place] = 1e-5
        rise = (objective.value(point + unit)[0] - objective.value(point - unit)[0]) / 2e-5
        assert rise == pytest.approx(gradient[place], rel=1e-4, abs=2e-5)


def test_the_objective_never_falls() -> None:
    """Every accepted step of the fit is uphill."""
    objective = fitted(ragged(1)).fit.objective
    assert len(objective) > 3
    assert np.all(np.diff(objective) >= -1e-9)


def brute_force(model: HybridModel, data: Coded) -> tuple[list[np.ndarray], np.ndarray]:
    """Marginals and joint confidence by summing over all answers to all tasks at every point."""
    batch, off = model._batch(data), model.vocabulary.off
    widths = np.diff(off)
    marginals = [np.zeros((data.n_items, width)) for width in widths]
    joint = {}
    for answer in itertools.product(*[range(width) for width in widths]):
        columns = [off[t] + c for t, c in enumerate(answer)]
        at_points = np.prod([model.tables.theta[c] for c in columns], axis=0).mean()
        weight = at_points * np.exp(batch.labeled[:, columns].sum(axis=1))
        joint[answer] = weight
        for t, c in enumerate(answer):
            marginals[t][:, c] += weight
    total = marginals[0].sum(axis=1)
    marginals = [marginal / total[:, None] for marginal in marginals]
    best = np.column_stack([marginal.argmax(axis=1) for marginal in marginals])
    confidence = np.array([joint[tuple(best[i])][i] for i in range(data.n_items)]) / total
    return marginals, confidence


def test_the_posterior_is_that_of_brute_force() -> None:
    """Marginals and the joint over tasks equal a sum over every combination of answers."""
    data = ragged(7, n_items=12)
    model = fitted(data)
    consensus = model.predict(data).latent()
    marginals, confidence = brute_force(model, data)
    for task, marginal in zip(data.schema.tasks, marginals, strict=True):
        np.testing.assert_allclose(consensus.probs(task.name), marginal, atol=1e-10)
    np.testing.assert_allclose(consensus.joint_confidence(), confidence, atol=1e-10)


def test_the_joint_confidence_of_a_panel_is_that_of_brute_force() -> None:
    """With a readout between latent class and target, too."""
    data = ragged(8, n_items=10)
    model = fitted(data)
    consensus = model.predict(data).panel(3)
    batch, off = model._batch(data), model.vocabulary.off
    total, right = np.zeros(data.n_items), np.zeros(data.n_items)
    for answer in itertools.product(*[range(w) for w in np.diff(off)]):
        columns = [off[t] + c for t, c in enumerate(answer)]
        prior = np.prod([model.tables.theta[c] for c in columns], axis=0).mean()
        weight = prior * np.exp(batch.labeled[:, columns].sum(axis=1))
        passes = np.ones(data.n_items)
        for t, task in enumerate(data.schema.tasks):
            readout, best = consensus._readouts[t], consensus.label_codes(task.name)
            passes *= readout.tables[readout.table_of, answer[t], best]
        total += weight
        right += weight * passes
    np.testing.assert_allclose(consensus.joint_confidence(), right / total, atol=1e-10)


def test_the_joint_confidence_lies_between_the_bounds_of_frechet() -> None:
    """max(0, sum c_t - (T - 1)) <= P(all right) <= min c_t."""
    data = ragged(9)
    consensus = fitted(data).predict(data)
    each = np.column_stack([consensus.confidence(task.name) for task in data.schema.tasks])
    joint = consensus.joint_confidence()
    assert np.all(joint <= each.min(axis=1) + 1e-9)
    assert np.all(joint >= each.sum(axis=1) - (each.shape[1] - 1) - 1e-9)


def test_a_held_out_label_is_predicted_as_if_it_had_never_come() -> None:
    """The cavity equals a prediction on data without that label."""
    data = ragged(10)
    model = fitted(data)
    positions = np.arange(0, len(data.labels.code), 7)
    held = model.held_out(data, positions, "others")
    for t, task in enumerate(data.schema.tasks):
        for place, latent in zip(held.positions[t], held.latent[t], strict=True):
            mask = np.ones(len(data.labels.code), bool)
            mask[place] = False
            item = data.cell_of_label()[place] // data.n_tasks
            expected = model.predict(data.keep_labels(mask)).latent().probs(task.name)[item]
            np.testing.assert_allclose(latent, expected, atol=1e-9)


def test_evidence_alone_is_a_prediction_without_any_label() -> None:
    """`given="evidence"` sees no person at all."""
    data = ragged(11)
    model = fitted(data)
    held = model.held_out(data, np.arange(len(data.labels.code)), "evidence")
    bare = model.predict(data.without_labels()).latent()
    for t, task in enumerate(data.schema.tasks):
        item = data.cell_of_label()[held.positions[t]] // data.n_tasks
        np.testing.assert_allclose(held.latent[t], bare.probs(task.name)[item], atol=1e-9)


def test_labels_of_one_task_move_the_others() -> None:
    """A factor couples the tasks: with R = 0 a label on one task leaves the rest alone, with R > 0 it does not."""
    data = ragged(12, n_items=120)
    for factors, moves in ((0, False), (2, True)):
        model = fitted(data, factors=factors)
        before, after = model.session(), model.session()
        after.update("colour", "p0", "blue")
        moved = np.abs(before.probs("size") - after.probs("size")).max() > 1e-3
        assert moved == moves


def test_a_session_is_a_batch_prediction() -> None:
    """Label by label, to 1e-9, under every target."""
    data = ragged(13, n_items=40, gold=True)
    model = fitted(data)
    scores = {"colour": {"m0": {"red": 0.2, "green": 0.5, "blue": 0.3}, "m1": "green"}, "size": {"m1": "xl"}}
    labels = [("colour", "p0", "green"), ("shape", "p1", "flat"), ("size", "stranger", "l"), ("colour", "p2", "blue")]
    session = model.session(scores, item="x")
    for n, (task, annotator, label) in enumerate(labels, start=1):
        session.update(task, annotator, label)
        batch = coded_from(
            [("x", *row) for row in labels[:n]],
            {t.name: t.classes for t in data.schema.tasks},
            outputs=[("x", t, m, said) for t, by_model in scores.items() for m, said in by_model.items()],
        )
        expected = model.predict(batch)
        for name in data.schema.code_of:
            np.testing.assert_allclose(session.probs(name), expected.probs(name)[0], atol=1e-6)
            np.testing.assert_allclose(session.consensus().probs(name), expected.probs(name), atol=1e-6)


def test_a_session_refuses_what_it_does_not_know() -> None:
    """Unknown task, unknown class, a second answer, scores that do not sum to one."""
    model = fitted(ragged(14))
    session = model.session()
    with pytest.raises(SchemaError, match="taste"):
        session.update("taste", "p0", "red")
    with pytest.raises(SchemaError, match="pink"):
        session.update("colour", "p0", "pink")
    session.update("colour", "p0", "red")
    with pytest.raises(DataError, match="already answered"):
        session.update("colour", "p0", "red")
    with pytest.raises(DataError, match="sum to"):
        model.session({"colour": {"m0": {"red": 0.9}}})


def test_renaming_items_and_agents_and_shuffling_rows_changes_no_probability() -> None:
    """Names carry no information, nor does the order of items."""
    data = ragged(15)
    order = np.random.default_rng(0).permutation(data.n_items)
    renamed = replace(
        data.select(order),
        annotators=tuple(f"z{name}" for name in data.annotators),
        models=tuple(f"z{name}" for name in data.models),
    )
    first, second = fitted(data).predict(data), fitted(renamed).predict(renamed)
    for task in data.schema.tasks:
        np.testing.assert_allclose(first.probs(task.name)[order], second.probs(task.name), atol=2e-3)


def test_relabeling_the_classes_only_relabels_the_answer() -> None:
    """Classes of a task that is not ordered, permuted. The start draws loadings in class order, so factors are off."""
    data = ragged(16)
    task = data.schema.tasks[0]
    schema = Schema((replace(task, classes=("blue", "red", "green")), *data.schema.tasks[1:]))
    permuted = data.aligned(schema, data.annotators, data.models)
    first, second = (fitted(d, factors=0).predict(d).probs("colour") for d in (data, permuted))
    np.testing.assert_allclose(first, second[:, [1, 2, 0]], atol=2e-3)


def test_without_any_label_the_prior_pools_the_models_and_says_so() -> None:
    """Cold start: the models' common opinion, a status and a note."""
    data = ragged(17).without_labels()
    model = Hybrid().fit(data)
    assert model.fit.status == "prior only"
    assert any("no label" in note for note in model.fit.notes)
    pooled = np.log(np.maximum(data.outputs[0].scores, 1e-6)).sum(axis=1)
    one = (data.outputs[0].kind > 0).sum(axis=1) == 1
    probs = model.predict(data).probs("colour")
    np.testing.assert_array_equal(probs[one].argmax(axis=1), pooled[one].argmax(axis=1))
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)


def test_people_without_any_model_are_enough() -> None:
    """Labels alone: items that all people answer alike are named so."""
    data = ragged(18, n_items=150, models=0)
    consensus = fitted(data).predict(data).latent()
    counts = data.counts(1)
    alike = (counts.max(axis=1) >= 3) & (counts.min(axis=1) == 0)
    assert alike.sum() > 10
    np.testing.assert_array_equal(consensus.label_codes("shape")[alike], counts[alike].argmax(axis=1))


def test_one_class_and_one_class_seen_are_no_trouble() -> None:
    """A task with a single class is certain; a class that nobody ever gave keeps a little probability."""
    rows = [(f"i{i}", "only", "p0", "yes") for i in range(12)] + [(f"i{i}", "seen", "p0", "a") for i in range(12)]
    data = coded_from(rows, {"only": ("yes",), "seen": ("a", "b")})
    consensus = fitted(data).predict(data)
    np.testing.assert_allclose(consensus.probs("only"), 1.0)
    seen = consensus.latent().probs("seen")
    assert np.all((seen[:, 1] > 0) & (seen[:, 1] < 0.2))


def test_a_missing_model_is_no_vote_against() -> None:
    """Dropping one of two agreeing models keeps the pooled vote at full strength: the answer stands."""
    rng = np.random.default_rng(0)
    rows, outputs = [], []
    for i in range(200):
        true = "ab"[rng.integers(2)]
        rows += [(f"i{i}", "t", "p0", true)]
        outputs += [(f"i{i}", "t", m, {true: 0.8, "ab"[true == "a"]: 0.2}) for m in ("m0", "m1")]
    model = fitted(coded_from(rows, {"t": ("a", "b")}, outputs=outputs))
    both = {"t": {m: {"a": 0.8, "b": 0.2} for m in ("m0", "m1")}}
    one = {"t": {"m0": {"a": 0.8, "b": 0.2}}}
    np.testing.assert_allclose(model.session(both).probs("t"), model.session(one).probs("t"), atol=1e-6)


@pytest.mark.parametrize("n_models", [1, 3])
def test_models_shrunk_without_end_cast_a_plain_vote(n_models: int) -> None:
    """Hard model shrinkage leaves one weight per task: the mean of the models' log scores, stretched."""
    weights = fitted(simulated(1, n_items=100, n_models=n_models).coded(), model_shrinkage=1e9).tables.weights
    for of_task in weights:
        n = len(of_task)
        np.testing.assert_allclose(of_task[:, :n], of_task[0, 0] * np.eye(n), atol=1e-5)
        np.testing.assert_allclose(of_task[:, n:], 0.0, atol=1e-5)


def test_correlated_models_share_one_vote() -> None:
    """Nine copies of a model are worth the one: the posterior from scores alone is the same within error."""
    sim = simulated(1, n_items=400, n_models=1)
    copies = [(item, task, f"m{c}", said) for item, task, _, said in sim.outputs for c in range(9)]
    one, nine = sim.coded(), coded_from(sim.rows, sim.classes, outputs=copies, items=sim.items)
    first, second = (fitted(d).predict(d.without_labels()).latent().probs("t") for d in (one, nine))
    np.testing.assert_allclose(first, second, atol=2e-3)


def test_gold_offers_the_gold_target() -> None:
    """With gold the target is gold by default; without it, asking for gold says why not."""
    data = ragged(19, n_items=80, gold=True)
    consensus = fitted(data).predict(data)
    assert {target.kind for target in consensus.targets} == {"gold"}
    bare = ragged(19, n_items=80)
    with pytest.raises(NotFittedError, match="gold"):
        fitted(bare).predict(bare).gold()


def test_gold_without_people_is_learned_from() -> None:
    """Models and gold only: a biased model is set right."""
    rng = np.random.default_rng(4)
    outputs, gold = [], []
    for i in range(300):
        true = int(rng.integers(2))
        outputs.append((f"i{i}", "t", "m", "ab"[1 - true] if rng.random() < 0.9 else "ab"[true]))  # wrong on purpose
        gold.append((f"i{i}", "t", "ab"[true]))
    model = fitted(coded_from([], {"t": ("a", "b")}, outputs=outputs, gold=gold))
    said = model.session({"t": {"m": "a"}}).probs("t")
    assert_within(said[1], 0.9, se=(0.9 * 0.1 / 150) ** 0.5)


def test_features_are_evidence() -> None:
    """A feature that decides the class is used where no model spoke."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    rows = [(f"i{i}", "t", f"p{p}", "ab"[int(x[i] > 0)]) for i in range(400) for p in range(2)]
    data = coded_from(rows, {"t": ("a", "b")}, items=[f"i{i}" for i in range(400)])
    data = replace(data, features=x[:, None].astype(np.float32), features_known=np.ones(400, bool))
    model = fitted(data)
    probs = model.session(features=np.array([2.0])).probs("t")
    assert probs[1] > 0.9
    with pytest.raises(DataError, match="features"):
        model.session(features=np.zeros(3))


def test_features_are_known_by_name_and_may_be_missing() -> None:
    """Columns in another order change nothing, extra ones are left aside; none at all is unknown, some is refused."""
    data = ragged(3, 40)
    values, known = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32), np.ones(40, bool)
    told = replace(data, features=values, features_known=known, feature_names=("x_a", "x_b"))
    model = fitted(told)
    turned = replace(told, features=values[:, ::-1].copy(), feature_names=("x_b", "x_a"))
    wider = replace(told, features=np.column_stack([values[:, 1], values]), feature_names=("x_c", "x_a", "x_b"))
    for same in (turned, wider):
        np.testing.assert_array_equal(model.predict(same).probs("size"), model.predict(told).probs("size"))
    unknown = replace(told, features_known=~known)
    np.testing.assert_array_equal(model.predict(data).probs("size"), model.predict(unknown).probs("size"))
    with pytest.raises(SchemaError, match="no feature 'x_b'"):
        model.predict(replace(told, features=values[:, :1], feature_names=("x_a",)))


def test_the_posterior_is_calibrated_in_a_simulation() -> None:
    """Of held-out items with confidence in a bin, the share that is right is the confidence, within binomial error."""
    train, test = (simulated(seed, n_items=4000, n_annotators=8, diagonal=4.0) for seed in (21, 21))
    data = train.coded()
    model = fitted(data.select(np.arange(2000)))
    held = data.select(np.arange(2000, 4000))
    consensus = model.predict(held).latent()
    confidence = consensus.confidence("t")
    right = consensus.label_codes("t") == test.truth[2000:]
    edges = np.quantile(confidence, [0, 0.25, 0.5, 0.75, 1.0])
    for low, high in itertools.pairwise(edges):
        inside = (confidence >= low) & (confidence <= high)
        expected = confidence[inside].mean()
        spread = max((confidence[inside] * (1 - confidence[inside])).sum() ** 0.5 / inside.sum(), 1e-3)
        assert_within(right[inside].mean(), expected, se=spread + 0.01)  # 0.01: rows are estimated from 4,000 labels


def test_settings_are_chosen_by_what_predicts_labels() -> None:
    """Where tasks are coupled strongly, factors are kept; where there is one task, none."""
    coupled = Hybrid().fit(ragged(22, n_items=150))
    assert coupled.settings.factors > 0
    single = Hybrid().fit(simulated(2).coded())
    assert single.settings.factors == 0
    assert any("Chosen by held-out label likelihood" in note for note in single.fit.notes)


def test_settings_outside_their_range_are_refused() -> None:
    """The message names setting, range and value."""
    with pytest.raises(SettingError, match="subtypes must lie from 1 to 2, not 3"):
        Hybrid(subtypes=3)


def test_a_saved_model_predicts_the_same() -> None:
    """What `state` gives, `from_state` takes: they keep every probability."""
    data = ragged(23, gold=True)
    model = fitted(data, subtypes=2)
    again = HybridModel.from_state(*model.state())
    for task in data.schema.tasks:
        np.testing.assert_array_equal(model.predict(data).probs(task.name), again.predict(data).probs(task.name))
