"""What a judge has labeled, part by part: whole files that a kill cannot halve, joined into a dataset folder.

A part holds the items of one chunk in their order. Parts that are there are never made again, so a run that was killed
ends as if it had not been; parts that an alarm has called into question are moved aside whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from quorate.data.lines import as_json
from quorate.data.write import whole
from quorate.judge.asked import Judge
from quorate.judge.asking import probs_of
from quorate.llm.annotate import Annotated
from quorate.schema import Schema

Array = np.ndarray
PARTS, FAILURES, PROVENANCE = "parts", "failures.jsonl", "provenance.json"
PART = pa.schema(
    [
        ("item", pa.string()),
        ("task", pa.string()),
        ("judge", pa.string()),
        ("said", pa.string()),  # by the model, before the map
        ("label", pa.string()),
        ("grade", pa.float64()),  # of ordered tasks
        ("probs", pa.list_(pa.float64())),
        ("cost_usd", pa.float64()),
    ]
)
_TEXT = pa.string()
SCORES = pa.schema([("item", _TEXT), ("task", _TEXT), ("model", _TEXT), ("label", _TEXT), ("score", pa.float64())])
LABELS = pa.schema(
    [
        *[(name, _TEXT) for name in ("item", "task", "model", "label")],
        *[("confidence", pa.float64()), ("grade", pa.float64()), ("cost_usd", pa.float64()), ("said", _TEXT)],
        ("part", pa.int64()),
    ]
)


def part_path(out: Path, number: int) -> Path:
    """The file of a part."""
    return out / PARTS / f"{number:06d}.parquet"


def numbers(out: Path) -> list[int]:
    """The parts that are there, in order."""
    return sorted(int(path.stem) for path in (out / PARTS).glob("*.parquet"))


def table_of(judge: Judge, tasks: Sequence[str], done: Annotated) -> pa.Table:
    """What came of a chunk: a row per item and task that the model answered, of these tasks."""
    rows = list[pa.Table]()
    for task in tasks:
        score_map = judge.maps[task]
        cells = done.tally.cells[0, done.job.place_of[task]]
        said, probs = cells.code.astype(np.int64), probs_of(cells)
        mapped = score_map.apply(said, probs)
        at = np.flatnonzero(said >= 0)
        classes = pa.array(score_map.task.classes, pa.string())
        ids = pa.array(done.job.items.ids, pa.string())
        grades = pa.array(mapped.grades[at] if score_map.task.ordered else [None] * len(at), pa.float64())
        rows.append(
            pa.table(
                {
                    "item": ids.take(pa.array(at)),
                    "task": pa.array([task] * len(at), pa.string()),
                    "judge": pa.array([judge.name] * len(at), pa.string()),
                    "said": classes.take(pa.array(said[at])),
                    "label": classes.take(pa.array(mapped.said[at])),
                    "grade": grades,
                    "probs": pa.array(mapped.probs[at].tolist(), pa.list_(pa.float64())),
                    "cost_usd": pa.array(cells.cost_usd[at], pa.float64()),
                },
                schema=PART,
            )
        )
    return pa.concat_tables(rows)


def write_part(out: Path, number: int, table: pa.Table, failures: Sequence[Any]) -> None:
    """The part, and beside it what failed in it."""
    lost = part_path(out, number).with_suffix(".jsonl")
    if failures:
        with whole(lost) as part:
            part.write_text("".join(as_json(each) + "\n" for each in failures), "utf-8", newline="\n")
    with whole(part_path(out, number)) as part:
        pq.write_table(table, part)


def join(out: Path, schema: Schema) -> int:
    """The dataset folder of all parts, written anew in bounded memory; the labels in it."""
    found = numbers(out)
    n_labels = 0
    with (
        whole(out / "scores.parquet") as scores_part,
        whole(out / "model_labels.parquet") as labels_part,
        pq.ParquetWriter(scores_part, SCORES) as scores,
        pq.ParquetWriter(labels_part, LABELS) as labels,
    ):
        for number in found:
            table = pq.read_table(part_path(out, number))
            scores.write_table(_scores(table, schema))
            labels.write_table(_labels(table, number))
            n_labels += len(table)
    with whole(out / "schema.json") as part:
        part.write_text(schema.to_json(), "utf-8", newline="\n")
    with whole(out / FAILURES) as part:
        part.write_text("".join(_failures(out, found)), "utf-8", newline="\n")
    return n_labels


def set_aside(out: Path, aside: Path, first: int) -> list[str]:
    """Move the parts from a number on into another folder; their items, each once."""
    items = dict[str, None]()
    for number in [each for each in numbers(out) if each >= first]:
        path = part_path(out, number)
        items |= dict.fromkeys(pq.read_table(path, columns=["item"])["item"].to_pylist())
        for each in (path, path.with_suffix(".jsonl")):
            if each.is_file():
                target = part_path(aside, number).with_suffix(each.suffix)
                target.parent.mkdir(parents=True, exist_ok=True)
                each.replace(target)
    return list(items)


# ---- inside ---------------------------------------------------------------------------------------------------------
def _scores(table: pa.Table, schema: Schema) -> pa.Table:
    """item, task, model, label, score: one row per class."""
    classes = [schema.task(task).classes for task in table["task"].to_pylist()]
    times = np.array([len(each) for each in classes], np.int64)
    at = pa.array(np.repeat(np.arange(len(table)), times))
    flat = table["probs"].combine_chunks().flatten() if len(table) else pa.array([], pa.float64())
    return pa.table(
        {
            "item": table["item"].take(at),
            "task": table["task"].take(at),
            "model": table["judge"].take(at),
            "label": pa.array([name for each in classes for name in each], pa.string()),
            "score": flat,
        },
        schema=SCORES,
    )


def _labels(table: pa.Table, number: int) -> pa.Table:
    highest = [max(each) for each in table["probs"].to_pylist()]
    return pa.table(
        {
            "item": table["item"],
            "task": table["task"],
            "model": table["judge"],
            "label": table["label"],
            "confidence": pa.array(highest, pa.float64()),
            "grade": table["grade"],
            "cost_usd": table["cost_usd"],
            "said": table["said"],
            "part": pa.array([number] * len(table), pa.int64()),
        },
        schema=LABELS,
    )


def _failures(out: Path, found: Sequence[int]) -> Iterator[str]:
    for number in found:
        path = part_path(out, number).with_suffix(".jsonl")
        if path.is_file():
            yield path.read_text("utf-8")
