"""cleanlab's layout: one row per item, one column per annotator, empty where nobody answered; one question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from quorate.data.checks import SUM_TOLERANCE
from quorate.data.columns import Column, plain
from quorate.data.dataset import Dataset
from quorate.data.formats.source import read_source, the_task
from quorate.data.frames import column_of
from quorate.data.names import FINE, FLAWS, Names, flaw_problem, read_names, shown
from quorate.data.naming import natural_key
from quorate.data.tables import Raw
from quorate.errors import DataError, SchemaError, SettingError
from quorate.schema import Schema, Task

Array = np.ndarray


class Cleanlab(NamedTuple):
    """One question as cleanlab takes it; labels and columns of scores are places in `classes`."""

    classes: tuple[str, ...]
    items: tuple[str, ...]  # the rows
    labels: pa.Table  # one column per annotator, null where nobody answered (as pandas: `.to_pandas()`)
    pred_probs: dict[str, Float64[Array, "items classes"]]  # per model with scores; NaN where it says nothing


def to_cleanlab(data: Dataset, question: str | None = None) -> Cleanlab:
    """Labels and scores of one question (None: the only one). Raises SettingError where there are several.

    >>> labels = {"item": ["a", "b"], "task": ["pet"] * 2, "annotator": ["ann", "bo"], "label": ["cat", "dog"]}
    >>> to_cleanlab(Dataset(labels=pa.table(labels))).labels.to_pydict()
    {'ann': [0, None], 'bo': [None, 1]}
    """
    task, coded = the_task(data, question), data.encode()
    t = coded.schema.code_of[task.name]
    item, task_of = np.divmod(coded.cell_of_label(), max(coded.n_tasks, 1))
    mine = task_of == t
    wide = np.full((coded.n_items, len(coded.annotators)), -1, np.int64)
    wide[item[mine], coded.labels.annotator[mine]] = coded.labels.code[mine]
    answered = [a for a in range(len(coded.annotators)) if (wide[:, a] >= 0).any()]
    columns = {coded.annotators[a]: pa.array(wide[:, a], mask=wide[:, a] < 0) for a in answered}
    kind, scores, _ = coded.outputs[t]
    probs = {
        model: np.where(kind[:, m, None] == 1, scores[:, m], np.nan).astype(np.float64)
        for m, model in enumerate(coded.models)
        if (kind[:, m] == 1).any()
    }
    return Cleanlab(task.classes, coded.items, pa.table(columns), probs)


def from_cleanlab(
    labels: Any,
    *,
    pred_probs: Mapping[str, Float64[Array, "items classes"]] | None = None,
    classes: Sequence[str] | None = None,
    items: Sequence[object] | None = None,
    question: str = "label",
) -> Dataset:
    """A data set of one question from a wide table (a dataframe or a file) and one array of scores per model.

    classes: then labels are places in it, as cleanlab has them; None: labels are the classes themselves, and the
    columns of the scores are those in natural order. items: the names of the rows; None: the column `item` if there
    is one, else "0", "1", ... Raises DataError that names row and column of the source.

    >>> data = from_cleanlab(pa.table({"ann": [0, 1], "bo": [None, 1]}), classes=["cat", "dog"])
    >>> data.labels.select(["item", "annotator", "label"]).to_pylist()[1]
    {'item': '1', 'annotator': 'ann', 'label': 'dog'}
    """
    raw = read_source("labels", labels, ())
    names = _item_names(raw, items)
    answers = {column: _answers(raw, column) for column in raw.columns if column != "item"}
    found = tuple(classes) if classes is not None else _classes(answers, pred_probs or {})
    if classes is not None:
        answers = {column: _placed(raw, column, answer, found) for column, answer in answers.items()}
    raws = [Raw("items", raw.source, {"item": names}, raw.row), _labels(raw.source, names, answers, question)]
    if pred_probs:
        raws.append(_scores(pred_probs, names, found, question))
    return Dataset.from_raw(raws, Schema((Task(question, found),)), "raise")


def _item_names(raw: Raw, items: Sequence[object] | None) -> Column:
    """What the rows are called."""
    if items is None and "item" in raw.columns:
        return raw.columns["item"]
    names = list(items) if items is not None else [str(row) for row in range(len(raw.row))]
    if len(names) != len(raw.row):
        raise SettingError(f"{len(names):,} items for {len(raw.row):,} rows: give one name per row")
    return column_of(names)


def _answers(raw: Raw, column: str) -> Names:
    """An annotator's answers. Raises DataError where one of them is no name."""
    names, flaw = read_names(raw.columns[column])
    bad = np.flatnonzero((np.append(flaw, FINE)[names.codes]) != FINE)
    if len(bad):
        kind = int(flaw[names.codes[bad[0]]])
        row, mend = int(raw.row[bad[0]]), FLAWS[kind].mend
        raise DataError(flaw_problem(names.at(int(bad[0])), kind), mend=mend, source=raw.source, row=row, column=column)
    return names


def _classes(answers: Mapping[str, Names], pred_probs: Mapping[str, Array]) -> tuple[str, ...]:
    """All answers, in natural order; where they are places, as many as there are columns of scores."""
    found = {text for names in answers.values() for text in _used(names)}
    width = max((np.shape(probs)[-1] for probs in pred_probs.values()), default=0)
    places = {str(place) for place in range(width)}
    return tuple(sorted(found | places if found <= places else found, key=natural_key))


def _used(names: Names) -> list[str]:
    return names.values.take(pa.array(np.unique(names.codes[names.codes >= 0]))).to_pylist()


def _placed(raw: Raw, column: str, names: Names, classes: tuple[str, ...]) -> Names:
    """Places in the classes as classes. Raises SchemaError for a place that there is not."""
    place = {str(place): place for place in range(len(classes))}
    class_of = np.array([*(place.get(text, -1) for text in names.values.to_pylist()), -1], np.int32)
    codes = class_of[names.codes]
    bad = np.flatnonzero((codes < 0) & (names.codes >= 0))
    if len(bad):
        raise SchemaError(
            f"{shown(names.at(int(bad[0])))} is no place in the {len(classes)} classes, which count from 0",
            mend="give labels as places, or leave `classes` out where labels are the classes themselves",
            source=raw.source,
            row=int(raw.row[bad[0]]),
            column=column,
        )
    return Names(codes, pa.array(classes, pa.large_string()))


def _labels(source: str, items: Column, answers: Mapping[str, Names], question: str) -> Raw:
    """One row per answer, by item, then by annotator."""
    known = np.stack([names.codes >= 0 for names in answers.values()], axis=1) if answers else np.zeros((0, 0), bool)
    row, annotator = np.nonzero(known)
    label = [names.text() for names in answers.values()]
    wide = pa.chunked_array([chunk for column in label for chunk in column.chunks], pa.string())
    columns: dict[str, Column] = {
        "item": plain(items).take(pa.array(row)),
        "task": _repeated(question, len(row)),
        "annotator": pa.chunked_array([pa.array(list(answers), pa.string()).take(pa.array(annotator))]),
        "label": wide.take(pa.array(annotator * len(known) + row)),
    }
    return Raw("labels", source, columns, range(1, len(row) + 1))


def _repeated(text: str, times: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([text], pa.string()).take(pa.array(np.zeros(times, np.int64)))])


def _scores(pred_probs: Mapping[str, Array], items: Column, classes: tuple[str, ...], question: str) -> Raw:
    """One row per item, model and class; an item whose row is NaN throughout is left out."""
    parts: list[pa.Table] = []
    for model, probs in pred_probs.items():
        values = np.asarray(probs, np.float64)
        _check_probs(model, values, (len(items), len(classes)))
        row = np.flatnonzero(~np.isnan(values).all(axis=1))
        names = {
            "item": plain(items).take(pa.array(np.repeat(row, len(classes)))),
            "task": _repeated(question, len(row) * len(classes)),
            "model": _repeated(model, len(row) * len(classes)),
            "label": pa.array(classes, pa.string()).take(pa.array(np.tile(np.arange(len(classes)), len(row)))),
            "score": values[row].ravel(),
        }
        parts.append(pa.table(names))
    table = pa.concat_tables(parts)
    return Raw(
        "scores", "pred_probs", dict(zip(table.column_names, table.columns, strict=True)), range(1, len(table) + 1)
    )


def _check_probs(model: str, values: Float64[Array, "items classes"], shape: tuple[int, int]) -> None:
    """Raises DataError for another shape, or for a row that is no distribution."""
    source = f"pred_probs[{shown(model)}]"
    if values.shape != shape:
        raise DataError(
            f"shape {values.shape}", mend=f"give one row per item and one column per class: {shape}", source=source
        )
    silent = np.isnan(values).all(axis=1)
    fine = silent | ((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE))
    if not fine.all():
        row = int(fine.argmin())
        problem = f"{shown(values[row].tolist())} are no probabilities that sum to 1"
        raise DataError(
            problem, mend="normalise the row, or fill it with NaN where nothing is known", source=source, row=row + 1
        )
