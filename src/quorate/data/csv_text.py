"""CSV as RFC 4180 has it, with commas, semicolons, tabs or bars; a broken line is known by its number, not skipped."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from quorate.data.columns import Column
from quorate.data.frames import raw_table
from quorate.data.lines import UTF8_MEND, Line, decoded
from quorate.data.tables import Raw, TableName, Unread
from quorate.errors import FormatError

DELIMITERS = (",", ";", "\t", "|")


def read_csv(name: TableName, source: str, data: bytes) -> Raw:
    """A CSV text as a raw table of texts; an empty cell without quotes is missing."""
    data = data.lstrip(b"\r\n")
    delimiter = _delimiter(data)
    with _long_cells():
        quick = _read_quickly(data, delimiter)
        if quick is None:
            return _read_carefully(name, source, data, delimiter)
    return raw_table(name, source, quick)


def _delimiter(data: bytes) -> str:
    """The candidate that stands most often in the header."""
    header = decoded(data.splitlines()[0]).text
    return max(DELIMITERS, key=header.count)


@contextmanager
def _long_cells() -> Generator[None]:
    """Texts of any length in a cell, where Python stops at 131,072 characters."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_quickly(data: bytes, delimiter: str) -> list[tuple[str, Column]] | None:
    """By Arrow, where nothing is wrong with the text; else None. Arrow would accept a quote that is never closed."""
    n_rows = _sound_rows(data, delimiter) if b'"' in data else None
    line, header = next(_records(data.splitlines(keepends=True)[:1], delimiter))
    if n_rows == -1 or isinstance(header, str) or line.problem:
        return None
    as_text = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=n_rows is not None)
    try:
        table = pa_csv.read_csv(pa.py_buffer(data), parse_options=parse, convert_options=as_text)
    except (pa.ArrowException, ValueError):
        return None
    columns: list[Column] = table.columns
    return list(zip(header, columns, strict=True)) if n_rows in {None, table.num_rows} else None


def _sound_rows(data: bytes, delimiter: str) -> int:
    """Rows below the header of a text whose quotes are all in their place, or -1."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=delimiter, strict=True)
        return sum(1 for record in reader if record) - 1
    except (csv.Error, UnicodeDecodeError):
        return -1


# ---- line by line, where something is wrong ------------------------------------------------------------------------


def _read_carefully(name: TableName, source: str, data: bytes, delimiter: str) -> Raw:
    records = _records(data.splitlines(keepends=True), delimiter)
    lines, header = next(records)
    if isinstance(header, str) or lines.problem:
        mend = UTF8_MEND if lines.problem else "mend the first line"
        raise FormatError(f"the header cannot be read: {lines.problem or header}", mend=mend, source=source)
    rows: list[list[str]] = []
    place: list[int] = []
    unread: list[Unread] = []
    for number, (text, record) in enumerate(records, start=1):
        bad = _trouble(number, text, record, header)
        if bad:
            unread.append(bad)
        elif not isinstance(record, str):
            rows.append(record)
            place.append(number)
    cells = zip(*rows, strict=True) if rows else [()] * len(header)
    columns = [(key, _texts(column)) for key, column in zip(header, cells, strict=True)]
    return raw_table(name, source, columns)._replace(row=np.array(place, np.int64), unread=tuple(unread))


def _texts(cells: Sequence[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([cell or None for cell in cells], pa.string())])


def _records(lines: Sequence[bytes], delimiter: str) -> Iterator[tuple[Line, list[str] | str]]:
    """Every record with the text that it spans, taken apart, or what is wrong with it; blank lines are no records.

    After a broken record reading goes on in the line after its first: a quote that is never closed spoils one row,
    not all that follow.
    """
    texts = [decoded(line) for line in lines]
    start = 0
    while start < len(texts):
        reader = csv.reader((texts[i].text for i in range(start, len(texts))), delimiter=delimiter, strict=True)
        begin = start
        try:
            for record in reader:
                spanned = texts[start : begin + reader.line_num]
                start = begin + reader.line_num
                if record:
                    yield _joined(spanned), record
        except csv.Error as error:
            yield texts[start], f"a quote stands where it must not, or is never closed ({error})"
            start += 1


def _joined(lines: Sequence[Line]) -> Line:
    return Line("".join(line.text for line in lines), next((line.problem for line in lines if line.problem), None))


def _trouble(number: int, line: Line, record: list[str] | str, header: list[str]) -> Unread | None:
    """What is wrong with a record, if anything."""
    text = line.text.rstrip("\r\n")
    if line.problem:
        byte = line.problem.split()[1].replace("0x", "\\x")
        cells = zip(header, record if isinstance(record, list) else [], strict=False)
        column = next((key for key, cell in cells if byte in cell), None)
        return Unread(number, column, line.problem, UTF8_MEND, text)
    if isinstance(record, str):
        return Unread(number, None, record, "close the quote, and write a quote inside quotes twice", text)
    if len(record) != len(header):
        problem = f"the row has {len(record)} cells, the header has {len(header)}"
        return Unread(
            number, None, problem, "give the row all its cells, and quote a cell that holds a delimiter", text
        )
    return None
