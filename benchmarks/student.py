"""What a student is worth that a judge taught, beside one that people taught on the same items: recorded judges.

    python benchmarks/student.py [--data ../shared/data] [--sets nk_frames,pandalm,llmbar] [--repeats 5] [--every 1]

Sets with texts, people (or gold) and recorded judges. Every item is held out once per repeat (five folds; items of one
instruction stay together), and the rest is labeled by a judge, as it says (raw) and read through the map that 200 of
the rest, graded by people, calibrate (map). Students: of people on all of the rest, of people on these 200 alone, of
the judge raw, of the judge through its map, and of the map with people's own labels on the 200 (map + 200). The figure
is agreement with a random person of a held-out item; `ratio` is to the student of people on all, with its bootstrapped
95 % interval over items or instructions; `lift` is the same ratio of what lies above the constant. The judge that the
200 items choose, fold by fold, is the row `chosen`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quorate.data.dataset import Dataset
from quorate.judge.graded import Graded, graded
from quorate.judge.map_choice import chosen_map
from quorate.judge.map_grades import shares
from quorate.judge.student.contents import Contents, read_contents
from quorate.judge.student.lesson import people_counts
from quorate.judge.student.regression import Taught, chosen, coordinates, folds_of, probs_of
from quorate.judge.student.words import learned
from quorate.measure.intervals import Interval, bootstrap

FOLDS = 5
ENOUGH = 0.97


class Recorded(NamedTuple):
    """The columns that are read, and the one whose values stay together."""

    columns: tuple[str, ...]
    group: str | None


SETS = {
    "nk_frames": Recorded(("title",), None),
    "pandalm": Recorded(("instruction", "input", "response1", "response2"), "instruction"),
    "llmbar": Recorded(("input", "output_1", "output_2"), "input"),
}
ARMS = ("judge", "raw", "map", "map + 200")


class World(NamedTuple):
    """A set in one order of its items."""

    contents: Contents
    people: np.ndarray  # shares of classes
    counts: np.ndarray
    judges: dict[str, Graded]
    groups: list[str]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed-items", type=int, default=200)
    parser.add_argument("--every", type=int, default=1, help="only every n-th judge by name (llmbar has 130)")
    parser.add_argument("--words-only", action="store_true", help="without runs of letters")
    options = parser.parse_args()
    for name in options.sets.split(","):
        _set(name, options)


def _set(name: str, options: argparse.Namespace) -> None:
    began_s = time.perf_counter()
    world = _world(options.data / name, SETS[name], options.every)
    n = len(world.contents)
    right: dict[str, np.ndarray] = {}
    for repeat in range(options.repeats):
        fold = folds_of(world.groups, n, FOLDS, repeat)
        for each in range(FOLDS):
            held = np.flatnonzero(fold == each)
            for arm, values in _fold(world, held, options, seed=repeat * FOLDS + each).items():
                right.setdefault(arm, np.zeros(n))[held] += values / options.repeats
    right["constant"] = world.people[:, world.people.mean(axis=0).argmax()]
    _print(name, world, right, time.perf_counter() - began_s)


def _world(folder: Path, recorded: Recorded, every: int) -> World:
    data, contents = Dataset.read(folder), read_contents(folder, recorded.columns)
    coded = data.encode()
    place = {item: at for at, item in enumerate(coded.items)}
    counts = people_counts(coded, 0)[[place[item] for item in contents.ids]]
    kept = np.flatnonzero(counts.sum(axis=1) > 0)
    contents, counts = contents.select(kept), counts[kept]
    task = data.schema.tasks[0].name
    judges = {model: graded(coded, model, task, contents.ids) for model in sorted(coded.models)[::every]}
    groups = (
        list(contents.ids) if recorded.group is None else [value or "" for value in contents.column(recorded.group)]
    )
    return World(contents, counts / counts.sum(axis=1, keepdims=True), counts, judges, groups)


def _fold(world: World, held: np.ndarray, options: argparse.Namespace, seed: int) -> dict[str, np.ndarray]:
    """The share of people that each student agrees with, held-out item by held-out item."""
    rest = np.setdiff1d(np.arange(len(world.contents)), held)
    n_seed = min(options.seed_items, len(rest) // 2)
    seeds = np.sort(np.random.default_rng(seed).choice(rest, n_seed, replace=False))
    contents = world.contents.select(rest)
    words = learned(contents, letters=not options.words_only)
    space = coordinates(words.matrix(contents))
    new = words.matrix(world.contents.select(held))
    inner = folds_of([world.groups[at] for at in rest.tolist()], len(rest), FOLDS, seed)

    def student(probs: np.ndarray, weight: np.ndarray) -> np.ndarray:
        linear = chosen(space.rows, Taught(probs[rest], weight[rest].astype(float)), inner).linear
        said = probs_of(new, linear._replace(slopes=space.back(linear.slopes))).argmax(axis=1)
        return world.people[held, said]

    everyone, in_seed = np.ones(len(world.contents)), np.isin(np.arange(len(world.contents)), seeds)
    found = {"people": student(world.people, everyone), "people, 200": student(world.people, in_seed)}
    figures: dict[str, float] = {}
    for model, of in world.judges.items():
        mapping = chosen_map(of.select(seeds))
        figures[model] = float(shares(of.select(seeds))[np.arange(n_seed), mapping.held_out.said].mean())
        mapped = mapping.score_map.apply(of.said, of.probs)
        spoke = of.said >= 0
        both = np.where(in_seed[:, None], world.people, mapped.probs)
        silent = world.people[:, world.people[seeds].mean(axis=0).argmax()]
        judge = np.where(spoke, world.people[np.arange(len(spoke)), np.maximum(mapped.said, 0)], silent)
        found |= {
            f"{model}/judge": judge[held],
            f"{model}/raw": student(of.probs, spoke),
            f"{model}/map": student(mapped.probs, spoke),
            f"{model}/map + 200": student(both, spoke | in_seed),
        }
    best = max(figures, key=figures.__getitem__)
    return {**found, **{f"chosen/{arm}": found[f"{best}/{arm}"] for arm in ARMS}}


# ---- figures --------------------------------------------------------------------------------------------------------
def _print(name: str, world: World, right: dict[str, np.ndarray], took_s: float) -> None:
    people, constant = right["people"], right["constant"]
    print(
        f"\n{name}: {len(people):,} items, {len(set(world.groups)):,} groups, {len(world.judges)} judges, "
        f"{took_s:.0f} s\n"
        f"agreement: constant {constant.mean():.3f}, student of people {people.mean():.3f}, "
        f"of people on 200 {right['people, 200'].mean():.3f}"
    )
    _line("people, 200", right["people, 200"], people, constant, world.groups)
    print(
        f"{'judge':34} {'judge':>6} {'raw':>6} {'map':>6} {'+ 200':>6}  "
        f"{'ratio of raw':16}  {'of map':16}  of map + 200"
    )
    counts = dict.fromkeys(ARMS[1:], 0)
    for model in ("chosen", *world.judges):
        ratios = {arm: _ratio(right[f"{model}/{arm}"], people, None, world.groups) for arm in ARMS[1:]}
        means = " ".join(f"{right[f'{model}/{arm}'].mean():6.3f}" for arm in ARMS)
        print(f"{model[:34]:34} {means}  {'  '.join(_shown(each) for each in ratios.values())}", flush=True)
        if model != "chosen":
            for arm, each in ratios.items():
                counts[arm] += each is not None and each.estimate >= ENOUGH
    for arm in ARMS[1:]:
        lift = _ratio(right[f"chosen/{arm}"], people, constant, world.groups)
        print(
            f"  {arm}: {counts[arm]} of {len(world.judges)} judges reach {ENOUGH:.0%}; "
            f"lift of the chosen {_shown(lift)}"
        )


def _line(name: str, own: np.ndarray, people: np.ndarray, constant: np.ndarray, groups: Sequence[str]) -> None:
    ratio, lift = (_shown(_ratio(own, people, base, groups)) for base in (None, constant))
    print(f"{name}: ratio {ratio}, lift {lift}")


def _ratio(own: np.ndarray, people: np.ndarray, constant: np.ndarray | None, groups: Sequence[str]) -> Interval | None:
    """Agreement over that of the student of people; with a constant, of what lies above it."""
    code = np.unique(np.array(groups, str), return_inverse=True)[1]
    base = np.zeros(len(own)) if constant is None else constant
    sums = np.zeros((int(code.max()) + 1, 2))
    np.add.at(sums, code, np.column_stack([own - base, people - base]))
    return bootstrap(sums, lambda total: total[:, :1] / total[:, 1:], rng=np.random.default_rng(0))[0]


def _shown(of: Interval | None) -> str:
    return "unknown" if of is None else f"{of.estimate:.2f} ({of.low:.2f}-{of.high:.2f})"


if __name__ == "__main__":
    main()
