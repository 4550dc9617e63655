"""From clean tables to arrays of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int16, Int32, Int64

from quorate.data.checks import Cells, answers, check_size
from quorate.data.encode import Coded, Labels, ModelOutput, no_output
from quorate.data.features import Features, read_features
from quorate.data.kernels import cell_order, first_seen
from quorate.data.names import Names
from quorate.data.tables import TABLES, Clean, TableName
from quorate.schema import Schema

Array = np.ndarray
Tables = Mapping[TableName, Clean]


class Vocabulary(NamedTuple):
    """Distinct names over all tables, and the codes of every table that has them."""

    names: tuple[str, ...]
    codes: dict[TableName, Int32[Array, "rows"]]


def encode_tables(schema: Schema, tables: Tables, cells: Cells | None = None) -> Coded:
    """Clean tables as codes; every check lies behind. cells: of the labels, where they were sorted before.

    Raises DataError where the arrays would not fit in memory.
    """
    items = vocabulary(tables, "item")
    annotators = vocabulary(tables, "annotator", by_name=True)
    models = vocabulary(tables, "model", by_name=True)
    check_size(len(items.names), max(len(schema), 1), " and ".join(table.source for table in tables.values()))
    features = _features(tables, items)
    return Coded(
        schema=schema,
        items=items.names,
        annotators=annotators.names,
        models=models.names,
        labels=_labels(schema, tables, items, annotators, cells),
        outputs=_outputs(schema, tables, items, models),
        gold=_gold(schema, tables, items),
        features=features.values,
        features_known=features.known,
        feature_names=features.names,
    )


# ---- names ----------------------------------------------------------------------------------------------------------


def vocabulary(tables: Tables, column: str, *, by_name: bool = False) -> Vocabulary:
    """The names of a column over all tables, by first appearance (tables in the order of TABLES) or sorted."""
    held: list[TableName] = [name for name in TABLES if name in tables and column in tables[name].names]
    columns: dict[TableName, Names] = {name: tables[name].names[column] for name in held}
    ranks: dict[TableName, tuple[Array, Array]] = {
        name: first_seen(names.codes, len(names.values)) for name, names in columns.items()
    }
    seen = [columns[name].values.take(pa.array(order)) for name, (_, order) in ranks.items()]
    place, texts = _union(seen)
    if by_name:
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        texts = [texts[i] for i in order]
        place = np.argsort(order).astype(np.int32)[place]
    return Vocabulary(tuple(texts), _recoded(columns, ranks, place))


def _union(seen: Sequence[pa.LargeStringArray]) -> tuple[Int32[Array, "seen"], list[str]]:
    """The distinct texts of several lists, each without repeats, and where each text of theirs stands among them."""
    if len(seen) == 1:
        return np.arange(len(seen[0]), dtype=np.int32), seen[0].to_pylist()
    union = pa.concat_arrays([pa.array([], pa.large_string()), *seen]).dictionary_encode()
    return union.indices.to_numpy(), union.dictionary.to_pylist()


def _recoded(
    columns: Mapping[TableName, Names], ranks: Mapping[TableName, tuple[Array, Array]], place: Int32[Array, "seen"]
) -> dict[TableName, Int32[Array, "rows"]]:
    """Codes of every table in the common vocabulary; `place` runs over the seen names of one table after the other."""
    codes: dict[TableName, Int32[Array, "rows"]] = {}
    start = 0
    for name, (_, order) in ranks.items():
        common = np.full(len(columns[name].values), -1, np.int32)
        common[order] = place[start : start + len(order)]
        ordered = np.array_equal(common, np.arange(len(common)))
        codes[name] = columns[name].codes if ordered else common[columns[name].codes]
        start += len(order)
    return codes


# ---- people ---------------------------------------------------------------------------------------------------------


def _labels(schema: Schema, tables: Tables, items: Vocabulary, annotators: Vocabulary, cells: Cells | None) -> Labels:
    n_items, n_tasks = len(items.names), len(schema)
    if "labels" not in tables:
        empty = np.zeros(n_items * n_tasks + 1, np.int64)
        return Labels(empty, np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int64))
    answer, item = answers(schema, tables["labels"]), items.codes["labels"]
    arrival = arrival_order(tables["labels"])
    if arrival is None and cells and item is tables["labels"].names["item"].codes:
        silent = np.full(n_items * n_tasks + 1 - len(cells.start), len(item), np.int64)  # items of other tables
        start, row = np.concatenate([cells.start, silent]), cells.row
    elif arrival is None:
        start, row = cell_order(item, answer.task, n_items, n_tasks)
    else:
        start, place = cell_order(item[arrival], answer.task[arrival], n_items, n_tasks)
        row = arrival[place]
    return Labels(start, annotators.codes["labels"][row], answer.label[row], row)


def arrival_order(labels: Clean) -> Int64[Array, "rows"] | None:
    """Rows by `created_at`, those without a time last, equal times in the order of the table; None: as the table."""
    column = labels.rest.get("created_at")
    if column is None or column.null_count == len(column):
        return None
    time = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    never = np.iinfo(np.int64).max if pa.types.is_integer(time.type) else np.inf
    return np.argsort(pc.fill_null(time, never).to_numpy(), kind="stable")


# ---- models ---------------------------------------------------------------------------------------------------------


class _Cells(NamedTuple):
    """Rows of one task: which item, which model, which class."""

    item: Int32[Array, "rows"]
    model: Int32[Array, "rows"]
    label: Int16[Array, "rows"]


def _outputs(schema: Schema, tables: Tables, items: Vocabulary, models: Vocabulary) -> tuple[ModelOutput, ...]:
    """Scores first: a hard answer beside them changes only the answer."""
    outputs = tuple(no_output(len(items.names), len(models.names), len(task.classes)) for task in schema.tasks)
    if "scores" in tables:
        score = tables["scores"].rest["score"].to_numpy()
        for output, rows, cells in _by_task(schema, tables["scores"], outputs, items, models):
            _put_scores(output, cells, score[rows])
    if "model_labels" in tables:
        for output, _, cells in _by_task(schema, tables["model_labels"], outputs, items, models):
            _put_answers(output, cells)
    return outputs


def _by_task(
    schema: Schema, table: Clean, outputs: tuple[ModelOutput, ...], items: Vocabulary, models: Vocabulary
) -> list[tuple[ModelOutput, Int64[Array, "rows"], _Cells]]:
    answer = answers(schema, table)
    rows = [np.flatnonzero(answer.task == task) for task in range(len(schema))]
    item, model = items.codes[table.name], models.codes[table.name]
    return [(output, r, _Cells(item[r], model[r], answer.label[r])) for output, r in zip(outputs, rows, strict=True)]


def _put_scores(output: ModelOutput, cells: _Cells, score: Float64[Array, "rows"]) -> None:
    item, model, label = cells
    output.scores[item, model, label] = score
    output.kind[item, model] = 1
    item, model = np.nonzero(output.kind)
    vectors = output.scores[item, model]
    output.scores[item, model] = vectors / vectors.sum(axis=1, keepdims=True)
    output.answer[item, model] = vectors.argmax(axis=1)


def _put_answers(output: ModelOutput, cells: _Cells) -> None:
    item, model, label = cells
    output.answer[item, model] = label
    alone = output.kind[item, model] == 0
    output.kind[item[alone], model[alone]] = 2
    output.scores[item[alone], model[alone], label[alone]] = 1.0


# ---- gold and features ----------------------------------------------------------------------------------------------


def _gold(schema: Schema, tables: Tables, items: Vocabulary) -> Int16[Array, "items tasks"]:
    gold = np.full((len(items.names), len(schema)), -1, np.int16)
    if "gold" in tables:
        answer = answers(schema, tables["gold"])
        gold[items.codes["gold"], answer.task] = answer.label
    return gold


def _features(tables: Tables, items: Vocabulary) -> Features:
    """Features of all items; unknown for an item that the items table does not list."""
    if "items" not in tables:
        return Features((), np.zeros((len(items.names), 0), np.float32), np.zeros(len(items.names), bool))
    found = read_features(tables["items"].rest, len(tables["items"]))
    values = np.zeros((len(items.names), len(found.names)), np.float32)
    known = np.zeros(len(items.names), bool)
    values[items.codes["items"]] = found.values
    known[items.codes["items"]] = found.known
    return Features(found.names, values, known)
