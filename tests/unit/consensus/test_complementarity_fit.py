"""The fit of one task of `haic`: gradient, recovery of known parameters, published figures."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus.complementarity_fit import Learned, expert_rows, learned_spread, maximised, start
from quorate.consensus.complementarity_objective import Problem, height, moments_of
from quorate.consensus.complementarity_parameters import Layout, Sources
from quorate.consensus.complementarity_scores import (
    Votes,
    evidence_of,
    latent_posteriors,
    normalised,
)
from quorate.data.encode import ModelOutput
from unit.consensus.build import assert_within
from unit.consensus.complementary_world import PAPER, centred, drawn, parameters


def fitted(problem: Problem, n_people: int = 0, *, learn_shares: bool = False) -> Learned:
    return maximised(problem, n_people, learn_shares=learn_shares, tolerance=1e-11, max_iterations=500)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("is_centred", [True, False])
def test_the_gradient_is_that_of_finite_differences(joint, is_centred):
    """In every free parameter, with missing models, hard answers and gold."""
    world = drawn(parameters(3, n_classes=3, skill=(0.5, 1.0, 1.5, 1.0)), 60, 0, n_labels=2, missing=0.3)
    rng = np.random.default_rng(0)
    patterns = world.evidence.patterns
    hidden = np.where(patterns.present, rng.choice([0.0, 0.7], patterns.present.shape), 0.0)
    world = world._replace(evidence=world.evidence._replace(patterns=patterns._replace(hidden=hidden)))
    world = centred(world) if is_centred else world
    problem = world.problem(rng.random(60) < 0.3, joint=joint, centred=is_centred)
    layout = Layout(3, 3, 3, 0.5, learn_shares=True, learn_offset=not is_centred)
    at = start(problem, layout).joined()
    at = at + 0.1 * layout.free(layout.sources(rng.standard_normal(len(at)))).joined()
    moments, step = moments_of(problem.evidence), 1e-4
    free = layout.free(layout.sources(np.ones(len(at)))).joined()
    found = height(problem, moments, layout, at).gradient
    assert len(found) == len(at)
    for j in np.flatnonzero(free):
        move = step * np.eye(len(at))[j]
        up, down = (height(problem, moments, layout, at + sign * move).value for sign in (1, -1))
        assert found[j] == pytest.approx((up - down) / (2 * step), abs=2e-3, rel=1e-5)


def errors_of(problem: Problem, learned: Learned) -> dict[str, float]:
    """Standard errors of one model's and one population's parameters, from the curvature at the top."""
    layout = Layout(4, 1, 0, learned.spread, learn_shares=False, learn_offset=not problem.centred)
    of = learned.parameters
    rho = of.correlation[0, 1]
    distance = of.right - of.wrong
    top = Sources(
        np.zeros(4), distance / of.sd, of.wrong + distance / 4, np.log(of.sd),
        np.array([rho / np.sqrt(1 - rho**2)]), of.skill[-1:], np.zeros(0),
    ).joined()  # fmt: skip
    moments, step = moments_of(problem.evidence), 1e-4
    free = np.flatnonzero(layout.free(layout.sources(np.ones(len(top)))).joined())
    moves = step * np.eye(len(top))[free]
    up, down = ([height(problem, moments, layout, top + sign * e).gradient[free] for e in moves] for sign in (1, -1))
    covariance = np.linalg.inv((np.array(down) - np.array(up)) / (2 * step))

    def named(vector: np.ndarray) -> np.ndarray:
        p = layout.parameters(layout.sources(vector))
        return np.array([p.right[0], p.wrong[0], p.sd[0], p.skill[-1], p.correlation[0, 1]])

    slopes = np.array([(named(top + step * e) - named(top - step * e)) / (2 * step) for e in np.eye(len(top))[free]])
    return dict(
        zip(("right", "wrong", "sd", "skill", "rho"), np.sqrt(np.diag(slopes.T @ covariance @ slopes)), strict=True)
    )


@pytest.mark.parametrize("supervised", [True, False])
def test_known_parameters_come_back(supervised):
    """(muM1, muM0, sM, muH1, rho) = (2, -1, 1.5, 1.2, .45) from 4,000 items, with and without their truth.

    Each within four standard errors, these being small: at most .1.
    """
    world = drawn(PAPER, 4_000, 0)
    problem = world.problem(np.full(4_000, supervised))
    learned = fitted(problem)
    found, se = learned.parameters, errors_of(problem, learned)
    assert learned.status == "converged"
    assert max(se.values()) < 0.1
    assert_within(found.right, 2.0, se["right"])
    assert_within(found.wrong, -1.0, se["wrong"])
    assert_within(found.sd, 1.5, se["sd"])
    assert_within(found.skill, 1.2, se["skill"])
    assert_within(found.correlation[0, 1], 0.45, se["rho"])


@pytest.mark.parametrize("supervised", [True, False])
def test_the_published_accuracies_come_back(supervised):
    """Four classes: the published .829 of the machine, .618 of the person, .8375 together, .812 with rho taken as zero.

    The figures are those of 4,000 items, and so are ours: each within four standard errors of two such shares.
    """
    world = drawn(PAPER, 4_000, 0)
    of = fitted(world.problem(np.full(4_000, supervised))).parameters
    machine = world.evidence.x[:, :, 0].argmax(axis=1) == world.truth
    person = world.votes.code == world.truth
    both, apart = (
        latent_posteriors(world.evidence, world.votes, p).argmax(axis=1) == world.truth
        for p in (of, of._replace(correlation=np.eye(2)))
    )
    for right, published in ((machine, 0.829), (person, 0.618), (both, 0.8375), (apart, 0.812)):
        assert_within(right.mean(), published, np.sqrt(2 * published * (1 - published) / 4_000))


def test_a_person_and_a_machine_are_better_than_either_alone():
    """Together > machine > person, and the correlation gains: each by four standard errors, on 60,000 items."""
    world = drawn(PAPER, 60_000, 1)
    machine = world.evidence.x[:, :, 0].argmax(axis=1) == world.truth
    person = world.votes.code == world.truth
    both, apart = (
        latent_posteriors(world.evidence, world.votes, p).argmax(axis=1) == world.truth
        for p in (PAPER, PAPER._replace(correlation=np.eye(2)))
    )
    for better, worse in ((both, machine), (both, apart), (machine, person)):
        gap = better.astype(float) - worse
        assert gap.mean() > 4 * gap.std() / np.sqrt(60_000)


def test_scores_that_sum_to_one_tell_all_but_the_shared_level():
    """From softmax(x) the centred scale gives x less its mean, and the fit the same distance, sd, skill and rho."""
    world = drawn(PAPER, 4_000, 1)
    logs = world.evidence.x[:, :, 0]
    p = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    output = ModelOutput(
        np.ones((4_000, 1), np.int8), p[:, None].astype(np.float32), p.argmax(1)[:, None].astype(np.int16)
    )
    read = evidence_of(output, "centred", 1e-9)
    np.testing.assert_allclose(read.x, centred(world).evidence.x, atol=2e-2)  # p above 1 - 1e-6 is a hard answer
    problem = centred(world).problem(centred=True)
    learned = fitted(problem)
    found, se = learned.parameters, errors_of(problem, learned)
    assert_within(found.right - found.wrong, 3.0, (se["right"] + se["wrong"]))
    assert_within(found.sd, 1.5, se["sd"])
    assert_within(found.skill, 1.2, se["skill"])
    assert_within(found.correlation[0, 1], 0.45, se["rho"])


def test_skills_and_correlations_of_several_people_and_models_come_back():
    """Three models, eight people, a quarter of the scores missing: every figure within four rough standard errors."""
    skills = (0.2, 0.5, 0.9, 1.0, 1.2, 1.5, 1.8, 2.2)
    of = parameters(3, n_classes=3, skill=(*skills, 1.2), seed=3)
    world = drawn(of, 6_000, 3, n_labels=3, missing=0.25)
    learned = fitted(world.problem(), 8, learn_shares=True)
    found = learned.parameters
    one = 1.0 / np.sqrt(6_000)  # a mean or a correlation seen on every item; half of it is lost with the truth
    assert_within(found.correlation, of.correlation, 2.0 * one)
    assert_within(np.log(found.sd), np.log(of.sd), 2.0 * one)
    assert_within(found.skill[:-1], skills, np.sqrt(2.0 / (0.3 * 6_000 * 3 / 8)))
    assert_within(found.prevalence, of.prevalence, one)
    assert 0.3 < learned.spread < 1.5


def test_who_answered_little_is_near_the_population():
    """A person with three labels, all wrong, is drawn to the population; one with three hundred is not."""
    of = parameters(1, n_classes=3, skill=(*np.full(5, 1.5), 0.0, 0.0, 1.5))
    world = drawn(of, 900, 4, n_labels=3)
    rare = world.votes.person == 5
    rare[np.flatnonzero(rare)[3:]] = False
    kept = rare | (world.votes.person != 5)
    counts = np.add.reduceat(kept, world.votes.begin)
    end = np.cumsum(counts)
    votes = Votes(end - counts, end, world.votes.person[kept], world.votes.code[kept])
    found = fitted(world._replace(votes=votes).problem(), 7).parameters.skill
    population = found[-1]
    assert abs(found[6]) < 0.4 * population
    assert abs(found[5] - population) < abs(found[6] - population)


def test_the_spread_of_skills_is_learned():
    """From estimates with known errors, the spread behind them comes back within four standard errors."""
    rng = np.random.default_rng(0)
    information = rng.uniform(5.0, 200.0, 400)
    skill = 0.8 * rng.standard_normal(400)
    alone = skill + rng.standard_normal(400) / np.sqrt(information)
    deviation = alone / (0.5 * (1.0 + 1.0 / (information * 0.25)))
    assert_within(learned_spread(deviation, information, 0.5), 0.8, 0.8 / np.sqrt(2 * 400))


def test_an_expert_who_calls_things_otherwise_is_learned():
    """Gold that turns two classes about shows in the expert's rows, once there is enough of it."""
    rng = np.random.default_rng(0)
    latent = normalised(6.0 * np.eye(3)[rng.integers(0, 3, 300)] + rng.normal(size=(300, 3)))
    truth = (latent.cumsum(axis=1) < rng.random(300)[:, None]).sum(axis=1)
    rows = expert_rows(latent, np.array([1, 0, 2])[truth])
    assert rows.argmax(axis=1).tolist() == [1, 0, 2]
    plain = expert_rows(latent, truth)
    assert (np.diag(plain) > 0.9).all()  # a calibrated posterior leaves the expert's rows nothing to correct
