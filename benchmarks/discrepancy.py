"""How many of the items in dispute are misjudged, and whether chance is told.

    python benchmarks/discrepancy.py [--logs 10] [--items 1000] [--out FILE.json]

The judge is two grades off for a share `wrong` of the items; all others are clicked on as their grade says, up to how
items differ by nature. `found` is the share of misjudged items in a list as long as there are misjudged items (100
where there are none), `random` what a random list would hold, `by chance` what the list says that chance may bring at
most, which must be no less than 1 - `found`; `false` is the share of wrong finds among those with q < 0.1 (of logs
without a misjudged item: the share of logs with any), whose target is at most 0.1.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from quorate.judge.behavior import Log
from quorate.judge.discrepancy import residuals

Array = np.ndarray
RATES = np.array([0.02, 0.05, 0.1, 0.2, 0.35])
CHANCES = 1 / np.arange(1, 11) ** 0.8
WORLDS = {
    "clicks": {},
    "clicks, 10 showings": {"shows": 10},
    "clicks, 400 showings": {"shows": 400},
    "clicks at ten positions": {"places": True},
    "seconds": {"real": True},
    "seconds at ten positions": {"real": True, "places": True},
}


def drawn(
    seed: int, n: int, wrong: float, *, shows: int = 60, places: bool = False, real: bool = False
) -> tuple[Log, Array, Array]:
    """A log, the judge's grades, and which are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, n)
    off = rng.random(n) < wrong
    grade = np.where(off, np.where(truth > 3, truth - 2, truth + 2), truth)
    rate = RATES[truth - 1]
    good = rng.beta(40 * rate, 40 * (1 - rate))
    item = np.repeat(np.arange(n), rng.poisson(shows, n) + 1)
    position = np.clip(5 - truth[item] + rng.integers(0, 6, len(item)), 0, 9) if places else None
    chance = CHANCES[position] if places else 1.0
    if real:
        signal = truth[item] + rng.normal(0, 0.5, n)[item] + rng.exponential(2.0, len(item)) + 3 * chance
    else:
        signal = (rng.random(len(item)) < good[item] * chance).astype(float)
    names = tuple(f"i{at}" for at in range(n)), ("q",)
    return Log(*names, item, 0 * item, signal, np.ones(len(item)), position), grade.astype(float), off


def row_of(logs: int, n: int, wrong: float, **world: bool | int) -> dict[str, float]:
    """One row of the table."""
    right, told, false = [], [], []
    for seed in range(logs):
        log, grade, off = drawn(seed, n, wrong, **world)
        found = residuals(log, grade)
        first = np.lexsort((-np.abs(found.residual), found.p))[: int(off.sum()) or 100]
        right.append(off[first].mean())
        told.append(found.q[first[-1]])
        listed = found.q < 0.1
        false.append((listed & ~off).sum() / max(listed.sum(), 1))
    each = {"found": np.mean(right), "random": wrong, "by chance": np.mean(told), "false": np.mean(false)}
    return {name: float(value) for name, value in each.items()}


def main() -> None:
    """Print a row per world and share of wrong grades."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--logs", type=int, default=10)
    options.add_argument("--items", type=int, default=1_000)
    options.add_argument("--out", type=Path, default=None)
    given = options.parse_args()
    rows, started = [], time.perf_counter()
    for name, world in WORLDS.items():
        for wrong in (0.0, 0.05, 0.1):
            row = row_of(given.logs, given.items, wrong, **world)
            rows.append({"world": name, "wrong": wrong, **row})
            print(
                f"{name:26} {wrong:.2f}  " + "  ".join(f"{key} {value:.3f}" for key, value in row.items()), flush=True
            )
    print(f"{time.perf_counter() - started:.0f} s")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
