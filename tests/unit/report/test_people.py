"""Everybody over all tasks, and who is worth a look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quorate.consensus.agents import Agents
from quorate.consensus.reliability import AgentFigure, Confusion, Judged
from quorate.consensus.shared_errors import PairFigure, SharedErrors
from quorate.report.people import people


def judged(agent: str, task: str, accuracy: float | None, se: float, n: float = 50.0, flags: tuple = ()) -> Judged:
    low, high = (None, None) if accuracy is None else (accuracy - 2 * se, accuracy + 2 * se)
    figure = AgentFigure(agent, "annotator", task, int(n), 0, n, accuracy, low, high, se, 0.5, flags, None)
    empty: Any = np.zeros((2, 2))
    return Judged(figure, Confusion(("n", "y"), empty, empty, empty, np.zeros(2)))


def report(*of: Judged, pairs: tuple[PairFigure, ...] = ()) -> Agents:
    return Agents(of, SharedErrors(pairs, (), 0, None), 0.95)


def test_accuracy_over_tasks_is_the_mean_weighted_by_what_is_known() -> None:
    """40 answers at .9 and 10 at .5 are .82; errors add as those of independent parts."""
    found = people(report(judged("ann", "a", 0.9, 0.05, 40), judged("ann", "b", 0.5, 0.1, 10))).shown[0]
    assert (found.answers, found.tasks) == (50, 2)
    assert found.accuracy == pytest.approx(0.82)
    se = np.hypot(0.8 * 0.05, 0.2 * 0.1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * se, rel=1e-3)


def test_others_are_those_on_the_same_tasks() -> None:
    """Who does the hard task only is not held against the easy one."""
    found = people(
        report(
            judged("hard", "b", 0.6, 0.02), judged("easy", "a", 0.95, 0.01), judged("both", "a", 0.95, 0.01),
            judged("both", "b", 0.6, 0.02),
        )
    )  # fmt: skip
    assert found.flagged == 0
    assert {row.name: round(row.others, 3) for row in found.shown} == {"hard": 0.6, "easy": 0.95, "both": 0.775}


def test_whoever_is_clearly_below_the_others_comes_first() -> None:
    """The whole interval lies ten points below; a wide interval is no accusation."""
    steady = [judged(f"p{i}", "a", 0.9, 0.01) for i in range(6)]
    found = people(report(*steady, judged("lost", "a", 0.5, 0.03), judged("new", "a", 0.6, 0.2, 12)))
    assert found.shown[0].name == "lost"
    assert found.shown[0].flags == ("clearly below the others",)
    assert found.flagged == 1


def test_flags_of_single_tasks_are_kept_in_words() -> None:
    """With the number of tasks where they are several."""
    found = people(
        report(
            *(judged("bot", task, 0.4, 0.1, flags=("worse than chance",)) for task in "abc"), judged("x", "a", 0.5, 0.1)
        )
    )
    assert "worse than chance on 3 tasks" in next(row for row in found.shown if row.name == "bot").flags


def test_too_few_answers_have_no_accuracy() -> None:
    """Absent, not 0; and last in the table."""
    found = people(report(judged("new", "a", None, 0.0, 2, ("too few labels to tell",)), judged("old", "a", 0.4, 0.1)))
    assert [row.accuracy for row in found.shown] == [0.4, None]
    assert found.judged == 1


def test_two_who_err_together_name_each_other() -> None:
    """Only where the whole interval is high and there were errors enough."""
    close = PairFigure("ann", "bo", "annotator", "a", 100, 0.7, 0.5, 0.8, 0.1, 0.1, 0.1, None)
    apart = close._replace(second="cy", low=0.1)
    of = [judged(name, "a", 0.8, 0.05) for name in ("ann", "bo", "cy")]
    found = {row.name: row.flags for row in people(report(*of, pairs=(close, apart))).shown}
    assert found == {"ann": ("errs together with bo",), "bo": ("errs together with ann",), "cy": ()}
