"""Criticisms read from answers, and the order of equation 7."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.act.ordering import by_perplexity
from quorate.act.strategies import STRATEGIES, strategy
from quorate.act.verdicts import Criticism, Malformed, perplexity, read_criticism
from quorate.errors import SettingError
from quorate.llm.reading import Place
from quorate.llm.wire import OUTSIDE, Answer, Token, Usage
from unit.act.critics import critic


def answer(text: str, tokens: tuple[Token, ...] | None = None, finish: str = "stop") -> Answer:
    return Answer(text, tokens, finish, Usage(1, 1), "m")


def spoken(*words: tuple[str, float]) -> Answer:
    """An answer with the probabilities of its words; a verdict lists the other one too."""
    other = {"yes": "no", "no": "yes"}
    tokens = tuple(
        Token(word, math.log(p), ((word, math.log(p)), (other[word], math.log(1 - p))) if word in other else ())
        for word, p in words
    )
    return answer("".join(word for word, _ in words), tokens)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"error_probability": 0.911}', 0.911),
        ('Here: {"error_probability": "0.911"} Bye.', 0.911),
        ('{"error_probability": "91.1 %"}', 0.911),
        ('{"error_probability": 0}', 0.0),
        ("[0.911]", 0.911),
        ("[0.1][0.911].", 0.911),
        ("0.911", 0.911),
    ],
)
def test_a_probability_is_read_in_its_own_place(text: str, error: float) -> None:
    """In JSON, in brackets, or bare; the last of several."""
    found = read_criticism(answer(text), critic("naive"))
    assert isinstance(found, Criticism)
    assert found.error == pytest.approx(error)


@pytest.mark.parametrize(
    "text",
    ["", "I think 0.9 fits.", '{"error_probability": 80}', '{"error_probability": -0.1}', '{"error_probability": true}',
     '{"error_probability": null}', '{"error_probability": NaN}', "[nan]", "[1e-2x]", "[]", '{"error": 0.3}'],
)  # fmt: skip
def test_what_is_no_share_is_malformed_and_asked_again(text: str) -> None:
    """80 is not taken for .8, nor a number out of the thoughts for an answer."""
    found = read_criticism(answer(text), critic("naive"))
    assert isinstance(found, Malformed)
    assert found.again


def test_an_answer_that_was_cut_off_says_so() -> None:
    """So that the next try may be longer."""
    cut = answer('{"reasoning": "the answer was 0.', finish="length")
    assert read_criticism(cut, critic("cot")) == Malformed("it was cut off")
    assert isinstance(read_criticism(answer("0.3"), critic("cot")), Malformed)  # no thoughts, no place


@given(st.integers(1, 5))
def test_levels_are_the_middles_of_fifths(level: int) -> None:
    """Ordered, symmetric about .5, never 0 or 1."""
    found = read_criticism(answer(f'{{"reasoning": "", "error_level": "{level}"}}'), critic("levels"))
    assert isinstance(found, Criticism)
    assert found.error == pytest.approx((level - 0.5) / 5)
    assert isinstance(read_criticism(answer("[x][6]"), critic("levels")), Malformed)


def test_perplexity_is_that_of_the_thoughts_alone() -> None:
    """Exp of the mean surprise of the tokens between the marks; JSON around them and the verdict do not count."""
    said = spoken(
        ('{"reasoning": "', 0.9), ("it ", 0.5), ("burns", 0.125), ('", "wrong": "', 0.9), ("yes", 0.8), ('"}', 0.9)
    )
    found = read_criticism(said, critic("perplexity"))
    assert isinstance(found, Criticism)
    assert (found.verdict, found.reasoning) == ("yes", "it burns")
    assert found.perplexity == pytest.approx(math.exp(-(math.log(0.5) + math.log(0.125)) / 2))
    logit = read_criticism(said, critic("cot-logit"))
    assert isinstance(logit, Criticism)
    assert logit.error == pytest.approx(0.8)
    brackets = spoken(("[", 0.9), ("it ", 0.5), ("burns", 0.125), ("][", 0.9), ("no", 0.6), ("]", 0.9))
    other = read_criticism(brackets, critic("perplexity", plain=True))
    assert isinstance(other, Criticism)
    assert (other.verdict, other.perplexity) == ("no", pytest.approx(4.0))


def test_without_probabilities_there_is_no_white_box() -> None:
    """Nor is it worth asking again; a model that did not think first may be asked again."""
    assert read_criticism(answer('{"wrong": "yes"}'), critic("logit")) == Malformed("no log probabilities", again=False)
    silent = spoken(('{"reasoning": "', 0.9), ('", "wrong": "', 0.9), ("yes", 0.8), ('"}', 0.9))
    assert read_criticism(silent, critic("perplexity")) == Malformed("it did not think first")
    assert perplexity([Token("a", OUTSIDE, ())], Place(0, 1)) is None
    assert isinstance(read_criticism(spoken(("maybe", 0.9)), critic("logit")), Malformed)


@given(st.lists(st.tuples(st.sampled_from(["yes", "no"]), st.floats(1, 50)), min_size=1, max_size=30))
def test_the_order_of_equation_7(said: list[tuple[str, float]]) -> None:
    """Wrong without surprise, wrong with it, right with it, right without; equals are equal; .5 lies between."""
    verdicts, surprise = [v for v, _ in said], np.array([p for _, p in said])
    places = by_perplexity(verdicts, surprise)
    assert ((places > 0) & (places < 1)).all()
    for i, j in np.ndindex(len(said), len(said)):
        sooner = (verdicts[i] == "yes", -surprise[i] if verdicts[i] == "yes" else surprise[i])
        later = (verdicts[j] == "yes", -surprise[j] if verdicts[j] == "yes" else surprise[j])
        assert (places[i] > places[j]) == (sooner > later)
    assert {v for v, p in zip(verdicts, places, strict=True) if p > 0.5} <= {"yes"}
    assert {v for v, p in zip(verdicts, places, strict=True) if p < 0.5} <= {"no"}


def test_strategies_are_known_by_name() -> None:
    """The seven of the source; another is refused with the list."""
    assert len(STRATEGIES) == 7
    assert [name for name, each in STRATEGIES.items() if each.is_order] == ["levels", "perplexity"]
    with pytest.raises(SettingError, match="cot-logit"):
        strategy("oracle")
