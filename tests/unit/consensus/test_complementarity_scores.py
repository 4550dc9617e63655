"""What `haic` reads, and what follows from given parameters: the definition itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from quorate.consensus import complementarity_kernels as kernels
from quorate.consensus.complementarity_parameters import Parameters, Patterns, conditioned
from quorate.consensus.complementarity_scores import (
    evidence_of,
    item_logits,
    latent_posteriors,
    normalised,
    on_scale,
    person_rows,
    rule,
    silence,
)
from quorate.data.encode import ModelOutput
from unit.consensus.build import assert_within
from unit.consensus.complementary_world import drawn, parameters

# ---- the definition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_models", [0, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_label_of_a_person_is_as_often_as_in_a_simulation_of_the_definition(n_models, seed):
    """P(label | scores, truth) is within four standard errors of drawing all agents and moving them to the scores.

    A joint normal draw (x', u') becomes a draw of u given x by adding cov(u, x) cov(x)^-1 (x - x'); a model that is
    missing is left out of x.
    """
    of, n = parameters(n_models, n_classes=3 + seed % 2, skill=(1.2,), seed=seed), 200_000
    world = drawn(of, 4, seed, missing=0.4)
    rows = person_rows(world.evidence, of, np.arange(4), np.zeros(4, np.int64))
    rng = np.random.default_rng(seed)
    covariance = np.outer([*of.sd, 1.0], [*of.sd, 1.0]) * of.correlation
    for i in range(4):
        present = np.flatnonzero(world.evidence.patterns.present[world.evidence.pattern[i]])
        for k in range(len(of.prevalence)):
            on = np.eye(len(of.prevalence))[k]
            mean = on[:, None] * [*of.right, 1.2] + (1 - on)[:, None] * [*of.wrong, 0.0]
            draws = mean + rng.standard_normal((n, *mean.shape)) @ np.linalg.cholesky(covariance).T
            pull = np.linalg.solve(covariance[np.ix_(present, present)], covariance[present, -1])
            latent = draws[:, :, -1] + (world.evidence.x[i][:, present] - draws[:, :, present]) @ pull
            share = np.bincount(latent.argmax(axis=1), minlength=len(on)) / n
            # A share of zero draws has no error of its own; one draw in n is the least that can be told.
            error = np.sqrt(np.maximum(rows[i, k] * (1 - rows[i, k]), 1.0 / n) / n)
            assert_within(share, rows[i, k], error)


@pytest.mark.parametrize("n_models", [1, 3])
def test_the_posterior_is_right_as_often_as_it_says(n_models):
    """In draws from the definition, truth less posterior has mean zero, on every pattern of models and vote."""
    of = parameters(n_models, skill=(0.7, 1.6, 1.2), seed=5)
    world = drawn(of, 40_000, 5, n_labels=2, missing=0.3)
    # Two people answer with errors of their own given the scores: as the definition takes them.
    posterior = latent_posteriors(world.evidence, world.votes, of)
    off = np.eye(4)[world.truth] - posterior
    voted = world.votes.code[::2]
    for group in (*(world.evidence.pattern == p for p in range(2**n_models)), *(voted == h for h in range(4))):
        variance = (posterior * (1 - posterior))[group].sum(axis=0)
        assert_within(off[group].sum(axis=0), 0.0, np.sqrt(variance))


def test_the_table_of_phi_is_exact_to_nine_digits():
    """Phi and its hazard, read off the table, against scipy's."""
    nodes, shift = np.linspace(-7.9, 7.9, 4_001), 0.0
    below, hazard = np.empty(4_001), np.empty(4_001)
    kernels._phi(nodes, shift, below, hazard)
    np.testing.assert_allclose(below, ndtr(nodes), atol=1e-9)
    density = np.exp(-0.5 * nodes**2) / np.sqrt(2.0 * np.pi)
    middle = nodes > -6.0
    np.testing.assert_allclose(hazard[middle], (density / ndtr(nodes))[middle], rtol=1e-5)


def test_labels_of_a_person_add_up_to_one():
    """The rule's sum over all labels is one within its error, so that the likelihood needs no correction."""
    of = parameters(2, n_classes=5)
    world = drawn(of, 50, 1, missing=0.3)
    at, total = conditioned(of, world.evidence.patterns), np.zeros((50, 5))
    for h in range(5):
        item, code = np.arange(50), np.full(50, h)
        total += np.exp(
            kernels.label_logits(
                world.evidence.x, world.evidence.pattern, at.slope, at.inv_sd, at.shift,
                item, np.zeros(50, np.int64), code, of.skill, *rule(),
            )
        )  # fmt: skip
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


def test_without_correlation_models_and_people_multiply():
    """With rho = 0 the posterior is the models' posterior times the person's own row."""
    of = parameters(2, skill=(0.4, 1.7, 1.0))
    of.correlation[-1, :-1] = of.correlation[:-1, -1] = 0.0
    world = drawn(of, 60, 2, n_labels=2)
    alone = np.zeros(60, np.int64)
    silent = world.votes._replace(end=world.votes.begin)
    nobody = silence(4, 2)
    product = latent_posteriors(world.evidence, silent, of)
    for n in range(2):
        person, code = world.votes.person[n::2], world.votes.code[n::2]
        row = person_rows(nobody, of, alone, person)
        product = product * row[np.arange(60), :, code]
    product /= product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(latent_posteriors(world.evidence, world.votes, of), product, atol=1e-6)


def test_a_missing_model_drops_out_exactly():
    """What is left is what the other models' own parameters say."""
    of = parameters(3)
    patterns = Patterns(np.array([[True, False, True]]), np.zeros((1, 3)))
    found, kept = conditioned(of, patterns), [0, 2]
    agents = np.ix_([*kept, 3], [*kept, 3])
    less = Parameters(of.prevalence, of.right[kept], of.wrong[kept], of.sd[kept], of.skill, of.correlation[agents])
    alone = conditioned(less, Patterns(np.ones((1, 2), bool), np.zeros((1, 2))))
    for field in ("weight", "slope"):
        np.testing.assert_allclose(getattr(found, field)[:, kept], getattr(alone, field))
        assert (getattr(found, field)[:, 1] == 0).all()
    for field in ("inv_sd", "shift", "log_det"):
        np.testing.assert_allclose(getattr(found, field), getattr(alone, field))


def test_a_perfect_person_decides_and_one_who_guesses_changes_nothing():
    """As skill grows the posterior is the label; with skill and correlation zero it is the models' alone."""
    of = parameters(1, skill=(30.0, 0.0, 1.0))
    of = of._replace(right=of.wrong + 0.5, correlation=np.eye(2))
    world = drawn(of, 30, 3)
    sure = world.votes._replace(person=np.zeros(30, np.int64))
    assert (latent_posteriors(world.evidence, sure, of)[np.arange(30), sure.code] > 1 - 1e-6).all()
    guess, silent = sure._replace(person=np.ones(30, np.int64)), sure._replace(end=sure.begin)
    after, before = (latent_posteriors(world.evidence, votes, of) for votes in (guess, silent))
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_task_without_models_is_that_of_one_class_of_models_silent():
    """The short way for items without scores is the long way with scores of zero weight."""
    of = parameters(1, skill=(0.3, 1.1, 2.0, 1.0))
    of.correlation[0, 1] = of.correlation[1, 0] = 0.0
    world = drawn(of, 80, 6, n_labels=3)
    blank = world.evidence._replace(x=np.zeros_like(world.evidence.x))
    at = conditioned(of, blank.patterns)
    inputs = (at.weight, at.slope, at.inv_sd, at.shift)
    votes, gold = tuple(world.votes), np.full(80, -1)
    prior = np.log(of.prevalence)
    long, short = (
        kernels.score_pass(
            blank.x, blank.pattern, *inputs, np.array([speaks]), prior, *votes, of.skill, gold, False, *rule()
        )
        for speaks in (True, False)
    )
    assert short[0] == pytest.approx(long[0], rel=1e-9)
    np.testing.assert_allclose(short[6], long[6], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(short[7], long[7], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(short[1], long[1], rtol=1e-6, atol=1e-9)


def test_logits_differ_from_posteriors_by_a_constant_of_the_item():
    """Normalising them gives the posterior."""
    world = drawn(parameters(2), 10, 0)
    of = parameters(2)
    logits = item_logits(world.evidence, world.votes, of)
    np.testing.assert_allclose(normalised(logits), latent_posteriors(world.evidence, world.votes, of))


# ---- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["centred", "log-odds"])
def test_zero_scores_and_hard_answers_stay_finite(scale):
    """A score of one is a hard answer; both have the same finite scores and hide the same variance."""
    scores = np.array([[[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]], [[0.7, 0.3, 0.0]], [[0.0, 0.0, 0.0]]], np.float32)
    output = ModelOutput(np.array([[1], [2], [1], [0]], np.int8), scores, np.array([[0], [0], [0], [-1]], np.int16))
    read = evidence_of(output, scale, 1e-2)
    assert np.isfinite(read.x).all()
    np.testing.assert_array_equal(read.x[0], read.x[1])
    assert read.pattern[0] == read.pattern[1] != read.pattern[2]
    hidden = read.patterns.hidden[read.pattern][:, 0]
    gap = np.ptp(read.x[0])
    np.testing.assert_allclose(hidden, [(gap / 3) ** 2, (gap / 3) ** 2, 0.0, 0.0])
    assert (read.x[3] == 0).all()
    np.testing.assert_array_equal(read.patterns.present[read.pattern][:, 0], [True, True, True, False])


def test_more_models_than_a_number_has_digits():
    """Fifty models, each missing somewhere, are told apart."""
    kind = np.ones((50, 50), np.int8) - np.eye(50, dtype=np.int8)
    scores = np.broadcast_to(np.array([0.6, 0.4], np.float32), (50, 50, 2)) * kind[:, :, None]
    read = evidence_of(ModelOutput(kind, scores, np.where(kind, 0, -1).astype(np.int16)), "centred", 1e-2)
    np.testing.assert_array_equal(read.patterns.present[read.pattern], kind > 0)


def test_one_class_has_no_score():
    """Of one class there is nothing to say, on either scale."""
    assert on_scale(np.ones((2, 1)), "log-odds", 1e-2).tolist() == [[0.0], [0.0]]
    assert on_scale(np.ones((2, 1)), "centred", 1e-2).tolist() == [[0.0], [0.0]]
