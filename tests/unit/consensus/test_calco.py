"""Laws of `calco`: its likelihood, its guides, what it recovers, and its doors."""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import dirichlet, kstest

from quorate.consensus.agents import agents_report
from quorate.consensus.archive import load, save
from quorate.consensus.calco import Calco, CalcoModel
from quorate.consensus.calco.learned import located
from quorate.consensus.calco.problem import SCORE_FLOOR, problem_of
from quorate.data.encode import Coded
from quorate.errors import MissingExtraError, SettingError
from quorate.simulate.world import Setting, World, shared_components, simulate
from unit.consensus.build import assert_within, coded_from
from unit.consensus.many_tasks import ragged

QUICK = Calco(max_steps=30, batch=64, hidden=4, points=64)


def small_world(n_items: int, *, n_tasks: int = 3, seed: int = 1, **more: object) -> World:
    """A few coupled tasks of two classes, three models, twelve people."""
    setting = Setting(
        classes=(2,) * n_tasks,
        task_correlation=shared_components((2,) * n_tasks, 0.6),
        model_accuracy=(0.6, 0.8),
        n_annotators=12,
        labels_per_item=(3, 3),
        **more,
    )
    return simulate(setting, n_items, seed=seed)


# ---- the likelihood -------------------------------------------------------------------------------------------------
def test_the_likelihood_of_an_item_is_that_of_summing_over_truths_one_by_one() -> None:
    """Log p(labels, scores | q, rows), truth summed out inside, is the log of the sum over all truths of all tasks."""
    torch = pytest.importorskip("torch")
    from quorate.consensus.calco.program import Program

    data = ragged(3, 4)
    problem = problem_of(data, None, encoded="scores")
    program = Program(problem, replace(QUICK), torch.device("cpu"))
    rng = np.random.default_rng(0)
    people, models = _random_rows(problem, rng)
    q, concentration = rng.normal(size=problem.n_components), 2.5
    rows = [
        (torch.tensor(phi, dtype=torch.float32), torch.tensor(psi, dtype=torch.float32), None)
        for phi, psi in zip(people, models, strict=True)
    ]
    spread = torch.tensor(np.broadcast_to(q, (1, 4, len(q))).astype(np.float32))
    found = program._fits(torch.arange(4), spread, rows, torch.tensor(concentration))[0].numpy()
    for i in range(4):
        assert found[i] == pytest.approx(_summed_by_hand(data, problem, i, q, people, models, concentration), rel=1e-4)


def _random_rows(problem, rng):
    people, models = [], []
    for group in problem.groups:
        k = group.components.shape[1] + 1
        people.append(rng.dirichlet(np.ones(k), (len(group.tasks), problem.n_annotators + 1, k)))
        models.append(rng.dirichlet(np.ones(k) * 3, (len(group.tasks), problem.n_models, k)))
    return people, models


def _summed_by_hand(data: Coded, problem, i: int, q, people, models, concentration) -> float:
    sizes = [len(task.classes) for task in data.schema.tasks]
    first = np.concatenate([[0], np.cumsum([k - 1 for k in sizes])])
    place = {int(t): (g, p) for g, group in enumerate(problem.groups) for p, t in enumerate(group.tasks)}
    terms = []
    for truth in itertools.product(*map(range, sizes)):
        total = 0.0
        for t, k in enumerate(truth):
            odds = np.append(q[first[t] : first[t + 1]], 0.0)
            g, p = place[t]
            total += odds[k] - logsumexp(odds)
            cell = slice(*data.labels.start[i * 3 + t : i * 3 + t + 2])
            for a, label in zip(data.labels.annotator[cell], data.labels.code[cell], strict=True):
                total += math.log(people[g][p, a, k, label])
            total += _scores_by_hand(data, t, i, k, concentration * models[g][p])
        terms.append(total)
    return float(logsumexp(terms))


def _scores_by_hand(data: Coded, t: int, i: int, k: int, weight: np.ndarray) -> float:
    output, total = data.outputs[t], 0.0
    for m in np.flatnonzero(output.kind[i]):
        scores, of = output.scores[i, m].astype(float), weight[m, k]
        scores = scores * 0.9 + 0.1 / len(scores) if output.kind[i, m] == 2 else np.maximum(scores, SCORE_FLOOR)
        total += gammaln(of.sum()) - gammaln(of).sum() + ((of - 1) * np.log(scores)).sum()
    return float(total)


def test_archetypes_are_summed_out_as_by_hand() -> None:
    """Equation 17: the density of the models' rows is the sum over all assignments of models to archetypes."""
    torch = pytest.importorskip("torch")
    from quorate.consensus.calco.program import Program

    problem = problem_of(ragged(3, 6), None, encoded="scores")
    program = Program(problem, replace(QUICK, archetypes=2), torch.device("cpu"))
    rng = np.random.default_rng(1)
    share, total = np.array([0.3, 0.7]), 0.0
    psi, base = ([rng.dirichlet(np.ones(g.components.shape[1] + 1) * 4, (1, 2, g.components.shape[1] + 1))
                  for g in problem.groups] for _ in range(2))  # fmt: skip
    together = sum(program.log_density(torch.tensor(p), torch.tensor(b)) for p, b in zip(psi, base, strict=True))
    found = float(torch.logsumexp(together + torch.tensor(share).log(), -1).sum())
    for z in itertools.product(range(2), repeat=2):
        density = math.prod(share[f] for f in z)
        for p, b in zip(psi, base, strict=True):
            density *= math.prod(
                dirichlet.pdf(p[0, m, k], QUICK.precision * b[0, f, k])
                for m, f in enumerate(z)
                for k in range(p.shape[2])
            )
        total += density
    assert found == pytest.approx(math.log(total), rel=1e-5)


# ---- the posterior --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("guide", ["scores", "items"])
def test_the_posterior_of_one_yes_no_task_is_its_integral(guide: str) -> None:
    """With one log-odds q, both posteriors are one-dimensional integrals that a fine grid does better."""
    world = small_world(60, n_tasks=1)
    model = replace(QUICK, guide=guide, points=4096).fit(world.coded())
    data = world.coded()
    heard = model.heard(data)
    lift = heard.models[0] + heard.people[0]
    sigma = float(model.learned.root[0, 0])
    centre = located(model.learned, heard.inputs)[:, 0] if guide == "scores" else np.full(60, model.learned.mean[0])
    grid = np.linspace(-8, 8, 20_001)
    density = np.exp(-0.5 * grid**2)
    q = centre[:, None] + sigma * grid
    yes, no = np.exp(q + lift[:, :1]) / (1 + np.exp(q)), np.exp(lift[:, 1:]) / (1 + np.exp(q))
    if guide == "scores":
        expected = (density * yes / (yes + no)).sum(axis=1) / density.sum()
    else:
        expected = (density * yes).sum(axis=1) / (density * (yes + no)).sum(axis=1)
    np.testing.assert_allclose(model.predict(data).belief.marginal(0)[:, 0], expected, atol=2e-3)


def test_only_the_guide_of_items_lets_a_label_move_another_task() -> None:
    """Under the paper's guide a label says nothing of other tasks; with q integrated it does."""
    world = small_world(300)
    data = world.coded()
    only_first = data.keep_labels(data.cell_of_label() % 3 == 0)
    for guide, moves in (("scores", False), ("items", True)):
        model = replace(QUICK, guide=guide, max_steps=200).fit(data)
        bare, told = (model.predict(each).belief.marginal(1) for each in (data.without_labels(), only_first))
        assert (np.abs(told - bare).max() > 1e-3) == moves


def test_the_bound_rises() -> None:
    """The smoothed bound at the end lies above the start by far more than it still swings."""
    model = Calco(max_steps=400, batch=128).fit(small_world(400).coded())
    assert model.fit.objective[-1] > model.fit.objective[0]
    assert len(model.fit.objective) == 4


# ---- what it recovers -----------------------------------------------------------------------------------------------
def errors(model: CalcoModel, world: World) -> dict[str, float]:
    """Root mean square errors of rows and of the correlation of tasks."""
    people = np.stack([rows[:-2] for rows in model.rows]) - np.stack(world.parameters.people)
    models = np.stack(model.model_rows) - np.stack(world.parameters.models)
    apart = ~np.eye(len(model.correlation), dtype=bool)
    ties = model.correlation[apart] - world.setting.task_correlation[apart]
    return {name: float(np.sqrt(np.mean(each**2))) for name, each in
            (("people", people), ("models", models), ("correlation", ties))}  # fmt: skip


@pytest.mark.slow
def test_errors_fall_with_the_root_of_the_items() -> None:
    """Eight times the items, the root of eight less error: rows of people and of models, the correlation of tasks.

    The error of a rate comes from its spread over worlds. (Under the paper's guide the correlation does not come back:
    the guide has the prior's variance, which the bound therefore makes small.)
    """
    rates = [rate_of_recovery(seed) for seed in (1, 2, 3, 4)]
    for name in rates[0]:
        found = np.array([rate[name] for rate in rates])
        assert_within(found.mean(), 0.5, se=found.std(ddof=1) / np.sqrt(len(found)))


def rate_of_recovery(seed: int) -> dict[str, float]:
    """-d log error / d log items, from 400 items to 3,200 of the same world."""
    large = small_world(3_200, seed=seed)
    few, many = (
        errors(Calco(guide="items", max_steps=600, tolerance=0.0).fit(world.coded()), world)
        for world in (large.select(np.arange(400)), large)
    )
    return {name: float(np.log(few[name] / many[name]) / np.log(8)) for name in few}


@pytest.mark.slow
def test_models_of_two_kinds_are_told_apart() -> None:
    """Models whose rows come from two distinct archetypes are assigned to the right ones, up to a swap of names."""
    world = two_kinds(800, seed=3)
    model = Calco(archetypes=2, max_steps=800).fit(world)
    found = np.stack(list(model.archetypes().values()))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    kind = found.argmax(axis=1)
    assert (kind[:4] == kind[0]).all()
    assert (kind[4:] == 1 - kind[0]).all()


def two_kinds(n_items: int, seed: int) -> Coded:
    """Eight models: four that lean to "a", four that lean to "b"; three people."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n_items)
    lean = {0: np.array([[0.9, 0.1], [0.5, 0.5]]), 1: np.array([[0.5, 0.5], [0.1, 0.9]])}
    rows = [(f"i{i}", "t", f"p{p}", "ab"[truth[i] ^ (rng.random() < 0.15)]) for i in range(n_items) for p in range(3)]
    outputs = []
    for m in range(8):
        base = rng.dirichlet(60 * lean[m // 4][0]), rng.dirichlet(60 * lean[m // 4][1])
        for i in range(n_items):
            score = rng.dirichlet(4 * base[truth[i]] + 1e-9)
            outputs.append((f"i{i}", "t", f"m{m}", {"a": float(score[0]), "b": float(score[1])}))
    return coded_from(rows, {"t": ("a", "b")}, outputs=outputs)


@pytest.mark.slow
def test_ranks_of_true_rows_in_their_posteriors_are_even() -> None:
    """Simulation-based calibration [talts2018]: people's rows are draws of the prior, one crowd gives 800 ranks.

    Rows of one person hang together through nothing but the truth, so the ranks are nearly independent.
    """
    rng = np.random.default_rng(5)
    data, rows = crowd_of_the_prior(rng, n_items=1_500, n_people=200)
    model = Calco(max_steps=800, guide="items").fit(data)
    weights = model.learned.rows.people[0][:-1]
    from scipy.stats import beta

    ranks = beta.cdf(rows[:, :, 0], weights[:, :, 0], weights[:, :, 1]).ravel()
    assert kstest(ranks, "uniform").pvalue > 0.001


def crowd_of_the_prior(rng: np.random.Generator, *, n_items: int, n_people: int) -> tuple[Coded, np.ndarray]:
    """One yes-no task; people's rows from the prior, nine of them per item, and two fair models."""
    truth = rng.integers(0, 2, n_items)
    rows = np.stack([rng.dirichlet([3.0, 1.0], n_people), rng.dirichlet([1.0, 3.0], n_people)], axis=1)
    labels, outputs = [], []
    for i in range(n_items):
        asked = rng.permutation(n_people)[:9]
        labels += [(f"i{i}", "t", f"p{p:03}", "ab"[int(rng.random() > rows[p, truth[i], 0])]) for p in asked]
        for m in range(2):
            score = rng.dirichlet(3.0 * np.array([0.7, 0.3] if truth[i] == 0 else [0.3, 0.7]))
            outputs.append((f"i{i}", "t", f"m{m}", {"a": float(score[0]), "b": float(score[1])}))
    return coded_from(labels, {"t": ("a", "b")}, outputs=outputs), rows


@pytest.mark.slow
def test_ranks_of_true_model_rows_in_their_posteriors_are_even() -> None:
    """The same for models: their rows are draws around two archetypes, sixty models give 120 ranks."""
    rng = np.random.default_rng(6)
    data, rows, kind = models_of_the_prior(rng, n_items=400, n_models=60)
    families = {name: str(k) for name, k in zip(data.models, kind, strict=True)}
    model = Calco(max_steps=1_500, guide="items", families=families).fit(data)
    from scipy.stats import beta

    weights = model.learned.rows.models[0]
    ranks = beta.cdf(rows[:, :, 0], weights[:, :, 0], weights[:, :, 1]).ravel()
    assert kstest(ranks, "uniform").pvalue > 0.001


def models_of_the_prior(
    rng: np.random.Generator, *, n_items: int, n_models: int
) -> tuple[Coded, np.ndarray, np.ndarray]:
    """One yes-no task; mean scores of models around one of two archetypes, and three good people per item."""
    truth = rng.integers(0, 2, n_items)
    base = np.array([[[0.7, 0.3], [0.35, 0.65]], [[0.55, 0.45], [0.2, 0.8]]])
    kind = rng.integers(0, 2, n_models)
    rows = np.stack([[rng.dirichlet(20.0 * base[k, c]) for c in range(2)] for k in kind])
    said = [(f"i{i}", "t", f"p{p}", "ab"[truth[i] ^ int(rng.random() < 0.1)]) for i in range(n_items) for p in range(3)]
    outputs = []
    for m in range(n_models):
        scores = np.stack([rng.dirichlet(3.0 * rows[m, k]) for k in truth])
        outputs += [(f"i{i}", "t", f"m{m:02}", {"a": float(s[0]), "b": float(s[1])}) for i, s in enumerate(scores)]
    return coded_from(said, {"t": ("a", "b")}, outputs=outputs), rows, kind


def test_the_report_on_agents_shows_the_archetypes() -> None:
    """Whoever fits calco and asks about agents is told which models are of one kind."""
    data = ragged(2, 30, models=3)
    model = replace(QUICK, families={"m0": "x", "m1": "y", "m2": "x"}).fit(data)
    report = agents_report(model, data)
    assert report.figures_json()["archetypes"] == {"m0": [1.0, 0.0], "m1": [0.0, 1.0], "m2": [1.0, 0.0]}
    assert any("archetype" in sentence and "'m0'" in sentence and "'m2'" in sentence for sentence in report.sentences())


# ---- options and doors ----------------------------------------------------------------------------------------------
def test_known_families_are_taken_as_they_are() -> None:
    """With families given, the membership is theirs."""
    data = ragged(2, 20, models=3)
    model = replace(QUICK, families={"m0": "x", "m1": "y", "m2": "x"}).fit(data)
    np.testing.assert_array_equal(np.stack(list(model.archetypes().values())), [[1, 0], [0, 1], [1, 0]])
    with pytest.raises(SettingError, match="m2"):
        replace(QUICK, families={"m0": "x", "m1": "y"}).fit(data)


def test_item_features_can_feed_the_guide() -> None:
    """Features that tell the truth of several tasks make good probabilities before any label.

    (On a single task the paper's guide leaves them unused: its variance is the prior's, so that moving its mean costs
    more nats than one yes-no answer is worth.)
    """
    rng = np.random.default_rng(4)
    truth, tasks = rng.integers(0, 2, 300), [f"t{t}" for t in range(6)]
    rows = [
        (f"i{i}", task, f"p{p}", "ab"[truth[i] ^ int(rng.random() < 0.2)])
        for i in range(300)
        for task in tasks
        for p in range(2)
    ]
    data = coded_from(rows, dict.fromkeys(tasks, ("a", "b")))
    features = (truth[:, None] + 0.1 * rng.normal(size=(300, 2))).astype(np.float32)
    data = replace(data, features=features, features_known=np.ones(300, bool), feature_names=("x_1", "x_2"))
    model = Calco(encoded="features", max_steps=400).fit(data)
    bare = model.predict(data.without_labels())
    assert (bare.latent().label_codes("t0") == truth).mean() > 0.95
    np.testing.assert_allclose(
        model.session(features=features[0].astype(float)).probs("t0"), bare.probs("t0")[0], atol=1e-9
    )


def test_without_the_extra_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No torch: one clear error, and only for calco."""
    monkeypatch.setitem(sys.modules, "pyro", None)
    monkeypatch.delitem(sys.modules, "quorate.consensus.calco.program", raising=False)
    with pytest.raises(MissingExtraError, match=r"quorate\[torch\]"):
        QUICK.fit(ragged(1, 5))


def test_a_saved_model_needs_no_torch_to_predict(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction is numpy: a colleague without the extra reads the archive and predicts the same."""
    model, data = QUICK.fit(ragged(1, 20)), ragged(2, 10)
    save(model, tmp_path / "m")
    for name in ("torch", "pyro"):
        monkeypatch.setitem(sys.modules, name, None)
    again = load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(data).probs("colour"), model.predict(data).probs("colour"))


def test_a_fit_leaves_the_random_numbers_of_torch_alone() -> None:
    """The library seeds its own draws; the caller's stream goes on as if nothing had been."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    QUICK.fit(ragged(1, 5))
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    "wrong",
    [{"guide": "both"}, {"archetypes": 0}, {"precision": 0.0}, {"points": 100}, {"encoded": "text"}, {"max_steps": 0}],
)
def test_settings_outside_their_range_are_refused(wrong: dict[str, object]) -> None:
    """An option that makes no sense is named."""
    with pytest.raises(SettingError):
        Calco(**wrong)


def test_a_device_that_is_not_there_is_refused() -> None:
    """One line, not a traceback of torch."""
    with pytest.raises(SettingError, match="device 'abacus'"):
        replace(QUICK, device="abacus").fit(ragged(1, 5))


@pytest.mark.gpu
def test_on_an_accelerator_it_learns_the_same() -> None:
    """The same world on both devices: probabilities agree within what another seed changes."""
    world = small_world(500)
    here, there, other = (
        Calco(max_steps=600, device=device, seed=seed).fit(world.coded()).predict(world.coded()).probs("task-1")
        for device, seed in (("cpu", 0), ("cuda", 0), ("cpu", 1))
    )
    assert np.abs(here - there).mean() < 2 * np.abs(here - other).mean() + 1e-3
