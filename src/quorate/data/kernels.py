"""Counting sorts over codes: one pass to count, one to place; linear in the rows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int16, Int32, Int64
from numba import njit

Array = np.ndarray


@njit(cache=True)
def first_seen(codes: Int32[Array, "rows"], n_values: int) -> tuple[Int32[Array, "values"], Int32[Array, "seen"]]:
    """Of every value its rank by first appearance (-1: never), and the values in that order."""
    rank = np.full(n_values, -1, np.int32)
    order = np.empty(n_values, np.int32)
    seen = 0
    for code in codes:
        if code >= 0 and rank[code] < 0:
            rank[code] = seen
            order[seen] = code
            seen += 1
    return rank, order[:seen]


@njit(cache=True)
def cell_order(
    outer: Int32[Array, "rows"],
    inner: Int32[Array, "rows"],
    inner_of: Int32[Array, "inner_values"],
    agent: Int32[Array, "rows"],
    n_outer: int,
    n_inner: int,
) -> tuple[Int64[Array, "cells_plus_1"], Int64[Array, "rows"], Int32[Array, "rows"]]:
    """Where each cell (outer * n_inner + inner_of[inner]) starts; the rows by cell, then as before; their agents."""
    start = np.zeros(n_outer * n_inner + 1, np.int64)
    for r in range(len(outer)):
        start[np.int64(outer[r]) * n_inner + inner_of[inner[r]] + 1] += 1
    for cell in range(n_outer * n_inner):
        start[cell + 1] += start[cell]
    row = np.empty(len(outer), np.int64)
    for r in range(len(outer)):  # row and agent travel as one number: one far write, and no far read afterwards
        cell = np.int64(outer[r]) * n_inner + inner_of[inner[r]]
        row[start[cell]] = (np.int64(r) << 32) | np.int64(agent[r])
        start[cell] += 1
    for cell in range(n_outer * n_inner, 0, -1):  # each start has moved to its end: move it back
        start[cell] = start[cell - 1]
    start[0] = 0
    sorted_agent = np.empty(len(outer), np.int32)
    for place in range(len(row)):
        sorted_agent[place] = row[place] & 0x7FFFFFFF
        row[place] >>= 32
    return start, row, sorted_agent


@njit(cache=True)
def repeated(
    start: Int64[Array, "cells_plus_1"], row: Int64[Array, "rows"], agent: Int32[Array, "rows"], n_agents: int
) -> tuple[Int64[Array, "repeats"], Int64[Array, "repeats"]]:
    """Rows whose agent stands in the same cell before, and the first row where it does; all sorted by cell."""
    cell_of = np.full(n_agents, -1, np.int64)
    row_of = np.empty(n_agents, np.int64)
    found = np.empty(0, np.int64)  # grows only where it must: as a rule there are no repeats
    first = np.empty(0, np.int64)
    n_found = 0
    for cell in range(len(start) - 1):
        for place in range(start[cell], start[cell + 1]):
            a = agent[place]
            if cell_of[a] != cell:
                cell_of[a] = cell
                row_of[a] = row[place]
                continue
            if n_found == len(found):
                found = np.append(found, np.empty(n_found + 1024, np.int64))
                first = np.append(first, np.empty(n_found + 1024, np.int64))
            found[n_found] = row[place]
            first[n_found] = row_of[a]
            n_found += 1
    return found[:n_found], first[:n_found]


@njit(cache=True)
def pairs_seen(
    one: Int32[Array, "rows"], other: Int32[Array, "rows"], n_one: int, n_other: int
) -> Bool[Array, "one_values other_values"]:
    """Which pairs of codes stand in one row."""
    seen = np.zeros((n_one, n_other), np.bool_)
    for r in range(len(one)):
        seen[one[r], other[r]] = True
    return seen


@njit(cache=True)
def look_up(
    task: Int32[Array, "rows"],
    label: Int32[Array, "rows"],
    task_of: Int32[Array, "task_values"],
    column_of: Int32[Array, "label_values"],
    class_of: Int16[Array, "tasks_plus_1 columns"],
) -> Int16[Array, "rows"]:
    """The class of every row; the last row of `class_of` is for unknown tasks (-1)."""
    classes = np.empty(len(task), np.int16)
    for r in range(len(task)):
        classes[r] = class_of[task_of[task[r]], column_of[label[r]]]
    return classes


@njit(cache=True)
def count_classes(
    start: Int64[Array, "cells_plus_1"], label: Int16[Array, "labels"], task: int, n_tasks: int, n_classes: int
) -> Int32[Array, "items classes"]:
    """How many labels of this task every item has in every class."""
    counts = np.zeros(((len(start) - 1) // n_tasks, n_classes), np.int32)
    for item in range(len(counts)):
        cell = item * n_tasks + task
        for j in range(start[cell], start[cell + 1]):
            counts[item, label[j]] += 1
    return counts
