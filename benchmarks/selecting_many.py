"""Choosing from a million items: seconds and memory of every strategy, with distances by blocks and by an index.

    python benchmarks/selecting_many.py [--items 1000000] [--dimensions 64] [--labeled 20000] [--n 200]

Embeddings lie in a .npy file that is memory-mapped, in clusters; each strategy runs in a process of its own, whose peak
is told beside what it held before it began. `index` looks for the nearest labeled items by cells (extra `near`); the
share of its distances that are the true ones is told.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from quorate.select.points import Embedded
from quorate.select.strategies import Pool, select

STRATEGIES = ("entropy", "hybrid", "core-set", "k-means++", "badge")
CLUSTERS, CLASSES = 1_000, 5


def main() -> None:
    """Write the items, then run every strategy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--labeled", type=int, default=20_000)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "STRATEGY", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(Path(options.one[0]), options.one[1], options.one[2] == "index", options)
        return
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), options)
        print(f"{options.items:,} x {options.dimensions}, {options.labeled:,} labeled, {options.n} chosen", flush=True)
        for strategy in STRATEGIES:
            for way in ("blocks", "index") if strategy in {"hybrid", "core-set"} else ("blocks",):
                call = [sys.executable, __file__, "--one", place, strategy, way]
                for name in ("items", "dimensions", "labeled", "n"):
                    call += [f"--{name}", str(getattr(options, name))]
                subprocess.run(call, check=True)  # noqa: S603 - ourselves


def write(place: Path, options: argparse.Namespace) -> None:
    """Embeddings and probabilities, chunk by chunk."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLUSTERS, options.dimensions)).astype(np.float32)
    rows = np.lib.format.open_memmap(place / "rows.npy", "w+", np.float32, (options.items, options.dimensions))
    probs = np.lib.format.open_memmap(place / "probs.npy", "w+", np.float32, (options.items, CLASSES))
    for start in range(0, options.items, 50_000):
        n = min(50_000, options.items - start)
        of = rng.integers(0, CLUSTERS, n)
        rows[start : start + n] = centers[of] + 0.4 * rng.normal(size=(n, options.dimensions))
        probs[start : start + n] = rng.dirichlet(np.full(CLASSES, 0.5), n)


def one(place: Path, strategy: str, index: bool, options: argparse.Namespace) -> None:
    """A strategy, timed."""
    rows, probs = (np.load(place / f"{name}.npy", mmap_mode="r") for name in ("rows", "probs"))
    labeled = np.zeros(len(rows), bool)
    labeled[np.random.default_rng(1).choice(len(rows), options.labeled, replace=False)] = True
    before, began_s = _peak_mib(), time.perf_counter()
    pool = Pool(probs=probs, rows=rows, labeled=labeled, approximate=index)
    chosen = select(strategy, pool, options.n).places
    took_s = time.perf_counter() - began_s
    assert len(set(chosen.tolist())) == options.n
    assert not labeled[chosen].any()
    way = "index" if index else "blocks"
    said = f"{strategy:10} {way:7} {took_s:7.1f} s   peak {before:5.0f} -> {_peak_mib():5.0f} MiB"
    print(said + (f"   {_true_share(rows, np.flatnonzero(labeled)):.1%} true" if index else ""), flush=True)


def _true_share(rows: np.ndarray, places: np.ndarray) -> float:
    """Of 5,000 items: the share whose nearest is found by the index."""
    some = np.concatenate([np.asarray(rows[:5_000]), np.asarray(rows[places])])
    at = np.arange(5_000, len(some))
    exact, found = (Embedded(some, cosine=True, approximate=way).nearest(at)[:5_000] for way in (False, True))
    return float(np.mean(found <= exact + 1e-5))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
