"""A student in one file, without pickle: numpy's .npz, with arrays of numbers and one text, `head`, in JSON.

Whatever a file holds, reading it runs no code of it: it gives a student or an ArchiveError. Arrays are stored, never
compressed, so that a file cannot unfold into more than its own size, and the container's sums tell a torn file.
The words that items were made of are in the file: it is as confidential as they are.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from quorate import __version__
from quorate.data.write import whole
from quorate.errors import ArchiveError, FormatError, QuorateError
from quorate.judge.student.model import Head, Student
from quorate.judge.student.words import RUNS, Terms, Words
from quorate.schema import Schema

Array = np.ndarray
KIND, FORMAT = "quorate student", 1
HEAD = "head"
AGAIN = "copy the file again, or teach the student again"
BROKEN = (zipfile.BadZipFile, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


def save(student: Student, path: Path, figures: Any = None) -> None:
    """Write the student, and what was measured of it, to one file; whole or not at all.

    Raises FormatError where the file cannot be written.
    """
    arrays: dict[str, Any] = {"mean": student.words.mean, "deviation": student.words.deviation}
    arrays |= {f"idf_{place}": block.idf for place, block in enumerate(student.words.blocks)}
    for place, head in enumerate(student.heads):
        arrays |= {f"slopes_{place}": head.slopes, f"bias_{place}": head.bias}
    text = json.dumps(_head(student, figures), ensure_ascii=False, allow_nan=False)
    arrays[HEAD] = np.frombuffer(text.encode(), np.uint8)
    try:
        with whole(path) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        mend = "check the path, the space and the rights to write"
        raise FormatError(f"the file cannot be written ({error})", mend=mend, source=str(path)) from None


def load(path: Path) -> Student:
    """Read a student that `save` wrote. Raises ArchiveError, which says what is wrong with the file and what to do."""
    arrays = _arrays(path)
    head = _read_head(path, arrays)
    try:
        student = _student(head, arrays)
        _check(student)
    except (QuorateError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _refused(path, f"its parts do not fit together ({error})") from None
    return student


def figures_of(path: Path) -> Any:
    """What was measured when the student was taught. Raises ArchiveError as `load` does."""
    return _read_head(path, _arrays(path)).get("figures")


# ---- writing --------------------------------------------------------------------------------------------------------
def _head(student: Student, figures: Any) -> dict[str, Any]:
    words = student.words
    return {
        "kind": KIND,
        "format": FORMAT,
        "quorate": __version__,
        "schema": json.loads(student.schema.to_json()),
        "teacher": student.teacher,
        "n_taught": student.n_taught,
        "columns": list(words.columns),
        "numbers": list(words.names),
        "blocks": [
            {"column": block.column, "analyzer": block.analyzer, "terms": list(block.terms)} for block in words.blocks
        ],
        "heads": [
            {
                "penalty": _spelled(head.penalty),
                "losses": [[_spelled(penalty), loss] for penalty, loss in head.losses.items()],
            }
            for head in student.heads
        ],
        "figures": figures,
    }


def _spelled(penalty: float) -> float | None:
    """JSON knows no infinity: the constant is null."""
    return penalty if np.isfinite(penalty) else None


# ---- reading --------------------------------------------------------------------------------------------------------
def _arrays(path: Path) -> dict[str, Shaped[Array, "..."]]:
    """Every array of the file, each read to its end so that a torn one is told."""
    try:
        with zipfile.ZipFile(path) as container:
            entries = container.infolist()
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise _refused(path, "is not laid out as quorate does it")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ArchiveError(f"{path}: there is no such file. To mend: check the path.") from None
    except BROKEN as error:
        raise _refused(path, f"is no student, or is torn ({type(error).__name__}: {str(error)[:120]})") from None


def _read_head(path: Path, arrays: dict[str, Shaped[Array, "..."]]) -> dict[str, Any]:
    try:
        head: dict[str, Any] = json.loads(arrays[HEAD].tobytes())
        kind, written = head["kind"], head["format"]
    except (KeyError, ValueError, TypeError, RecursionError):
        raise _refused(path, "is no student", "give a file that `quorate student fit` wrote") from None
    if kind != KIND:
        raise _refused(path, f"holds {str(kind)[:40]!r}, no student", "give a file that `quorate student fit` wrote")
    if written != FORMAT:
        by = str(head.get("quorate", "another version"))[:40]
        problem = f"was written in format {str(written)[:10]} by quorate {by}; this quorate reads format {FORMAT}"
        raise _refused(path, problem, f"install quorate {by}, or teach the student again")
    return head


def _student(head: dict[str, Any], arrays: dict[str, Any]) -> Student:
    schema = Schema.from_json(json.dumps(head["schema"]))
    blocks = tuple(
        Terms(str(each["column"]), each["analyzer"], tuple(map(str, each["terms"])), _floats(arrays[f"idf_{place}"]))
        for place, each in enumerate(head["blocks"])
    )
    mean, deviation = _floats(arrays["mean"]), _floats(arrays["deviation"])
    words = Words(tuple(map(str, head["columns"])), blocks, tuple(map(str, head["numbers"])), mean, deviation)
    heads = tuple(
        Head(
            task,
            _floats(arrays[f"slopes_{place}"]),
            _floats(arrays[f"bias_{place}"]),
            _penalty(each["penalty"]),
            {_penalty(penalty): float(loss) for penalty, loss in each["losses"]},
        )
        for place, (task, each) in enumerate(zip(schema.tasks, head["heads"], strict=True))
    )
    return Student(schema, words, heads, str(head["teacher"]), int(head["n_taught"]))


def _penalty(spelled: float | None) -> float:
    return np.inf if spelled is None else float(spelled)


def _floats(array: Array) -> Any:
    if array.dtype != np.float32 or not np.isfinite(array).all():
        raise ValueError("an array holds no finite numbers")
    return array


def _check(student: Student) -> None:
    """Raises ValueError where arrays do not fit each other."""
    words = student.words
    fits = all(len(block.idf) == len(block.terms) and block.analyzer in RUNS for block in words.blocks)
    fits &= all(block.column in words.columns for block in words.blocks)
    fits &= words.mean.shape == words.deviation.shape == (len(words.columns) + len(words.names),)
    fits &= bool((words.deviation > 0).all())
    for head in student.heads:
        shape = (words.width, len(head.task.classes))
        fits &= head.slopes.shape == shape and head.bias.shape == shape[1:]
    if not fits:
        raise ValueError("an array is not as long as it must be")


def _refused(path: Path, problem: str, mend: str = AGAIN) -> ArchiveError:
    return ArchiveError(f"{path}: {problem}. To mend: {mend}.")
