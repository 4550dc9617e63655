"""What certificates prove, and what can be proven: usefulness, its ceiling and the risk, world by world.

    python benchmarks/certify.py [--worlds calibrated,misled,...] [--items 1000] [--repetitions 400] [--seed 0]
                                 [--ways default,set-aside,...] [--no-ceiling]

Usefulness is what the certified threshold saves over what the oracle's saves, on average over campaigns: the oracle's
is the loosest that truly holds the floor, and a broken floor counts as no more. Saved is the share of labels not
bought: in worlds without labels the share of answers closed. The ceiling is what no procedure that keeps its promise
can pass (`policy.floor_ceiling`). Items are drawn from a pool of 20,000, which is the whole truth; each cell shows
usefulness with its standard error, the share of broken floors, and seconds per certificate.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import expit

from quorate.consensus.hybrid import Hybrid
from quorate.evaluate.protocol import n_labels
from quorate.policy.certify import certify
from quorate.policy.floor_ceiling import Law, ceiling
from quorate.policy.stopping import DIGITS, PerTaskConfidence
from quorate.study.campaign import campaign, model_steps, watched

Array = np.ndarray
FLOORS, DELTAS = (0.90, 0.95, 0.98), (0.1, 0.05)
POOL = 20_000  # items of a world
TAUGHT = 4_000  # items that taught the hybrid
CAMPAIGN = 2_000  # items of the campaign whose sureness is known
POINTS = 50  # thresholds of which the ceiling is taken
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "set-aside": {"campaign": None},  # no sureness of the campaign is given
    "binomial": {"p_value": "binomial"},
    "betting": {"p_value": "betting"},
    "hoeffding-bentkus": {"p_value": "hoeffding-bentkus"},
    "holm": {"method": "bonferroni-holm"},
}


class Pool(NamedTuple):
    """A world: its items are drawn from these, with return."""

    sureness: Float64[Array, "items tasks steps"]
    right: Float64[Array, "items tasks steps"]
    labels: int  # of an item-task, if it never closes; 1 where closing is all there is


class Truth(NamedTuple):
    """What thresholds do in a world, strictest first."""

    threshold: Float64[Array, "thresholds"]
    score: Float64[Array, "items thresholds"]  # right answers less floor times closed
    saved: Float64[Array, "thresholds"]


# ---- worlds ---------------------------------------------------------------------------------------------------------
def signal(rng: np.random.Generator, strength: float) -> Array:
    """P(right) of the likelier of two classes after a signal of normal errors."""
    return expit(np.abs(strength**2 / 2 + strength * rng.standard_normal(POOL)))


def one_task(sure: Array, chance: Array, rng: np.random.Generator) -> Pool:
    """A pool of items with one task and no labels to buy."""
    return Pool(sure[:, None, None], (rng.random(POOL) < chance)[:, None, None].astype(float), 1)


def calibrated(rng: np.random.Generator) -> Pool:
    """Sureness is P(right); 88 % are."""
    chance = signal(rng, 2.4)
    return one_task(chance, chance, rng)


def weak(rng: np.random.Generator) -> Pool:
    """The same with a weak signal: few can be closed."""
    chance = signal(rng, 1.4)
    return one_task(chance, chance, rng)


def misled(rng: np.random.Generator) -> Pool:
    """Overconfident, and the surest fiftieth is right by luck."""
    chance, lucky = signal(rng, 2.4), rng.random(POOL) < 0.02
    sure = np.log(chance / (1 - chance))
    return one_task(np.where(lucky, 100 + rng.random(POOL), sure), np.where(lucky, 0.5, chance), rng)


def few(rng: np.random.Generator) -> Pool:
    """A seventh is right nearly always, the others in 80 % of all cases."""
    sure = rng.random(POOL)
    return one_task(sure, np.where(sure > 0.85, 0.995, 0.8), rng)


def uninformed(rng: np.random.Generator) -> Pool:
    """Sureness tells nothing; 99 % are right."""
    return one_task(rng.random(POOL), np.full(POOL, 0.99), rng)


def together(rng: np.random.Generator) -> Pool:
    """Five tasks, whose errors come together: half of the items have one fate for all of them."""
    chance = np.repeat(signal(rng, 2.4)[:, None], 5, axis=1)
    shared = rng.random(POOL) < 0.5
    point = np.where(shared[:, None], rng.random(POOL)[:, None], rng.random((POOL, 5)))
    sure = chance + 1e-6 * rng.random((POOL, 5))
    return Pool(sure[:, :, None], (point < chance)[:, :, None].astype(float), 1)


def paper(rng: np.random.Generator) -> Pool:
    """The paper's world, ten tasks and five labels each: the hybrid's confidence, label by label."""
    of = campaign(10, 2 * POOL, int(rng.integers(1_000_000)))
    given = Hybrid(factors=2, subtypes=1, annotator_shrinkage=2.0, model_shrinkage=300.0, people_shrinkage=15.0)
    model = given.fit(of.teach.select(np.arange(TAUGHT)))
    steps = watched(model_steps(model, of), of, [PerTaskConfidence(1.0)])
    sure = np.round(steps.sureness["per-task-confidence"], DIGITS).transpose(1, 2, 0)
    return Pool(sure, steps.credit.transpose(1, 2, 0), int(n_labels(of.judge).max()))


WORLDS: dict[str, Callable[[np.random.Generator], Pool]] = {
    each.__name__: each for each in (calibrated, weak, misled, few, uninformed, together, paper)
}


# ---- the truth ------------------------------------------------------------------------------------------------------
def truth_of(pool: Pool, floor: float, points: int) -> Truth:
    """Of thresholds at even shares closed."""
    best = np.sort(pool.sureness.max(axis=2).ravel())[::-1]
    place = np.ceil(np.linspace(1 / points, 1.0, points) * len(best) - 1e-9).astype(int) - 1
    grid = np.unique(best[place])[::-1]
    score, saved = zip(*(_at(pool, floor, each) for each in grid), strict=True)
    return Truth(grid, np.column_stack(score), np.array(saved))


def _at(pool: Pool, floor: float, threshold: float) -> tuple[Array, float]:
    sure = pool.sureness >= threshold
    first, closed = sure.argmax(axis=2), sure.any(axis=2)
    right = np.take_along_axis(pool.right, first[:, :, None], axis=2)[:, :, 0]
    return (closed * (right - floor)).sum(axis=1), float((closed * (pool.labels - first)).mean()) / pool.labels


def law_of(truth: Truth) -> Law:
    """The pool as the law of its items, alike ones as one."""
    score, chance = np.unique(truth.score.round(9), axis=0, return_counts=True)
    return Law(chance / len(truth.score), score, truth.saved)


# ---- the figures ----------------------------------------------------------------------------------------------------
def main() -> None:
    """One line per world, floor and delta."""
    options = parsed()
    print(f"{'world':12} floor delta  saved by oracle  ceiling  " + "  ".join(f"{way:>22}" for way in options.ways))
    for name in options.worlds:
        pool = WORLDS[name](np.random.default_rng([options.seed, 0]))
        for floor in FLOORS:
            truth = truth_of(pool, floor, 20 * POINTS if pool.labels == 1 else 4 * POINTS)
            if (truth.score.mean(axis=0) >= 0).any():
                for delta in DELTAS:
                    show(name, pool, truth, floor, delta, options)
            else:
                print(f"{name:12} {floor:.2f}         nothing holds the floor")


def show(name: str, pool: Pool, truth: Truth, floor: float, delta: float, options: argparse.Namespace) -> None:
    oracle = float(truth.saved[truth.score.mean(axis=0) >= 0].max())
    highest = ceiling(law_of(truth_of(pool, floor, POINTS)), options.items, delta) if options.ceiling else np.nan
    cells = [figures(pool, truth, floor, delta, WAYS[way], options) for way in options.ways]
    print(f"{name:12} {floor:.2f}  {delta:.2f} {oracle:16.3f} {highest:8.2f}  " + "  ".join(cells), flush=True)


def figures(
    pool: Pool, truth: Truth, floor: float, delta: float, way: dict[str, Any], options: argparse.Namespace
) -> str:
    """Usefulness with its standard error; broken floors as a share; seconds of one certificate."""
    holds = truth.score.mean(axis=0) >= 0
    oracle = truth.saved[holds].max()
    useful, broken = np.zeros(options.repetitions), np.zeros(options.repetitions)
    began = time.perf_counter()
    for each in range(options.repetitions):
        found = certified(pool, floor, delta, way, options.items, np.random.default_rng([options.seed, 1, each]))
        if found is None:
            continue
        at = int(np.searchsorted(-truth.threshold, -found, side="right")) - 1
        useful[each] = min(truth.saved[at], oracle) / oracle if at >= 0 else 0.0
        broken[each] = float(np.mean(_at(pool, floor, found)[0]) < 0)
    seconds = (time.perf_counter() - began) / options.repetitions
    se = useful.std() / len(useful) ** 0.5
    return f"{useful.mean():.2f} ±{se:.2f} {100 * broken.mean():4.1f}% {seconds:.2f}s"


def certified(
    pool: Pool, floor: float, delta: float, way: dict[str, Any], n_items: int, rng: np.random.Generator
) -> float | None:
    """The threshold that one campaign's validation proves."""
    drawn: Int64[Array, "items"] = rng.integers(0, len(pool.sureness), n_items + CAMPAIGN)
    tested, others = drawn[:n_items], drawn[n_items:]
    n_tasks, n_steps = pool.sureness.shape[1:]
    settings = {"campaign": pool.sureness[others].reshape(-1, n_steps), **way}
    return certify(
        pool.sureness[tested].reshape(-1, n_steps),
        pool.right[tested].reshape(-1, n_steps),
        floor,
        delta,
        items=np.repeat(np.arange(n_items), n_tasks).astype(str).tolist(),
        seed=int(rng.integers(1_000_000)),
        **settings,
    ).threshold


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=lambda text: text.split(","), default=list(WORLDS))
    parser.add_argument("--ways", type=lambda text: text.split(","), default=["default", "set-aside"])
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-ceiling", dest="ceiling", action="store_false")
    return parser.parse_args()


if __name__ == "__main__":
    main()
