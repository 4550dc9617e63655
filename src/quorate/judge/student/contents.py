"""What a small model reads of items: their texts, column by column, and given numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from quorate.errors import DataError, FormatError, SettingError
from quorate.llm.items import TEXT_COLUMN, Items, read_items

Array = np.ndarray


@dataclass(frozen=True)
class Contents:
    """Items in order, with what is read of each. A number that is not known is the mean of the known ones."""

    ids: tuple[str, ...]
    texts: Mapping[str, Sequence[str]]
    numbers: Float32[Array, "items numbers"]  # NaN nowhere: where a row is not known it is all zeros
    known: Float32[Array, "items"]  # 1 where the numbers are known, else 0
    names: tuple[str, ...] = ()  # of the numbers
    table: pa.Table | None = None  # the items table, for columns that are no content
    restricted: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, index: Int64[Array, "kept"]) -> Contents:
        """These items only, by place, in this order."""
        places: list[int] = index.tolist()
        ids = tuple(self.ids[place] for place in places)
        texts: dict[str, Sequence[str]] = {
            name: [column[place] for place in places] for name, column in self.texts.items()
        }
        return Contents(
            ids,
            texts,
            self.numbers[index],
            self.known[index],
            self.names,
            None if self.table is None else self.table.take(pa.array(index)),
            self.restricted & frozenset(ids),
        )

    def column(self, name: str) -> list[str | None]:
        """A column of the items table as text. Raises DataError where there is none of that name."""
        if self.table is None or name not in self.table.column_names:
            there = ", ".join(self.table.column_names) if self.table is not None else "none"
            raise DataError(f"the items have no column {name!r}", mend=f"name one of these: {there}")
        return [None if value is None else str(value) for value in self.table[name].to_pylist()]


def contents_of(items: Items) -> Contents:
    """What is read of items that were read from a file: texts, `x_*` columns and the `embedding` column."""
    if items.data is None:
        none = np.zeros((len(items), 0), np.float32)
        return Contents(items.ids, items.texts, none, np.zeros(len(items), np.float32), (), None, items.restricted)
    coded = items.data.encode()
    place = {name: at for at, name in enumerate(coded.items)}
    order = np.array([place[name] for name in items.ids], np.int64)
    known = coded.features_known[order].astype(np.float32)
    table = items.data.items
    return Contents(items.ids, items.texts, coded.features[order], known, coded.feature_names, table, items.restricted)


def read_contents(path: Path, show: Sequence[str] | None = None, embeddings: Path | None = None) -> Contents:
    """The items of a table or folder; `embeddings` is a .npy file with a row per item, in their order.

    Raises DataError where nothing of the items can be read, or where the embeddings do not fit them.
    """
    items = read_items(path, show if show is not None else ())
    if show is None and items.data is not None:
        items = replace(items, texts=_only_text(items, path, has_numbers=embeddings is not None))
    found = contents_of(items)
    return found if embeddings is None else with_numbers(found, read_numbers(embeddings, len(found)), "embedding")


def _only_text(items: Items, path: Path, *, has_numbers: bool) -> dict[str, Sequence[str]]:
    """The column `text`, or the only one that holds text; none of several where there are numbers to read."""
    assert items.data is not None and items.data.items is not None
    table = items.data.items
    words = [name for name in table.column_names if name != "item" and _is_text(table.schema.field(name).type)]
    found = [name for name in words if name == TEXT_COLUMN] or words
    if len(found) == 1:
        return {found[0]: ["" if value is None else str(value) for value in table[found[0]].to_pylist()]}
    if has_numbers or items.data.encode().feature_names:
        return {}
    if not words:
        mend = "give them a column of text, x_* columns or embeddings"
        raise DataError("the items have no text and no numbers", mend=mend, source=str(path))
    mend = f"name those to read, as --show {','.join(words)}"
    raise DataError("the items have several columns of text", mend=mend, source=str(path))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def read_numbers(path: Path, n_items: int) -> Float32[Array, "items numbers"]:
    """A .npy file with a row of numbers per item. Raises FormatError for anything else."""
    mend = "save a two-dimensional array of finite numbers with numpy.save, a row per item in the order of the items"
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(f"no array can be read ({error})", mend=mend, source=str(path)) from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "fiub":
        raise FormatError("this is no table of numbers", mend=mend, source=str(path))
    if len(found) != n_items:
        raise FormatError(f"{len(found):,} rows for {n_items:,} items", mend=mend, source=str(path))
    with np.errstate(over="ignore"):
        numbers = found.astype(np.float32)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0]) + 1
        raise FormatError("a number is missing or infinite", mend=mend, source=str(path), row=row)
    return numbers


def with_numbers(contents: Contents, numbers: Float32[Array, "items more"], name: str) -> Contents:
    """The same items with further numbers. Raises SettingError where they have numbers of that name already."""
    names = tuple(f"{name}_{place}" for place in range(numbers.shape[1]))
    twice = next((each for each in names if each in contents.names), None)
    if twice is not None:
        raise SettingError(f"the items have numbers {twice!r} already: give them once")
    known = np.ones(len(contents), np.float32) if not contents.names else contents.known
    joined = np.concatenate([contents.numbers, numbers], axis=1)
    return Contents(
        contents.ids, contents.texts, joined, known, contents.names + names, contents.table, contents.restricted
    )
