"""Who can be asked, what they said, and what is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from quorate.cascade.answers import HARD, NOTHING, SCORES, agents_of, answers_of
from quorate.data.dataset import Dataset
from quorate.errors import SettingError


def data(*, gold: bool = False) -> Dataset:
    """Two models on three items, one of them by hard answers; four people on the first two items."""
    scores = [("a", "cheap", "yes", 0.8), ("a", "cheap", "no", 0.2), ("b", "cheap", "yes", 0.3)]
    scores += [("b", "cheap", "no", 0.7)]
    answers = [("a", "dear", "no"), ("b", "dear", "no"), ("c", "dear", "yes")]
    labels = [("a", "p1", "no"), ("a", "p2", "yes"), ("a", "p3", "yes"), ("a", "p4", "no")]
    labels += [("b", "p1", "yes"), ("b", "p2", "no"), ("b", "p3", "no"), ("b", "p4", "yes")]
    return Dataset(
        labels=table(("item", "annotator", "label"), labels),
        scores=table(("item", "model", "label", "score"), scores),
        model_labels=table(("item", "model", "label"), answers),
        gold=table(("item", "label"), [("a", "no")]) if gold else None,
    )


def table(columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> pa.Table:
    return pa.Table.from_pylist([{"task": "ok", **dict(zip(columns, row, strict=True))} for row in rows])


def test_agents_stand_from_the_cheapest_to_the_dearest() -> None:
    """A person among them, by price."""
    agents = agents_of(data().encode(), "ok", {"dear": 2.0, "cheap": 1.0}, person_price=1.5)
    assert [(agent.name, agent.kind) for agent in agents] == [
        ("cheap", "model"), ("person", "person"), ("dear", "model")
    ]  # fmt: skip


def test_what_was_said_has_its_kind() -> None:
    """Scores, hard answers, and nothing."""
    coded = data().encode()
    found = answers_of(coded, "ok", agents_of(coded, "ok", {"dear": 2.0, "cheap": 1.0}, person_price=5.0))
    assert found.kind.tolist() == [[SCORES, HARD, HARD], [SCORES, HARD, HARD], [NOTHING, HARD, NOTHING]]
    np.testing.assert_allclose(found.scores.sum(axis=2), found.kind != NOTHING)


def test_the_label_of_the_person_asked_does_not_judge_itself() -> None:
    """Without gold, truth is the majority of the others: of two against one here, not a tie of two against two."""
    coded = data().encode()
    models = {"dear": 2.0, "cheap": 1.0}
    asked = answers_of(coded, "ok", agents_of(coded, "ok", models, person_price=5.0))
    yes, no = (coded.schema.task("ok").code_of[name] for name in ("yes", "no"))
    assert asked.truth.tolist() == [yes, no, -1]
    assert answers_of(coded, "ok", agents_of(coded, "ok", models)).truth.tolist() == [-1, -1, -1]
    assert asked.scores[:2, 2].argmax(axis=1).tolist() == [no, yes]  # the first label of each


def test_gold_is_the_truth_where_there_is_any() -> None:
    """Then every person may be asked."""
    coded = data(gold=True).encode()
    found = answers_of(coded, "ok", agents_of(coded, "ok", {"dear": 2.0, "cheap": 1.0}, person_price=5.0))
    assert found.truth.tolist() == [coded.schema.task("ok").code_of["no"], -1, -1]
    assert found.complete.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("prices", "person", "says"),
    [
        ({"cheap": 1.0}, None, "2 to 12 agents"),
        ({"cheap": 1.0, "dear": -1.0}, None, "price of 'dear'"),
        ({"cheap": 1.0, "other": 1.0}, None, "'other', which the data does not have"),
        ({"cheap": 1.0}, float("nan"), "price of 'person'"),
    ],
)
def test_prices_that_cannot_be_are_named(prices: dict[str, float], person: float | None, says: str) -> None:
    """Whose price, and what would do."""
    with pytest.raises(SettingError, match=says):
        agents_of(data().encode(), "ok", prices, person_price=person)


def test_a_model_named_without_price_is_refused() -> None:
    """An unknown price is never taken for 0."""
    with pytest.raises(SettingError, match="'dear' has no price"):
        agents_of(data().encode(), "ok", {"cheap": 1.0}, models=["cheap", "dear"])
