"""Calibration on recorded judges, through the fake server: which judge is picked, and what its map is worth.

    python benchmarks/judge.py [--data ../shared/data] [--sets hanna,llmbar] [--seeds 5] [--seed-items 200]

The recorded answers of every model and prompt are served on a real socket; items are asked by their id, as texts are
not free to share. Per set and task: the regret of the pick (quadratic kappa, or agreement) against the best candidate
in hindsight, each read through a map that cross-validation on all items fits; the drop in squared error by the map on
items outside the seed, of every candidate; the constant judge beside; and whether people agree at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quorate.data.dataset import Dataset
from quorate.judge.asking import Asker, Means, Space
from quorate.judge.calibrate import Calibrated, calibrate
from quorate.judge.candidates import Answered, candidate_of
from quorate.judge.graded import Graded, graded
from quorate.judge.map_choice import chosen_map, constant, filled, kappa_of, raw
from quorate.judge.map_grades import shares
from quorate.judge.people import people_agree
from quorate.judge.tune import Halving
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.rubric import Question, Rubric
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer

SETS = ("hanna", "popquorn_politeness", "vaccine_stance", "llmbar", "llm_rubric", "truthfulness_multidim")
COVERED = 0.9  # share of the candidates that must have answered an item: others were asked of some models only


class Pick(NamedTuple):
    """One search on one draw of seed items."""

    regret: float
    drops: list[float]  # of squared error against people's mean, per candidate
    above: float  # the constant judge's figure, of the pick's
    calls: int


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--tasks", default="", help="only these, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed-items", type=int, default=200)
    parser.add_argument("--tables", action="store_true", help="read the answers from the tables: no server, all items")
    options = parser.parse_args()
    print(
        f"{'set':20} {'task':24} {'cand':>4} {'alpha':>6} {'regret, each seed':34} {'mean':>6} {'drop':>6} {'const':>6}"
    )
    for name in options.sets.split(","):
        data = Dataset.read(options.data / name)
        wanted = options.tasks.split(",") if options.tasks else [task.name for task in data.schema.tasks]
        for task in wanted:
            _row(name, task, data, options.seeds, options.seed_items, tables=options.tables)


def _row(name: str, task: str, data: Dataset, seeds: int, n_seed: int, *, tables: bool) -> None:
    began_s = time.perf_counter()
    people = next((each for each in people_agree(data) if each.task == task), None) if data.labels is not None else None
    said = "" if people is None or people.alpha is None else f"{people.alpha:.2f}"
    word = "" if people is None or people.says == "agree" else f"  {people.sentence()}"
    full = _answers(data, task)
    if not full:
        print(f"{name:20} {task:24} {0:>4} {said:>6} no judge was recorded{word}", flush=True)
        return
    truth = {each: _figure(of, chosen_map(of).held_out) for each, of in full.items()}
    picks = [_pick(full, truth, n_seed, seed, tables=tables) for seed in range(seeds)]
    drops = [drop for pick in picks for drop in pick.drops]
    regrets = " ".join(f"{pick.regret:.3f}" for pick in picks)
    drop = f"{100 * float(np.median(drops)):.0f} %" if drops else ""
    mean, above = np.mean([pick.regret for pick in picks]), np.mean([pick.above for pick in picks])
    print(
        f"{name:20} {task:24} {len(full):>4} {said:>6} {regrets:34} {mean:6.3f} {drop:>6} {above:6.2f}"
        f"  best {max(truth.values()):.2f}, {np.mean([p.calls for p in picks]):.0f} calls,"
        f" {time.perf_counter() - began_s:.0f} s{word}",
        flush=True,
    )


def _answers(data: Dataset, task: str) -> dict[str, Graded]:
    """Every model on the items that people graded and nearly all models were asked about."""
    coded = data.encode()
    full = {model: graded(coded, model, task) for model in coded.models}
    if not full:
        return {}
    people = next(iter(full.values())).people.any(axis=1)
    covered = np.mean([of.said >= 0 for of in full.values()], axis=0) >= COVERED
    return {model: of.select(people & covered) for model, of in full.items()}


def _pick(full: dict[str, Graded], truth: dict[str, float], n_seed: int, seed: int, *, tables: bool) -> Pick:
    first = next(iter(full.values()))
    chosen = np.random.default_rng(seed).permutation(len(first.items))
    seeds, rest = chosen[: min(n_seed, len(chosen) // 2)], chosen[min(n_seed, len(chosen) // 2) :]
    part = {model: of.select(seeds) for model, of in full.items()}
    found = _from_tables(part) if tables else _searched(part, seed)
    drops = [_drop(of, full[model].select(rest)) for model, of in part.items()] if first.task.ordered else []
    picked = found.chosen.name if tables else found.chosen.model
    still = _figure(first.select(rest), constant(first.select(rest)))
    return Pick(max(truth.values()) - truth[picked], drops, still, found.calls)


def _from_tables(part: dict[str, Graded]) -> Calibrated:
    return calibrate([Answered(candidate_of(model), {of.task.name: of}) for model, of in part.items()])


def _searched(part: dict[str, Graded], seed: int) -> Calibrated:
    """The built-in optimizer over the recorded answers of a fake server; a recorded variant is a model by its name."""
    first = next(iter(part.values()))
    task = first.task
    items = Items(first.items, {"text": [f"item {item}" for item in first.items]}, {})
    rubric = Rubric((Question(task, f"Which class is right for {task.name}?"),))
    with FakeServer(table=list(_rows(part))) as server, Journal() as journal:
        means = Means(ChatClient(server.url), journal, Ledger({}, allow_unknown=True))
        asker = Asker(items, _people(first), rubric, means)
        return Halving(most=200, first=100, finalists=4, seed=seed).search(asker, Space(tuple(part)))


def _rows(part: dict[str, Graded]) -> Iterator[Row]:
    """What the server says; where nothing was recorded, something that is no class."""
    for model, of in part.items():
        for item, said, probs in zip(of.items, of.said.tolist(), of.probs.tolist(), strict=True):
            answer = None if said >= 0 else "I cannot say."
            yield Row(f"item {item}", model, None, {of.task.name: probs}, answer)


def _people(of: Graded) -> Dataset:
    """People's grades as a data set."""
    import pyarrow as pa

    from quorate.schema import Schema

    rows = [
        (item, f"person {number}", of.task.classes[code])
        for item, counts in zip(of.items, of.people.tolist(), strict=True)
        for number, code in enumerate(c for c, n in enumerate(counts) for _ in range(n))
    ]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("item", "annotator", "label"))}
    table = pa.table({**columns, "task": [of.task.name] * len(rows)})
    return Dataset(table, None, None, None, None, Schema((of.task,)))


def _figure(of: Graded, mapped: Sequence[np.ndarray]) -> float:
    """Quadratic kappa, or agreement with a random person."""
    said = mapped[0]
    if of.task.ordered:
        return kappa_of(of, mapped)  # type: ignore[arg-type]
    return float(shares(of)[np.arange(len(said)), said].mean())


def _drop(part: Graded, rest: Graded) -> float:
    """By how much the map of the seed items lowers the squared error to people's mean grade, elsewhere."""
    score_map = chosen_map(part).score_map
    mapped = filled(score_map.apply(rest.said, rest.probs), rest.said, constant(rest))
    return 1 - float(((mapped.grades - rest.human) ** 2).mean() / ((raw(rest).grades - rest.human) ** 2).mean())


if __name__ == "__main__":
    main()
