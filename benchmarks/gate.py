"""How often a gate lets judges through that are exactly as bad as its threshold, and how often better ones.

    python benchmarks/gate.py [--judges 1000] [--items 30,100,300] [--level 0.05] [--proof weights] [--out FILE.json]

In each world a judge has a figure that is told from 400,000 items; the rule asks for exactly that, the hardest case, so
that every gate that opens is an error. `let_through` is the share of judges whose claim passes, of the figure itself
and of the figure beside people's; its target is the level at which it was tested. `better` is the share let through
where the rule asks for less (of kappa and agreement by 0.1, of mse by 0.4). Worlds: five grades; grades of which one is
rare; two classes at 95 to 5; three skewed classes; a judge that seldom errs, and then by the whole scale.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from quorate.judge.figures import estimate
from quorate.judge.gate import shown
from quorate.judge.graded import Graded
from quorate.judge.losses import losses
from quorate.judge.rule import LOSS, Figure, Rule
from quorate.schema import Task

Array = np.ndarray
TRUTH = 400_000
World = Callable[[np.random.Generator, int], Graded]


def graded_world(cuts: tuple[float, ...], people_noise: float, judge_noise: float, n_people: int) -> World:
    """Grades by cut points of a normal value that people and the judge see with noise."""
    task = Task("grade", tuple(str(at + 1) for at in range(len(cuts) + 1)), ordered=True)

    def draw(rng: np.random.Generator, n: int) -> Graded:
        value = rng.normal(size=n)
        seen = value[:, None] + rng.normal(0, people_noise, (n, n_people))
        said = np.searchsorted(cuts, value + rng.normal(0, judge_noise, n))
        return known(task, np.searchsorted(cuts, seen), said)

    return draw


def class_world(shares: tuple[float, ...], people_right: float, judge_right: float, n_people: int) -> World:
    """Classes with these shares; who errs draws from the shares."""
    task = Task("class", tuple("abcdefg"[: len(shares)]))

    def answers(rng: np.random.Generator, truth: Array, right: float) -> Array:
        other = rng.choice(len(shares), size=truth.shape, p=shares)
        return np.where(rng.random(truth.shape) < right, truth, other)

    def draw(rng: np.random.Generator, n: int) -> Graded:
        truth = rng.choice(len(shares), size=n, p=shares)
        people = answers(rng, np.repeat(truth[:, None], n_people, axis=1), people_right)
        return known(task, people, answers(rng, truth, judge_right))

    return draw


def rare_error(share: float, n_people: int) -> World:
    """A judge that says the far end of the scale of a few items, else what is right; people err a little."""
    task = Task("grade", tuple("12345"), ordered=True)

    def draw(rng: np.random.Generator, n: int) -> Graded:
        truth = rng.integers(0, 5, n)
        step = rng.choice([-1, 0, 1], size=(n, n_people), p=[0.05, 0.9, 0.05])
        said = np.where(rng.random(n) < share, np.where(truth < 2, 4, 0), truth)
        return known(task, np.clip(truth[:, None] + step, 0, 4), said)

    return draw


def known(task: Task, people: Array, said: Array) -> Graded:
    """Answers as counts."""
    n, n_classes = len(said), len(task.classes)
    counts = (people[:, :, None] == np.arange(n_classes)).sum(axis=1)
    return Graded(task, tuple(f"{at:07d}" for at in range(n)), counts, said, np.eye(n_classes)[said])


WORLDS: dict[str, World] = {
    "five grades": graded_world((-1.2, -0.4, 0.4, 1.2), 0.6, 0.6, 3),
    "five grades, two people": graded_world((-1.2, -0.4, 0.4, 1.2), 1.0, 0.7, 2),
    "skewed grades": graded_world((1.0, 1.6, 2.1), 0.5, 0.5, 3),
    "classes 95 to 5": class_world((0.95, 0.05), 0.9, 0.8, 3),
    "classes 95 to 5, one person": class_world((0.95, 0.05), 1.0, 0.9, 1),
    "three skewed classes": class_world((0.8, 0.15, 0.05), 0.85, 0.75, 3),
    "seldom wrong, then wholly": rare_error(0.03, 3),
}


def truths(world: World, figure: Figure) -> tuple[float, float | None]:
    """The judge's figure, and by how much it is better than people's own."""
    of = losses(world(np.random.default_rng(0), TRUTH), LOSS[figure])
    judge, people = estimate(of, figure, "judge"), estimate(of, figure, "people")
    assert judge is not None
    return judge, None if people is None else (judge - people) * (1 if figure in ("kappa", "agreement") else -1)


def let_through(
    world: World, rules: list[Rule], n_items: int, n_judges: int, seed: int
) -> list[float]:  # fmt: skip
    """Share of judges whose first claim passes, for each rule."""
    passed = np.zeros((n_judges, len(rules)))
    for at in range(n_judges):
        of = world(np.random.default_rng((seed, at)), n_items)
        for place, rule in enumerate(rules):
            each = losses(of, LOSS[rule.figure])
            passed[at, place] = shown(each, rule, rule.level, kappa_of_people=each)[0].passed
    return passed.mean(axis=0).tolist()


def rules_of(world: World, figure: Figure, level: float, proof: str) -> dict[str, Rule]:
    """The rule that the judge just fails, and one with room; of the figure and beside people's."""
    judge, beside = truths(world, figure)
    room = 0.1 * (1 if figure in ("kappa", "agreement") else -4)
    asked = {"level": level, "proof": proof, "people": None}
    found = {"": Rule(figure, judge, **asked), " better": Rule(figure, judge - room, **asked)}
    if beside is not None and beside <= 0:
        found[" beside people"] = Rule(figure, None, -beside, **asked)
    return found


def main() -> None:
    """Print a row per world and figure."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--judges", type=int, default=1000)
    options.add_argument("--items", default="30,100,300")
    options.add_argument("--level", type=float, default=0.05)
    options.add_argument("--proof", choices=["weights", "exact", "student"], default="weights")
    options.add_argument("--worlds", default=None, help="names, separated by semicolons; default all")
    options.add_argument("--out", type=Path, default=None)
    given = options.parse_args()
    rows, started = [], time.perf_counter()
    for name in given.worlds.split(";") if given.worlds else WORLDS:
        world = WORLDS[name]
        ordered = world(np.random.default_rng(0), 8).task.ordered
        figures: tuple[Figure, ...] = ("mse", "kappa", "agreement") if ordered else ("kappa", "agreement")
        rules = {
            f"{x}{kind}": rule for x in figures for kind, rule in rules_of(world, x, given.level, given.proof).items()
        }
        for n_items in map(int, given.items.split(",")):
            shares = let_through(world, list(rules.values()), n_items, given.judges, seed=1)
            for rule, share in zip(rules, shares, strict=True):
                se = (share * (1 - share) / given.judges) ** 0.5
                rows.append({"world": name, "items": n_items, "rule": rule, "let_through": share, "se": se})
                print(f"{name:30s} {n_items:4d} {rule:24s} {share:.3f} ± {se:.3f}", flush=True)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if given.out:
        given.out.write_text(json.dumps({"level": given.level, "proof": given.proof, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
