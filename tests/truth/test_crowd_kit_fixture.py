"""The step-by-step example of crowd-kit's own tests: five tasks, five workers, two steps of EM by hand.

The facts are those of `test_dawid_skene_step_by_step` in crowd-kit (Apache-2.0, [ustalov2024]), which states them to
half a hundredth.
"""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus import dawid_skene_em as em
from unit.consensus.build import coded_from

ANSWERS = {"t1": "ny-yn", "t2": "yyynn", "t3": "ynnyn", "t4": "yyyyy", "t5": "ynnnn"}  # by workers w1 to w5; - is none
NAMES = {"n": "no", "y": "yes"}
TO_HALF_A_HUNDREDTH = 0.005


@pytest.fixture(scope="module")
def problem() -> em.Problem:
    """The example as a problem to fit."""
    rows = [
        (item, "q", f"w{w}", NAMES[answer])
        for item, answers in ANSWERS.items()
        for w, answer in enumerate(answers, start=1)
        if answer != "-"
    ]
    coded = coded_from(rows, {"q": ("no", "yes")})
    answers = em.gathered(coded, 0, np.array([0, 1, 2, 3, 4, -1, -1]))
    return em.Problem(answers, np.full(5, -1, np.int16), np.zeros(5, np.int8), 2)


def parameters(problem: em.Problem, expected: em.Expected) -> em.Parameters:
    """Maximum likelihood from expected counts."""
    return em.maximised(expected, em.starting_counts(2, "flat"), problem.group)


def says_no(found: em.Parameters) -> np.ndarray:
    """P(says no | truly no), P(says no | truly yes), per worker."""
    return found.rows[:, 0, :]


def test_the_first_maximisation_from_vote_shares(problem):
    """Vote shares .5 .4 .6 0 .8 for no: prior .46, and the workers' rows."""
    found = parameters(problem, em.from_votes(problem))
    assert found.classes[0] == pytest.approx(0.46, abs=TO_HALF_A_HUNDREDTH)
    expected = [[0.22, 0.19], [0.61, 0.22], [0.78, 0.27], [0.52, 0.30], [1.00, 0.63]]
    np.testing.assert_allclose(says_no(found), expected, atol=TO_HALF_A_HUNDREDTH)


def test_the_second_step(problem):
    """P(no) of the tasks .35 .26 .87 0 .95, then prior .49 and the workers' rows."""
    first = parameters(problem, em.from_votes(problem))
    probs = em.latent_posteriors(problem.answers, first)
    np.testing.assert_allclose(probs[:, 0], [0.35, 0.26, 0.87, 0.00, 0.95], atol=TO_HALF_A_HUNDREDTH)
    found = parameters(problem, em.expect(problem, first))
    assert found.classes[0] == pytest.approx(0.49, abs=TO_HALF_A_HUNDREDTH)
    expected = [[0.14, 0.25], [0.75, 0.07], [0.87, 0.09], [0.50, 0.31], [1.00, 0.61]]
    np.testing.assert_allclose(says_no(found), expected, atol=TO_HALF_A_HUNDREDTH)
