"""Dawid-Skene with hierarchical priors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import gammaln

from quorate.consensus import dawid_skene_em as em
from quorate.consensus.dawid_skene import DawidSkene, DawidSkeneModel
from quorate.errors import DataError, NotFittedError, SchemaError, SettingError
from unit.consensus.build import assert_within, coded_from, simulated

PRIORS = ("hierarchical", "diagonal", "flat")
GOLD = [(f"i{i}", "t", "abc"[i % 3]) for i in range(20)]


def labels_of(consensus) -> list[str]:
    return consensus.table().column("label").to_pylist()


def brute_force(model: DawidSkeneModel, rows: list, item: str, classes: tuple[str, ...]) -> np.ndarray:
    """The posterior of one item in logs, agent by agent."""
    confusion = model.confusion("t")
    logs = np.log(model.prevalence("t"))
    for _, _, agent, label in (row for row in rows if row[0] == item):
        row = confusion.rows[confusion.agents.index(agent)] if agent in confusion.agents else model.tasks[0].population
        with np.errstate(divide="ignore"):
            logs = logs + np.log(row[:, classes.index(label)])
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


# ---- the fit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gold", [(), GOLD])
def test_the_objective_never_falls(prior, seed, gold):
    """Every pass raises the log posterior, up to rounding."""
    coded = simulated(seed, n_models=2).coded(gold=gold)
    objective = np.array(DawidSkene(prior=prior, tolerance=0.0).fit(coded).fit.objective)
    assert (np.diff(objective) >= -1e-12 * np.abs(objective[1:])).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_flat_prior_has_the_likelihood_as_its_objective(seed):
    """Without pseudo-counts the objective is sum_i log sum_k pi_k prod theta, of the parameters a pass began with."""
    world = simulated(seed)
    options = DawidSkene(prior="flat", tolerance=0.0)
    before = DawidSkene(prior="flat", tolerance=0.0, max_iterations=5).fit(world.coded())
    confusion, expected = before.confusion("t"), 0.0
    for item in {row[0] for row in world.rows}:
        likelihood = before.prevalence("t").copy()
        for _, _, annotator, label in (row for row in world.rows if row[0] == item):
            likelihood *= confusion.rows[confusion.agents.index(annotator)][:, "abc".index(label)]
        expected += np.log(likelihood.sum())
    assert options.fit(world.coded()).fit.objective[5] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_end_is_a_fixed_point_of_the_log_posterior(seed):
    """At the end no small change of a parameter on its simplex raises likelihood plus log prior."""
    coded = simulated(seed, n_items=40).coded()
    agents = em.count_answers(coded)[0]
    place = np.append(np.arange(len(agents)), [-1, -1])
    group = np.zeros(len(agents), np.int8)
    problem = em.Problem(em.gathered(coded, 0, place), np.full(coded.n_items, -1, np.int16), group, 3)
    learned = em.maximise_posterior(problem, "hierarchical", tolerance=0.0, max_iterations=3_000)
    end = em.maximised(learned.expected, learned.pseudo, group)

    def log_posterior(parameters: em.Parameters) -> float:
        return em.expect(problem, parameters).log_likelihood + em.log_prior(parameters, learned.pseudo, group)

    rng = np.random.default_rng(seed)
    at_end = log_posterior(end)
    for _ in range(20):
        rows = end.rows * np.exp(1e-3 * rng.normal(size=end.rows.shape))
        classes = end.classes * np.exp(1e-3 * rng.normal(size=3))
        moved = em.Parameters(rows / rows.sum(axis=1, keepdims=True), classes / classes.sum())
        assert log_posterior(moved) < at_end + 1e-9 * abs(at_end)


def test_learning_the_pseudo_counts_never_lowers_their_posterior():
    """The fixed-point step raises the Dirichlet-multinomial likelihood times its Gamma hyperprior."""
    rng = np.random.default_rng(0)
    counts = rng.gamma(0.5, 10.0, (30, 3, 3)) * rng.integers(0, 2, (30, 1, 1))
    start = 1.0 + 3.0 * np.eye(3)

    def log_posterior(b: np.ndarray) -> float:
        totals = counts.sum(axis=1)
        rows = gammaln(counts + b) - gammaln(b)
        sums = gammaln(b.sum(axis=0)) - gammaln(totals + b.sum(axis=0))
        return float(rows.sum() + sums.sum() + em.PRIOR_WEIGHT * (start * np.log(b) - b).sum())

    path = [rng.gamma(2.0, 1.0, (3, 3))]
    for _ in range(30):
        path.append(em.learned_dirichlet(counts, path[-1], start))
    heights = [log_posterior(b) for b in path]
    assert (np.diff(heights) >= -1e-9).all()
    assert heights[-1] > heights[0]


@pytest.mark.parametrize("prior", PRIORS)
def test_relabeling_items_agents_and_classes_only_relabels(prior):
    """Shuffled rows, turned classes and renamed agents give the same answer under the new names."""
    world = simulated(1, n_models=2)
    rng = np.random.default_rng(1)
    options = DawidSkene(prior=prior, tolerance=1e-13)
    first = options.fit(world.coded())
    turned, items = rng.permutation(3), rng.permutation(len(world.items))
    name = {f"p{a}": f"q{(a * 5) % 6}" for a in range(6)} | {f"m{m}": f"n{1 - m}" for m in range(2)}
    rows = [(i, t, name[a], label) for i, t, a, label in (world.rows[j] for j in rng.permutation(len(world.rows)))]
    outputs = [(i, t, name[m], label) for i, t, m, label in world.outputs]
    classes = {"t": [world.classes["t"][k] for k in turned]}
    coded = coded_from(rows, classes, outputs=outputs, items=[world.items[i] for i in items])
    second = options.fit(coded)
    before, after = first.predict(world.coded()), second.predict(coded)
    np.testing.assert_allclose(after.probs("t"), before.probs("t")[items][:, turned], atol=2e-5)
    old, new = first.confusion("t"), second.confusion("t")
    for agent, row in zip(old.agents, old.rows, strict=True):
        np.testing.assert_allclose(new.rows[new.agents.index(name[agent])], row[turned][:, turned], atol=2e-4)


def test_tasks_stand_apart():
    """A task is fitted as it would be alone."""
    one, two = simulated(1, n_models=1), simulated(2, n_classes=2)
    rows = [*one.rows, *((i, "u", a, label) for i, _, a, label in two.rows)]
    both = coded_from(rows, {"t": one.classes["t"], "u": two.classes["t"]}, outputs=one.outputs, items=one.items)
    together = DawidSkene().fit(both).predict(both)
    np.testing.assert_array_equal(together.probs("t"), DawidSkene().fit(one.coded()).predict(one.coded()).probs("t"))
    np.testing.assert_array_equal(together.probs("u"), DawidSkene().fit(two.coded()).predict(two.coded()).probs("t"))
    np.testing.assert_allclose(
        together.joint_confidence(), together.confidence("t") * together.confidence("u"), rtol=1e-12
    )


@pytest.mark.parametrize("prior", PRIORS)
def test_convergence_is_a_status(prior):
    """Too few passes end as 'iteration limit', enough as 'converged'."""
    coded = simulated(3).coded()
    short = DawidSkene(prior=prior, max_iterations=2).fit(coded)
    assert (short.fit.status, short.fit.iterations, len(short.fit.objective)) == ("iteration limit", 2, 2)
    assert DawidSkene(prior=prior).fit(coded).fit.status == "converged"


def test_rows_and_prevalence_come_back_from_a_large_simulation():
    """Each row's entries are within 4.5 of their posterior's standard errors of the truth (150 entries at once)."""
    world = simulated(0, n_items=6_000, n_annotators=8, n_labels=8, n_models=2, diagonal=9.0)
    model = DawidSkene().fit(world.coded())
    found = model.confusion("t")
    assert found.agents == (*(f"p{a}" for a in range(8)), "m0", "m1")
    assert found.is_person.tolist() == [True] * 8 + [False] * 2
    total = found.parameters.sum(axis=2, keepdims=True)
    se = np.sqrt(found.rows * (1 - found.rows) / (total + 1))
    # Truth is not seen but inferred; with four and a half labels on average that costs up to half the information.
    assert_within(found.rows, world.confusion, se * np.sqrt(2), sigmas=4.5)
    prevalence = model.prevalence("t")
    assert_within(prevalence, np.bincount(world.truth) / 6_000, np.sqrt(prevalence * (1 - prevalence) / 6_000))


def test_confidence_is_the_share_of_right_answers():
    """In data from the model itself, classes given with probability p are right in a share p, in every band of p."""
    world = simulated(1, n_items=8_000, n_annotators=12, n_labels=5, diagonal=4.0)
    probs = DawidSkene().fit(world.coded()).predict(world.coded()).latent().probs("t")
    right = np.eye(3)[world.truth]
    band = np.digitize(probs, np.linspace(0, 1, 11)[1:-1])
    for b in range(10):
        inside = band == b
        expected = probs[inside]
        assert_within((right[inside] - expected).sum(), 0.0, np.sqrt((expected * (1 - expected)).sum()))


def test_few_labels_per_annotator_are_judged_by_the_group():
    """With a label or two each, learned pseudo-counts have less log loss than the start, and that less than none."""
    world = simulated(2, n_items=400, n_annotators=800, n_labels=5, n_classes=4)
    losses = []
    for prior in PRIORS:
        probs = DawidSkene(prior=prior).fit(world.coded()).predict(world.coded()).latent().probs("t")
        losses.append(-np.log(np.maximum(probs[np.arange(400), world.truth], 1e-12)).mean())
    assert losses[0] < losses[1] < losses[2]


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_a_perfect_annotator_is_believed():
    """Against two who guess, somebody who agrees with the crowd elsewhere decides."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300)
    crowd = {f"good{a}": np.where(rng.random(300) < 0.9, truth, 1 - truth) for a in range(4)}
    guessing = {f"bad{a}": rng.integers(0, 2, 300) for a in range(2)}
    rows = [(f"i{i}", "t", "perfect", "ab"[truth[i]]) for i in range(300)]
    rows += [(f"i{i}", "t", a, "ab"[c[i]]) for a, c in {**crowd, **guessing}.items() for i in range(300)]
    model = DawidSkene().fit(coded_from(rows, {"t": "ab"}))
    asked = coded_from([("x", "t", "perfect", "a"), ("x", "t", "bad0", "b"), ("x", "t", "bad1", "b")], {"t": "ab"})
    assert model.predict(asked).latent().probs("t")[0, 0] > 0.95


@pytest.mark.parametrize("prior", PRIORS)
def test_one_class_is_certain(prior):
    """A task with one class has nothing to be uncertain about."""
    coded = coded_from([("i1", "t", "p", "only"), ("i2", "t", "q", "only")], {"t": ["only"]}, items=["i0"])
    model = DawidSkene(prior=prior).fit(coded)
    assert model.fit.status == "converged"
    np.testing.assert_array_equal(model.predict(coded).probs("t"), np.ones((3, 1)))


@pytest.mark.parametrize("prior", PRIORS)
def test_one_class_seen_of_several_stays_finite(prior):
    """When everybody says `a`, `a` is the answer, and every number is finite."""
    coded = coded_from([(f"i{i}", "t", f"p{a}", "a") for i in range(5) for a in range(3)], {"t": "abc"})
    consensus = DawidSkene(prior=prior).fit(coded).predict(coded)
    assert np.isfinite(consensus.probs("t")).all()
    assert labels_of(consensus) == ["a"] * 5


@pytest.mark.parametrize("prior", PRIORS)
def test_one_label_is_enough(prior):
    """A single label in all is a fit, and its class the answer."""
    coded = coded_from([("i", "t", "p", "b")], {"t": "abc"})
    consensus = DawidSkene(prior=prior).fit(coded).predict(coded)
    assert labels_of(consensus) == ["b"]


def test_an_item_without_answers_gets_the_prevalence():
    """Nothing said leaves P(latent) as learned, and agents_seen says so."""
    world = simulated(3)
    model = DawidSkene().fit(world.coded())
    consensus = model.predict(coded_from([], world.classes, items=["new"]))
    np.testing.assert_allclose(consensus.latent().probs("t")[0], model.prevalence("t"))
    assert consensus.agents_seen is not None
    assert not consensus.agents_seen.any()


@pytest.mark.parametrize("prior", PRIORS)
def test_without_any_label_the_prior_speaks_and_it_says_so(prior):
    """Status 'prior only', even prevalence, a note; new labels are still weighed by the prior's rows."""
    model = DawidSkene(prior=prior).fit(coded_from([], {"t": "ab"}, items=["i1"]))
    assert model.fit.status == "prior only"
    assert model.fit.objective == ()
    assert "no labels" in model.fit.notes[0]
    np.testing.assert_allclose(model.predict(coded_from([], {"t": "ab"}, items=["i1"])).probs("t"), 0.5)
    asked = coded_from([("i", "t", "p", "b")], {"t": "ab"})
    np.testing.assert_allclose(model.predict(asked).latent().probs("t"), [[0.2, 0.8]])


def test_labels_without_models_and_models_without_labels():
    """Models alone make a consensus, and a note that nothing is known of people."""
    world = simulated(5, n_models=4)
    coded = coded_from([], world.classes, outputs=world.outputs, items=world.items)
    model = DawidSkene().fit(coded)
    assert model.fit.status == "converged"
    assert "no labels from people" in model.fit.notes[0]
    assert (model.predict(coded).latent().label_codes("t") == world.truth).mean() > 0.7


def test_an_annotator_with_one_label_is_near_the_group():
    """A row is the group's pseudo-counts, the same for everybody, plus as many counts as the agent has answers."""
    world = simulated(6, n_items=400)
    coded = coded_from([*world.rows, ("i0", "t", "once", "a")], world.classes, items=world.items)
    found = DawidSkene().fit(coded).confusion("t")
    assert found.n_answers[found.agents.index("once")] == 1
    pseudo = found.parameters.sum(axis=(1, 2)) - found.n_answers
    np.testing.assert_allclose(pseudo, pseudo[0])


def test_impossible_answers_leave_the_prevalence():
    """Under a flat prior two certain annotators may contradict each other: no class is possible, none is preferred."""
    rows = [(f"i{i}", "t", a, "ab"[i % 2]) for i in range(4) for a in ("p", "q")]
    model = DawidSkene(prior="flat").fit(coded_from(rows, {"t": "ab"}))
    torn = coded_from([("x", "t", "p", "a"), ("x", "t", "q", "b")], {"t": "ab"})
    np.testing.assert_allclose(model.predict(torn).latent().probs("t"), [[0.5, 0.5]])


def test_thousands_of_answers_on_one_item_do_not_underflow():
    """The posterior of an item with 5,000 labels equals the one computed in logs."""
    world = simulated(7)
    model = DawidSkene().fit(world.coded())
    rng = np.random.default_rng(7)
    rows = [("x", "t", f"stranger{a}", "abc"[k]) for a, k in enumerate(rng.choice(3, 5_000, p=[0.34, 0.33, 0.33]))]
    probs = model.predict(coded_from(rows, world.classes)).latent().probs("t")[0]
    np.testing.assert_allclose(probs, brute_force(model, rows, "x", ("a", "b", "c")), atol=1e-9)


def test_confusion_rows_beyond_memory_are_refused():
    """The error names the task, the size and what to do."""
    classes = [f"c{k}" for k in range(1_000)]
    rows = [("i", "t", f"p{a}", "c0") for a in range(300)]
    with pytest.raises(DataError, match=r"300 agents and 1000 classes.*GiB.*majority"):
        DawidSkene().fit(coded_from(rows, {"t": classes}))


# ---- prediction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", PRIORS)
def test_the_posterior_is_the_product_of_the_rows(prior):
    """Every item's posterior equals prevalence times rows, agent by agent, models and strangers among them."""
    world = simulated(8, n_models=2)
    model = DawidSkene(prior=prior).fit(world.coded())
    rows = [*world.rows, ("i0", "t", "stranger", "c"), ("i1", "t", "stranger", "a")]
    coded = coded_from(rows, world.classes, outputs=world.outputs, items=world.items)
    consensus = model.predict(coded)
    probs = consensus.latent().probs("t")
    for i, item in enumerate(coded.items):
        np.testing.assert_allclose(probs[i], brute_force(model, [*rows, *world.outputs], item, "abc"), atol=1e-12)
    assert any("annotators whom the fit never saw" in note for note in consensus.notes)


def test_models_that_the_fit_never_saw_say_nothing():
    """An unknown model's answer changes nothing; a known model may be missing."""
    world = simulated(8, n_models=2)
    model = DawidSkene().fit(world.coded())
    known = [("x", "t", "m1", "a")]
    plain = model.predict(coded_from([], world.classes, outputs=known)).latent().probs("t")
    more = model.predict(coded_from([], world.classes, outputs=[*known, ("x", "t", "m9", "b")])).latent().probs("t")
    np.testing.assert_array_equal(more, plain)
    np.testing.assert_allclose(plain[0], brute_force(model, known, "x", ("a", "b", "c")))


def test_a_pass_compiled_for_its_number_of_classes_is_the_same_pass(monkeypatch):
    """Above the threshold the prior is given as a tuple; every figure stays."""
    coded = simulated(9, n_models=1).coded()
    plain = DawidSkene().fit(coded)
    monkeypatch.setattr(em, "COMPILE_FOR", 1)
    compiled = DawidSkene().fit(coded)
    np.testing.assert_allclose(compiled.fit.objective, plain.fit.objective, rtol=1e-13)
    np.testing.assert_allclose(compiled.predict(coded).probs("t"), plain.predict(coded).probs("t"), rtol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_a_held_out_label_is_predicted_by_the_data_without_it(seed):
    """The latent posterior is that of the data without the label; the label is read off its annotator's row."""
    world = simulated(seed, n_models=1, n_annotators=30, n_labels=25)
    coded = world.coded()
    model = DawidSkene().fit(coded)
    held = model.held_out(coded, np.arange(len(world.rows))[::7], "others")
    confusion = model.confusion("t")
    for position, latent, probs in zip(held.positions[0], held.latent[0], held.label[0], strict=True):
        keep = np.arange(len(world.rows)) != position
        item = int(np.searchsorted(coded.labels.start, position, side="right")) - 1
        without = model.predict(coded.keep_labels(keep)).latent().probs("t")[item]
        np.testing.assert_allclose(latent, without, atol=1e-12)
        annotator = coded.annotators[coded.labels.annotator[position]]
        np.testing.assert_allclose(probs, without @ confusion.rows[confusion.agents.index(annotator)], atol=1e-12)


def test_the_evidence_alone_is_the_models_answers():
    """Given the evidence, the latent posterior is that of the data without any person."""
    world = simulated(2, n_models=2)
    coded = world.coded()
    model = DawidSkene().fit(coded)
    held = model.held_out(coded, np.arange(20), "evidence")
    item = np.searchsorted(coded.labels.start, np.arange(20), side="right") - 1
    alone = model.predict(coded.without_labels()).latent().probs("t")
    np.testing.assert_allclose(held.latent[0], alone[item], atol=1e-12)


def test_held_out_positions_keep_their_meaning_when_tasks_change_places():
    """Data that lists its tasks in another order than the model is asked by its own positions."""
    one, two = simulated(1), simulated(2)
    rows = [*one.rows, *((i, "u", a, label) for i, _, a, label in two.rows)]
    there = coded_from(rows, {"t": "abc", "u": "abc"}, items=one.items)
    here = coded_from(rows, {"u": "abc", "t": "abc"}, items=one.items)
    model = DawidSkene().fit(there)
    asked = {"t": np.flatnonzero(here.cell_of_label() % 2 == 1), "u": np.flatnonzero(here.cell_of_label() % 2 == 0)}
    held = model.held_out(here, np.arange(len(rows)), "others")
    plain = model.held_out(there, np.arange(len(rows)), "others")
    for t, task in enumerate(("t", "u")):
        np.testing.assert_array_equal(np.sort(held.positions[t]), asked[task])
        np.testing.assert_array_equal(here.labels.row[held.positions[t]], there.labels.row[plain.positions[t]])
        np.testing.assert_allclose(held.label[t], plain.label[t])


def test_a_session_is_the_batch():
    """Label after label the session equals the batch prediction with these labels."""
    world = simulated(3, n_models=2)
    model = DawidSkene().fit(world.coded())
    session = model.session({"t": {"m0": {"a": 0.1, "b": 0.6, "c": 0.3}, "m1": "c", "unknown": "a"}}, item="x")
    outputs, rows = [("x", "t", "m0", "b"), ("x", "t", "m1", "c")], []
    for j in range(30):
        annotator = f"p{j}" if j < 6 else f"new{j}"
        label = "abc"[j % 3]
        session.update("t", annotator, label)
        rows.append(("x", "t", annotator, label))
        batch = model.predict(coded_from(rows, world.classes, outputs=outputs))
        np.testing.assert_allclose(session.probs("t"), batch.probs("t")[0], atol=1e-12)
        np.testing.assert_allclose(session.consensus().latent().probs("t"), batch.latent().probs("t"), atol=1e-12)
    assert session.consensus().n_labels("t").tolist() == [30]


def test_a_session_refuses_what_it_cannot_place():
    """An unknown task, an unknown class and a second answer of one person are errors; nothing is counted."""
    world = simulated(3)
    session = DawidSkene().fit(world.coded()).session()
    before = session.probs("t")
    with pytest.raises(SchemaError, match="no task"):
        session.update("other", "p0", "a")
    with pytest.raises(SchemaError, match="no class 'd'"):
        session.update("t", "p0", "d")
    np.testing.assert_array_equal(session.probs("t"), before)
    session.update("t", "p0", "a")
    with pytest.raises(DataError, match="already answered"):
        session.update("t", "p0", "b")


def test_a_model_comes_back_from_its_state():
    """Arrays and JSON settings rebuild a model that answers the same, bit for bit."""
    coded = simulated(4, n_models=1).coded(gold=GOLD)
    model = DawidSkene().fit(coded)
    arrays, settings = model.state()
    again = DawidSkeneModel.from_state(arrays, json.loads(json.dumps(settings)))
    assert (again.fit, again.options, again.targets) == (model.fit, model.options, model.targets)
    np.testing.assert_array_equal(again.predict(coded).probs("t"), model.predict(coded).probs("t"))


# ---- targets --------------------------------------------------------------------------------------------------------


def test_the_panel_is_the_default_where_there_is_no_gold():
    """Its size is the mean number of labels of a labeled item, rounded."""
    rows = [("i1", "t", "p", "a"), ("i1", "t", "q", "a"), ("i2", "t", "p", "b"), ("i3", "t", "p", "b")]
    rows += [("i2", "t", "q", "b"), ("i2", "t", "r", "b")]
    model = DawidSkene().fit(coded_from(rows, {"t": "ab"}, items=["nobody"]))
    assert (model.targets[0].kind, model.targets[0].n) == ("panel", 2)
    with pytest.raises(NotFittedError):
        model.predict(coded_from(rows, {"t": "ab"})).gold()


def test_gold_that_calls_things_otherwise_is_learned():
    """An expert who says b where people say a is predicted as such once enough gold is seen; people are not misread."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    rows = [
        (f"i{i}", "t", f"p{a}", "ab"[k if rng.random() < 0.9 else 1 - k]) for i, k in enumerate(truth) for a in range(3)
    ]
    gold = [(f"i{i}", "t", "ba"[k]) for i, k in enumerate(truth[:200])]
    model = DawidSkene().fit(coded_from(rows, {"t": "ab"}, gold=gold))
    assert model.targets[0].kind == "gold"
    asked = coded_from(rows[600:], {"t": "ab"})
    assert (model.predict(asked).label_codes("t") == 1 - truth[200:]).mean() > 0.9
    assert (model.predict(asked).panel(3).label_codes("t") == truth[200:]).mean() > 0.9


def test_prediction_never_reads_gold():
    """The same items with and without gold get the same consensus."""
    world = simulated(5)
    model = DawidSkene().fit(world.coded(gold=GOLD))
    plain, told = model.predict(world.coded()), model.predict(world.coded(gold=GOLD))
    np.testing.assert_array_equal(plain.probs("t"), told.probs("t"))


def test_gold_can_be_left_aside():
    """use_gold=False fits as if there were none."""
    world = simulated(5)
    aside = DawidSkene(use_gold=False).fit(world.coded(gold=GOLD))
    without = DawidSkene().fit(world.coded())
    assert aside.fit == without.fit
    assert aside.targets == without.targets


def test_no_items_at_all_are_no_trouble():
    """An empty data set can be fitted and predicted, and so can one without tasks."""
    empty = coded_from([], {"t": "ab"})
    model = DawidSkene().fit(empty)
    assert model.predict(empty).table().num_rows == 0
    assert model.held_out(empty, np.zeros(0, np.int64), "others").label[0].shape == (0, 2)
    assert DawidSkene().fit(coded_from([], {}, items=["i"])).predict(coded_from([], {}, items=["i"])).items == ("i",)


@pytest.mark.parametrize("settings", [{"tolerance": -1.0}, {"max_iterations": 0}])
def test_settings_outside_their_range_are_refused(settings):
    """A SettingError names the option."""
    with pytest.raises(SettingError, match=next(iter(settings))):
        DawidSkene(**settings)


def test_progress_is_told():
    """The share done and the task in hand."""
    told = []
    DawidSkene().fit(simulated(0).coded(), progress=lambda share, what: told.append((share, what)))
    assert told == [(0.0, "dawid-skene: t")]
