"""Counting sorts against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.kernels import cell_order, count_classes, first_seen, look_up, pairs_seen, repeated

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=30)
SAME = np.arange(4, dtype=np.int32)
quick = settings(deadline=None, max_examples=60)


def columns(rows: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return [np.array([row[i] for row in rows], np.int32) for i in range(3)]


@quick
@given(ROWS)
def test_rows_lie_cell_after_cell_in_their_own_order(rows):
    """A stable sort by cell, and where each cell starts."""
    outer, inner, agent = columns(rows)
    start, order, agents = cell_order(outer, inner, SAME, agent, 4, 3)
    assert agents.tolist() == agent[order].tolist()
    cell = outer.astype(int) * 3 + inner
    assert order.tolist() == sorted(range(len(rows)), key=lambda r: cell[r])
    assert start.tolist() == [int((cell < c).sum()) for c in range(13)]


@quick
@given(ROWS)
def test_repeats_are_the_later_rows_of_one_cell_and_agent(rows):
    """Each with the first row of its kind."""
    outer, inner, agent = columns(rows)
    row, first = repeated(*cell_order(outer, inner, SAME, agent, 4, 3), 3)
    expected = {r: rows.index(rows[r]) for r in range(len(rows)) if rows.index(rows[r]) < r}
    assert dict(zip(row.tolist(), first.tolist(), strict=True)) == expected


def test_many_repeats_are_all_found():
    """More than the room that is made for them at first."""
    one = np.zeros(5000, np.int32)
    row, first = repeated(*cell_order(one, one, SAME, one, 1, 1), 1)
    assert row.tolist() == list(range(1, 5000))
    assert not first.any()


@quick
@given(st.lists(st.integers(-1, 5), max_size=20))
def test_values_are_ranked_by_first_appearance(codes):
    """Missing ones are passed over."""
    rank, order = first_seen(np.array(codes, np.int32), 6)
    seen = list(dict.fromkeys(code for code in codes if code >= 0))
    assert order.tolist() == seen
    assert rank.tolist() == [seen.index(code) if code in seen else -1 for code in range(6)]


@quick
@given(ROWS)
def test_pairs_and_look_ups_are_what_they_say(rows):
    """Against sets and nested lists."""
    one, other, _ = columns(rows)
    seen = pairs_seen(one, other, 4, 3)
    assert {tuple(pair) for pair in np.argwhere(seen).tolist()} == {row[:2] for row in rows}
    task_of = np.array([1, -1, 0, 1], np.int32)
    column_of = np.array([2, 0, 1], np.int32)
    class_of = np.array([[0, 1, -1], [2, 0, 1], [-1, -1, -1]], np.int16)
    label = look_up(one, other, task_of, column_of, class_of)
    assert label.tolist() == [class_of[task_of[row[0]], column_of[row[1]]] for row in rows]


@quick
@given(ROWS)
def test_the_inner_key_may_be_renamed(rows):
    """Names of tasks need not be codes of the schema."""
    outer, inner, agent = columns(rows)
    renamed = np.array([2, 0, 1], np.int32)
    for mine, yours in zip(
        cell_order(outer, inner, renamed, agent, 4, 3),
        cell_order(outer, renamed[inner], SAME, agent, 4, 3),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, yours)


@quick
@given(ROWS)
def test_counts_are_how_often_each_class_stands_in_a_cell(rows):
    """Item by item, of one task."""
    outer, inner, label = columns(rows)
    start, _, labels = cell_order(outer, inner, SAME, label, 4, 3)
    for task in range(3):
        counts = count_classes(start, labels.astype(np.int16), task, 3, 3)
        expected = [[sum(row == (item, task, k) for row in rows) for k in range(3)] for item in range(4)]
        assert counts.tolist() == expected
