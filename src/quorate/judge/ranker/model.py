"""A ranker: LambdaMART [burges2010], by LightGBM, on gains that a teacher expects.

The gain of a document is Σ_k p_k gain_k over the teacher's probabilities of its grades, so that a teacher in doubt
teaches less of an order than one who is sure. The number of trees is that with the best NDCG@k on queries set aside,
and then all queries teach so many trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from quorate.errors import DataError, MissingExtraError, SchemaError, SettingError
from quorate.judge.graded import grade_values
from quorate.judge.ranker.matches import Matches, learned
from quorate.judge.student.contents import Contents
from quorate.measure.ranking import GainName, gains
from quorate.schema import Task

Array = np.ndarray
EXTRA = "rank"
LEVELS = 255  # of gains, at most: LightGBM wants whole numbers, each with its gain
FEWEST_QUERIES = 5
VALIDATED = 0.2  # of the queries


class Options(NamedTuple):
    """How trees are grown."""

    k: int = 10  # places that count
    leaves: int = 31
    rate: float = 0.05
    most_trees: int = 1_000
    patience: int = 50  # trees without a better NDCG before growing ends
    least_in_leaf: int = 20  # documents
    threads: int = 0  # 0: all; the trees are the same with any number
    seed: int = 0


@dataclass(frozen=True)
class Queries:
    """The query of every document: a code from 0, its name, and its words."""

    code: Int64[Array, "items"]
    names: tuple[str, ...]
    texts: tuple[str, ...]

    def select(self, index: Int64[Array, "kept"]) -> Queries:
        """The queries of these documents, coded anew."""
        kept, code = np.unique(self.code[index], return_inverse=True)
        at = kept.tolist()
        return Queries(code.astype(np.int64), tuple(self.names[q] for q in at), tuple(self.texts[q] for q in at))

    def of_items(self) -> list[str]:
        """The name of every document's query."""
        return [self.names[code] for code in self.code.tolist()]


@dataclass(frozen=True)
class Ranker:
    """A fitted ranker."""

    task: Task
    matches: Matches
    numbers: tuple[str, ...]  # given ones that are read, in their order
    trees: str  # in LightGBM's own text
    n_trees: int
    gain: GainName
    positive: str | None
    k: int
    teacher: str
    n_queries: int
    n_documents: int

    @property
    def names(self) -> tuple[str, ...]:
        """All that it reads of a document."""
        return (*self.matches.names, *self.numbers)

    def scores(self, contents: Contents, queries: Queries) -> Float64[Array, "items"]:
        """The larger, the higher a document stands under its query. Raises SchemaError where something is missing."""
        if not len(contents):
            return np.zeros(0)
        rows = features(contents, queries, self.matches, self.numbers)
        return np.asarray(booster_of(self.trees).predict(rows), np.float64)

    def rank(self, contents: Contents, queries: Queries) -> pa.Table:
        """The ranking: query, rank (from 1), item, score; equal scores in the order of the items."""
        score = self.scores(contents, queries)
        order = np.lexsort((-score, queries.code))
        counts = np.bincount(queries.code, minlength=len(queries.names))
        first = np.repeat(np.cumsum(counts) - counts, counts)
        return pa.table({
            "query": pa.array(queries.names, pa.string()).take(pa.array(queries.code[order])),
            "rank": pa.array(np.arange(len(order)) - first + 1, pa.int64()),
            "item": pa.array(contents.ids, pa.string()).take(pa.array(order)),
            "score": pa.array(score[order]),
        })  # fmt: skip


def class_gains(task: Task, kind: GainName = "exponential", positive: str | None = None) -> Float64[Array, "classes"]:
    """What a document of each class is worth: by its grade above the lowest, or 1 where it is the positive class.

    Raises SettingError where classes are no scale and none is named.
    """
    if positive is not None:
        if positive not in task.code_of:
            known = ", ".join(repr(name) for name in task.classes)
            raise SettingError(f"task {task.name!r} has no class {positive!r}: it has {known}")
        return np.eye(len(task.classes))[task.code_of[positive]]
    if not task.ordered:
        raise SettingError(f"the classes of task {task.name!r} are no scale: name the one that is relevant")
    values = grade_values(task)
    return gains(values - values[0], kind)


def ranked(
    contents: Contents,
    queries: Queries,
    expected: Float64[Array, "items"],
    task: Task,
    teacher: str,
    options: Options | None = None,
    *,
    gain: GainName = "exponential",
    positive: str | None = None,
) -> Ranker:
    """A ranker that was taught these expected gains of documents.

    Raises DataError for fewer than five queries or gains that are all alike, MissingExtraError without LightGBM.
    """
    options = options or Options()
    _check(queries, expected, options)
    matches = learned(contents.texts)
    rows = features(contents, queries, matches, contents.names)
    if not rows.shape[1]:
        raise DataError("there is nothing to rank by", mend="name columns of text, or give x_* columns or embeddings")
    label, worth = levels(expected)
    settings = _settings(options, worth)
    n_trees = _best_number(rows, label, queries, settings, options)
    lightgbm = _lightgbm()
    grown = lightgbm.train(settings, _dataset(rows, label, queries, np.arange(len(label))), num_boost_round=n_trees)
    return Ranker(
        task, matches, contents.names, grown.model_to_string(), n_trees, gain, positive, options.k, teacher,
        len(queries.names), len(contents),
    )  # fmt: skip


def features(
    contents: Contents, queries: Queries, matches: Matches, numbers: Sequence[str]
) -> Float64[Array, "items numbers"]:
    """Text matches, then the given numbers, NaN where they are not known: trees find a side for these."""
    place = {name: at for at, name in enumerate(contents.names)}
    missing = next((name for name in numbers if name not in place), None)
    if missing is not None:
        mend = "give the documents the numbers (x_* columns, embeddings) that those had that taught the ranker"
        raise SchemaError(f"the ranker reads the number {missing!r}, which these documents lack", mend=mend)
    texts = [queries.texts[code] for code in queries.code.tolist()]
    given = contents.numbers[:, [place[name] for name in numbers]].astype(np.float64)
    given[contents.known == 0] = np.nan
    return np.concatenate([matches.numbers(contents.texts, texts), given], axis=1)


def levels(expected: Float64[Array, "items"]) -> tuple[Int64[Array, "items"], list[float]]:
    """Whole numbers for gains, and the gain of each: exact where they are few, else on an even grid."""
    worth, label = np.unique(expected, return_inverse=True)
    if len(worth) > LEVELS:
        step = float(expected.max()) / (LEVELS - 1)
        worth, label = np.unique(np.round(expected / step) * step, return_inverse=True)
    return label.astype(np.int64), worth.tolist()


def booster_of(trees: str) -> Any:
    """The trees, to be asked. Raises MissingExtraError without LightGBM."""
    return _lightgbm().Booster(model_str=trees)


def _check(queries: Queries, expected: Float64[Array, "items"], options: Options) -> None:
    if min(options.k, options.most_trees, options.patience, options.least_in_leaf) < 1 or options.leaves < 2:
        raise SettingError("places, trees, patience and documents in a leaf are at least 1, leaves at least 2")
    if not 0 < options.rate <= 1:
        raise SettingError(f"the rate lies above 0 and up to 1, not at {options.rate}")
    if len(queries.names) < FEWEST_QUERIES:
        mend = f"label documents of at least {FEWEST_QUERIES} queries (hundreds teach a fair ranker)"
        raise DataError(f"only {len(queries.names)} queries teach", mend=mend)
    differ = np.zeros(len(queries.names), bool)
    for code in range(len(queries.names)):
        differ[code] = np.ptp(expected[queries.code == code]) > 0
    if not differ.any():
        raise DataError("no query has documents of different grades", mend="label more of them, or check the classes")


def _settings(options: Options, worth: list[float]) -> dict[str, Any]:
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [options.k],
        "label_gain": worth,
        "lambdarank_truncation_level": max(30, 2 * options.k),
        "num_leaves": options.leaves,
        "learning_rate": options.rate,
        "min_data_in_leaf": options.least_in_leaf,
        "seed": options.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": options.threads,
        "verbosity": -1,
    }


def _best_number(
    rows: Float64[Array, "items numbers"],
    label: Int64[Array, "items"],
    queries: Queries,
    settings: Mapping[str, Any],
    options: Options,
) -> int:
    """The number of trees with the best NDCG@k on queries that did not grow them."""
    lightgbm = _lightgbm()
    order = np.random.default_rng(options.seed).permutation(len(queries.names))
    aside = np.isin(queries.code, order[: max(1, round(VALIDATED * len(order)))])
    grows, holds = np.flatnonzero(~aside), np.flatnonzero(aside)
    training = _dataset(rows, label, queries, grows)
    held = _dataset(rows, label, queries, holds, reference=training)
    stop = lightgbm.early_stopping(options.patience, first_metric_only=True, verbose=False)
    grown = lightgbm.train(
        dict(settings), training, num_boost_round=options.most_trees, valid_sets=[held], callbacks=[stop]
    )
    return max(1, int(grown.best_iteration))


def _dataset(
    rows: Float64[Array, "items numbers"],
    label: Int64[Array, "items"],
    queries: Queries,
    index: Int64[Array, "kept"],
    reference: Any = None,
) -> Any:
    """These documents as LightGBM reads them, query after query."""
    index = index[np.argsort(queries.code[index], kind="stable")]
    _, sizes = np.unique(queries.code[index], return_counts=True)
    return _lightgbm().Dataset(rows[index], label[index], group=sizes, reference=reference, free_raw_data=False)


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError("LightGBM", EXTRA) from error
    except OSError as error:  # a wheel is there, its OpenMP library is not
        raise MissingExtraError(f"LightGBM with a library that it loads ({error})", EXTRA) from error
    return lightgbm
