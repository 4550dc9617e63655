"""What a consensus says, in a few figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.cli.summary import in_words, summarised, target_in_words
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.schema import Schema, Task

SCHEMA = Schema((Task("ok", ("no", "yes")), Task("tone", ("cold", "warm"))))
ROWS = PeopleRows(np.eye(2), np.array([[0.9, 0.1], [0.1, 0.9]]), np.eye(2))


def consensus(probs: np.ndarray, *targets: Target) -> Consensus:
    n = len(probs)
    return Consensus(
        SCHEMA,
        tuple(f"item-{i}" for i in range(n)),
        (np.zeros((n, 2), np.int32),) * 2,
        IndependentBelief((probs, probs)),
        (ROWS, ROWS),
        targets or (Target("latent"), Target("latent")),
    )


def test_every_answer_stands_in_one_step_of_the_histogram() -> None:
    """Also at the edges: .5, .9, and a one that rounding has pushed above one."""
    best = np.array([0.5, 0.55, 0.9, 0.95, 0.99, 1.0, np.nextafter(1.0, 2.0)])
    told = summarised(consensus(np.column_stack([best, 1 - best])))
    assert {step.low: step.answers for step in told.histogram if step.answers} == {0.5: 4, 0.9: 2, 0.95: 2, 0.99: 6}
    assert told.tasks["ok"].sure == 5


def test_the_expected_accuracy_is_the_mean_confidence() -> None:
    """And all tasks are right as often as the joint posterior says: here the product, tasks being apart."""
    told = summarised(consensus(np.array([[0.6, 0.4], [0.1, 0.9]])))
    assert told.tasks["tone"].expected_accuracy == pytest.approx(0.75)
    assert told.all_tasks_right == pytest.approx((0.36 + 0.81) / 2)


def test_a_consensus_on_no_item_has_no_accuracy() -> None:
    """Unknown is absence, not 0 or NaN."""
    told = summarised(consensus(np.zeros((0, 2))))
    assert told.tasks["ok"].expected_accuracy is None
    assert told.all_tasks_right is None


def test_items_about_which_nobody_spoke_are_counted_apart() -> None:
    """Their answers are what is usual, so they say nothing of how good the others are."""
    seen = np.array([[True, False], [False, False]])
    told = summarised(replace(consensus(np.array([[0.9, 0.1], [0.5, 0.5]])), agents_seen=seen))
    assert [(task.answers, task.unheard) for task in told.tasks.values()] == [(1, 1), (0, 2)]
    assert told.tasks["ok"].expected_accuracy == pytest.approx(0.9)
    assert sum(step.answers for step in told.histogram) == 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("gold"), "the expert's label"),
        (Target("latent"), "the latent class"),
        (Target("panel", 1), "the label of one person"),
        (Target("panel", 5), "the majority of 5 people"),
        (Target("panel", np.array([3, 7, 5], np.int32)), "the majority of 3 to 7 people"),
    ],
)
def test_a_target_is_named_in_plain_words(target: Target, words: str) -> None:
    """One phrase per kind of target."""
    assert target_in_words(target) == words


def test_tasks_with_one_target_share_a_phrase() -> None:
    """Task names are only told where targets differ."""
    probs = np.array([[0.6, 0.4]])
    assert in_words(consensus(probs)) == "the latent class"
    mixed = consensus(probs, Target("gold"), Target("panel", 3))
    assert in_words(mixed) == "the expert's label (ok); the majority of 3 people (tone)"
