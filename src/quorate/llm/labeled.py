"""A labeling as a dataset folder: scores, labels with cost and reasoning, what failed, and how it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quorate.data.dataset import Dataset
from quorate.data.folder import table_files
from quorate.data.lines import as_json
from quorate.data.restricted import RESTRICTED
from quorate.data.write import whole
from quorate.errors import SchemaError, SettingError
from quorate.llm.annotate import Annotated
from quorate.llm.items import Items
from quorate.llm.tally import Cells, Failed, LookedUp
from quorate.schema import Schema, Task

FAILURES = "failures.jsonl"
TRACES = "traces.jsonl"  # what models looked up
RECORD = "label.json"
JOURNAL = "calls.sqlite"
PREVIEW = 90  # characters of what went wrong


def check_folder(out: Path) -> None:
    """Raises SettingError where the folder holds tables that a labeling did not write: they would be overwritten."""
    if table_files(out) and not (out / RECORD).is_file():
        raise SettingError(f"{out} holds tables of another data set: name an empty folder for the labels")


def merged_schema(items: Items, schema: Schema) -> Schema:
    """The tasks of the rubric, and those that people have answered besides. Raises SchemaError where classes differ."""
    if items.data is None:
        return schema
    others: list[Task] = []
    for task in items.data.schema.tasks:
        if task.name not in schema.code_of:
            others.append(task)
            continue
        strange = sorted(set(task.classes) - set(schema.task(task.name).classes))
        if strange:
            mend = f"add it to the classes of {task.name!r} in the rubric, or rename it in the tables"
            raise SchemaError(
                f"the items come with the label {strange[0]!r}, which the rubric does not have", mend=mend
            )
    return Schema((*schema.tasks, *others))


def scores_table(done: Annotated) -> pa.Table:
    """item, task, model, label, score: one row per class of every vector."""
    parts = [
        _score_rows(done, model, task, cells) for (model, task), cells in done.tally.cells.items() if cells.scored.any()
    ]
    return pa.concat_tables(parts) if parts else _empty({**_NAMES, "score": pa.float64()})


def labels_table(done: Annotated) -> pa.Table:
    """item, task, model, label, confidence, cost_usd [, reasoning]: what each model answered."""
    parts = [
        _label_rows(done, model, task, cells)
        for (model, task), cells in done.tally.cells.items()
        if cells.labeled.any()
    ]
    table = pa.concat_tables(parts) if parts else _empty({**_NAMES, **_SAID})
    thought = table["reasoning"].null_count < len(table)
    return table if thought else table.drop_columns(["reasoning"])


def dataset_of(done: Annotated) -> Dataset:
    """The labels with all that came with the items: contents, people's labels, gold, other models' scores."""
    items, models = done.job.items, done.job.models
    data = items.data
    schema = merged_schema(items, done.job.rubric.schema)
    scores = _joined(data.scores if data else None, scores_table(done), models)
    said = _joined(data.model_labels if data else None, labels_table(done), models)
    table = data.items if data else _contents(items)
    return Dataset(data.labels if data else None, scores, said, data.gold if data else None, table, schema)


def write_labeled(done: Annotated, out: Path, about: dict[str, Any]) -> Dataset:
    """Write the dataset folder, failures and look-ups (files of their own, if there are any), and how it was made."""
    data = dataset_of(done)
    data.write(out)
    _write_lines(out / FAILURES, done.failures)
    _write_lines(out / TRACES, done.tally.lookups())
    with whole(out / RECORD) as part:
        part.write_text(json.dumps({**record(done), **about}, indent=2, allow_nan=False) + "\n", "utf-8")
    return data


def record(done: Annotated) -> dict[str, Any]:
    """How the labels were made, for whoever reads them later."""
    job, settings = done.job, done.job.settings
    systems = [sheet.system for model in job.models[:1] for sheet in job.sheets(model)]
    return {
        "models": list(job.models),
        "items": len(job.items),
        "tasks": [question.task.name for question in job.rubric.questions],
        "settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__},
        "calls_together": job.rubric.calls == "together" and not settings.plain,
        "thinking": job.rubric.thinking,
        "tools": [tool.name for tool in job.toolbox.tools] if job.toolbox else [],
        "prompt": hashlib.sha256("\n".join(systems).encode()).hexdigest(),
        "calls": done.n_calls,
        "failures": len(done.failures),
        "spent_usd": done.spent_usd,
        "perhaps_lost_usd": done.lost_usd,
        "probability_on_labels": done.tally.covered(),
    }


# ---- rows -------------------------------------------------------------------------------------------------------

_NAMES = {"item": pa.string(), "task": pa.string(), "model": pa.string(), "label": pa.string()}
_SAID = {"confidence": pa.float64(), "cost_usd": pa.float64(), "reasoning": pa.string()}


def _score_rows(done: Annotated, model: int, task: int, cells: Cells) -> pa.Table:
    question = done.job.rubric.questions[task].task
    at = np.flatnonzero(cells.scored)
    n_classes = len(question.classes)
    return pa.table(
        {
            "item": _ids(done.job.items).take(pa.array(np.repeat(at, n_classes))),
            "task": pa.array([question.name] * (len(at) * n_classes), pa.string()),
            "model": pa.array([done.job.models[model]] * (len(at) * n_classes), pa.string()),
            "label": pa.array(list(question.classes) * len(at), pa.string()),
            "score": pa.array(cells.probs[at].ravel(), pa.float64()),
        }
    )


def _label_rows(done: Annotated, model: int, task: int, cells: Cells) -> pa.Table:
    question = done.job.rubric.questions[task].task
    at = np.flatnonzero(cells.labeled)
    own = cells.probs[at, cells.code[at]]
    return pa.table(
        {
            "item": _ids(done.job.items).take(pa.array(at)),
            "task": pa.array([question.name] * len(at), pa.string()),
            "model": pa.array([done.job.models[model]] * len(at), pa.string()),
            "label": pa.array(question.classes, pa.string()).take(pa.array(cells.code[at])),
            "confidence": pa.array(own, pa.float64(), mask=np.isnan(own)),
            "cost_usd": pa.array(cells.cost_usd[at], pa.float64()),
            "reasoning": pa.array([cells.reasoning.get(item) for item in at.tolist()], pa.string()),
        }
    )


def _ids(items: Items) -> pa.Array:
    return pa.array(items.ids, pa.string())


def _empty(columns: dict[str, pa.DataType]) -> pa.Table:
    return pa.table({name: pa.array([], kind) for name, kind in columns.items()})


def _joined(before: pa.Table | None, now: pa.Table, models: Sequence[str]) -> pa.Table | None:
    """Rows of other models that came with the items, and the new ones; None where there are none."""
    if before is None:
        return now if len(now) else None
    kept = before.filter(pc.invert(pc.is_in(before["model"].cast(pa.string()), pa.array(models, pa.string()))))
    found = pa.concat_tables([kept, now], promote_options="permissive")
    return found if len(found) else None


def _contents(items: Items) -> pa.Table:
    """The table of items of a folder of files."""
    images = {
        name: pa.array([None if path is None else path.name for path in column], pa.string())
        for name, column in items.images.items()
    }
    restricted = {RESTRICTED: pa.array([name in items.restricted for name in items.ids])} if items.restricted else {}
    texts = {k: pa.array(v, pa.string()) for k, v in items.texts.items()}
    return pa.table({"item": _ids(items), **texts, **images, **restricted})


def _write_lines(path: Path, rows: Sequence[Failed] | Sequence[LookedUp]) -> None:
    """A line a row; no file where there is none."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with whole(path) as part:
        lines = (as_json({**row._asdict(), "tasks": list(row.tasks)}) + "\n" for row in rows)
        part.write_text("".join(lines), "utf-8", newline="\n")


def failure_counts(failures: Sequence[Failed]) -> dict[str, int]:
    """How many failures there are of each kind, the most frequent first."""
    kinds = [failed.kind for failed in failures]
    return dict(sorted(((kind, kinds.count(kind)) for kind in set(kinds)), key=lambda each: (-each[1], each[0])))


def previews(done: Annotated, n: int) -> Iterator[str]:
    """The first failures, a line each."""
    for failed in done.failures[:n]:
        yield f"{failed.item}, {', '.join(failed.tasks)}, {failed.model}: {failed.kind} ({_short(failed.detail)})"


def _short(detail: str) -> str:
    return detail if len(detail) <= PREVIEW else detail[: PREVIEW - 1].rsplit(" ", 1)[0] + "…"
