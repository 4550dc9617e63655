"""Table files, by their ending. Every row of a file becomes a row of the raw table or an unread one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from quorate.data.csv_text import read_csv
from quorate.data.frames import raw_table
from quorate.data.jsonl_text import read_jsonl
from quorate.data.lines import first_line
from quorate.data.tables import Raw, TableName
from quorate.errors import DataError, FormatError

ENDINGS = (".parquet", ".csv", ".jsonl")
MARKS = (  # how files begin that are not what their name says
    (b"PAR1", "a Parquet file", "give it the ending .parquet"),
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "save the sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
)
UTF8_MARK = b"\xef\xbb\xbf"


def read_file(name: TableName, path: Path) -> Raw:
    """A table file. Raises FormatError where it is not what its name says."""
    match path.suffix.lower():
        case ".parquet":
            return _read_parquet(name, path)
        case ".csv":
            return read_csv(name, str(path), _text(path))
        case ".jsonl":
            return read_jsonl(name, str(path), _text(path))
        case _:
            problem = f"{path.suffix or 'no ending'!r} is no known kind of table"
            raise FormatError(problem, mend=f"name the file with one of {', '.join(ENDINGS)}", source=str(path))


def _text(path: Path) -> bytes:
    """The bytes of a text file, less the mark that some programs put before UTF-8."""
    data = _bytes(path)
    for mark, what, mend in MARKS:
        if data.startswith(mark):
            raise FormatError(f"this is {what}, not {path.suffix[1:].upper()} in UTF-8", mend=mend, source=str(path))
    data = data.removeprefix(UTF8_MARK)
    if not data.strip():
        raise FormatError("the file is empty", mend="add rows, or remove the file", source=str(path))
    if b"\x00" in data:
        problem = "the file holds NUL bytes: it is UTF-16 text or no text"
        raise FormatError(problem, mend="save it as text in UTF-8", source=str(path))
    return data


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"the file cannot be opened ({error.strerror})"
        raise FormatError(problem, mend="check the path and the rights to read it", source=str(path)) from None


def _read_parquet(name: TableName, path: Path) -> Raw:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        return raw_table(name, str(path), list(zip(table.column_names, table.columns, strict=True)))
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
        mend = "write it again; if it is of another format, name it .csv or .jsonl"
        problem = f"not a readable Parquet file ({first_line(error)})"
        raise FormatError(problem, mend=mend, source=str(path)) from None
