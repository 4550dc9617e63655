"""The scale of a fit's steps: what it measures, and that it never moves the summit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from quorate.consensus.hybrid.curvature import curvature
from quorate.consensus.hybrid.fitting import maximise, problem_of, quadrature_points, vocabulary_of
from quorate.consensus.hybrid.habits import habits_of
from quorate.consensus.hybrid.objective import Objective
from quorate.consensus.hybrid.options import FIXED, Settings
from quorate.consensus.hybrid.parameters import n_parameters, start_vector, views
from quorate.data.encode import Coded
from quorate.schema import Schema
from quorate.simulate.world import world
from unit.consensus.build import coded_from, simulated
from unit.consensus.many_tasks import ragged

STEP = 1e-4


def objective_of(data: Coded, settings: Settings) -> tuple[Objective, np.ndarray]:
    """The objective, and where a fit starts."""
    vocabulary = vocabulary_of(data, settings)
    problem = problem_of(data, vocabulary, habits_of(data), quadrature_points(settings.factors, 32, 0))
    start = start_vector(vocabulary.shapes, problem.priors, strength=FIXED.strength, seed=0)
    return Objective(problem, settings, np.float64), start


def ordered(data: Coded) -> Coded:
    """The same data with every task on a scale."""
    return replace(data, schema=Schema(tuple(replace(task, ordered=True) for task in data.schema.tasks)))


def second_difference(objective: Objective, at: np.ndarray, parameter: int) -> float:
    """Minus the second derivative along one parameter, from two gradients."""
    step = np.zeros_like(at)
    step[parameter] = STEP
    slopes = [objective.value(point)[1][parameter] for point in (at - step, at + step)]
    return (slopes[0] - slopes[1]) / (2 * STEP)


def unscaled(objective: Objective, start: np.ndarray) -> list[float]:
    """The heights of plain L-BFGS."""
    plain: list[float] = []
    minimize(
        lambda vector: tuple(-part for part in objective.value(vector)),
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: plain.append(-intermediate_result.fun),
        options={"maxiter": 2000, "maxfun": 10_000, "ftol": 1e-13, "gtol": 1e-7},
    )
    return plain


def crowd(n_items: int, n_people: int, miss: float) -> Coded:
    """One question of two classes that everybody answers, each wrong with probability `miss`."""
    rng = np.random.default_rng(3)
    truth = rng.integers(2, size=n_items)
    said = np.where(rng.random((n_items, n_people)) < miss, 1 - truth[:, None], truth[:, None])
    rows = [(f"i{i}", "t", f"a{a}", str(said[i, a])) for i in range(n_items) for a in range(n_people)]
    return coded_from(rows, {"t": ("0", "1")})


def test_where_the_truth_is_beyond_doubt_rows_bend_as_told() -> None:
    """Twenty people who err once in ten leave no doubt: complete-data information is then the second derivative."""
    objective, start = objective_of(crowd(60, 20, 0.1), Settings(factors=0, people=15.0))
    told = curvature(objective, start)
    place = np.arange(n_parameters(objective.problem.shapes))
    rows = views(place.astype(float), objective.problem.shapes).tasks[0]
    for parameter in [*rows.rows[4].ravel(), *rows.leniency[7], *rows.people.ravel(), *rows.gold.ravel()]:
        measured = second_difference(objective, start, int(parameter))
        assert told[int(parameter)] == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize("scale", [False, True])
def test_no_parameter_bends_less_than_its_prior(scale: bool) -> None:
    """Data only add curvature, in every block, on a scale and off it."""
    objective, start = objective_of(ordered(ragged(3, gold=True)) if scale else ragged(3, gold=True), Settings())
    told = curvature(objective, start)
    assert np.all(told >= objective.precision_of_prior)
    assert np.all(np.isfinite(told))


@pytest.mark.parametrize("settings", [Settings(), Settings(factors=0, subtypes=2)])
def test_the_scale_changes_the_way_and_not_the_summit(settings: Settings) -> None:
    """Scaled or not, L-BFGS ends at one height."""
    objective, start = objective_of(simulated(5, n_items=150).coded(), settings)
    ended, plain = maximise(objective, start, 1000, small_gain=1e-11).objective, unscaled(objective, start)
    assert ended[-1] == pytest.approx(max(plain), abs=0.5)  # loadings have several summits of one height


def test_many_tasks_need_fewer_steps_on_the_scale() -> None:
    """Ten tasks, fifty people: the summit less ten nats is reached in half the steps."""
    objective, start = objective_of(world("paper", 150).coded(), Settings())
    ended, plain = maximise(objective, start, 400).objective, unscaled(objective, start)
    near = max(plain) - 10.0
    assert 2 * sum(value < near for value in ended) <= sum(value < near for value in plain)
