"""From a folder to a ranker that has been measured by NDCG against people's grades, on queries that taught nothing.

People's gain of a document is the mean over the people who graded it. Documents that nobody graded are left out of a
held-out query, and queries in which no document has a gain have no NDCG. Beside the ranker stand its teacher (by its
own expected gains), BM25 over all columns, and an order at random, all as means over the same queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.errors import DataError, SettingError
from quorate.judge.ranker.model import Options, Queries, Ranker, class_gains, features, ranked
from quorate.judge.student.contents import Contents
from quorate.judge.student.figures import held_out
from quorate.judge.student.lesson import PEOPLE, lesson
from quorate.judge.student.teaching import HELD_OUT, Source
from quorate.measure.intervals import Interval, mean_interval
from quorate.measure.ranking import GainName, ndcg
from quorate.schema import Schema, Task

Array = np.ndarray
Party = Literal["ranker", "teacher", "bm25", "random", "ranker - teacher", "ranker - bm25"]


class Figure(NamedTuple):
    """NDCG@k of one party, a mean over queries with Student's interval; the interval None with one query."""

    party: Party
    k: int
    n_queries: int
    estimate: float
    low: float | None
    high: float | None
    se: float | None


class Teaching(NamedTuple):
    """A ranker, and its figures on the queries that were held out."""

    ranker: Ranker
    figures: tuple[Figure, ...]
    n_held_out: int  # queries with an NDCG
    notes: tuple[str, ...]


class Meant(NamedTuple):
    """What is ranked: the task, what its classes are worth, and how many places count."""

    task: str | None = None  # None: the only one, or the only scale
    gain: GainName = "exponential"
    positive: str | None = None


def queries_of(contents: Contents, column: str, texts: Mapping[str, str] | None = None) -> Queries:
    """The queries that a column of the documents names; their words are the names, or those of `texts`.

    Raises DataError for a document without a query, or a query without words.
    """
    names = contents.column(column)
    for row, name in enumerate(names):
        if name is None or (texts is not None and name not in texts):
            problem = "the query is missing" if name is None else f"the words of query {name!r} are missing"
            mend = "give every document its query, and every query its words"
            raise DataError(problem, mend=mend, row=row + 1, column=column)
    known = [name for name in names if name is not None]
    place = {name: at for at, name in enumerate(dict.fromkeys(known))}
    code = np.array([place[name] for name in known], np.int64)
    return Queries(code, tuple(place), tuple(place) if texts is None else tuple(texts[name] for name in place))


def query_texts(path: Path) -> dict[str, str]:
    """A table of queries: columns query and text. Raises DataError where it lacks them."""
    from quorate.data.files import read_file

    raw = read_file("items", path)
    missing = next((name for name in ("query", "text") if name not in raw.columns), None)
    if missing is not None:
        mend = "give a table with the columns query and text"
        raise DataError("the column is missing", mend=mend, source=str(path), column=missing)
    rows = [raw.record(int(row)) for row in raw.row]
    return {str(row["query"]): str(row["text"] or "") for row in rows}


def task_of(schema: Schema, meant: Meant) -> Task:
    """The task by its name, or the only one, or the only scale. Raises SettingError where it is not clear."""
    if meant.task is not None:
        return schema.task(meant.task)
    scales = [task for task in schema.tasks if task.ordered]
    found = schema.tasks if len(schema) == 1 else scales
    if len(found) != 1:
        names = ", ".join(repr(task.name) for task in schema.tasks)
        raise SettingError(f"which task ranks is not clear: name one of {names}")
    return found[0]


def teach(
    contents: Contents,
    queries: Queries,
    source: Source,
    meant: Meant | None = None,
    options: Options | None = None,
    *,
    share: float = HELD_OUT,
) -> Teaching:
    """A ranker taught on all queries but those held out, and its NDCG on these beside others'.

    Held out are whole queries: so large a `share` of the documents, of those that people graded.
    """
    meant, options = meant or Meant(), options or Options()
    heard = lesson(source.data, contents.ids, source.teacher)
    task = task_of(heard.schema, meant)
    worth = class_gains(task, meant.gain, meant.positive)
    of = heard.of[heard.schema.code_of[task.name]]
    spoke = of.weight > 0
    people = _people(source, contents, task)
    graded = np.zeros(len(contents), bool) if people is None else people.sum(axis=1) > 0
    aside = np.zeros(len(contents), bool)
    aside[held_out(graded.tolist(), share, groups=queries.of_items(), seed=options.seed)] = True
    taught = np.flatnonzero(spoke & ~aside)
    expected = of.probs @ worth
    ranker = ranked(
        contents.select(taught), queries.select(taught), expected[taught], task, heard.teacher, options,
        gain=meant.gain, positive=meant.positive,
    )  # fmt: skip
    figures = tuple[Figure, ...]()
    measured = np.flatnonzero(aside & graded)
    if people is not None and len(measured):
        gain = people[measured] @ worth / people[measured].sum(axis=1)
        told = None if heard.teacher == PEOPLE or not spoke[measured].any() else _ranks_last(expected, spoke)[measured]
        figures = compared(ranker, contents.select(measured), queries.select(measured), gain, told, k=options.k)
    return Teaching(ranker, figures, figures[0].n_queries if figures else 0, _notes(figures, graded))


def compared(
    ranker: Ranker,
    contents: Contents,
    queries: Queries,
    gain: Float64[Array, "items"],
    teacher: Float64[Array, "items"] | None = None,
    *,
    k: int = 10,
) -> tuple[Figure, ...]:
    """NDCG@k of the ranker and of what else ranks the same documents; empty where no query has a gain."""
    scores: dict[Party, Float64[Array, "items"]] = {"ranker": ranker.scores(contents, queries)}
    if teacher is not None:
        scores["teacher"] = teacher
    bm25 = [at for at, name in enumerate(ranker.matches.names) if name.startswith("bm25(")]
    if bm25:
        scores["bm25"] = features(contents, queries, ranker.matches, ())[:, bm25].sum(axis=1)
    scores["random"] = np.zeros(len(contents))
    each: dict[Party, Float64[Array, "queries"]] = {
        party: ndcg(gain, score, queries.code, k) for party, score in scores.items()
    }
    known = np.isfinite(each["ranker"])
    if not known.any():
        return ()
    found = [_figure(party, k, values[known]) for party, values in each.items()]
    rivals: tuple[tuple[Party, Party], ...] = (("teacher", "ranker - teacher"), ("bm25", "ranker - bm25"))
    found += [_figure(name, k, (each["ranker"] - each[rival])[known]) for rival, name in rivals if rival in each]
    return tuple(found)


def _figure(party: Party, k: int, values: Float64[Array, "queries"]) -> Figure:
    if len(values) < 2:
        return Figure(party, k, len(values), float(values.mean()), None, None, None)
    found: Interval = mean_interval(values)
    return Figure(party, k, len(values), *found)


def _ranks_last(expected: Float64[Array, "items"], spoke: Bool[Array, "items"]) -> Float64[Array, "items"]:
    """Documents of which the teacher said nothing stand below all others."""
    return np.where(spoke, expected, expected.min() - 1)


def _people(source: Source, contents: Contents, task: Task) -> Int64[Array, "items classes"] | None:
    """How many people gave each class, document by document; None where nobody answered this task."""
    if source.people is None or task.name not in source.people.schema.code_of:
        return None
    from quorate.judge.student.lesson import people_counts

    theirs = source.people.schema.task(task.name)
    coded = source.people.encode()
    counts = people_counts(coded, source.people.schema.code_of[task.name])
    strange = next((name for name in theirs.classes if name not in task.code_of), None)
    if strange is not None:
        raise SettingError(f"people say {strange!r} of task {task.name!r}, a class that its teacher does not know")
    recoded = np.zeros((len(coded.items), len(task.classes)), np.int64)
    recoded[:, [task.code_of[name] for name in theirs.classes]] = counts
    place = {item: at for at, item in enumerate(coded.items)}
    at = np.array([place.get(item, -1) for item in contents.ids], np.int64)
    return np.where(at[:, None] >= 0, recoded[np.maximum(at, 0)], 0)


def _notes(figures: Sequence[Figure], graded: Bool[Array, "items"]) -> tuple[str, ...]:
    if figures:
        return ()
    if not graded.any():
        return ("not measured: people graded none of these documents",)
    return ("not measured: no query was held out, or none of those has a document with a gain",)


def as_json(done: Teaching) -> dict[str, Any]:
    """For `--json`."""
    ranker = done.ranker
    return {
        "teacher": ranker.teacher,
        "task": ranker.task.name,
        "queries": ranker.n_queries,
        "documents": ranker.n_documents,
        "trees": ranker.n_trees,
        "features": list(ranker.names),
        "figures": [each._asdict() for each in done.figures],
        "notes": list(done.notes),
    }
