"""The fit of one task of `calibrated`, by generalised expectation maximisation; the model stands there.

*Joint*: a pass takes expectations, sets people's rows in closed form and moves temperatures and biases by one Newton
step of the expected log posterior, halved until the objective does not fall. Where every item has gold the expectations
never change, and the passes are Newton's method alone.

*Left out*: a row that was counted on an item agrees with itself, and temperatures fitted to such posteriors come out
too low where people have few labels each. So temperatures and biases are fitted first, to posteriors by rows that were
counted without the item; then they are held, and the passes are those of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int16

from quorate.consensus.calibrated_scores import (
    ROUNDING,
    Calibration,
    Freedom,
    Models,
    between,
    distance,
    log_density,
    log_probs,
    starting_calibration,
    stepped,
)
from quorate.consensus.dawid_skene_em import Answers, learned_dirichlet, shares
from quorate.consensus.estimator import Status

Array = np.ndarray
Prior = Literal["map", "flat"]
Calibrate = Literal["left out", "joint"]

ACCURACY, STRENGTH = 0.75, 1.0  # of a person, before any label [kerrigan2021]
PRIOR_PASSES = 10  # that learn people's pseudo-counts before they are held
SETTLED = 3e-4  # nats; a calibration that moves less in a pass has ended: a share of its own error
HALVINGS = 30
GOLD_PASSES = 30


@dataclass(frozen=True)
class Problem:
    """One task to be fitted: items with a label or gold (-1: none), and how many people there are."""

    answers: Answers
    gold: Int16[Array, "items"]
    models: Models
    n_people: int


class Parameters(NamedTuple):
    """P(label | latent class) of every person, and the calibration."""

    rows: Float64[Array, "people labels latent"]
    calibration: Calibration


class Expected(NamedTuple):
    """What is expected under some parameters: the models' log probabilities, posteriors, counts of rows."""

    log_q: Float64[Array, "items latent"]
    posterior: Float64[Array, "items latent"]
    rows: Float64[Array, "people labels latent"]
    log_likelihood: float  # nats


class Rules(NamedTuple):
    """What is maximised."""

    rows: Float64[Array, "labels latent"]  # pseudo-counts of every person
    shares: float  # pseudo-counts of every class
    freedom: Freedom


class Learned(NamedTuple):
    """How the fit of one task ended; the rows are those that maximise these counts plus pseudo-counts."""

    expected: Expected
    calibration: Calibration
    rules: Rules
    status: Status
    objective: tuple[float, ...]  # log posterior, nats, up to a constant


class _Place(NamedTuple):
    parameters: Parameters
    expected: Expected
    value: float  # the objective


class _Start(NamedTuple):
    place: _Place
    rules: Rules
    settled: bool  # whether what was learned before the passes came to rest


def maximise_posterior(
    problem: Problem, prior: Prior, calibrate: Calibrate, *, bias: bool, tolerance: float, max_iterations: int
) -> Learned:
    """Expectation first, from the prior's parameters; stops when a pass adds less than `tolerance` of the objective."""
    at, rules, settled = _started(problem, prior, calibrate, bias=bias, max_iterations=max_iterations)
    objective: list[float] = []
    status: Status = "iteration limit"
    while len(objective) < max_iterations:
        at = _ascended(problem, at, rules)
        objective.append(at.value)
        if len(objective) > 1 and objective[-1] - objective[-2] <= tolerance * abs(objective[-1]):
            status = "converged" if settled else status
            break
    return Learned(at.expected, at.parameters.calibration, rules, status, tuple(objective))


# ---- before the passes ----------------------------------------------------------------------------------------------
def _started(problem: Problem, prior: Prior, calibrate: Calibrate, *, bias: bool, max_iterations: int) -> _Start:
    rules = starting_rules(problem.models.x.shape[2], prior, bias=bias)
    if prior == "flat":
        return _Start(_from_prior(problem, rules), rules, settled=True)
    if calibrate == "joint" or (problem.gold >= 0).all():
        return _pseudo_learned(problem, rules)
    return _calibrated(problem, rules, max_iterations)


def starting_rules(n_classes: int, prior: Prior, *, bias: bool) -> Rules:
    """Pseudo-counts c off the diagonal and c (K - 1) acc / (1 - acc) on it, c = s / 10 [kerrigan2021], or none."""
    if prior == "flat":
        return Rules(np.zeros((n_classes, n_classes)), 0.0, Freedom(pulled=False, bias=bias))
    off = 0.1 * STRENGTH
    on = off * max(n_classes - 1, 1) * ACCURACY / (1.0 - ACCURACY)
    rows = np.where(np.eye(n_classes, dtype=bool), on, off)
    return Rules(rows, 1.0, Freedom(pulled=True, bias=bias))


def _from_prior(problem: Problem, rules: Rules) -> _Place:
    """Everybody as accurate as the prior has it."""
    _, n_speakers, n_classes = problem.models.x.shape
    row = shares(starting_rules(n_classes, "map", bias=False).rows, axis=0)
    rows = np.repeat(row[None], problem.n_people, axis=0)
    return _valued(problem, Parameters(rows, starting_calibration(n_speakers, n_classes)), rules)


def _pseudo_learned(problem: Problem, rules: Rules) -> _Start:
    """Passes that learn people's pseudo-counts along with all else: the rows of a crowd are draws from one law."""
    at, pull = _from_prior(problem, rules), rules.rows
    for _ in range(PRIOR_PASSES):
        rules = rules._replace(rows=learned_dirichlet(at.expected.rows, rules.rows, pull))
        value = at.expected.log_likelihood + log_prior(at.parameters, rules)
        at = _ascended(problem, at._replace(value=value), rules)
    return _Start(at, rules, settled=True)


def _calibrated(problem: Problem, rules: Rules, max_iterations: int) -> _Start:
    """Temperatures, biases and pseudo-counts by left-out posteriors, then held."""
    at, pull = _from_prior(problem, rules), rules.rows
    expected, calibration, settled = at.expected, at.parameters.calibration, False
    for n in range(max(max_iterations, PRIOR_PASSES)):
        if n < PRIOR_PASSES:
            rules = rules._replace(rows=learned_dirichlet(expected.rows, rules.rows, pull))
        expected = left_out(problem, expected, calibration, rules)
        before, calibration = calibration, _recalibrated(problem, expected, calibration, rules)
        settled = n >= PRIOR_PASSES and distance(before, calibration) < SETTLED
        if settled:
            break
    held = rules._replace(freedom=rules.freedom._replace(moving=False))
    return _Start(_valued(problem, Parameters(maximised_rows(expected, held), calibration), held), held, settled)


# ---- a pass ---------------------------------------------------------------------------------------------------------
def _ascended(problem: Problem, at: _Place, rules: Rules) -> _Place:
    """Rows in closed form, a Newton step of the calibration, halved while the objective falls."""
    rows, before = maximised_rows(at.expected, rules), at.parameters.calibration
    target = _recalibrated(problem, at.expected, before, rules)
    for n in range(HALVINGS):
        there = _valued(problem, Parameters(rows, between(before, target, 0.5**n)), rules)
        if there.value >= at.value - ROUNDING * abs(at.value):
            return there
    return at


def _valued(problem: Problem, parameters: Parameters, rules: Rules) -> _Place:
    expected = expect(problem, parameters)
    return _Place(parameters, expected, expected.log_likelihood + log_prior(parameters, rules))


def log_prior(parameters: Parameters, rules: Rules) -> float:
    """Log density of rows, class shares, temperatures and biases, in nats, with 0 log 0 = 0."""
    from scipy.special import xlogy

    calibration = parameters.calibration
    counted = xlogy(rules.rows, parameters.rows).sum() + xlogy(rules.shares, calibration.shares).sum()
    return float(counted) + (log_density(calibration) if rules.freedom.pulled else 0.0)


def expect(problem: Problem, parameters: Parameters) -> Expected:
    """Posteriors and counts under these parameters."""
    from quorate.consensus import calibrated_kernels as kernels

    log_q = log_probs(problem.models, parameters.calibration)
    posterior, counts = np.empty_like(log_q), np.zeros(parameters.rows.shape)
    table = np.ascontiguousarray(parameters.rows).ravel()
    log_likelihood = kernels.expect_pass(*problem.answers, problem.gold, table, log_q, posterior, counts.reshape(-1))
    return Expected(log_q, posterior, counts, log_likelihood)


def left_out(problem: Problem, before: Expected, calibration: Calibration, rules: Rules) -> Expected:
    """Posteriors of every item by rows that were counted `before` without it; they have no likelihood in common."""
    from quorate.consensus import calibrated_kernels as kernels

    log_q = log_probs(problem.models, calibration)
    posterior, counts = before.posterior.copy(), np.zeros(before.rows.shape)
    counted, given = before.rows.reshape(-1), (problem.gold, rules.rows, log_q)
    kernels.left_out_pass(*problem.answers, counted, *given, posterior, counts.reshape(-1))
    return Expected(log_q, posterior, counts, -np.inf)


def maximised_rows(expected: Expected, rules: Rules) -> Float64[Array, "people labels latent"]:
    """(counts + pseudo-counts) / total; evenly where nothing was counted."""
    return shares(expected.rows + rules.rows, axis=1)


def _recalibrated(problem: Problem, expected: Expected, at: Calibration, rules: Rules) -> Calibration:
    """A Newton step of weights and biases; class shares in closed form, from the items on which no model spoke."""
    silent = expected.posterior[~problem.models.spoken].sum(axis=0)
    moved = stepped(problem.models, expected.log_q, expected.posterior, at, rules.freedom)
    return moved._replace(shares=shares(silent + rules.shares))


def learned_gold_row(
    latent: Float64[Array, "items latent"], gold: Int16[Array, "items"], pseudo: Float64[Array, "latent classes"]
) -> Float64[Array, "latent classes"]:
    """P(gold label | latent class): the expert's most probable row, given what everybody else says of the items."""
    row = shares(pseudo)
    said = np.eye(pseudo.shape[1])[gold]  # items, classes
    for _ in range(GOLD_PASSES):
        row = shares(shares(latent * row[:, gold].T).T @ said + pseudo)
    return row
