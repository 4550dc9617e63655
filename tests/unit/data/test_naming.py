"""Order and spelling."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.data.naming import natural_key, plain_spelling

NAMES = st.text(max_size=6) | st.sampled_from(
    ["1", "1.0", "-2", "1e3", "Q1", "Q10", "q2", "²", "1²", "٣", "9" * 30, "inf", "nan"]
)


@given(st.lists(NAMES, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_the_natural_order_does_not_depend_on_the_order_before(names, random):
    """A total order on distinct names."""
    shuffled = random.sample(names, len(names))
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


def test_numbers_go_by_value_and_before_words():
    """As people would list them."""
    names = ["b", "10", "9", "-1", "1e3", "0.5", "a10", "a9", "A1"]
    assert sorted(names, key=natural_key) == ["-1", "0.5", "9", "10", "1e3", "A1", "a9", "a10", "b"]


@given(NAMES)
def test_plain_spelling_is_plain(name):
    """Once is enough."""
    assert plain_spelling(plain_spelling(name)) == plain_spelling(name)


def test_one_answer_has_one_plain_spelling():
    """White space, composed letters and a needless point do not make another answer; case does."""
    assert plain_spelling(" yes") == plain_spelling("yes\t") == "yes"
    assert plain_spelling("e\u0301") == plain_spelling("é")
    assert plain_spelling("1.00") == plain_spelling("1")
    assert plain_spelling("1.5") != plain_spelling("1")
    assert plain_spelling("007") != plain_spelling("7")
    assert plain_spelling("Yes") != plain_spelling("yes")
