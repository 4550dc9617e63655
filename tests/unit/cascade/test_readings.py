"""How outputs are read: scores by calibrators, hard answers by how often they are right."""

from __future__ import annotations

import json

import numpy as np

from quorate.cascade.answers import NOTHING
from quorate.cascade.readings import Reading, read, readings, truth_given
from unit.cascade.simulated import said


def test_what_is_read_sums_to_one_and_nothing_stays_nothing() -> None:
    """Scores and hard answers alike; an agent that says nothing has no chance of any class."""
    answers = said(300, seed=0, person=True)
    answers.kind[:50, 1] = NOTHING
    probs = read(answers, readings(answers, "vector"))
    assert (probs[:50, 1] == 0).all()
    spoke = answers.kind != NOTHING
    np.testing.assert_allclose(probs.sum(axis=2)[spoke], 1.0, atol=1e-4)


def test_a_person_is_as_good_as_their_labels_show() -> None:
    """P(truth | said) of a person right on 90 % (and by luck on a third of the rest) is that, within its error."""
    answers = said(4000, seed=1, person=True)
    rows = readings(answers, "vector")[-1].rows
    right = 0.9 + 0.1 / 3
    error = (right * (1 - right) / (4000 / 3)) ** 0.5
    np.testing.assert_allclose(np.diag(rows), right, atol=4 * error)
    np.testing.assert_allclose(rows.sum(axis=1), 1.0)


def test_an_answer_never_given_is_as_good_as_the_others() -> None:
    """Its row is the agent's overall share of right answers."""
    rows = truth_given(np.zeros(100, int), np.repeat([0, 1], [80, 20]), 3)
    assert 0.7 < rows[2, 2] < 0.85
    assert rows[2, 0] > rows[2, 1]


def test_calibration_makes_scores_mean_what_they_say() -> None:
    """Agents twice as sure as they should be come out with the confidence of their accuracy."""
    teach, judge = said(1500, seed=2), said(3000, seed=3)
    probs = read(judge, readings(teach, "vector"))
    for at in range(3):
        confidence = probs[:, at].max(axis=1)
        right = probs[:, at].argmax(axis=1) == judge.truth
        assert abs(confidence.mean() - right.mean()) < 4 * 2**0.5 * right.std() / 1500**0.5


def test_a_reading_reads_back_the_same() -> None:
    """Through JSON."""
    answers = said(200, seed=4, person=True)
    by = readings(answers, "vector")
    again = tuple(Reading.from_json(json.loads(json.dumps(each.to_json()))) for each in by)
    np.testing.assert_array_equal(read(answers, by), read(answers, again))
