"""Fitted models in one file, without pickle: a zip container of JSON and arrays, each member with its SHA-256.

    model.json       kind, format, versions, estimator, schema, vocabularies, settings of `Model.state`
    arrays/NAME.npy  the arrays of `Model.state`, in numpy's format, without objects
    SHA256SUMS       one line per member; `sha256sum -c SHA256SUMS` in an unpacked archive checks it too

Members are stored, never compressed, so that an archive cannot unfold into more than its own size. Whatever a file
holds, reading it runs no code of it: it gives a model or an ArchiveError.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from jaxtyping import Shaped

from quorate.consensus.estimator import Model
from quorate.consensus.registry import model_class
from quorate.errors import ArchiveError, QuorateError

Array = np.ndarray

KIND = "quorate model"
FORMAT = 1  # raised when what is written can no longer be read by the quorate before
HEAD, SUMS, ARRAYS, NPY = "model.json", "SHA256SUMS", "arrays/", ".npy"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes
MAX_MEMBERS = 100_000
MAX_ARRAY_HEAD = 10_000  # bytes; a longer one is no array's
NUMBERS_AND_TEXT = "biufcSU"  # kinds of arrays that are kept; objects would need pickle

AGAIN = "copy the file again, or fit the model again and save it"
BROKEN = (
    zipfile.BadZipFile,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,  # an encrypted member; a nest of JSON too deep
    NotImplementedError,
    OverflowError,
    MemoryError,
    struct.error,
)


class Head(NamedTuple):
    """What model.json holds."""

    kind: str
    format: int
    quorate: str
    estimator: str
    schema: str
    annotators: list[str]
    models: list[str]
    settings: dict[str, Any]


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model to one file, which is there whole or not at all.

    Raises ArchiveError when the model holds what cannot be kept, or the file cannot be written.
    """
    arrays, settings = model.state()
    vocabulary = list(model.annotators), list(model.models)
    head = Head(KIND, FORMAT, _quorate_version(), model.name, model.schema.to_json(), *vocabulary, settings)
    members = {HEAD: _json(head), **{f"{ARRAYS}{name}{NPY}": _npy(name, array) for name, array in arrays.items()}}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items())
    _write_whole(Path(path), {**members, SUMS: sums.encode()})


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `save` wrote.

    Raises ArchiveError, which says what is wrong with the file and what to do, for anything else.

    >>> import pyarrow as pa
    >>> from tempfile import TemporaryDirectory
    >>> from quorate.consensus.registry import estimator
    >>> from quorate.data.dataset import Dataset
    >>> labels = pa.Table.from_pylist([{"item": "i1", "task": "fair", "annotator": "ann", "label": "yes"}])
    >>> model = estimator("majority").fit(Dataset(labels=labels))
    >>> with TemporaryDirectory() as folder:
    ...     save(model, f"{folder}/model.quorate")
    ...     load(f"{folder}/model.quorate").annotators
    ('ann',)
    """
    source = Path(path)
    members = _members(source)
    head = _head(source, members.pop(HEAD))
    arrays = {name[len(ARRAYS) : -len(NPY)]: _array(source, name, data) for name, data in members.items()}
    try:
        kind: Any = model_class(head.estimator)
        model: Model = kind.from_state(arrays, head.settings)
        fits = (model.name, model.schema.to_json()) == (head.estimator, head.schema)
        fits &= [list(model.annotators), list(model.models)] == [head.annotators, head.models]
    except (QuorateError, ArithmeticError, AttributeError, LookupError, *BROKEN) as error:
        raise _refused(source, f"the parts of this {head.estimator!r} model do not fit together", error) from None
    if not fits:
        raise _refused(source, "the parts of this model speak of different tasks or agents")
    return model


# ---- writing ------------------------------------------------------------------------------------------------------
def _json(head: Head) -> bytes:
    try:
        return (json.dumps(head._asdict(), ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ArchiveError(f"the settings of this {head.estimator!r} model are no JSON ({error})") from None


def _npy(name: str, array: Shaped[Array, "..."]) -> bytes:
    if array.dtype.kind not in NUMBERS_AND_TEXT:
        raise ArchiveError(f"array {name!r} holds {array.dtype}, which cannot be kept without pickle")
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    return data.getvalue()


def _write_whole(path: Path, members: Mapping[str, bytes]) -> None:
    """Beside the place where it shall stand, then renamed: nobody ever sees half a file."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with draft.open("xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as container:
                for name, data in members.items():
                    container.writestr(zipfile.ZipInfo(name, MOMENT), data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be written ({error.strerror}). To mend: choose another place.") from None
    finally:
        draft.unlink(missing_ok=True)


def _quorate_version() -> str:
    try:
        return version("quorate")
    except PackageNotFoundError:  # run from its source
        return "unknown"


# ---- reading ------------------------------------------------------------------------------------------------------
def _members(source: Path) -> dict[str, bytes]:
    """Every member but the sums, whole and as it was written."""
    try:
        with zipfile.ZipFile(source) as container:
            entries = _entries(source, container)
            head = container.read(entries[HEAD])
            _head(source, head)  # another format may be laid out otherwise: say so before anything else
            members = {name: container.read(entry) for name, entry in entries.items()}
    except OSError as error:
        raise _refused(source, f"cannot be read: {error.strerror or error}", mend="check the path") from None
    except BROKEN as error:
        raise _refused(source, "is no saved model, or is truncated or altered", error) from None
    sums = members.pop(SUMS)
    found = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items())
    if found.encode() != sums:
        raise _refused(source, "was altered after it was saved: its SHA-256 sums differ")
    return members


def _entries(source: Path, container: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The directory, if it is one that `save` writes."""
    entries = {entry.filename: entry for entry in container.infolist()}
    if HEAD not in entries:
        raise _refused(source, f"holds no {HEAD}, so it is no saved model", mend="give a file that `save` wrote")
    strange = [name for name in entries if name not in {HEAD, SUMS} and not _is_array(name)]
    size = sum(entry.file_size for entry in entries.values())
    if (
        strange
        or SUMS not in entries
        or len(entries) != len(container.infolist())
        or len(entries) > MAX_MEMBERS
        or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values())
        or size > source.stat().st_size
    ):
        raise _refused(source, "is not laid out as `save` does it: altered, or made by something else")
    return entries


def _is_array(name: str) -> bool:
    return name.startswith(ARRAYS) and name.endswith(NPY)


def _head(source: Path, data: bytes) -> Head:
    try:
        read: dict[str, Any] = json.loads(data)
        kind, written = read["kind"], read["format"]
    except (*BROKEN, RecursionError) as error:
        raise _refused(source, f"its {HEAD} cannot be read", error) from None
    if kind != KIND:
        raise _refused(source, f"holds {str(kind)[:40]!r}, not a {KIND}", mend="give a file that `save` wrote")
    if written != FORMAT:
        by = str(read.get("quorate", "another version"))[:40]
        problem = f"was written in format {str(written)[:10]} by quorate {by}; this quorate reads format {FORMAT}"
        raise _refused(source, problem, mend=f"install quorate {by}, or fit the model again and save it")
    if set(read) != set(Head._fields):
        raise _refused(source, f"its {HEAD} lacks parts or has strange ones")
    return Head(**read)


def _array(source: Path, name: str, data: bytes) -> Shaped[Array, "..."]:
    """The array, read without running anything and without trusting its claimed size."""
    buffer = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("not format 1.0")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(buffer, max_header_size=MAX_ARRAY_HEAD)
        body = data[buffer.tell() :]
        if (
            dtype.kind not in NUMBERS_AND_TEXT
            or math.prod(shape) * dtype.itemsize != len(body)
            or min(shape, default=0) < 0
        ):
            raise ValueError("not as long as it claims, or not numbers")
        flat = np.frombuffer(body, dtype) if body else np.zeros(0, dtype)
        return flat.reshape(shape, order="F" if by_column else "C").copy()
    except BROKEN as error:
        raise _refused(source, f"its array {name!r} cannot be read", error) from None


def _refused(source: Path, problem: str, why: BaseException | None = None, *, mend: str = AGAIN) -> ArchiveError:
    detail = f" ({type(why).__name__}: {str(why)[:200]})" if why is not None else ""
    return ArchiveError(f"{source}: {problem}{detail}. To mend: {mend}.")
