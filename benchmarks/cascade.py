"""Cascades out of sample: right answers and cost against votes and single models, on recorded models.

    python benchmarks/cascade.py [--data FOLDER] [--seeds 20] [--first 0] [--budget 0.5] [--edges exact]
    python benchmarks/cascade.py --choose [--seeds 10]

vlm_mmbench: random sets of 3 to 5 of 26 models, priced in proportion to their size. trec_dl_relevance: random sets of
2 to 4 of five prompts of language models (hard answers, no scores), and a person as the dearest agent, simulated: right
on 90 % of the relevant and 95 % of the other passages. A set's seed draws models and halves of the items; one half
fits, the other judges. The bar is the better of weighted majority (of raw or of calibrated scores) and the best single
model, chosen with the judging half in view, so that it is hard. Returns 1 for a missed bar.

--choose repeats how smoothing, bins and nodes were chosen: on sets of the seeds 100 and up, never on those reported.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quorate.cascade.answers import PERSON, Agent, Answers, agents_of, answers_of
from quorate.cascade.fit import Options, fit
from quorate.cascade.table import CASCADE, LEARNED, WEIGHTED, WEIGHTED_RAW, answered_by
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
MOST_UNDER, MOST_COST = 0.005, 0.5  # in the median set
CHOOSING = 100  # first seed of the sets that the design was chosen on
BILLIONS = {  # of parameters, where the name does not say
    "Monkey": 9.8, "Monkey-Chat": 9.8, "Qwen-VL": 9.6, "Qwen-VL-Chat": 9.6, "cogagent-vqa-hf": 18.0,
    "cogvlm-chat-hf": 17.0, "cogvlm-grounding-generalist-hf": 17.0, "mplug-owl2-llama2-7b": 8.2,
}  # fmt: skip
RELEVANCE = {  # currency per 1,000 labels
    "llama3.2|binary": 0.05, "gpt-4o|binary": 1.3, "gpt-4|binary": 8.0, "gpt-4|exam_binary": 8.0,
    "gpt-4|umbrela>=2": 12.0,
}  # fmt: skip
PERSON_PRICE, PERSON_RIGHT = 100.0, {"yes": 0.90, "no": 0.95}
SOURCE = Options(
    calibration="vector",
    signal="own",
    route="ladder",
    edges="quantile",
    smoothing=0.0,
    fewest=1,
    strategies=("single", "majority", "weighted"),
)
CHOICES = {
    "as chosen": Options(),
    "no smoothing": Options(smoothing=0.0),
    "smoothing 20": Options(smoothing=20.0),
    "smoothing 500": Options(smoothing=500.0),
    "3 bins": Options(most_bins=3),
    "6 bins": Options(most_bins=6),
    "own score binned": Options(signal="own"),
    "ladder": Options(route="ladder"),
    "vector": Options(calibration="vector"),
    "without learned": Options(strategies=("single", "majority", "weighted")),
    "quantile bins, calibrated": SOURCE,
    "quantile bins, uncalibrated": replace(SOURCE, calibration="identity"),
}


class Result(NamedTuple):
    """One set of agents: shares of right answers, and costs over that of calling all."""

    n_agents: int
    bar: float
    learned: float
    best_agent: float  # a person counts as one
    right: float
    cost: float
    fit_s: float


class Case(NamedTuple):
    """A data set and how a seed draws agents from it."""

    name: str
    coded: Coded
    drawn: Callable[[Coded, np.random.Generator], Answers]


def main() -> int:
    """Figures against bars, or the comparison that the design was chosen by."""
    options = parsed()
    missed = []
    for name, drawn in (("vlm_mmbench", vision), ("trec_dl_relevance", relevance)):
        folder = Path(options.data) / name
        if not folder.is_dir():
            print(f"{name} is not in {options.data}: its bars were not checked")
            continue
        case = Case(name, Dataset.read(folder).encode(), drawn)
        if options.choose:
            choose(case, options)
        else:
            missed += report(case, options)
    return 1 if any(missed) else 0


# ---- agents ---------------------------------------------------------------------------------------------------------
def vision(coded: Coded, rng: np.random.Generator) -> Answers:
    """3 to 5 models, at 1 per billion parameters."""
    size = int(rng.integers(3, 6))
    names = [coded.models[at] for at in sorted(rng.choice(len(coded.models), size, replace=False))]
    return answers_of(coded, "mmbench", agents_of(coded, "mmbench", {name: billions(name) for name in names}))


def billions(model: str) -> float:
    """Parameters of a model, by its name."""
    found = re.search(r"([\d.]+)[bB]", model)
    return BILLIONS[model] if model in BILLIONS else float(found.group(1)) if found else 7.0


def relevance(coded: Coded, rng: np.random.Generator) -> Answers:
    """2 to 4 models, and a person."""
    size = int(rng.integers(2, 5))
    names = sorted(rng.choice(sorted(RELEVANCE), size, replace=False).tolist())
    models = answers_of(coded, "relevant", agents_of(coded, "relevant", {name: RELEVANCE[name] for name in names}))
    return with_person(models, rng)


def with_person(answers: Answers, rng: np.random.Generator) -> Answers:
    """The same with a person who errs as often as stated."""
    share = np.array([PERSON_RIGHT[label] for label in answers.task.classes])
    known = np.maximum(answers.truth, 0)
    right = rng.random(len(known)) < share[known]
    said = np.where(right, known, 1 - known)
    hard = np.where(answers.truth >= 0, 2, 0).astype(np.int8)[:, None]
    scores = np.concatenate([answers.scores, np.eye(2)[said][:, None]], axis=1)
    agents = (*answers.agents, Agent(PERSON, "person", PERSON_PRICE))
    return replace(answers, agents=agents, scores=scores, kind=np.hstack([answers.kind, hard]))


# ---- one set --------------------------------------------------------------------------------------------------------
def halves(case: Case, seed: int) -> tuple[Answers, Answers]:
    """What fits and what judges, complete items only."""
    rng = np.random.default_rng(seed)
    answers = case.drawn(case.coded, rng)
    places = rng.permutation(np.flatnonzero(answers.complete))
    middle = len(places) // 2
    return answers.select(np.sort(places[:middle])), answers.select(np.sort(places[middle:]))


def judged(teach: Answers, judge: Answers, options: Options, budget: float) -> Result:
    """Fit on one half within a share of the cost of calling all, judge on the other."""
    everyone = float(teach.prices.sum())
    began = time.perf_counter()
    cascade = fit(teach, replace(options, budget=max(budget * everyone, float(teach.prices.min())))).cascade
    fit_s = time.perf_counter() - began
    answered, _ = answered_by(cascade, judge)
    right = {name: float((each.label == judge.truth).mean()) for name, each in answered.items()}
    models = [f"{agent.name} alone" for agent in judge.agents if agent.kind == "model"]
    bar = max(right[name] for name in (*models, WEIGHTED, WEIGHTED_RAW))
    cost = float(answered[CASCADE].cost.mean()) / everyone
    best = max(right[f"{agent.name} alone"] for agent in judge.agents)
    return Result(len(judge.agents), bar, right[LEARNED], best, right[CASCADE], cost, fit_s)


# ---- reports --------------------------------------------------------------------------------------------------------
def report(case: Case, options: argparse.Namespace) -> list[bool]:
    """One line per set, then the median set against the bars: whether each is missed."""
    print(f"\n{case.name}, budget {options.budget:.0%} of calling all, edges {options.edges}")
    heads = f"{'seed':>4}{'agents':>8}{'bar':>8}{'learned':>9}{'best':>8}{'cascade':>9}"
    print(f"{heads}{'over bar':>10}{'cost':>7}{'fit, s':>8}")
    found = []
    for seed in range(options.first, options.first + options.seeds):
        each = judged(*halves(case, seed), Options(edges=options.edges), options.budget)
        found.append(each)
        print(
            f"{seed:4}{each.n_agents:8}{each.bar:8.4f}{each.learned:9.4f}{each.best_agent:8.4f}{each.right:9.4f}"
            f"{each.right - each.bar:+10.4f}{each.cost:7.3f}{each.fit_s:8.1f}",
            flush=True,
        )
    over = float(np.median([each.right - each.bar for each in found]))
    cost = float(np.median([each.cost for each in found]))
    worst = min(each.right - each.bar for each in found)
    beside = float(np.median([each.right - each.best_agent for each in found]))
    print(f"worst set {worst:+.4f}; largest cost {max(each.cost for each in found):.3f}")
    print(f"median over the best agent alone, a person counted, {beside:+.4f} (no bar)")
    return [
        verdict("right answers over the bar in the median set", over, -MOST_UNDER, least=True),
        verdict("cost over that of calling all in the median set", cost, MOST_COST, least=False),
    ]


def verdict(what: str, value: float, bar: float, *, least: bool) -> bool:
    """Say it; true where the bar is missed."""
    reached = value >= bar if least else value <= bar
    print(f"{'reached' if reached else 'MISSED'}: {what} {value:+.4f}, bar {bar:+.4f}")
    return not reached


def choose(case: Case, options: argparse.Namespace) -> None:
    """Every choice on the same sets: mean and median over the bar, and mean cost."""
    print(f"\n{case.name}, budget {options.budget:.0%} of calling all, seeds from {CHOOSING}")
    run: Mapping[str, Callable[..., Result]] = {
        name: partial(judged, options=each, budget=options.budget) for name, each in CHOICES.items()
    }
    found: dict[str, list[Result]] = {name: [] for name in run}
    for seed in range(CHOOSING, CHOOSING + options.seeds):
        teach, judge = halves(case, seed)
        for name, once in run.items():
            found[name].append(once(teach, judge))
    for name, results in found.items():
        over = [each.right - each.bar for each in results]
        cost, fit_s = np.mean([each.cost for each in results]), np.mean([each.fit_s for each in results])
        print(f"{name:30} median {np.median(over):+.4f}  mean {np.mean(over):+.4f}  cost {cost:.3f}  fit {fit_s:.1f} s")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("QUORATE_DATA", str(SHARED)))
    parser.add_argument("--seeds", type=int, default=20, help="how many sets")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--budget", type=float, default=0.5, help="share of the cost of calling all")
    parser.add_argument("--edges", choices=("exact", "quantile", "optuna"), default="exact")
    parser.add_argument("--choose", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
