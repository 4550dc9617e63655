"""How many gate items would show it: the power that is stated is the power there is."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.judge.enough import below_zero, enough_items, power_of
from quorate.judge.figures import estimate
from quorate.judge.gate import gate, shown
from quorate.judge.losses import losses
from quorate.judge.questions import Question, questions
from quorate.judge.rule import LOSS, Figure, Rule
from unit.judge.test_gate import CLASSES, GRADES, world

LEVEL, MANY = 0.05, 60_000


def asked(figure: Figure, room: float, proof: str = "weights") -> tuple[Question, Rule]:
    """A question that a judge known from many items answers with room to spare."""
    of = losses(world(1, MANY, GRADES if figure == "mse" else CLASSES), LOSS[figure])
    found = estimate(of, figure, "judge")
    assert found is not None
    rule = Rule(figure, found + (room if figure == "mse" else -room), level=LEVEL, people=None, proof=proof)
    return questions(of, rule, kappa_of_people=of)[0], rule


@pytest.mark.slow
@pytest.mark.parametrize(("figure", "room"), [("agreement", 0.1), ("kappa", 0.15), ("mse", 0.7)])
def test_with_as_many_items_as_told_the_gate_passes_as_often_as_stated(figure, room):
    """80 % of gates over new items pass the claim: within the error of the simulation and of a number told to 4 %."""
    question, rule = asked(figure, room)
    n, repeats = enough_items(question, LEVEL), 60
    assert n is not None
    passed = 0
    for seed in range(repeats):
        of = losses(world(100 + seed, n, GRADES if figure == "mse" else CLASSES), LOSS[figure])
        passed += shown(of, rule, LEVEL, kappa_of_people=of)[0].passed
    error = (0.8 * 0.2 * (1 / repeats + 1 / 200)) ** 0.5
    assert abs(passed / repeats - 0.8) < 3 * error + 0.03


def test_the_saddle_point_is_the_share_of_drawn_weights():
    """P(Σ E z < 0) within 5 % of its value, for values with one bad case and for spread ones."""
    rng = np.random.default_rng(0)
    for z in (np.append(np.full(30, 0.1), -0.9), rng.normal(0.25, 1, 60), np.append(rng.random(12), -1.0)):
        weights = rng.standard_exponential((200_000, len(z)))
        share = float((weights @ z < 0).mean())
        assert abs(below_zero(z[None])[0] - share) < 0.05 * share + 4 * (share / 200_000) ** 0.5
    assert below_zero(np.array([[1.0, 2.0], [-1.0, -2.0], [-3.0, 1.0]])).tolist() == [0.0, 1.0, 1.0]


def test_none_would_show_what_the_estimate_itself_denies():
    """Under the threshold no number of items helps; above it fewer do the more room there is."""
    assert enough_items(asked("agreement", -0.01)[0], LEVEL) is None
    near, far = (enough_items(asked("agreement", room)[0], LEVEL) for room in (0.05, 0.15))
    assert near is not None
    assert far is not None
    assert far < near / 3
    with pytest.raises(SettingError, match="power"):
        enough_items(asked("agreement", 0.1)[0], LEVEL, power=1.0)


@pytest.mark.parametrize("proof", ["student", "exact"])
def test_other_proofs_are_asked_in_their_own_way(proof):
    """Student's shows as much from fewer items than random weights do, bets from more; power rises with items."""
    rule = Rule("agreement", 0.75, level=LEVEL, people=None, proof=proof)
    of = losses(world(2, 200, CLASSES), "differs")
    question = questions(of, rule, kappa_of_people=of)[0]
    assert power_of(question, 60, LEVEL, proof) <= power_of(question, 240, LEVEL, proof)
    weights = power_of(questions(of, Rule("agreement", 0.75, people=None), kappa_of_people=of)[0], 240, LEVEL)
    assert (power_of(question, 240, LEVEL, proof) >= weights) == (proof == "student")


def test_a_closed_gate_says_how_many_items_would_open_it_or_that_none_would():
    """In the reasons, and as a number in what is filed."""
    close = gate(world(4, 60, CLASSES, right=0.9), Rule("agreement", threshold=0.68))
    assert close.shown[0].enough is not None
    assert f"about {close.shown[0].enough:,} gate items would show it" in close.reasons[0]
    never = gate(world(4, 60, CLASSES, right=0.4), Rule("agreement", threshold=0.95))
    assert never.shown[0].enough is None
    assert "no number of gate items would show it" in never.reasons[0]
