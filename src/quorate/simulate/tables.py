"""From arrays of codes to the tables of the data contract."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int16, Int32, Shaped

from quorate.schema import Schema

Array = np.ndarray


def numbered(kind: str, n: int) -> tuple[str, ...]:
    """Names that sort as they count.

    >>> numbered("item", 10)[:2]
    ('item-01', 'item-02')
    """
    width = len(str(n))
    return tuple(f"{kind}-{i:0{width}d}" for i in range(1, n + 1))


def labels_table(
    schema: Schema,
    items: Sequence[str],
    annotators: Sequence[str],
    panel: Int32[Array, "items seats"],
    answers: Int16[Array, "items tasks seats"],
) -> pa.Table:
    """Columns item, task, annotator, label; item after item, task after task, in order of arrival."""
    item, task, seat = np.nonzero(answers >= 0)
    return pa.table(
        {
            "item": texts(items, item),
            "task": texts([each.name for each in schema.tasks], task),
            "annotator": texts(annotators, panel[item, seat]),
            "label": _class_of(schema, task, answers[item, task, seat]),
        }
    )


def scores_table(
    schema: Schema,
    items: Sequence[str],
    models: Sequence[str],
    scores: Sequence[Float32[Array, "items models _classes"]],
) -> pa.Table:
    """Columns item, task, model, label, score; task after task."""
    tables: list[pa.Table] = []
    for task, of_task in zip(schema.tasks, scores, strict=True):
        item, model, code = (axis.ravel() for axis in np.indices(of_task.shape, np.int32))
        columns = {
            "item": texts(items, item),
            "task": texts((task.name,), np.zeros(of_task.size, np.int32)),
            "model": texts(models, model),
            "label": texts(task.classes, code),
            "score": pa.array(of_task.ravel().astype(np.float64)),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def gold_table(schema: Schema, items: Sequence[str], truth: Int16[Array, "items tasks"]) -> pa.Table:
    """Columns item, task, label."""
    item, task = (axis.ravel() for axis in np.indices(truth.shape, np.int32))
    names = [each.name for each in schema.tasks]
    return pa.table(
        {"item": texts(items, item), "task": texts(names, task), "label": _class_of(schema, task, truth.ravel())}
    )


def texts(names: Sequence[str], code: Shaped[Array, "rows"]) -> pa.Array:
    """The names of these codes."""
    return pa.array(names, pa.string()).take(pa.array(code))


def _class_of(schema: Schema, task: Shaped[Array, "rows"], code: Int16[Array, "rows"]) -> pa.Array:
    first = np.append(0, np.cumsum([len(each.classes) for each in schema.tasks]))
    return texts([name for each in schema.tasks for name in each.classes], first[task] + code)
