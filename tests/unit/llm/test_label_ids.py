"""Short names of classes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import SchemaError
from quorate.llm.label_ids import MOST_CLASSES, label_ids


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=60, unique=True))
def test_names_are_one_per_class_and_can_be_read_in_one_way(classes: list[str]) -> None:
    """As many as classes; none equals or begins another, in any case of letters."""
    ids = [name.casefold() for name in label_ids(classes)]
    assert len(ids) == len(classes)
    assert not any(a != b and b.startswith(a) for a in ids for b in ids)
    assert len(set(ids)) == len(ids)


def test_a_name_that_is_one_token_is_kept_and_others_get_letters_or_numbers() -> None:
    """Yes and no, digits and letters stay; words become letters; above 26 classes, numbers of three digits."""
    assert label_ids(("no", "yes")) == ("no", "yes")
    assert label_ids(("1", "2", "5")) == ("1", "2", "5")
    assert label_ids(("1", "10")) == ("A", "B")
    assert label_ids(("a", "A")) == ("A", "B")
    assert label_ids([f"class {n}" for n in range(27)])[-1] == "126"


def test_more_classes_than_a_model_can_choose_from_are_refused() -> None:
    """The message says what to do."""
    with pytest.raises(SchemaError, match="split the task"):
        label_ids([str(n) for n in range(MOST_CLASSES + 1)])
