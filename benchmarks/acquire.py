"""The labels that `acquire` needs, against asking at random, where one is least confident, and by one step ahead.

    python benchmarks/acquire.py [--items 4000] [--seeds 1,2,3,4,5] [--load 1.0] [--out FILE.json]
    python benchmarks/acquire.py --data FOLDER ... [--seeds 1,2,3]

Half of the items teach (hybrid), the other half is a campaign: labels are bought in small batches, everything is
predicted anew with what was bought, and accuracy is measured against the truth. `labels` is the share of the campaign's
labels (5 per item and task in the paper world) bought when accuracy reaches a level, straight between batches. In the
world anybody may be asked for anything: who was not on the recorded panel answers by the world's rows, once and for
all, so that every policy meets the same answers. Load: nobody gives more than this many times an equal share of all the
campaign's labels; at most 5 labels per item and task. On recorded data only recorded labels are to be had, in a
shuffled order where the policy does not choose; both halves teach in turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from quorate.consensus.hybrid import Hybrid, HybridModel
from quorate.consensus.posterior import Consensus
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded, Labels
from quorate.evaluate.protocol import Truth, aimed, judged, n_labels, trial
from quorate.policy.acquire import acquire, rates
from quorate.policy.acquire_rows import Rows, rows_of
from quorate.policy.stopping import confidences
from quorate.policy.value import learn_value
from quorate.simulate.draw import categorical
from quorate.study.campaign import campaign

Array = np.ndarray
GIVEN = Hybrid(factors=2, subtypes=1, annotator_shrinkage=2.0, model_shrinkage=300.0, people_shrinkage=15.0)
LEVELS = (0.90, 0.93)
WAYS = (0.5, 0.8, 0.95)  # of the way from no label to all, on recorded data, where 0.90 may mean anything
STEP, RECORDED_STEP = 0.002, 0.01  # share of a campaign's labels, per batch: in the world 1 % of the item-tasks
BARS = {"order known": 1.01, "order unknown": 1.01, "free": 0.85}  # of what the least confident first needs


# ---- the campaign ---------------------------------------------------------------------------------------------------
@dataclass
class Site:
    """Items to be labeled, the answers that can be had, and the truth."""

    model: HybridModel
    teach: Coded
    bare: Coded  # without labels
    whole: Coded  # with all recorded labels: the size of the panel
    truth: Truth
    answers: Array  # items tasks annotators; -1: cannot be had
    order: Array  # items tasks seats; -1: empty
    limit: Array  # items tasks: most labels
    loads: Array | None = None  # annotators
    step: float = RECORDED_STEP
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        nothing = np.full(self.answers.shape, -1, np.int16)
        self.rows = rows_of(self.model, self.predicted(nothing, np.arange(1)), taught=self.teach)

    def predicted(self, bought: Array, items: Array) -> Consensus:
        """What is known of these items with these labels."""
        coded = self.with_labels(bought, items)
        return aimed(self.model.predict(coded), self.whole.select(items), self.truth.select(items))

    def with_labels(self, bought: Array, items: Array) -> Coded:
        """These items with the labels bought, items tasks annotators."""
        item, task, annotator = np.nonzero(bought[items] >= 0)
        n_tasks = bought.shape[1]
        each = np.bincount(item * n_tasks + task, minlength=len(items) * n_tasks)
        start = np.concatenate([[0], np.cumsum(each)]).astype(np.int64)
        code, row = bought[items][item, task, annotator], np.arange(len(item))
        return replace(self.bare.select(items), labels=Labels(start, annotator.astype(np.int32), code, row))


@dataclass
class State:
    """What a policy may look at; of the items in `changed` more is known than before."""

    bought: Array  # items tasks annotators
    confidence: Array  # items tasks
    loads: Array | None  # still to be given
    changed: Array
    consensus: Consensus  # of the changed items

    @property
    def count(self) -> Array:
        """Labels bought, items tasks."""
        return (self.bought >= 0).sum(axis=2)


Cells = tuple[Array, Array, Array]  # item, task, annotator
Policy = Callable[[Site, State, int, np.random.Generator], Cells]


def run(site: Site, make: Callable[[], Policy], seed: int, until: float) -> Array:
    """Share of the labels bought, and accuracy, after every batch until accuracy reaches `until`."""
    rng, policy = np.random.default_rng(seed), make()
    total = int(site.limit.sum())
    size = max(int(site.step * total), 1)
    everything, credit = np.arange(len(site.limit)), np.zeros(site.limit.shape)
    bought = np.full(site.answers.shape, -1, np.int16)
    loads = None if site.loads is None else site.loads.copy()
    state = State(bought, np.zeros(credit.shape), loads, everything, site.predicted(bought, everything))
    curve: list[tuple[float, float]] = []
    while True:
        state.confidence[state.changed] = confidences(state.consensus)
        probs = [state.consensus.probs(task.name) for task in state.consensus.schema.tasks]
        credit[state.changed] = judged(probs, site.truth.select(state.changed)).credit
        n_bought = int((bought >= 0).sum())
        curve.append((n_bought / total, float(credit[site.truth.code >= 0].mean())))
        if curve[-1][1] >= until or n_bought >= total:
            return np.array(curve)
        item, task, annotator = policy(site, state, size, rng)
        if not len(item):
            return np.array(curve)
        bought[item, task, annotator] = site.answers[item, task, annotator]
        if state.loads is not None:
            np.subtract.at(state.loads, annotator, 1)
        state.changed = np.unique(item)
        state.consensus = site.predicted(bought, state.changed)


# ---- policies -------------------------------------------------------------------------------------------------------
def by_sureness(sureness: Callable[[Site, State, np.random.Generator], Array]) -> Policy:
    """Buy the next label in order wherever sureness is least."""

    def policy(site: Site, state: State, size: int, rng: np.random.Generator) -> Cells:
        count = state.count
        key = np.where(count < site.limit, sureness(site, state, rng), np.inf).ravel()
        cells = np.argsort(key, kind="stable")[:size]
        item, task = np.divmod(cells[np.isfinite(key[cells])], site.limit.shape[1])
        return item, task, site.order[item, task, count[item, task]]

    return policy


def one_step() -> Policy:
    """Where the next label is expected to gain most in P(right); where none gains, by confidence."""
    gain: list[Array] = []

    def sureness(site: Site, state: State, _: np.random.Generator) -> Array:
        if not gain:
            gain.append(np.zeros(site.limit.shape))
        taken, queue = site.with_labels(state.bought, state.changed), site.order[state.changed]
        gain[0][state.changed] = rates(state.consensus, site.rows, taken=taken, queue=queue, horizon=1)
        return 1e-9 * state.confidence - gain[0]

    return by_sureness(sureness)


@dataclass
class Acquiring:
    """`acquire`. The rates of items that have not changed are kept, and only the best items are ranked anew."""

    order: str = "free"  # or known, or unknown
    options: Mapping[str, Any] = field(default_factory=dict)
    learned: bool = False
    rate: Array | None = None
    full: Array | None = None

    def __call__(self, site: Site, state: State, size: int, _: np.random.Generator) -> Cells:
        """The next batch."""
        if self.learned and "value" not in self.options:
            self.options = {
                **self.options,
                "value": learn_value(state.consensus, site.rows, most=int(site.limit.max())),
            }
        self._refresh(site, state)
        count = state.count
        rate = np.where(count < site.limit, self.rate, -1.0)
        best = np.lexsort((state.confidence.ravel(), -rate.ravel()))[: 2 * size]
        items = np.unique(best // rate.shape[1])
        loads = None if state.loads is None or self.order != "free" else state.loads
        named = None if loads is None else dict(zip(site.rows.annotators, loads.tolist(), strict=True))
        consensus = site.predicted(state.bought, items)
        found = acquire(consensus, site.rows, loads=named, batch=size, **self._asked(site, state, items))
        return places(site, count, consensus, items, found, chosen=self.order == "free")

    def _refresh(self, site: Site, state: State) -> None:
        items, consensus = state.changed, state.consensus
        full = None if state.loads is None else state.loads <= 0
        if self.rate is None or (self.order == "free" and full is not None and (full != self.full).any()):
            self.rate, self.full = np.zeros(site.limit.shape), full
            items = np.arange(len(site.limit))
            consensus = site.predicted(state.bought, items)
        given = self._asked(site, state, items)
        if full is not None and self.order == "free":
            given["loads"] = dict(zip(site.rows.annotators, (~full).astype(int).tolist(), strict=True))
        self.rate[items] = rates(consensus, site.rows, **given)

    def _asked(self, site: Site, state: State, items: Array) -> dict[str, Any]:
        given = {**self.options, "taken": site.with_labels(state.bought, items), "most": int(site.limit.max())}
        if self.order == "free":
            return {**given, "available": site.answers[items] >= 0}
        return {**given, "queue": site.order[items] if self.order == "known" else strangers(site, state, items)}


def strangers(site: Site, state: State, items: Array) -> Array:
    """As many people as are still to come, nobody knows who."""
    still = (site.limit - state.count)[items]
    return np.where(np.arange(site.limit.max()) < still[..., None], len(site.rows.annotators), -1)


def places(site: Site, count: Array, consensus: Consensus, items: Array, found: Any, *, chosen: bool) -> Cells:
    """The table's rows as places; where a policy does not choose, whoever is next."""
    place = dict(zip(consensus.items, items.tolist(), strict=True))
    item = np.array([place[name] for name in found["item"].to_pylist()], np.int64)
    task = np.array([consensus.schema.code_of[name] for name in found["task"].to_pylist()], np.int64)
    if chosen:
        code = {name: a for a, name in enumerate(site.rows.annotators)}
        return item, task, np.array([code[name] for name in found["annotator"].to_pylist()], np.int64)
    seat = count[item, task] + earlier(item * site.limit.shape[1] + task)
    return item, task, site.order[item, task, seat]


def earlier(cell: Array) -> Array:
    """How often each cell stood before in the list."""
    times: dict[int, int] = {}
    out = np.zeros(len(cell), np.int64)
    for j, each in enumerate(cell.tolist()):
        out[j] = times.get(each, 0)
        times[each] = out[j] + 1
    return out


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": lambda: by_sureness(lambda site, _, rng: rng.random(site.limit.shape)),
    "least confident": lambda: by_sureness(lambda _, state, __: state.confidence),
    "one step": one_step,
    "order known": lambda: Acquiring("known"),
    "order unknown": lambda: Acquiring("unknown"),
    "order unknown, learned": lambda: Acquiring("unknown", {"horizon": 1}, learned=True),
    "free": Acquiring,
    "free, one step": lambda: Acquiring(options={"horizon": 1}),
}


# ---- where it happens -----------------------------------------------------------------------------------------------
def in_world(n_items: int, seed: int, load: float) -> Site:
    """The paper world: anybody may be asked for anything, five labels per item and task at most."""
    of = campaign(10, n_items, seed)
    world, (n_judged, n_tasks) = of.world, of.truth.code.shape
    n_people, seats = world.setting.n_annotators, world.panel.shape[1]
    rng = np.random.default_rng([seed, 1])
    people, truth = world.parameters.people, of.truth.code
    said = [categorical(rng, people[t][:, truth[:, t]].transpose(1, 0, 2)) for t in range(n_tasks)]
    answers = np.stack(said, axis=1)
    np.put_along_axis(answers, np.broadcast_to(world.panel[:, None], world.answers.shape), world.answers, axis=2)
    limit = np.full((n_judged, n_tasks), seats)
    loads = np.full(n_people, int(np.ceil(load * limit.sum() / n_people)))
    order = np.repeat(world.panel[:, None].astype(np.int64), n_tasks, axis=1)
    return Site(
        GIVEN.fit(of.teach), of.teach, of.judge.without_labels(), of.judge, of.truth, answers, order, limit, loads, STEP
    )


def recorded(folder: Path, seed: int) -> list[Site]:
    """Both halves of a recorded labeling, its labels in a shuffled order."""
    sites = []
    for teach, judge, truth in trial(Dataset.read(folder).encode(), seed=seed).halves():
        model = Hybrid().fit(teach)
        whole = judge.aligned(model.schema, model.annotators, model.models)
        whole = whole.keep_labels(whole.labels.annotator >= 0)  # who never taught has no rows, and no name to ask for
        shape = (whole.n_items, whole.n_tasks)
        cell, limit = whole.cell_of_label(), n_labels(whole)
        rank = np.arange(len(cell)) - whole.labels.start[cell]
        item, task = np.divmod(cell, whole.n_tasks)
        answers = np.full((*shape, len(whole.annotators)), -1, np.int16)
        answers[item, task, whole.labels.annotator] = whole.labels.code
        order = np.full((*shape, int(limit.max())), -1, np.int64)
        order[item, task, rank] = whole.labels.annotator
        sites.append(Site(model, teach, whole.without_labels(), judge, truth, answers, order, limit))
    return sites


# ---- figures --------------------------------------------------------------------------------------------------------
def reached(curve: Array, level: float) -> float:
    """The share of labels at which accuracy first reaches the level; NaN where it never does."""
    hit = np.flatnonzero(curve[:, 1] >= level)
    if not len(hit):
        return float("nan")
    (before, low), (after, high) = curve[max(hit[0] - 1, 0)], curve[hit[0]]
    return float(after if high <= low else before + (level - low) / (high - low) * (after - before))


def area(curve: Array) -> float:
    """Of accuracy over the share of labels bought."""
    share, accuracy = curve.T
    return float(np.trapezoid(np.append(accuracy, accuracy[-1]), np.append(share, 1.0)))


def mean_se(values: Array) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "never reached".rjust(22)
    se = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else float("nan")
    return f"{known.mean():.4f} ±{se:.4f} ({len(known)})".rjust(22)


def show(found: Mapping[str, Array], columns: list[str], base: str = "least confident") -> None:
    """Policies as rows: labels needed, and their ratio to those of the base, seed by seed."""
    print(" " * 24 + "".join(f"{column:>22}{'ratio':>22}" for column in columns))
    for name, figures in found.items():
        cells = [mean_se(figures[:, j]) + mean_se(figures[:, j] / found[base][:, j]) for j in range(len(columns))]
        print(f"{name:24}" + "".join(cells), flush=True)


def world_figures(options: argparse.Namespace, chosen: dict[str, Callable[[], Policy]]) -> dict[str, Array]:
    figures: dict[str, list[list[float]]] = {name: [] for name in chosen}
    for seed in options.seeds:
        site = in_world(options.items, seed, options.load)
        for name, policy in chosen.items():
            began = time.perf_counter()
            curve = run(site, policy, seed, max(LEVELS))
            figures[name].append([reached(curve, level) for level in LEVELS])
            said = "  ".join(f"{value:.4f}" for value in figures[name][-1])
            print(f"  seed {seed}  {name:24}{said}   {time.perf_counter() - began:.0f} s", flush=True)
    return {name: np.array(rows) for name, rows in figures.items()}


def recorded_figures(
    folder: Path, options: argparse.Namespace, chosen: dict[str, Callable[[], Policy]]
) -> dict[str, Array]:
    figures: dict[str, list[list[float]]] = {name: [] for name in chosen}
    for seed in options.seeds:
        for site in recorded(folder, seed):
            low, high = accuracy(site, np.full_like(site.answers, -1)), accuracy(site, site.answers)
            for name, policy in chosen.items():
                curve = run(site, policy, seed, np.inf)
                levels = [low + way * (high - low) for way in WAYS]
                figures[name].append([*(reached(curve, level) for level in levels), area(curve)])
    return {name: np.array(rows) for name, rows in figures.items()}


def accuracy(site: Site, bought: Array) -> float:
    consensus = site.predicted(bought, np.arange(len(site.limit)))
    credit = judged([consensus.probs(task.name) for task in consensus.schema.tasks], site.truth).credit
    return float(credit[site.truth.code >= 0].mean())


def main() -> int:
    """Print the tables; return 1 where a bar is missed."""
    options = parsed()
    chosen = {name: policy for name, policy in POLICIES.items() if not options.only or name in options.only.split(";")}
    kept: dict[str, Any] = {}
    missed = 0
    if options.data:
        for folder in map(Path, options.data):
            if not options.only:
                chosen.pop("order unknown, learned", None)  # a panel's labels are votes
            found = recorded_figures(folder, options, chosen)
            print(f"\n{folder.name}: share of labels bought at {WAYS} of the way, area of accuracy; {options.seeds}")
            show(found, [*(f"labels at {way:g}" for way in WAYS), "area"])
            kept[folder.name] = {name: rows.tolist() for name, rows in found.items()}
    else:
        found = world_figures(options, chosen)
        print(f"\npaper world, {options.items} items (half teach), load {options.load:g}, seeds {options.seeds}")
        show(found, [f"labels at {level:g}" for level in LEVELS])
        for name, bar in BARS.items():
            if name in found:
                ratio = found[name] / found["least confident"]
                mean = [float(each[np.isfinite(each)].mean()) for each in ratio.T if np.isfinite(each).any()]
                missed += max(mean) > bar
                print(f"{'reached' if max(mean) <= bar else 'MISSED'}: {name} {np.round(mean, 3)}, bar {bar}")
        kept["paper"] = {name: rows.tolist() for name, rows in found.items()}
    if options.out:
        Path(options.out).write_text(json.dumps(kept, indent=2) + "\n")
    return 1 if missed else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=4_000)
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3, 4, 5])
    parser.add_argument("--load", type=float, default=1.0)
    parser.add_argument("--only", help="names with semicolons between", default="")
    parser.add_argument("--data", nargs="+", help="folders of recorded labelings")
    parser.add_argument("--out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
