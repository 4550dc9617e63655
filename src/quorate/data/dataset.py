"""A data set: the tables of the data contract, checked, under one schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quorate.data.admit import Admitted, admit
from quorate.data.assemble import encode_tables
from quorate.data.encode import Coded
from quorate.data.faults import OnBad, check_way, quarantine_table
from quorate.data.folder import read_folder, write_folder
from quorate.data.frames import read_frame
from quorate.data.names import name_text
from quorate.data.tables import TABLES, Clean, Raw, TableName
from quorate.data.write import FileFormat, check_format
from quorate.errors import DataError, SettingError
from quorate.schema import Schema


class Dataset:
    """What people and models said about items, in tables (see the data contract), with the schema of the questions.

    Tables are dataframes of any kind that narwhals reads. Without a schema, its tasks and classes are those that
    the tables name, in natural order. A bad row raises DataError with its place and mend, or is set aside
    (`on_bad="quarantine"`, see `quarantined`); never dropped. Labels arrive in the order of `created_at` if
    they have that column, else of their rows.

    >>> import pyarrow as pa
    >>> labels = pa.table({"item": ["a", "a"], "task": ["ok"] * 2, "annotator": ["ann", "bo"], "label": [1, 0]})
    >>> data = Dataset(labels=labels)
    >>> data.schema.tasks
    (Task(name='ok', classes=('0', '1'), ordered=False),)
    >>> data.encode().counts(0)
    array([[1, 1]], dtype=int32)
    """

    def __init__(
        self,
        labels: Any = None,
        scores: Any = None,
        model_labels: Any = None,
        gold: Any = None,
        items: Any = None,
        schema: Schema | None = None,
        on_bad: OnBad = "raise",
    ) -> None:
        check_way(on_bad)
        frames = zip(TABLES, (labels, scores, model_labels, gold, items), strict=True)
        raws = [read_frame(name, frame) for name, frame in frames if frame is not None]
        if not raws:
            raise DataError("a data set needs a table", mend=f"give at least one of {', '.join(TABLES)}")
        self._become(admit(raws, schema, on_bad))

    def _become(self, admitted: Admitted) -> None:
        self._tables: dict[TableName, Clean] = {name: table for name, table in admitted.tables.items() if len(table)}
        self._schema = admitted.schema
        self._quarantined = quarantine_table(admitted.bad)
        self._cells = admitted.cells

    @classmethod
    def _of(cls, admitted: Admitted) -> Dataset:
        dataset = cls.__new__(cls)
        dataset._become(admitted)  # noqa: SLF001 - the second door of this very class
        return dataset

    def _with(self, tables: dict[TableName, Clean]) -> Dataset:
        """Rows of this data set, which need no checks again."""
        return Dataset._of(Admitted(tables, self._schema, []))

    @classmethod
    def from_raw(cls, raws: Sequence[Raw], schema: Schema | None = None, on_bad: OnBad = "raise") -> Dataset:
        """For importers: tables as they were read, so that errors name rows and columns of the source."""
        check_way(on_bad)
        return cls._of(admit(raws, schema, on_bad))

    @classmethod
    def read(cls, folder: str | PathLike[str], on_bad: OnBad = "raise") -> Dataset:
        r"""A dataset folder: `schema.json` (inferred and written when absent) and any of the five tables.

        Tables are files such as `labels.csv`, `scores.jsonl`, `gold.parquet`; other files stay untouched. With
        `on_bad="quarantine"`, bad rows go to `quarantine/labels.jsonl` and so on, with row number and reason.
        Raises DataError that names file, row, column and the mend.

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "labels.csv").write_text("item,task,annotator,label\na,stars,ann,4\n")
        ...     Dataset.read(folder).schema.task("stars").classes
        ('4',)
        """
        check_way(on_bad)
        return cls._of(read_folder(Path(folder), on_bad))

    def write(self, folder: str | PathLike[str], format: FileFormat = "parquet") -> None:  # noqa: A002 - the public word
        """A dataset folder that reads back the same; in CSV, columns outside the data contract come back as text.

        Raises FormatError where the folder holds tables of another data set, or cannot be written.
        """
        check_format(format)
        write_folder(Path(folder), {name: table.table() for name, table in self._tables.items()}, self._schema, format)

    # ---- what it holds ----------------------------------------------------------------------------------------

    @property
    def schema(self) -> Schema:
        """The tasks and their classes."""
        return self._schema

    @property
    def quarantined(self) -> pa.Table:
        """Rows set aside, with columns table, row (in the source, from 1), column, reason, record (JSON)."""
        return self._quarantined

    @cached_property
    def labels(self) -> pa.Table | None:
        """People's labels, or None: item, task, annotator, label, and what else the source has."""
        return self._table("labels")

    @cached_property
    def scores(self) -> pa.Table | None:
        """The models' scores, or None: item, task, model, label, score."""
        return self._table("scores")

    @cached_property
    def model_labels(self) -> pa.Table | None:
        """The models' hard answers, or None: item, task, model, label."""
        return self._table("model_labels")

    @cached_property
    def gold(self) -> pa.Table | None:
        """Trusted labels, or None: item, task, label."""
        return self._table("gold")

    @cached_property
    def items(self) -> pa.Table | None:
        """Contents and features of items, or None: item, and what else the source has."""
        return self._table("items")

    def _table(self, name: TableName) -> pa.Table | None:
        return self._tables[name].table() if name in self._tables else None

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {len(table):,}" for name, table in self._tables.items())
        return f"Dataset({len(self._schema)} tasks; rows of {rows or 'no table'})"

    def encode(self) -> Coded:
        """The data set in codes, as estimators read it; made once and kept."""
        return self._coded

    @cached_property
    def _coded(self) -> Coded:
        cells, self._cells = self._cells, None
        return encode_tables(self._schema, self._tables, cells)

    # ---- parts of it ------------------------------------------------------------------------------------------

    def first_labels(self, n: int) -> Dataset:
        """The same items with at most the first n labels of every item and task, in order of arrival.

        Raises SettingError for a negative n.

        >>> labels = {"item": ["a"] * 3, "task": ["ok"] * 3, "annotator": ["ann", "bo", "cy"], "label": ["y", "n", "y"]}
        >>> Dataset(labels=pa.table(labels)).first_labels(2).labels["annotator"].to_pylist()
        ['ann', 'bo']
        """
        if n < 0:
            raise SettingError(f"first_labels needs n of at least 0, not {n}")
        if "labels" not in self._tables:
            return self._with(self._tables)
        kept = np.sort(self.encode().first_labels(n).labels.row)
        return self._with({**self._tables, "labels": self._tables["labels"].keep(kept)})

    def select(self, item_ids: Iterable[object]) -> Dataset:
        """These items only, in the order of the data set. Raises DataError for an item that it does not have.

        >>> labels = {"item": ["a", "b"], "task": ["ok", "ok"], "annotator": ["ann", "ann"], "label": ["y", "n"]}
        >>> Dataset(labels=pa.table(labels)).select(["b"]).encode().items
        ('b',)
        """
        wanted = {name_text(item).text for item in item_ids}
        strange = wanted - set(self.encode().items)
        if strange:
            example = min(map(str, strange))
            mend = "take ids from data.encode().items"
            raise DataError(f"there is no item {example!r} ({len(strange):,} unknown in all)", mend=mend)
        names = pa.array(sorted(name for name in wanted if name is not None), pa.large_string())
        return self._with({name: _of_items(table, names) for name, table in self._tables.items()})

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """A random share of the items (rounded), and the others. Raises SettingError for a share outside [0, 1].

        >>> gold = {"item": ["a", "b", "c", "d"], "task": ["ok"] * 4, "label": ["y", "n", "y", "n"]}
        >>> train, test = Dataset(gold=pa.table(gold)).split(0.5, seed=0)
        >>> sorted(train.encode().items + test.encode().items)
        ['a', 'b', 'c', 'd']
        """
        if not 0 <= fraction <= 1:
            raise SettingError(f"fraction must lie in [0, 1], not {fraction}")
        items = self.encode().items
        order = np.random.default_rng(seed).permutation(len(items))
        n = round(fraction * len(items))
        return self.select(items[i] for i in order[:n]), self.select(items[i] for i in order[n:])


def _of_items(table: Clean, names: pa.Array) -> Clean:
    item = table.names["item"]
    wanted = pc.is_in(item.values, names).to_numpy(zero_copy_only=False)
    return table.keep(wanted[item.codes])
