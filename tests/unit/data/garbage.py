"""Tables and files that nobody should send, for hypothesis."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

from quorate.data.tables import NAMES_OF, TABLES

EXTRAS = {
    "labels": ("created_at", "confidence", "seconds", "assisted", "note"),
    "scores": ("score", "note"),
    "model_labels": ("confidence", "cost_usd"),
    "gold": ("note",),
    "items": ("x_1", "x_size", "embedding", "text"),
}
FEW = st.sampled_from(["a", "b", "yes", "no", "1", "1.0", " yes", "", "NaN", "é", "e\u0301", "0.5", "2024-01-01"])
SCALARS = st.one_of(
    FEW,
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(max_size=4),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.lists(st.integers(0, 2), max_size=2),
    st.sampled_from([pd.NA, pd.NaT, 10**400, 2**63, -0.0, Decimal("sNaN"), object(), {"a": 1}, "x" * 2000]),
)
KINDS = st.sampled_from(
    [
        FEW,
        SCALARS,
        st.integers(-2, 3),
        st.floats(0, 1),
        st.floats(width=32),
        st.booleans() | st.none(),
        st.lists(st.floats(0, 1), min_size=2, max_size=2),
        st.binary(max_size=3),
        st.text(max_size=4),
        st.datetimes(),
    ]
)


@st.composite
def columns(draw: Any, table: str) -> dict[str, list[Any]]:
    """Columns of one length, mostly those that the table should have."""
    n_rows = draw(st.integers(0, 8))
    names = list(NAMES_OF[table]) + ["score"] * (table == "scores")
    wanted = [name for name in names if draw(st.integers(0, 19))]
    wanted += draw(st.lists(st.sampled_from(EXTRAS[table]), unique=True, max_size=2))
    plain = st.lists(FEW, min_size=n_rows, max_size=n_rows)
    odd = KINDS.flatmap(lambda kind: st.lists(kind, min_size=n_rows, max_size=n_rows))
    return {name: draw(plain if draw(st.integers(0, 2)) else odd) for name in dict.fromkeys(wanted)}


def as_arrow(found: dict[str, list[Any]]) -> Any:
    """An Arrow table; None where Arrow itself refuses."""
    try:
        return pa.table(found)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None


def as_dictionaries(found: dict[str, list[Any]]) -> Any:
    """An Arrow table with every column that can be dictionary-encoded."""
    table = as_arrow(found)
    if table is None:
        return None
    try:
        return pa.table({name: table[name].dictionary_encode() for name in table.column_names})
    except pa.ArrowException:
        return table


def as_polars(found: dict[str, list[Any]]) -> Any:
    """A polars frame; None where polars itself refuses."""
    odd = [
        value for values in found.values() for value in values if isinstance(value, Decimal) and not value.is_finite()
    ]
    if odd:  # polars 2 panics on such decimals
        return None
    try:
        return pl.DataFrame(found, strict=False)
    except Exception:  # noqa: BLE001 - whatever polars says of its own input
        return None


def as_pandas(found: dict[str, list[Any]]) -> Any:
    """A pandas frame."""
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in found.items()}).infer_objects()


MAKERS = (as_arrow, as_dictionaries, as_polars, as_pandas)
TABLE_NAMES = st.sampled_from(TABLES)
