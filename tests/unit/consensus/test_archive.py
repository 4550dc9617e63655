"""Models in files: whole and unaltered, or refused."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import subprocess
import zipfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.consensus import registry
from quorate.consensus.archive import load, save
from quorate.consensus.registry import Home
from quorate.errors import ArchiveError
from unit.consensus.kept_model import ARRAYS, KeptModel, example

ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _known_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ESTIMATORS, "kept", Home("unit.consensus.kept_model", "KeptModel", "KeptModel", {}))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.quorate"
    save(example(), path)
    return path


def assert_same(found: KeptModel, expected: KeptModel) -> None:
    assert (found.schema, found.annotators, found.models, found.options) == (
        expected.schema,
        expected.annotators,
        expected.models,
        expected.options,
    )
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert (found.arrays[name] == array).all()


def rewritten(path: Path, change: dict[str, bytes | None], *, compression: int = ZIP_STORED, sums: bool = True) -> Path:
    """The archive with other members (None: without), its sums made to fit unless told otherwise."""
    with zipfile.ZipFile(path) as container:
        members = {name: container.read(name) for name in container.namelist()}
    members = {name: data for name, data in {**members, **change}.items() if data is not None}
    if sums and "SHA256SUMS" not in change:
        del members["SHA256SUMS"]
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()]
        members["SHA256SUMS"] = "".join(lines).encode()
    with zipfile.ZipFile(path, "w", compression) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return path


def head_with(path: Path, **change: object) -> Path:
    with zipfile.ZipFile(path) as container:
        head = json.loads(container.read("model.json"))
    return rewritten(path, {"model.json": json.dumps({**head, **change}).encode()})


# ---- what is kept ---------------------------------------------------------------------------------------------------
def test_a_model_comes_back_as_it_was(saved):
    """Schema, names, settings, and arrays with their kind and shape; arrays can be written to."""
    found = load(saved)
    assert_same(found, example())
    found.arrays["rows/0"][0, 0] = 7.0


@ANY_TIME
@given(
    st.dictionaries(
        st.text("abc/_0", min_size=1, max_size=8),
        st.sampled_from([np.zeros((2, 0), np.int8), np.arange(4.0), np.array("x"), np.array([1 + 2j])]),
        max_size=4,
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    ),
)
def test_any_state_comes_back(tmp_path, arrays, options):
    """Whatever the names, arrays and settings."""
    model = example()
    model = KeptModel(model.schema, model.annotators, model.models, arrays, {"any": options})
    save(model, tmp_path / "any")
    assert_same(load(tmp_path / "any"), model)


def test_the_same_model_gives_the_same_bytes(saved, tmp_path):
    """No clock and no chance in the file."""
    save(example(), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


def test_the_sums_are_those_of_the_common_tool(saved, tmp_path):
    """`sha256sum -c SHA256SUMS` accepts an unpacked archive."""
    with zipfile.ZipFile(saved) as container:
        container.extractall(tmp_path / "unpacked")
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "unpacked", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_saving_replaces_the_file_whole(saved, tmp_path):
    """The old file stands until the new one is complete; nothing else is left behind."""
    save(KeptModel(example().schema, (), (), {}, {}), saved)
    assert load(saved).arrays == {}
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]


def test_a_failed_save_leaves_the_old_file(saved, tmp_path):
    """What cannot be kept is refused before anything is written."""
    before = saved.read_bytes()
    model = example()
    for bad in (
        KeptModel(model.schema, (), (), {"objects": np.array([{}], object)}, {}),
        KeptModel(model.schema, (), (), {}, {"a set": {1, 2}}),
        KeptModel(model.schema, (), (), {}, {"nan": float("nan")}),
    ):
        with pytest.raises(ArchiveError):
            save(bad, saved)
    assert saved.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """A folder that is not there."""
    with pytest.raises(ArchiveError, match="cannot be written"):
        save(example(), tmp_path / "nowhere" / "model")


# ---- what is refused ------------------------------------------------------------------------------------------------
@ANY_TIME
@given(data=st.data())
def test_a_flipped_byte_is_refused_or_harmless(tmp_path, data):
    """Wherever one byte changes: ArchiveError, or the identical model (a date in the container, say)."""
    path = tmp_path / "flipped"
    save(example(), path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = load(path)
    except ArchiveError:
        return
    assert_same(found, example())


@ANY_TIME
@given(share=st.floats(0, 0.9999))
def test_a_truncated_file_is_refused(tmp_path, share):
    """Wherever it ends."""
    path = tmp_path / "short"
    save(example(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArchiveError, match="To mend"):
        load(path)


@ANY_TIME
@given(content=st.binary(max_size=300))
def test_garbage_is_refused(tmp_path, content):
    """Any bytes."""
    (tmp_path / "garbage").write_bytes(content)
    with pytest.raises(ArchiveError, match="To mend"):
        load(tmp_path / "garbage")


def test_an_altered_number_is_refused(saved):
    """A member changed together with its container's own checksum: the SHA-256 tells."""
    buffer = io.BytesIO()
    np.save(buffer, np.ones((3, 4)))
    rewritten(saved, {"arrays/rows/0.npy": buffer.getvalue()}, sums=False)
    with pytest.raises(ArchiveError, match="altered after it was saved"):
        load(saved)


def test_another_format_is_refused_before_anything_else(saved):
    """The message names both formats and the version that wrote it, even when nothing else fits."""
    head_with(saved, format=2, quorate="9.1", more="parts")
    with pytest.raises(ArchiveError, match=r"format 2 by quorate 9\.1; this quorate reads format 1.*install"):
        load(saved)


def test_another_kind_of_file_is_refused(tmp_path, saved):
    """A pickle, numpy's own container, a missing file, a folder, another document: each says what is wrong."""
    (tmp_path / "pickle").write_bytes(pickle.dumps({"model": 1}))
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    head_with(saved, kind="a recipe")
    for name, why in {
        "pickle": "no saved model",
        "arrays.npz": "holds no model.json",
        "missing": "No such file",
        "": "directory",
        saved.name: "not a quorate model",
    }.items():
        with pytest.raises(ArchiveError, match=why):
            load(tmp_path / name)


def test_objects_are_never_read(saved):
    """An array of objects, though its sums fit: reading it would run code of the file."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ArchiveError, match="cannot be read"):
        load(rewritten(saved, {"arrays/codes.npy": buffer.getvalue()}))


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(-1,)", "(2, 2)", "()"])
def test_an_array_that_claims_another_size_is_refused(saved, shape):
    """A header of a terabyte over a few bytes reserves nothing."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(24)
    with pytest.raises(ArchiveError, match="claims"):
        load(rewritten(saved, {"arrays/codes.npy": member}))


def test_a_bomb_is_refused_unread(saved):
    """A compressed member that would unfold: members are stored, so nothing is larger than the file."""
    rewritten(saved, {"arrays/zeros.npy": bytes(50_000_000)}, compression=ZIP_DEFLATED)
    assert saved.stat().st_size < 200_000
    with pytest.raises(ArchiveError, match="not laid out"):
        load(saved)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"SHA256SUMS": None}, "not laid out"),
        ({"extra.txt": b"hello"}, "not laid out"),
        ({"../escape.npy": b"hello"}, "not laid out"),
        ({"model.json": b"[" * 100_000}, "cannot be read"),
        ({"model.json": b"[]"}, "cannot be read"),
        ({"arrays/codes.npy": b""}, "cannot be read"),
    ],
)
def test_a_strange_layout_is_refused(saved, change, why):
    """Missing and additional members, JSON that is none, empty arrays."""
    with pytest.raises(ArchiveError, match=why):
        load(rewritten(saved, change))


@pytest.mark.parametrize(
    "change",
    [{"settings": {}}, {"settings": {"schema": 3}}, {"estimator": "unheard of"}, {"annotators": ["somebody else"]}],
)
def test_parts_that_do_not_fit_together_are_refused(saved, change):
    """Settings of another estimator, an estimator that does not exist, names that contradict the settings."""
    with pytest.raises(ArchiveError, match=r"fit together|different tasks or agents"):
        load(head_with(saved, **change))


def test_a_head_without_its_parts_is_refused(saved):
    """The right kind and format, and nothing else."""
    head = json.dumps({"kind": "quorate model", "format": 1}).encode()
    with pytest.raises(ArchiveError, match="lacks parts"):
        load(rewritten(saved, {"model.json": head}))


def test_every_array_of_the_example_is_of_another_kind():
    """The example covers numbers, text, truth values, empty, scalar, and both orders in memory."""
    assert {array.dtype.kind for array in ARRAYS.values()} == {"f", "i", "b", "U"}
    assert {array.ndim for array in ARRAYS.values()} == {0, 1, 2}
