"""False alarms of a watch over stationary streams, and how soon it sees a judge that was swapped under the same name.

    python benchmarks/watch.py stationary [--streams 1000] [--gradings 5000] [--first 0] [--out FILE.json]
    python benchmarks/watch.py swapped [--streams 200] [--drop 0.1] [--out FILE.json]

A judge is right about anchor a with probability p_a, Beta distributed over anchors; `persistence` is the correlation of
two gradings of one anchor (1: it says always the same). Wrong answers are mostly the anchor's own wrong class. Anchors
are drawn at random with replacement. After a swap accuracy is lower by `drop`, and `alike` is the share of anchors on
which the new judge is as much above or below its mean as the old one. A watch starts from one grading of each anchor
(`twice`: two). Beside it the usual test: the mean loss of the last 50 gradings against the gate's, alarm where z > 3.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from quorate.judge.watching import Watch

Array = np.ndarray
N_CLASSES, OWN_WRONG, WINDOW, PEER_Z = 4, 0.8, 50, 3.0


class World(NamedTuple):
    """Anchors and a judge."""

    accuracy: float
    persistence: float
    n_anchors: int = 300
    gradings: int = 1  # of each anchor before the watch


def right(world: World, accuracy: float, place: Array) -> Array:
    """The judge's probability of being right about each anchor, at these quantiles."""
    if world.persistence >= 1:
        return (place < accuracy).astype(float)
    weight = 1 / world.persistence - 1
    return beta.ppf(place, weight * accuracy, weight * (1 - accuracy))


def answered(rng: np.random.Generator, world: World, sure: Array, place: Array, own: Array) -> tuple[Array, Array]:
    """Losses (0 or 1) and answers, 0 being right."""
    wrong = rng.random(len(place)) >= sure[place]
    other = rng.integers(1, N_CLASSES, len(place))
    usual = (rng.random(len(place)) < OWN_WRONG) | (world.persistence >= 1)
    return wrong.astype(float), np.where(wrong, np.where(usual, own[place], other), 0)


def stream(
    world: World, n: int, rng: np.random.Generator, *, swap: int | None = None, drop: float = 0.1, alike: float = 0.5
) -> tuple[Watch, Array, Array, Array, float]:
    """A watch that has started, and the gradings to come: anchors, losses, answers; and the mean loss at the gate."""
    quantile, own = rng.random(world.n_anchors), rng.integers(1, N_CLASSES, world.n_anchors)
    sure = right(world, world.accuracy, quantile)
    before = [answered(rng, world, sure, np.arange(world.n_anchors), own) for _ in range(world.gradings)]
    losses = {str(a): [float(loss[a]) for loss, _ in before] for a in range(world.n_anchors)}
    answers = {str(a): [str(said[a]) for _, said in before] for a in range(world.n_anchors)}
    watch = Watch.start(losses, answers, most=1.0, level=LEVEL, seed=int(rng.integers(2**31)))
    place = rng.integers(0, world.n_anchors, n)
    loss, said = answered(rng, world, sure, place, own)
    if swap is not None:
        kept = rng.random(world.n_anchors) < alike
        new = right(world, world.accuracy - drop, np.where(kept, quantile, rng.random(world.n_anchors)))
        loss[swap:], said[swap:] = answered(rng, world, new, place[swap:], own)
    return watch, place, loss, said, float(np.mean([loss for loss, _ in before]))


LEVEL = 0.05


def followed(watch: Watch, place: Array, loss: Array, said: Array, *, until: str | None) -> None:
    """Feed the stream, up to what is waited for."""
    for at in range(len(place)):
        watch.update(str(place[at]), float(loss[at]), str(said[at]))
        if until == "alarm" and watch.alarm and watch.changed:
            return


def peer(loss: Array, mean: float) -> int | None:
    """The grading of the rolling test's first alarm."""
    total = np.cumsum(np.concatenate([[0.0], loss]))
    rolling = (total[WINDOW:] - total[:-WINDOW]) / WINDOW
    z = (rolling - mean) / max(np.sqrt(mean * (1 - mean) / WINDOW), 1e-9)
    found = np.flatnonzero(z > PEER_Z)
    return int(found[0]) + WINDOW if len(found) else None


def stationary(streams: int, gradings: int, first: int) -> list[dict[str, Any]]:
    """Shares of streams with an alarm, by world."""
    worlds = [World(0.85, 0.3), World(0.85, 0.9), World(0.7, 0.5, 150, 2), World(0.95, 0.5, 100, 2)]
    rows: list[dict[str, Any]] = []
    for at in range(first, first + streams):
        world = worlds[at % len(worlds)]
        watch, place, loss, said, mean = stream(world, gradings, np.random.default_rng((1, at)))
        followed(watch, place, loss, said, until=None)
        rows.append({"alarm": watch.alarm, "changed": watch.changed, "peer": peer(loss, mean) is not None})
    for name in ("alarm", "changed", "peer"):
        share = float(np.mean([row[name] for row in rows]))
        print(f"{name:8s} {share:.4f} of {len(rows)} streams of {gradings}", flush=True)
    return rows


def swapped(streams: int, drop: float) -> list[dict[str, Any]]:
    """Shares caught within 300 anchors, by alarm, by either word, and by the rolling test; median delays."""
    rows: list[dict[str, Any]] = []
    for accuracy in (0.95, 0.85, 0.7):
        for persistence in (1.0, 0.8, 0.4):
            for gradings in (1, 2):
                for swap in (0, 600):
                    world = World(accuracy, persistence, gradings=gradings)
                    found = [_caught(world, swap, drop, seed) for seed in range(streams)]
                    rows.append({**world._asdict(), "swap": swap, **_summary(found)})
                    print(
                        "  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items())
                    )
                    sys.stdout.flush()
    return rows


def _caught(world: World, swap: int, drop: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng((3, seed))
    watch, place, loss, said, mean = stream(world, swap + 600, rng, swap=swap, drop=drop)
    followed(watch, place, loss, said, until="alarm")
    after = peer(loss, mean)
    found = {"alarm": watch.alarmed_at, "changed": watch.changed_at, "peer": after}
    delay = {name: np.inf if at is None else float(at - swap) for name, at in found.items()}
    off = np.nan if watch.since is None else float(watch.since - swap)
    return {**delay, "either": min(delay["alarm"], delay["changed"]), "since_off": off}


def _summary(found: list[dict[str, float]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for name in ("alarm", "changed", "either", "peer"):
        delays = np.array([each[name] for each in found])
        summary[f"{name}_300"] = float(((delays > 0) & (delays <= 300)).mean())
        summary[f"{name}_median"] = float(np.median(delays))
    summary["since_off_median"] = float(np.nanmedian([each["since_off"] for each in found]))
    return summary


def main() -> None:
    """Print a row per world."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["stationary", "swapped"])
    options.add_argument("--streams", type=int, default=None)
    options.add_argument("--gradings", type=int, default=5000)
    options.add_argument("--first", type=int, default=0, help="number of the first stream, to share the work")
    options.add_argument("--drop", type=float, default=0.1)
    options.add_argument("--out", type=Path, default=None)
    given = options.parse_args()
    started = time.perf_counter()
    if given.what == "stationary":
        rows = stationary(given.streams or 1000, given.gradings, given.first)
    else:
        rows = swapped(given.streams or 200, given.drop)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
