"""How often intervals of a labeled set's prevalences miss, and how wide they are beside those of people alone.

    python benchmarks/prevalence.py [--sets 400] [--items 30,100,300] [--level 0.95] [--gate] [--out FILE.json]

In each world a set of 4,000 items is labeled and a few are graded by two people; the truth is told from 400,000.
`missed` is the share of sets whose interval misses, of the worst class; its target is at most 1 - level, and `se` is
its own error. `bias` is the mean miss of the estimate in its own error: a value of 2 or less is chance. `width` is that
of the same class over the width from people alone. With `--gate` half of the items decide whether the judge is let
through, at a threshold that lets about every second one pass: `missed` counts passed judges that are missed among all
judges (what the level is about), `of passed` among those that passed. `--peer` compares estimates with
those of ppi_py; its wheel also brings a package called `tests`, so keep it away from ours: pip install --target DIR
ppi-python, and DIR on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from quorate.judge.prevalence import Sample, Whole, corrected

Array = np.ndarray
SET, TRUTH = 4_000, 400_000
WORLDS: dict[str, tuple[tuple[float, ...], float, float]] = {  # shares of classes; judge right; share it says the last
    "good judge, even classes": ((0.4, 0.3, 0.3), 0.9, 0.0),
    "biased judge, even classes": ((0.4, 0.3, 0.3), 0.8, 0.2),
    "good judge, skewed classes": ((0.82, 0.14, 0.04), 0.95, 0.0),
    "biased judge, skewed classes": ((0.82, 0.14, 0.04), 0.85, 0.2),
    "nearly perfect, 3 % of a class": ((0.97, 0.03), 0.98, 0.0),
    "guessing, 3 % of a class": ((0.97, 0.03), 0.0, 0.0),
}


def drawn(rng: np.random.Generator, n: int, world: str) -> tuple[Array, Array]:
    """Two people's mean answers, and the judge's probabilities."""
    shares, right, over = WORLDS[world]
    k = len(shares)
    truth = rng.choice(k, size=n, p=shares)
    people = np.where(rng.random((n, 2)) < 0.92, truth[:, None], rng.choice(k, size=(n, 2), p=shares))
    said = np.where(rng.random(n) < right, truth, rng.choice(k, size=n, p=shares))
    said = np.where(rng.random(n) < over, k - 1, said)
    return (people[:, :, None] == np.arange(k)).mean(axis=1), 0.05 / k + 0.95 * np.eye(k)[said]


def row_of(world: str, n: int, sets: int, level: float, *, gate: bool) -> dict[str, float]:
    """One row of the table."""
    truth = drawn(np.random.default_rng(0), TRUTH, world)[0].mean(axis=0)
    people, says = drawn(np.random.default_rng(1), TRUTH, world)
    threshold = float((people * (says > 0.5)).sum(axis=1).mean())
    missed, width, off, told, passed = [], [], [], [], []
    for at in range(sets):
        rng = np.random.default_rng((2, at))
        people, says = drawn(rng, n, world)
        everything = drawn(rng, SET, world)[1]
        whole = Whole(everything.mean(axis=0), everything.var(axis=0), SET)
        found = corrected(Sample(people, says, np.ones(n)), whole, (0.0, 1.0), level)
        agreement = (people * (says > 0.5)).sum(axis=1)[: n // 2].mean()
        passed.append(agreement >= threshold)
        missed.append((found.found.low > truth) | (found.found.high < truth))
        width.append((found.found.high - found.found.low) / (found.people.high - found.people.low))
        off.append(found.found.estimate - truth)
        told.append(found.found.se)
    worst = int(np.mean(missed, axis=0).argmax())
    wrong, let = np.array(missed)[:, worst], np.array(passed)
    share = float((wrong & let).mean() if gate else wrong.mean())
    bias = np.array(off).mean(axis=0) / (np.array(off).std(axis=0) / sets**0.5)
    row = {"missed": share, "se": ((1 - level) * level / sets) ** 0.5, "bias": float(np.abs(bias).max())}
    row["width"] = float(np.mean(width, axis=0)[worst])
    return {**row, "of passed": float(wrong[let].mean())} if gate else row


def beside_peer() -> None:
    """The largest difference from ppi_py's estimates, in units of our own error, over twenty sets."""
    import ppi_py

    apart = []
    for at in range(20):
        rng = np.random.default_rng((3, at))
        people, says = drawn(rng, 300, "biased judge, skewed classes")
        everything = drawn(rng, SET, "biased judge, skewed classes")[1]
        whole = Whole(everything.mean(axis=0), everything.var(axis=0), SET)
        found = corrected(Sample(people, says, np.ones(300)), whole, (0.0, 1.0)).found
        theirs = ppi_py.ppi_mean_pointestimate(people, says, everything)
        apart.append(np.abs(found.estimate - theirs) / found.se)
    print(f"estimates differ from ppi_py's by {np.max(apart):.3f} of their own error at most")


def main() -> None:
    """Print a row per world and number of graded items."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sets", type=int, default=400)
    options.add_argument("--items", default="30,100,300")
    options.add_argument("--level", type=float, default=0.95)
    options.add_argument("--gate", action="store_true")
    options.add_argument("--peer", action="store_true")
    options.add_argument("--out", type=Path, default=None)
    given = options.parse_args()
    if given.peer:
        beside_peer()
        return
    rows, started = [], time.perf_counter()
    for world in WORLDS:
        for n in map(int, given.items.split(",")):
            row = row_of(world, n, given.sets, given.level, gate=given.gate)
            rows.append({"world": world, "items": n, **row})
            print(f"{world:32} {n:4}  " + "  ".join(f"{name} {value:.3f}" for name, value in row.items()), flush=True)
    print(f"{time.perf_counter() - started:.0f} s")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
