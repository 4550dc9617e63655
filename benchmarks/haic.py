"""Speed and recovery of `haic`, printed beside what is known of them.

    python benchmarks/haic.py [--recovery] [--paper] [--growth 4000,16000] [--session]

Recovery: 4,000 items of one model and one person drawn from the definition with four classes. Paper: the paper world,
5,000 items x 10 tasks x 3 models x 5 labels of 50 annotators. Compiled code is ready before the clock starts.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np

from quorate.consensus.complementarity import Haic
from quorate.consensus.complementarity_fit import Learned, maximised
from quorate.consensus.complementarity_objective import Problem
from quorate.consensus.complementarity_parameters import Patterns
from quorate.consensus.complementarity_scores import Evidence, Votes, latent_posteriors
from quorate.data.encode import Coded
from quorate.simulate.world import World, world

KNOWN = {"muM1": 2.0, "muM0": -1.0, "sM": 1.5, "muH1": 1.2, "rho": 0.45}
PUBLISHED = {"machine": 0.829, "person": 0.618, "together": 0.8375, "rho taken as 0": 0.812}


def main() -> None:
    """What is asked for; everything if nothing is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("recovery", "paper", "session"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--growth", help="numbers of items, by commas")
    asked = parser.parse_args()
    everything = not (asked.recovery or asked.paper or asked.session or asked.growth)
    if asked.recovery or everything:
        recovery()
    if asked.paper or everything:
        paper_world()
    if asked.session or everything:
        online()
    if asked.growth or everything:
        growth([int(size) for size in (asked.growth or "4000,16000").split(",")])


class Drawn(NamedTuple):
    """Truth, scores and labels of one model and one person."""

    truth: np.ndarray
    evidence: Evidence
    votes: Votes


def drawn(n_items: int, n_classes: int, seed: int) -> Drawn:
    """Items of the definition with the known parameters."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n_items)
    on = np.eye(n_classes, dtype=bool)[truth]
    z = rng.standard_normal((n_items, n_classes))
    own = np.sqrt(1.0 - KNOWN["rho"] ** 2) * rng.standard_normal((n_items, n_classes))
    x = np.where(on, KNOWN["muM1"], KNOWN["muM0"]) + KNOWN["sM"] * z
    label = (KNOWN["muH1"] * on + KNOWN["rho"] * z + own).argmax(axis=1)
    place = np.arange(n_items)
    evidence = Evidence(x[:, :, None], np.zeros(n_items, np.int64), Patterns(np.ones((1, 1), bool), np.zeros((1, 1))))
    return Drawn(truth, evidence, Votes(place, place + 1, np.zeros(n_items, np.int64), label))


def fitted(data: Drawn, *, supervised: bool = False) -> tuple[Learned, float]:
    """The fit and its seconds."""
    gold = data.truth if supervised else np.full(len(data.truth), -1)
    problem = Problem(data.evidence, data.votes, gold, joint=True, centred=False)
    began = time.perf_counter()
    learned = maximised(problem, 0, learn_shares=False, tolerance=1e-9, max_iterations=200)
    return learned, time.perf_counter() - began


def recovery() -> None:
    """Parameters and accuracies of 4,000 items, with and without their truth."""
    data = drawn(4_000, 4, 0)
    fitted(drawn(50, 4, 0))
    print("known                ", "  ".join(f"{name} {value:+.2f}" for name, value in KNOWN.items()))
    for supervised in (True, False):
        learned, seconds = fitted(data, supervised=supervised)
        of = learned.parameters
        found = (of.right[0], of.wrong[0], of.sd[0], of.skill[-1], of.correlation[0, 1])
        figures = "  ".join(f"{name} {value:+.2f}" for name, value in zip(KNOWN, found, strict=True))
        print("supervised  " if supervised else "unsupervised", f"{seconds:6.2f} s ", figures)
        print("    accuracy", accuracies(data, learned))


def accuracies(data: Drawn, learned: Learned) -> str:
    """Of the machine, the person, both, and both with rho taken as 0; published figures in brackets."""
    of = learned.parameters
    right = {
        "machine": data.evidence.x[:, :, 0].argmax(axis=1),
        "person": data.votes.code,
        "together": latent_posteriors(data.evidence, data.votes, of).argmax(axis=1),
        "rho taken as 0": latent_posteriors(data.evidence, data.votes, of._replace(correlation=np.eye(2))).argmax(1),
    }
    return "  ".join(f"{name} {(said == data.truth).mean():.4f} ({PUBLISHED[name]})" for name, said in right.items())


def paper_world() -> None:
    """Seconds of the fit and accuracy after all five labels."""
    made = world("paper", 10_000, 1)
    data = made.coded()
    teach, judge = data.select(np.arange(5_000)), data.select(np.arange(5_000, 10_000))
    for options in (Haic(), Haic(joint=False), Haic(scale="log-odds")):
        options.fit(teach.select(np.arange(50)))
        began = time.perf_counter()
        model = options.fit(teach)
        seconds = time.perf_counter() - began
        figures = [scored(made, model.predict(part).latent()) for part in (judge.without_labels(), judge)]
        print(f"paper world, scale {options.scale}, joint {options.joint}: {seconds:.1f} s, {model.fit.status}", end="")
        print(", accuracy and log loss with scores alone", *figures[:1], "and with all five labels", *figures[1:])


def scored(made: World, consensus) -> str:
    """Accuracy and log loss on the second half."""
    truth, n = made.truth[5_000:], np.arange(5_000)
    probs = [consensus.probs(task.name) for task in consensus.schema.tasks]
    accuracy = np.mean([(p.argmax(axis=1) == truth[:, t]).mean() for t, p in enumerate(probs)])
    loss = -np.mean([np.log(p[n, truth[:, t]]).mean() for t, p in enumerate(probs)])
    return f"{accuracy:.3f}, {loss:.3f}"


def online() -> None:
    """One label at ten tasks, three classes, three models."""
    data = world("paper", 1_000, 1).coded()
    model, spent = Haic(max_iterations=40).fit(data), []
    for item in range(200):
        session = model.session(item=str(item))
        for t, task in enumerate(data.schema.tasks):
            began = time.perf_counter()
            session.update(task.name, data.annotators[0], task.classes[(item + t) % len(task.classes)])
            spent.append(time.perf_counter() - began)
    print(f"session: update {1e6 * np.median(spent):.0f} us (median)")


def growth(sizes: list[int]) -> None:
    """Seconds of the paper world with more and more items."""
    largest: Coded = world("paper", max(sizes), 1).coded()
    for size in sizes:
        data = largest.select(np.arange(size))
        began = time.perf_counter()
        model = Haic().fit(data)
        print(f"{size} items x 10 tasks: {time.perf_counter() - began:.1f} s, at most {model.fit.iterations} steps")


if __name__ == "__main__":
    main()
