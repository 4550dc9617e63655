"""The nearest of many places: by blocks as one by one, and by an index never nearer than it is."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.select import points
from quorate.select.cells import nearest_by_cells
from quorate.select.points import Embedded, Gradients, nearest_one_by_one
from quorate.select.strategies import Pool, select


def clustered(n: int, seed: int = 0) -> np.ndarray:
    """Rows round forty centers, in float32; the third is nowhere."""
    rng = np.random.default_rng(seed)
    rows = (3 * rng.normal(size=(40, 8))[rng.integers(0, 40, n)] + rng.normal(size=(n, 8))).astype(np.float32)
    rows[2] = 0.0
    return rows


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("n_places", [0, 1, 9, 300])
def test_blocks_tell_what_passes_one_by_one_tell(cosine: bool, n_places: int, monkeypatch) -> None:
    """Over several chunks and blocks; infinite where there is no place."""
    monkeypatch.setattr(points, "CHUNK", 128)
    monkeypatch.setattr(points, "BLOCK", 50)
    rows = clustered(500)
    of = Embedded(rows, cosine=cosine)
    places = np.random.default_rng(1).permutation(500)[:n_places].astype(np.int64)
    np.testing.assert_allclose(of.nearest(places), nearest_one_by_one(of, places), rtol=1e-9, atol=1e-8)


def test_gradients_have_their_nearest_too() -> None:
    """As passes one by one."""
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    of = Gradients(probs, clustered(60))
    places = np.arange(20)
    np.testing.assert_array_equal(of.nearest(places), nearest_one_by_one(of, places))


@pytest.mark.parametrize("cosine", [False, True])
def test_an_index_is_never_nearer_and_mostly_right(cosine: bool, monkeypatch) -> None:
    """What it finds is a place, so its distance is the least or more; on clusters it is the least for 95 % of items."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(points, "MANY", 500)
    rows, places = clustered(4_000), np.arange(0, 4_000, 4)
    exact = Embedded(rows, cosine=cosine).nearest(places)
    found = Embedded(rows, cosine=cosine, approximate=True).nearest(places)
    assert (found >= exact - 1e-3).all()
    assert np.mean(found <= exact + 1e-3) >= 0.95
    assert np.array_equal(found, Embedded(rows, cosine=cosine, approximate=True).nearest(places))


def test_all_that_is_labeled_is_at_no_distance(monkeypatch) -> None:
    """Also by the index, and it is not chosen."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(points, "MANY", 200)
    rows = clustered(900)
    labeled = np.arange(900) < 600
    pool = Pool(rows=rows, labeled=labeled, approximate=True, cosine=False)
    assert pool.points.nearest(np.flatnonzero(labeled))[labeled].max() < 1e-3
    assert (select("core-set", pool, 20).places >= 600).all()
    assert nearest_by_cells([rows[:5].astype(float)], rows[:5].astype(float)).max() < 1e-6
