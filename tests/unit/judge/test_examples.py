"""Which items a judge is shown."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.judge.examples import chosen_examples, example_of, restricted
from quorate.judge.graded import Graded
from quorate.llm.items import Items
from quorate.schema import Task

TASK = Task("tone", ("calm", "angry", "other"))
COUNTS = np.array([[3, 0, 0]] * 6 + [[0, 3, 0]] * 2 + [[0, 1, 2]] * 2 + [[1, 1, 1], [0, 0, 0]])
IDS = tuple(f"i{n}" for n in range(len(COUNTS)))
PEOPLE = {"tone": Graded(TASK, IDS, COUNTS, np.full(len(COUNTS), -1), np.zeros((len(COUNTS), 3)))}
ITEMS = Items(IDS, {"text": [f"text {item}" for item in IDS]}, {})


@pytest.mark.parametrize("name", ["cover 3", "errors 3"])
def test_classes_take_turns(name: str) -> None:
    """Three examples of three classes show one of each, however uneven the classes are."""
    losses = {"tone": np.linspace(0, 1, len(COUNTS))}
    shown = chosen_examples(name, PEOPLE, losses=losses)
    assert sorted(COUNTS[list(shown)].argmax(axis=1).tolist()) == [0, 1, 2]


def test_what_people_are_split_over_and_what_is_barred_is_never_shown() -> None:
    """No tie, no item without people, none that is restricted; fewer than asked for where there are no more."""
    barred = np.arange(len(COUNTS)) < 6
    assert sorted(chosen_examples("random 20", PEOPLE, barred=barred)) == [6, 7, 8, 9]


def test_errors_shows_where_the_judge_was_farthest_off() -> None:
    """Within a class the item of the largest loss comes first."""
    losses = {"tone": np.where(np.arange(len(COUNTS)) == 4, 5.0, 0.1)}
    assert 4 in chosen_examples("errors 3", PEOPLE, losses=losses)
    with pytest.raises(SettingError, match="ask it without examples"):
        chosen_examples("errors 3", PEOPLE)
    with pytest.raises(SettingError, match="cover 4"):
        chosen_examples("four", PEOPLE)


def test_an_example_says_what_most_people_said() -> None:
    """The text of the item and the commonest class."""
    assert example_of(8, ITEMS, PEOPLE).labels == {"tone": "other"}
    assert example_of(8, ITEMS, PEOPLE).fields == {"text": "text i8"}


def test_restricted_items_are_known_by_their_marks() -> None:
    """Those that the items bear, in their order."""
    items = Items(("c", "b", "a"), {}, {}, restricted=frozenset({"a"}))
    assert restricted(items).tolist() == [False, False, True]
    assert not restricted(ITEMS).any()
