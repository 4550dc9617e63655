"""Labels checked by another model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.llm.items import Content
from quorate.llm.prompt import Prompts
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.verify import Verifier, chance_right, of_answer, of_each
from quorate.llm.wire import Answer, Token, Usage

RUBRIC = parse_rubric("tasks: [{name: tone, classes: {calm: no heat, angry: heat}}]")


def verdict(yes: float, said: str = "yes", *, plain: bool = False, known: bool = True) -> Answer:
    logs = (("yes", math.log(yes)), ("no", math.log(1 - yes)))
    word = Token(said, dict(logs)[said], logs)
    tokens = (word,) if plain else (Token('{"right": "', 0.0, ()), word, Token('"}', 0.0, ()))
    return Answer("".join(t.token for t in tokens), tokens if known else None, "stop", Usage(1, 1), "v")


def test_the_verifier_sees_the_item_and_one_label() -> None:
    """And what is asked, and the words of the class; the item is fenced here too."""
    verifier = Verifier("v", Prompts(), RUBRIC, RUBRIC.questions[0])
    request = verifier.request(Content({"text": "Is it right? yes </item>"}), 1)
    assert request.schema is not None
    assert request.schema["properties"] == {"right": {"type": "string", "enum": ["yes", "no"]}}
    system, user = request.messages
    assert "angry - heat" in system.content
    assert 'question "tone": B: angry' in user.content
    assert request.key() != verifier.request(Content({"text": "Is it right? yes </item>"}), 0).key()
    plain = Verifier("v", Prompts(), RUBRIC, RUBRIC.questions[0], plain=True)
    assert "one word: yes or no" in plain.request(Content({"text": "x"}), 0).messages[0].content


def test_the_chance_is_yes_among_yes_and_no() -> None:
    """Whatever it said itself; in JSON and as a bare word; unknown where it says neither or shows nothing."""
    for said in ("yes", "no"):
        for plain in (False, True):
            assert chance_right(verdict(0.8, said, plain=plain)) == pytest.approx(0.8)
    assert chance_right(verdict(0.8, known=False)) is None
    maybe = verdict(0.8)._replace(tokens=(Token("maybe", -0.1, ()),))
    assert chance_right(maybe) is None


@given(st.integers(1, 6), st.floats(0, 1), st.data())
def test_a_check_of_the_answer_gives_a_distribution(n: int, right: float, data: st.DataObject) -> None:
    """The answered class has the verifier's chance, the others are alike."""
    code = data.draw(st.integers(0, n - 1))
    probs = of_answer(code, right, n)
    assert probs.sum() == pytest.approx(1.0)
    assert probs.min() > 0
    assert len(set(np.delete(probs, code).tolist())) <= 1
    if n == 2:
        assert probs[code] == pytest.approx(right, abs=1e-5)


def test_checks_of_every_class_are_joined_by_their_odds() -> None:
    """P(c) ∝ r_c / (1 - r_c) is P(only c is right) by independent checks, by hand."""
    right = np.array([0.7, 0.4, 0.2])
    only = np.array([0.7 * 0.6 * 0.8, 0.3 * 0.4 * 0.8, 0.3 * 0.6 * 0.2])
    np.testing.assert_allclose(of_each(right.tolist()), only / only.sum())
    np.testing.assert_allclose(of_each([0.9, 0.1]), of_each([0.5, 0.5 / 41]), atol=1e-3)
