"""Whatever comes in: an error of ours, or every row is either kept or set aside."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.data.dataset import Dataset
from quorate.errors import DataError
from quorate.schema import Schema, Task
from unit.data.garbage import MAKERS, TABLE_NAMES, columns

SCHEMAS = st.sampled_from([None, Schema((Task("a", ("yes", "no", "1")), Task("b", ("1", "2", "3"), ordered=True)))])
quick = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def kept_rows(data: Dataset, name: str) -> list[int]:
    """Numbers of the source rows that are in the data set."""
    table = data._tables.get(name)
    return [] if table is None else [int(row) for row in table.row]


def check_encoded(data: Dataset) -> None:
    """Every kept row stands in the arrays."""
    coded = data.encode()
    n_labels = 0 if data.labels is None else data.labels.num_rows
    n_gold = 0 if data.gold is None else data.gold.num_rows
    assert len(coded.labels.code) == n_labels
    assert (coded.labels.code >= 0).all()
    assert sorted(coded.labels.row.tolist()) == list(range(n_labels))
    assert (coded.gold >= 0).sum() == n_gold
    for output in coded.outputs:
        np.testing.assert_allclose(output.scores.sum(axis=2), output.kind > 0, atol=1e-5)
    assert np.isfinite(coded.features).all()


@quick
@given(TABLE_NAMES.flatmap(lambda name: st.tuples(st.just(name), columns(name))), st.sampled_from(MAKERS), SCHEMAS)
def test_any_dataframe_is_refused_by_our_error_or_read_whole(named, maker, schema):
    """No traceback of a library, no row lost."""
    name, found = named
    frame = maker(found)
    if frame is None:
        return
    try:
        data = Dataset(**{name: frame}, schema=schema)
    except DataError:
        return
    assert kept_rows(data, name) == list(range(1, len(frame) + 1))
    check_encoded(data)


@quick
@given(TABLE_NAMES.flatmap(lambda name: st.tuples(st.just(name), columns(name))), st.sampled_from(MAKERS), SCHEMAS)
def test_rows_in_are_rows_kept_and_rows_set_aside(named, maker, schema):
    """With quarantine the numbers of kept and set-aside rows are together 1..n, each once."""
    name, found = named
    frame = maker(found)
    if frame is None:
        return
    try:
        data = Dataset(**{name: frame}, schema=schema, on_bad="quarantine")
    except DataError as refused:
        error = refused
    else:
        error = None
    if error is not None:
        assert error.row is None or "distinct" in error.problem, "a single bad row must not stop the reading"
        return
    aside = data.quarantined["row"].to_pylist()
    assert sorted(kept_rows(data, name) + aside) == list(range(1, len(frame) + 1))
    check_encoded(data)


def read_folder_of(folder, name: str, data: bytes, on_bad: str) -> Dataset | None:
    """The data set of a folder with this one file, or None where it is refused by an error of ours."""
    for old in folder.rglob("*.*"):
        old.unlink()
    (folder / name).write_bytes(data)
    try:
        return Dataset.read(folder, on_bad=on_bad)
    except DataError as refused:
        error = refused
    assert error.source, "an error must name its file"
    return None


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"a,q,x,yes", b"b,q,x,no", b'"a",q,"y",yes', b'c,q,"x,yes', b'd,q,x,"y"es', b"e,q", b"", b" ", b",,,"]
        ),
        st.sampled_from(
            ["é,q,x,yes".encode(), "é,q,x,yes".encode("latin-1"), b'f,q,x,"two\nlines"', b"g,q,x,yes,more"]
        ),
        st.binary(max_size=12),
    ),
    max_size=8,
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
HEADS = st.sampled_from(
    [b"item,task,annotator,label", b'"item","task","annotator","label"', b"\xef\xbb\xbfitem,task,annotator,label"]
)


@quick
@given(HEADS, LINES, ENDS)
def test_any_csv_is_refused_by_our_error_or_read_whole(tmp_path_factory, head, lines, end):
    """Row numbers of kept and set-aside rows are together 1..n, each once; a sound file needs no quarantine."""
    folder = tmp_path_factory.mktemp("csv", numbered=True)
    text = end.join([head, *lines])
    data = read_folder_of(folder, "labels.csv", text, "quarantine")
    if data is None:
        return
    numbers = sorted(kept_rows(data, "labels") + data.quarantined["row"].to_pylist())
    assert numbers == list(range(1, len(numbers) + 1))
    check_encoded(data)
    strict = read_folder_of(folder, "labels.csv", text, "raise")
    assert (strict is None) == (data.quarantined.num_rows > 0)


JSON_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b'{"item": "a", "task": "q", "annotator": "x", "label": "yes"}',
                b'{"item": 1, "task": "q", "annotator": true, "label": 1.0}',
                b'{"item": [1], "task": "q", "annotator": "x", "label": null}',
                b'{"item": "b", "task": "q", "annotator": "\\ud800", "label": "yes"}',
                b'{"item": "b", "task": "q", "annotator": "x", "label": NaN, "\\ud800": 1}',
                b'{"item": "b", "task": "q", "annotator": "y"',
                b"[1, 2]",
                b"1" * 5000,
                b"[" * 3000,
                b"",
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=8,
)


@quick
@given(JSON_LINES)
def test_any_jsonl_is_refused_by_our_error_or_read_whole(tmp_path_factory, lines):
    """As for CSV."""
    folder = tmp_path_factory.mktemp("jsonl", numbered=True)
    data = read_folder_of(folder, "labels.jsonl", b"\n".join(lines), "quarantine")
    if data is None:
        return
    numbers = sorted(kept_rows(data, "labels") + data.quarantined["row"].to_pylist())
    assert numbers == list(range(1, sum(1 for line in b"\n".join(lines).splitlines() if line.strip()) + 1))
    check_encoded(data)


@quick
@given(st.sampled_from(["labels.csv", "labels.jsonl", "labels.parquet", "scores.csv"]), st.binary(max_size=200))
def test_any_bytes_are_refused_by_our_error_or_read(tmp_path_factory, name, data):
    """No traceback of a library for a file of noise."""
    read_folder_of(tmp_path_factory.mktemp("noise", numbered=True), name, data, "quarantine")


@quick
@given(st.data())
def test_a_damaged_parquet_file_is_refused_by_our_error_or_read(tmp_path_factory, data):
    """Bytes changed or cut off anywhere."""
    folder = tmp_path_factory.mktemp("parquet", numbered=True)
    table = pa.table({"item": ["a", "b"], "task": ["q", "q"], "annotator": ["x", "x"], "label": ["yes", "no"]})
    pq.write_table(table, folder / "labels.parquet")
    held = bytearray((folder / "labels.parquet").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(held) - 1), max_size=4)):
        held[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(held)) | st.just(len(held)))
    read_folder_of(folder, "labels.parquet", bytes(held[:end]), "quarantine")


@quick
@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["tasks", "name", "classes", "ordered", "option_of"]), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_schema_file_is_refused_by_our_error_or_read(tmp_path_factory, text):
    """A schema.json of noise."""
    folder = tmp_path_factory.mktemp("schema", numbered=True)
    (folder / "labels.csv").write_bytes(b"item,task,annotator,label\na,q,x,yes\n")
    (folder / "schema.json").write_bytes(text)
    with contextlib.suppress(DataError):
        Dataset.read(folder)
