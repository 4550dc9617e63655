"""From clean tables to arrays of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int16, Int32, Int64

from quorate.data.checks import Cells, answers, check_outputs, check_size
from quorate.data.encode import Coded, Labels, ModelOutput, no_output
from quorate.data.features import Features, read_features
from quorate.data.kernels import cell_order, first_seen
from quorate.data.names import Names
from quorate.data.tables import TABLES, Clean, TableName
from quorate.schema import Schema

Array = np.ndarray
Tables = Mapping[TableName, Clean]


class Vocabulary(NamedTuple):
    """Distinct names over all tables, and what the codes of a table's own names are among them."""

    names: tuple[str, ...]
    place: dict[TableName, Int32[Array, "values"]]

    def codes(self, table: Clean, column: str) -> Int32[Array, "rows"]:
        """A column of a table in these codes."""
        own, place = table.names[column].codes, self.place[table.name]
        return own if self.same(table) else place[own]

    def same(self, table: Clean) -> bool:
        """Whether the table's own codes are these codes."""
        return np.array_equal(self.place[table.name], np.arange(len(self.place[table.name])))


def encode_tables(schema: Schema, tables: Tables, cells: Cells | None = None) -> Coded:
    """Clean tables as codes; every check lies behind. cells: of the labels, where they were sorted before.

    Raises DataError where the arrays would not fit in memory.
    """
    items = vocabulary(tables, "item")
    annotators = vocabulary(tables, "annotator", by_name=True)
    models = vocabulary(tables, "model", by_name=True)
    check_size(len(items.names), max(len(schema), 1), " and ".join(table.source for table in tables.values()))
    check_outputs(len(items.names), len(models.names), schema)
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
    common, texts = _union([columns[name].values.take(pa.array(order)) for name, (_, order) in ranks.items()])
    if by_name:
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        texts = [texts[i] for i in order]
        common = np.argsort(order).astype(np.int32)[common]
    place: dict[TableName, Int32[Array, "values"]] = {}
    for name, (_, order) in ranks.items():
        place[name] = np.full(len(columns[name].values), -1, np.int32)
        place[name][order], common = common[: len(order)], common[len(order) :]
    return Vocabulary(tuple(texts), place)


def _union(seen: Sequence[pa.LargeStringArray]) -> tuple[Int32[Array, "seen"], list[str]]:
    """Where each text of several lists, each without repeats, stands among the distinct ones; and those."""
    if len(seen) == 1:
        return np.arange(len(seen[0]), dtype=np.int32), seen[0].to_pylist()
    union = pa.concat_arrays([pa.array([], pa.large_string()), *seen]).dictionary_encode()
    return union.indices.to_numpy(), union.dictionary.to_pylist()


# ---- people ---------------------------------------------------------------------------------------------------------


def _labels(schema: Schema, tables: Tables, items: Vocabulary, annotators: Vocabulary, cells: Cells | None) -> Labels:
    n_items, n_tasks = len(items.names), len(schema)
    if "labels" not in tables:
        empty = np.zeros(n_items * n_tasks + 1, np.int64)
        return Labels(empty, np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int64))
    table, answer = tables["labels"], answers(schema, tables["labels"])
    arrival = arrival_order(table)
    if arrival is None and cells and items.same(table):
        silent = np.full(n_items * n_tasks + 1 - len(cells.start), len(table), np.int64)  # items of other tables
        start, row, speaker = np.concatenate([cells.start, silent]), cells.row, cells.speaker
    else:
        by_time = slice(None) if arrival is None else arrival
        item, task, speaker = items.codes(table, "item"), table.names["task"].codes, table.names["annotator"].codes
        start, row, speaker = cell_order(
            item[by_time], task[by_time], answer.task_of, speaker[by_time], n_items, n_tasks
        )
        row = row if arrival is None else arrival[row]
    return Labels(start, annotators.place["labels"][speaker], answer.classes(table)[row], row)


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
    tasks, classes = answer.tasks(table), answer.classes(table)
    rows = [np.flatnonzero(tasks == task) for task in range(len(schema))]
    item, model = items.codes(table, "item"), models.codes(table, "model")
    return [(output, r, _Cells(item[r], model[r], classes[r])) for output, r in zip(outputs, rows, strict=True)]


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
        answer, table = answers(schema, tables["gold"]), tables["gold"]
        gold[items.codes(table, "item"), answer.tasks(table)] = answer.classes(table)
    return gold


def _features(tables: Tables, items: Vocabulary) -> Features:
    """Features of all items; unknown for an item that the items table does not list."""
    if "items" not in tables:
        return Features((), np.zeros((len(items.names), 0), np.float32), np.zeros(len(items.names), bool))
    found = read_features(tables["items"].rest, len(tables["items"]))
    values = np.zeros((len(items.names), len(found.names)), np.float32)
    known = np.zeros(len(items.names), bool)
    item = items.codes(tables["items"], "item")
    values[item], known[item] = found.values, found.known
    return Features(found.names, values, known)
