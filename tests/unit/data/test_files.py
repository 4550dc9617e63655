"""Table files: what is read, what is refused, and with which words."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quorate.data.dataset import Dataset
from quorate.data.files import read_file
from quorate.errors import FormatError

HEAD = b"item,task,annotator,label\n"
ROWS = b"a,food,ann,good\nb,food,bo,bad\n"


@pytest.fixture
def folder(tmp_path):
    """Writes one labels file into a fresh folder."""

    def write(data: bytes, name: str = "labels.csv"):
        (tmp_path / name).write_bytes(data)
        return tmp_path

    return write


def labels_of(data: Dataset) -> list[tuple]:
    return [tuple(row.values()) for row in data.labels.select(["item", "task", "annotator", "label"]).to_pylist()]


EXPECTED = [("a", "food", "ann", "good"), ("b", "food", "bo", "bad")]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ROWS,
        b"\xef\xbb\xbf" + HEAD + ROWS,
        (HEAD + ROWS).replace(b"\n", b"\r\n"),
        (HEAD + ROWS).replace(b"\n", b"\r"),
        (HEAD + ROWS).replace(b",", b";"),
        (HEAD + ROWS).replace(b",", b"\t"),
        b"\n\n" + HEAD + b"\n" + ROWS.replace(b"\n", b"\n\n"),
        HEAD + ROWS.rstrip(),
        HEAD.replace(b"item", b'"item"') + ROWS.replace(b"good", b'"good"'),
    ],
)
def test_csv_is_read_in_all_its_dialects(folder, text):
    """Byte-order mark, line ends, delimiters, blank lines, quotes, no newline at the end."""
    assert labels_of(Dataset.read(folder(text))) == EXPECTED


def test_cells_may_hold_delimiters_quotes_and_lines(folder):
    """Quoted as RFC 4180 has it; an empty cell is missing, an empty text in quotes is one."""
    text = b'item,task,annotator,label,note,more\n"a,1",food,"an""n",good,"two\nlines",\nb,food,bo,bad,"",x\n'
    table = Dataset.read(folder(text)).labels
    assert table["item"].to_pylist() == ["a,1", "b"]
    assert table["annotator"].to_pylist() == ['an"n', "bo"]
    assert table["note"].to_pylist() == ["two\nlines", ""]
    assert table["more"].to_pylist() == [None, "x"]


def test_a_cell_may_be_as_long_as_it_likes(folder):
    """Contents of items can be books."""
    book = "x" * 300_000
    folder(HEAD + ROWS)
    path = folder(f'item,text\na,"{book}"\nb,short\nc,"broken\n'.encode(), "items.csv")
    data = Dataset.read(path, on_bad="quarantine")
    assert data.items["text"].to_pylist() == [book, "short"]


@pytest.mark.parametrize(
    ("text", "row", "column", "problem"),
    [
        (HEAD + b"a,food,ann,good\nb,food,bo\n", 2, None, "the row has 3 cells, the header has 4"),
        (HEAD + b"a,food,ann,good,really\nb,food,bo,bad\n", 1, None, "the row has 5 cells, the header has 4"),
        (HEAD + b'a,food,ann,"good\nb,food,bo,bad\n', 1, None, "a quote stands where it must not, or is never closed"),
        (HEAD + b'a,food,ann,"go"od\nb,food,bo,bad\n', 1, None, "a quote stands where it must not, or is never closed"),
        (
            HEAD + b"a,food,ann,good\nb,food,Ren\xe9,bad\n",
            2,
            "annotator",
            "byte 0xe9 is not UTF-8 (it is 'é' in Latin-1)",
        ),
        (HEAD + "é,food,ann,good\n".encode() + b"b,food,Ren\xe9,bad\n", 2, "annotator", "byte 0xe9 is not UTF-8"),
        (HEAD + b"a,food,ann,good\nb,food,bo,\n", 2, "label", "the label is missing"),
    ],
)
def test_a_broken_csv_row_is_named_and_spoils_no_other(folder, text, row, column, problem):
    """File, row, column and mend; set aside with its text."""
    path = folder(text)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the kind is checked below
        Dataset.read(path)
    error = caught.value
    assert (error.source, error.row, error.column) == (str(path / "labels.csv"), row, column)
    assert problem in error.problem
    data = Dataset.read(path, on_bad="quarantine")
    assert data.quarantined["row"].to_pylist() == [row]
    assert data.labels.num_rows == 1
    lines = (path / "quarantine" / "labels.jsonl").read_text("utf-8").splitlines()
    entry = json.loads(lines[0])
    assert (len(lines), entry["row"], entry["column"]) == (1, row, column)
    assert problem in entry["reason"]


def test_a_quote_that_is_never_closed_spoils_one_row(folder):
    """Not the hundred rows behind it."""
    rows = b"".join(b"i%d,food,ann,good\n" % k for k in range(100))
    data = Dataset.read(folder(HEAD + b'a,food,"ann,good\n' + rows + b'b,food,"bo,bad\n'), on_bad="quarantine")
    assert data.labels.num_rows == 100
    assert data.quarantined["row"].to_pylist() == [1, 102]
    assert json.loads(data.quarantined["record"][0].as_py()) == 'a,food,"ann,good'


@pytest.mark.parametrize(
    ("name", "text", "problem", "mend"),
    [
        ("labels.csv", b"", "the file is empty", "remove the file"),
        ("labels.csv", b" \n\n", "the file is empty", "remove the file"),
        ("labels.csv", HEAD, "the table has no rows", "add rows"),
        (
            "labels.csv",
            (HEAD + ROWS).decode().encode("utf-16"),
            "this is UTF-16 text, not CSV in UTF-8",
            "save it as UTF-8",
        ),
        ("labels.csv", (HEAD + ROWS).decode().encode("utf-16-le"), "holds NUL bytes", "UTF-8"),
        ("labels.csv", b"PK\x03\x04...", "an Excel workbook or a zip archive", "save the sheet as CSV"),
        ("labels.csv", gzip.compress(HEAD + ROWS, mtime=0), "compressed with gzip", "unpack it first"),
        ("labels.csv", b"it\xe9m,task\na,b\n", "the header cannot be read: byte 0xe9 is not UTF-8", "UTF-8"),
        ("labels.csv", b'item,"task\na,b\n', "the header cannot be read: a quote", "mend the first line"),
        ("labels.csv", b"item,item,task\na,b,c\n", "two columns have this name", "rename one"),
        ("labels.jsonl", b"", "the file is empty", "remove the file"),
        ("labels.jsonl", b'[{"item": 1}]', "one JSON array, not one JSON object per line", "one object per line"),
        ("labels.jsonl", b"{}\n", "the column is missing; there are no columns", "add a column"),
        ("labels.parquet", b"", "not a readable Parquet file", "name it .csv"),
        ("labels.parquet", HEAD + ROWS, "not a readable Parquet file", "name it .csv"),
        ("labels.parquet", b"PAR1....PAR1", "not a readable Parquet file", "write it again"),
    ],
)
def test_a_file_that_is_no_table_is_refused_even_with_quarantine(folder, name, text, problem, mend):
    """There is no row to set aside; the error names the file."""
    path = folder(text, name)
    for on_bad in ("raise", "quarantine"):
        with pytest.raises(FormatError) as caught:
            Dataset.read(path, on_bad=on_bad)
        assert problem in caught.value.problem
        assert mend in caught.value.mend
        assert caught.value.source == str(path / name)


GOOD = {"item": "a", "task": "food", "annotator": "ann", "label": "good"}


@pytest.mark.parametrize(
    ("line", "column", "problem"),
    [
        (b'{"item": "b", "task": "food"', None, "the line is not JSON"),
        (b"[1]", None, "the line is JSON, but no object"),
        (b'{"item": "b", "task": "food", "annotator": "Ren\xe9", "label": "bad"}', None, "byte 0xe9 is not UTF-8"),
        (b'{"item": "b", "task": "food", "annotator": "bo"}', "label", "the label is missing"),
        (b'{"item": "b", "task": "food", "annotator": "bo", "label": null}', "label", "the label is missing"),
        (b'{"item": "b", "task": "food", "annotator": {"id": 1}, "label": "bad"}', "annotator", "is not one value"),
        (b'{"item": "b", "task": "food", "annotator": "\\ud83d", "label": "bad"}', "annotator", "is not valid UTF-8"),
        (b"[" * 100_000, None, "the line is not JSON"),
        (b'{"item": ' + b"9" * 5000 + b"}", None, "the line is not JSON"),
    ],
)
def test_a_broken_jsonl_line_is_named_and_spoils_no_other(folder, line, column, problem):
    """As for CSV."""
    path = folder(json.dumps(GOOD).encode() + b"\n\n" + line + b"\n", "labels.jsonl")
    with pytest.raises(Exception, match="row 2") as caught:
        Dataset.read(path)
    assert (caught.value.row, caught.value.column) == (2, column)
    assert problem in caught.value.problem
    data = Dataset.read(path, on_bad="quarantine")
    assert labels_of(data) == [("a", "food", "ann", "good")]
    assert data.quarantined["row"].to_pylist() == [2]


def test_values_of_jsonl_keep_their_meaning(folder):
    """Numbers and truth values become names; a key that a line lacks is missing there."""
    lines = [
        {**GOOD, "label": 1, "item": True, "note": "x"},
        {**GOOD, "label": 2.0, "extra": [1, 2]},
        {**GOOD, "label": "3", "item": 7},
    ]
    table = Dataset.read(folder("\n".join(map(json.dumps, lines)).encode(), "labels.jsonl")).labels
    assert table["label"].to_pylist() == ["1", "2", "3"]
    assert table["item"].to_pylist() == ["true", "a", "7"]
    assert table["note"].to_pylist() == ["x", None, None]
    assert table["extra"].to_pylist() == [None, [1, 2], None]


def test_a_parquet_file_in_a_folder_with_an_equals_sign_gains_no_column(tmp_path):
    """Arrow's dataset reader would read the path as a partition."""
    folder = tmp_path / "item=5"
    folder.mkdir()
    pq.write_table(pa.table({name: [value] for name, value in GOOD.items()}), folder / "labels.parquet")
    assert labels_of(Dataset.read(folder)) == [("a", "food", "ann", "good")]


def test_another_ending_is_no_table(tmp_path):
    """The ending says how to read."""
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(FormatError, match=r"'.xlsx' is no known kind of table"):
        read_file("labels", tmp_path / "labels.xlsx")


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    """A folder with the name of a file."""
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(FormatError, match="cannot be opened"):
        read_file("labels", tmp_path / "labels.csv")
