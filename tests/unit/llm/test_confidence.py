"""Probabilities from tokens, words and samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.llm.confidence import FLOOR, agreement, first_token, largest, verbalised
from quorate.llm.reading import Chosen, Place
from quorate.llm.wire import OUTSIDE, Token

IDS = ("A", "B", "C")


def token(text: str, **probs: float) -> Token:
    """A token and the likeliest at its place; its own probability is among them."""
    top = tuple((word, math.log(p)) for word, p in probs.items())
    return Token(text, math.log(probs[text]), top)


def at(text: str, start: int = 0) -> Chosen:
    return Chosen(IDS.index(text), Place(start, start + 1))


@given(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
def test_probabilities_of_the_first_token_are_exact_where_all_are_listed(weights: list[float]) -> None:
    """p_c / sum of p over the classes, whatever else is listed."""
    probs = np.array(weights) / sum(weights) * 0.9
    listed = dict(zip(IDS, probs.tolist(), strict=True)) | {"The": 0.1}
    found = first_token([token("A", **listed)], at("A"), IDS)
    assert found is not None
    np.testing.assert_allclose(found.probs, probs / probs.sum(), rtol=1e-12)
    assert found.covered == pytest.approx(0.9)


def test_all_spellings_of_a_label_count_together() -> None:
    """With a space, with a quotation mark, in small letters, with what closes it."""
    top = {"A": 0.3, " A": 0.1, '"A': 0.1, "a": 0.05, 'A"': 0.05, "B": 0.2, ' "b"': 0.2}
    found = first_token([token("A", **top)], at("A"), IDS[:2])
    assert found is not None
    np.testing.assert_allclose(found.probs, [0.6, 0.4])


def test_words_that_begin_with_a_label_are_not_the_label() -> None:
    """`Apple` is no A, and `An` neither."""
    found = first_token([token("A", A=0.5, Apple=0.3, An=0.1, B=0.1)], at("A"), IDS[:2])
    assert found is not None
    np.testing.assert_allclose(found.probs, [5 / 6, 1 / 6])


def test_a_class_that_is_not_listed_gets_what_is_left_and_at_most_the_least_listed() -> None:
    """A token outside the list is no likelier than the last inside it; never nothing."""
    left = first_token([token("A", A=0.9, B=0.04)], at("A"), IDS)
    assert left is not None
    np.testing.assert_allclose(left.probs, np.array([0.9, 0.04, 0.04]) / 0.98)
    small = first_token([token("A", A=0.95, B=0.0499)], at("A"), IDS)
    assert small is not None
    assert small.probs[2] == pytest.approx(0.0001 / 1.0, rel=1e-3)
    none = first_token([token("A", A=1.0)], at("A"), IDS)
    assert none is not None
    assert none.probs.min() == pytest.approx(FLOOR, rel=1e-5)


def test_outside_the_list_is_never_a_probability() -> None:
    """-9999 marks what is not listed, be it another token or the answer's own."""
    other = Token("A", math.log(0.8), (("A", math.log(0.8)), ("B", OUTSIDE), ("C", math.log(0.15))))
    found = first_token([other], at("A"), IDS)
    assert found is not None
    np.testing.assert_allclose(found.probs, np.array([0.8, 0.05, 0.15]))
    own = Token("A", OUTSIDE, (("B", math.log(0.7)), ("C", math.log(0.2))))
    found = first_token([own], at("A"), IDS)
    assert found is not None
    np.testing.assert_allclose(found.probs, [0.1, 0.7, 0.2])
    assert first_token([Token("A", OUTSIDE, ())], at("A"), IDS) is None
    assert first_token([], at("A"), IDS) is None


def test_where_only_the_answer_s_own_token_is_listed_the_others_share_the_rest() -> None:
    """A server that lists no alternatives still says how sure it was."""
    found = first_token([Token("B", math.log(0.6), ())], at("B"), IDS)
    assert found is not None
    np.testing.assert_allclose(found.probs, [0.2, 0.6, 0.2])


def test_the_label_is_found_by_its_place_and_not_by_its_letter() -> None:
    """The same letter stands elsewhere in the answer with other probabilities."""
    noise = token("A", A=0.99, B=0.01)
    tokens = [noise, Token(' {"x": ', 0.0, ()), token(' "A', **{' "A': 0.2, ' "B': 0.8}), Token('"}', 0.0, ())]
    found = first_token(tokens, at("A", len('A {"x":  "')), IDS[:2])
    assert found is not None
    np.testing.assert_allclose(found.probs, [0.2, 0.8])


def test_a_label_of_several_tokens_shares_its_branches() -> None:
    """What leaves the way at a token goes to the labels that begin so: 1|01, 1|02 against 2|01."""
    ids = ("101", "102", "201")
    tokens = [token("1", **{"1": 0.8, "2": 0.2}), token("01", **{"01": 0.75, "02": 0.25})]
    found = first_token(tokens, Chosen(0, Place(0, 3)), ids)
    assert found is not None
    np.testing.assert_allclose(found.probs, [0.6, 0.2, 0.2])


def test_the_largest_over_positions_is_the_paper_s_first_step() -> None:
    """x_c = max over matching tokens and positions, then softmax, by hand."""
    tokens = [token(" A", **{" A": 0.5, "B": 0.1}), token("x", x=0.6, b=0.3, C=0.1)]
    found = largest(tokens, IDS)
    assert found is not None
    np.testing.assert_allclose(found.probs, np.array([0.5, 0.3, 0.1]) / 0.9)
    within = largest(tokens, IDS, Place(0, 2))
    assert within is not None
    assert within.probs[1] < found.probs[1]
    assert largest([token("x", x=1.0)], IDS) is None


def test_one_position_with_every_class_listed_gives_the_same_both_ways() -> None:
    """The exact and the paper's aggregation meet."""
    tokens = [token("A", A=0.5, B=0.3, C=0.2)]
    exact, paper = first_token(tokens, at("A"), IDS), largest(tokens, IDS)
    assert exact is not None
    assert paper is not None
    np.testing.assert_allclose(exact.probs, paper.probs)


def test_what_a_model_says_of_itself_sums_to_one() -> None:
    """Percent signs are read; nonsense and missing classes count as nothing; nothing at all is no answer."""
    found = verbalised({"a": "60%", "B": 40, "C": None, "D": 100}, IDS)
    assert found is not None
    np.testing.assert_allclose(found.probs, [0.6, 0.4, FLOOR], rtol=1e-5)
    for nothing in ({}, {"A": 0, "B": 0}, {"A": -5}, {"A": math.nan}, {"A": True}, {"A": "sure"}):
        assert verbalised(nothing, IDS) is None


@given(st.lists(st.integers(0, 3), max_size=30))
def test_shares_of_samples_are_a_distribution_and_do_not_depend_on_their_order(codes: list[int]) -> None:
    """(n_c + 1/K) / (n + 1)."""
    found = agreement(codes, 4)
    assert found.sum() == pytest.approx(1.0)
    assert found.min() > 0
    np.testing.assert_allclose(found, agreement(sorted(codes), 4))
    np.testing.assert_allclose(found[0] * (len(codes) + 1), codes.count(0) + 0.25)


@given(st.permutations(range(3)), st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
def test_renaming_the_classes_renames_the_probabilities(order: list[int], weights: list[float]) -> None:
    """The order of the classes means nothing."""
    listed = {name: w / sum(weights) for name, w in zip(IDS, weights, strict=True)}
    before = first_token([token("A", **listed)], at("A"), IDS)
    ids = tuple(IDS[k] for k in order)
    after = first_token([token("A", **listed)], Chosen(ids.index("A"), Place(0, 1)), ids)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.probs, before.probs[order])
