"""The kernel for long columns of text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.names import MANY_ROWS, read_names
from quorate.data.text import many_texts

TEXTS = st.lists(
    st.text(max_size=20) | st.sampled_from(["", "a", "a\x00", "abcdefgh", "abcdefghi", "é" * 9]) | st.none(),
    max_size=60,
)


@settings(deadline=None, max_examples=200)
@given(TEXTS, st.sampled_from([pa.string(), pa.large_string()]), st.integers(0, 5), st.integers(0, 60))
def test_codes_are_those_of_arrow(texts, kind, start, cut):
    """As `dictionary_encode`, whatever the chunks, offsets, nulls and lengths."""
    whole = pa.array(texts, kind)
    found = pa.chunked_array([whole.slice(start, cut), whole.slice(start + cut), whole.slice(0, 2)], kind)
    codes, values = many_texts(found)
    assert [None if code < 0 else values[code].as_py() for code in codes.tolist()] == found.to_pylist()
    expected = found.dictionary_encode()
    assert values.to_pylist() == (expected.chunk(0).dictionary.to_pylist() if expected.num_chunks else [])


def test_a_long_column_of_many_texts_is_read_as_a_short_one():
    """Above a million rows the kernel takes over; the names stay the same."""
    rng = np.random.default_rng(0)
    places = rng.integers(0, 50_000, MANY_ROWS + 7)
    ids = pa.array([f"item {place}" for place in range(50_000)])
    names = read_names(pa.chunked_array([ids.take(pa.array(places))])).names
    assert np.array_equal(
        names.values.to_numpy(zero_copy_only=False)[names.codes], ids.to_numpy(zero_copy_only=False)[places]
    )


def _fold(value: int) -> int:
    return value ^ (value >> 32)


def collision() -> tuple[bytes, bytes]:
    """Two texts of sixteen bytes with one hash: the second word undoes what the first has done to the state."""
    factor, size = 0xD6E8FEB86659FD93, 2**64
    begin = 16 * 0x9E3779B97F4A7C15 % size
    state = [_fold((begin ^ int.from_bytes(word, "little")) * factor % size) for word in (b"abcdefgh", b"ABCDEFGH")]
    second = int.from_bytes(b"........", "little")
    undone = second ^ state[0] ^ state[1]
    return b"abcdefgh" + second.to_bytes(8, "little"), b"ABCDEFGH" + undone.to_bytes(8, "little")


def test_texts_with_one_hash_stay_two_texts():
    """The kernel sees that its hash is not to be trusted, and leaves the column to Arrow."""
    one, other = collision()
    found = pa.chunked_array([pa.array([one, other, one]).view(pa.string())])
    assert many_texts(found) is None
    fine = pa.chunked_array([pa.array([one, one, b"other"]).view(pa.string())])
    assert many_texts(fine)[0].tolist() == [0, 0, 1]


@pytest.mark.parametrize("n_rows", [0, 1, 511, 512, 513, 40_000])
def test_any_number_of_rows_fills_the_blocks(n_rows):
    """Partitions and blocks have borders; rows on both sides are found."""
    texts = pa.array([str(row % 997) for row in range(n_rows)], pa.string())
    codes, values = many_texts(pa.chunked_array([texts]))
    assert codes.tolist() == [row % 997 for row in range(n_rows)]
    assert len(values) == min(n_rows, 997)
