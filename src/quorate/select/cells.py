"""The nearest of many places, approximately: an inverted file over cells of k-means [jegou2011], by faiss."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float64

from quorate.errors import MissingExtraError

Array = np.ndarray
CELLS = 4.0  # times the root of the places
LOOKED_IN = 16  # cells per item
SAMPLE = 64  # places per cell that teach where the cells are


def nearest_by_cells(
    parts: Iterable[Float64[Array, "_ dimensions"]], places: Float64[Array, "places dimensions"], *, seed: int = 0
) -> Float64[Array, "items"]:
    """Squared distances of the rows of all parts to the nearest place that is found; never below the true ones.

    Raises MissingExtraError without faiss.
    """
    faiss = _faiss()
    rows = np.ascontiguousarray(places, np.float32)
    n_cells = min(max(round(CELLS * len(rows) ** 0.5), 1), len(rows))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.shape[1]), rows.shape[1], n_cells)
    index.cp.seed, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = seed, SAMPLE, 1
    index.train(rows)
    index.add(rows)
    index.nprobe = LOOKED_IN
    found = [index.search(np.ascontiguousarray(part, np.float32), 1)[0][:, 0] for part in parts]
    return np.maximum(np.concatenate(found).astype(np.float64), 0.0)


def _faiss() -> Any:
    try:
        return import_module("faiss")
    except ImportError:
        raise MissingExtraError("faiss", "near") from None
