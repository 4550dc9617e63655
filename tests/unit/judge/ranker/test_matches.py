"""Text matches: by hand, and as any order of rows or columns gives them."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SchemaError
from quorate.judge.ranker.matches import KINDS, learned

TEXTS = {"text": ["red fox", "red red dog barks", "blue sky", "a fox and a dog"]}


def test_bm25_is_the_formula() -> None:
    """`fox` stands in 2 of 4 documents, whose mean length is 13 / 4 words."""
    found = learned(TEXTS).numbers(TEXTS, ["fox"] * 4)
    idf = np.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    lengths, n = np.array([2, 4, 2, 5]), np.array([1, 0, 0, 1])
    bm25 = idf * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * lengths / 3.25))
    np.testing.assert_allclose(found[:, 0], bm25)
    np.testing.assert_allclose(found[:, 2], n)


def test_a_text_matches_itself_wholly() -> None:
    """Cosine and covered are 1, and it stands there word for word; of strangers all are 0."""
    matches = learned(TEXTS)
    names = matches.names[: len(KINDS)]
    assert names == tuple(f"{kind}(text)" for kind in KINDS)
    own = matches.numbers(TEXTS, TEXTS["text"])
    np.testing.assert_allclose(own[:, 1:4], 1.0)
    assert (own[:, 0] > 0).all()
    strange = matches.numbers(TEXTS, ["unheard of"] * 4)
    assert not strange[:, :4].any()
    assert not matches.numbers(TEXTS, [""] * 4)[:, :4].any()


def test_a_match_on_a_new_name_counts_as_one_on_a_rare_word() -> None:
    """A term that no document held when it taught is worth as much as one that a single one held."""
    matches = learned(TEXTS)
    new = matches.numbers({"text": ["zebra stripes"]}, ["zebra"])[0, 0]
    rare = matches.numbers({"text": ["sky stripes"]}, ["sky"])[0, 0]
    common = matches.numbers({"text": ["dog stripes"]}, ["dog"])[0, 0]
    assert new == rare > common > 0


def test_rows_stand_by_themselves() -> None:
    """The numbers of a document do not depend on those beside it."""
    matches = learned(TEXTS)
    queries = ["red dog", "dog red", "sky", "dog fox fox"]
    whole = matches.numbers(TEXTS, queries)
    for at in range(4):
        alone = matches.numbers({"text": [TEXTS["text"][at]]}, [queries[at]])
        np.testing.assert_allclose(alone[0], whole[at])


def test_a_missing_column_is_named() -> None:
    """What it read when it learned, it reads always."""
    with pytest.raises(SchemaError, match="'text'"):
        learned(TEXTS).numbers({"title": ["x"]}, ["x"])
