"""What `quorate select next` chooses from: pools of items with what is known of them, and the list that comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from quorate.cli.source import loaded_or_fitted
from quorate.errors import DataError
from quorate.select.names import INFORMATION, NO_PROBS

if TYPE_CHECKING:
    from quorate.data.dataset import Dataset
    from quorate.data.encode import Coded
    from quorate.select.strategies import Picked, Pool

Array = np.ndarray


class Evidence(NamedTuple):
    """What a pool is made of."""

    data: Dataset
    coded: Coded
    tasks: list[int]
    models: tuple[str, ...] | None
    by_consensus: bool  # unsure by the consensus; by what models say without
    estimator: str


def closed_to(coded: Coded, tasks: list[int], enough: int, without: Path | None, data: Dataset, folder: Path) -> Array:
    """Items that are not chosen: labeled, named, or restricted."""
    from quorate.data.restricted import restricted_items
    from quorate.select.evidence import labeled_enough, places_of

    closed = labeled_enough(coded, tasks, enough)
    closed[places_of(coded, _named(without))] = True
    closed[places_of(coded, sorted(restricted_items(data.items, folder)))] = True
    return closed


def _named(path: Path | None) -> list[str]:
    if path is None:
        return []
    from quorate.data.files import read_file

    raw = read_file("items", path)
    if "item" not in raw.columns:
        raise DataError(
            "the column is missing", mend="name the items in a column `item`", source=str(path), column="item"
        )
    return [str(raw.record(int(row))["item"]) for row in raw.row]


def pools(of: Evidence, strategy: str, rows: Array | None, closed: Array) -> list[Pool]:
    """One pool per task."""
    from quorate.select.evidence import said_by
    from quorate.select.information import information
    from quorate.select.strategies import Pool

    if strategy == INFORMATION or (of.by_consensus and strategy not in NO_PROBS):
        from quorate.policy.acquire_rows import rows_of

        model = loaded_or_fitted(of.data, None, of.estimator)
        consensus = model.predict(of.data)
        names = [of.coded.schema.tasks[at].name for at in of.tasks]
        if strategy != INFORMATION:
            return [Pool(probs=consensus.probs(name), rows=rows, labeled=closed) for name in names]
        people = rows_of(model, consensus, [])
        told = [information(consensus.belief.marginal(at), people.of_task[at][-1]) for at in of.tasks]
        return [Pool(worth=np.mean(told, axis=0), rows=rows, labeled=closed)]
    if strategy in NO_PROBS:
        return [Pool(worth=np.zeros(len(closed)), rows=rows, labeled=closed)]
    members = [said_by(of.coded, at, of.models) for at in of.tasks]
    return [Pool(probs=each.mean(axis=0), committee=each, rows=rows, labeled=closed) for each in members]


def listed(data: Dataset, coded: Coded, found: Picked) -> Any:
    """The list as a table: item, rank, worth where there is one, and what the items table says of each in words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    items = [coded.items[at] for at in found.places.tolist()]
    listed = {"item": items, "rank": list(range(1, len(items) + 1))}
    worth = found.criterion
    if not np.isnan(worth).any():
        listed["worth"] = worth.round(6).tolist()
    found_in = data.items
    if found_in is None:
        return pa.table(listed)
    place = pc.index_in(pa.array(items, found_in["item"].type), found_in["item"].combine_chunks())
    for name in found_in.column_names:
        kind = found_in.schema.field(name).type
        if name not in listed and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            listed[name] = found_in[name].take(place)
    return pa.table(listed)
