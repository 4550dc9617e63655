"""Where items lie: as embeddings, or as gradients that their labels would give; only distances are ever asked for.

Rows are read in chunks, so that a memory-mapped file of a million items never lies in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int64

from quorate.errors import SettingError
from quorate.select.cells import nearest_by_cells

Array = np.ndarray
CHUNK = 65_536  # rows at a time
ROWS, BLOCK = 4_096, 256  # rows and places whose distances are held at once: 8 MiB
FEW = 8  # places up to which passes one by one are as good
MANY = 10_000  # places from which an index is worth its making


@runtime_checkable
class Points(Protocol):
    """Items in a space of Euclidean distances."""

    def __len__(self) -> int:
        """How many items there are."""
        ...

    def squared_to(self, place: int) -> Float64[Array, "items"]:
        """Squared distances of all items to the one at that place."""
        ...

    def squared(self) -> Float64[Array, "items"]:
        """Squared distances of all items to the origin."""
        ...

    def nearest(self, places: Int64[Array, "some"]) -> Float64[Array, "items"]:
        """Squared distances of all items to the nearest of those places; infinite where there are none."""
        ...


def nearest_one_by_one(points: Points, places: Int64[Array, "some"]) -> Float64[Array, "items"]:
    """`nearest` by as many passes over the items as there are places."""
    found = np.full(len(points), np.inf)
    for place in places.tolist():
        np.minimum(found, points.squared_to(place), out=found)
    return found


class Embedded:
    """Items by their embeddings; with `cosine` by their directions: half the squared distance is 1 minus the cosine.

    With `approximate` the nearest of many items is looked for in the likeliest cells of an index (faiss, extra `near`):
    what is found may lie a little farther off than the nearest. Raises SettingError for numbers that are none.
    """

    def __init__(
        self, rows: Float[Array, "items dimensions"], *, cosine: bool = False, approximate: bool = False
    ) -> None:
        self._rows = rows
        self._approximate = approximate
        self._norms = np.concatenate([(part * part).sum(axis=1) for part in _parts(rows)] or [np.zeros(0)])
        strange = np.flatnonzero(~np.isfinite(self._norms))
        if len(strange):
            raise SettingError(f"the embedding of item {strange[0] + 1:,} holds no number; mend or leave the item out")
        self._scale = np.sqrt(np.where(self._norms > 0, self._norms, 1.0)) if cosine else None

    def __len__(self) -> int:
        return len(self._rows)

    def squared_to(self, place: int) -> Float64[Array, "items"]:
        """Squared distances of all items to the one at that place."""
        one = self._rows[place].astype(np.float64)
        dots = np.concatenate([part @ one for part in _parts(self._rows)])
        if self._scale is not None:
            norms = self.squared()
            return np.maximum(norms + norms[place] - 2 * dots / (self._scale * self._scale[place]), 0.0)
        return np.maximum(self._norms + self._norms[place] - 2 * dots, 0.0)

    def squared(self) -> Float64[Array, "items"]:
        """Squared distances of all items to the origin; of directions 1, and 0 for one that has none."""
        return self._norms if self._scale is None else (self._norms > 0).astype(np.float64)

    def nearest(self, places: Int64[Array, "some"]) -> Float64[Array, "items"]:
        """Squared distances of all items to the nearest of those places; infinite where there are none."""
        if len(places) <= FEW:
            return nearest_one_by_one(self, places)
        ahead = np.concatenate(
            list(self._scaled(self._rows[places], None if self._scale is None else self._scale[places]))
        )
        parts = self._scaled(self._rows, self._scale)
        if self._approximate and len(places) >= MANY:
            return nearest_by_cells(parts, ahead)
        blocks = [ahead[start : start + BLOCK] for start in range(0, len(ahead), BLOCK)]
        return np.concatenate([_nearest_of(part, blocks) for part in parts])

    def _scaled(
        self, rows: Float[Array, "items dimensions"], scale: Float64[Array, "items"] | None
    ) -> Iterator[Float64[Array, "some dimensions"]]:
        """Rows in chunks, of length 1 where only directions count."""
        for at, part in enumerate(_parts(rows)):
            yield part if scale is None else part / scale[at * CHUNK : at * CHUNK + len(part), None]


class Gradients:
    """Items by the gradient of the log loss in a softmax layer, were the likeliest class the label [ash2020].

    That gradient is the outer product of (probabilities - likeliest class) and (embedding, 1): of two such products
    |a x' - b y'|^2 = |a|^2 |x|^2 + |b|^2 |y|^2 - 2 (a.b) (x.y), so that no product is ever made.
    """

    def __init__(self, probs: Float[Array, "items classes"], rows: Float[Array, "items dimensions"]) -> None:
        self._errors = probs.astype(np.float64)
        self._errors[np.arange(len(probs)), probs.argmax(axis=1)] -= 1.0
        self._rows = rows
        lengths = np.concatenate([(part * part).sum(axis=1) + 1 for part in _parts(rows)] or [np.zeros(0)])
        self._norms = (self._errors**2).sum(axis=1) * lengths

    def __len__(self) -> int:
        return len(self._rows)

    def squared_to(self, place: int) -> Float64[Array, "items"]:
        """Squared distances of all items to the one at that place."""
        one = self._rows[place].astype(np.float64)
        dots = np.concatenate([part @ one + 1 for part in _parts(self._rows)]) * (self._errors @ self._errors[place])
        return np.maximum(self._norms + self._norms[place] - 2 * dots, 0.0)

    def squared(self) -> Float64[Array, "items"]:
        """Squared lengths of the gradients: how much each label would move the model."""
        return self._norms

    def nearest(self, places: Int64[Array, "some"]) -> Float64[Array, "items"]:
        """Squared distances of all items to the nearest of those places; infinite where there are none."""
        return nearest_one_by_one(self, places)


def _nearest_of(
    part: Float64[Array, "some dimensions"], places: Sequence[Float64[Array, "_ dimensions"]]
) -> Float64[Array, "some"]:
    """Exactly, by products of blocks small enough for the cache."""
    norms, found = (part * part).sum(axis=1), np.full(len(part), np.inf)
    for block in places:
        lengths = (block * block).sum(axis=1)
        for at in range(0, len(part), ROWS):
            away = part[at : at + ROWS] @ (-2.0 * block.T)
            away += lengths
            np.minimum(found[at : at + ROWS], away.min(axis=1), out=found[at : at + ROWS])
    return np.maximum(found + norms, 0.0)


def _parts(rows: Float[Array, "items dimensions"]) -> Iterator[Float64[Array, "some dimensions"]]:
    for start in range(0, len(rows), CHUNK):
        yield np.asarray(rows[start : start + CHUNK], np.float64)
