"""Speed and memory of the exact replay: many thresholds over many items, `hybrid` fitted already.

    python benchmarks/replay.py [--items 10000] [--thresholds 100] [--teach 3000]

The target: 10,000 items x 10 tasks x 5 labels x 100 thresholds in under 20 s on 2 cores.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from quorate.consensus.registry import estimator
from quorate.evaluate.protocol import truth_of
from quorate.policy.outcome import Replayed
from quorate.policy.replay import replay, replay_steps
from quorate.policy.steps import steps_of
from quorate.policy.stopping import Joint, Minimum, PerTaskConfidence, PerTaskEntropy, Policy
from quorate.simulate.world import world

FAMILIES: dict[str, Callable[[float], Policy]] = {
    "per-task-confidence": PerTaskConfidence,
    "per-task-entropy": lambda share: PerTaskEntropy((1.0 - share) * float(np.log(3))),
    "minimum": Minimum,
    "joint": Joint,
}


def main() -> None:
    """Each family by itself."""
    options = parsed()
    data = world("paper", options.teach + options.items, 1).coded()
    began = time.perf_counter()
    model = estimator("hybrid").fit(data.select(np.arange(options.teach)))
    print(f"hybrid fitted on {options.teach:,} items in {time.perf_counter() - began:.1f} s, not counted below")
    judge = data.select(np.arange(options.teach, options.teach + options.items))
    truth = truth_of(judge)
    shares = np.linspace(0.0, 1.0, options.thresholds)
    replay(model, judge.select(np.arange(2_000)), [PerTaskConfidence(0.5), Joint(0.5)])  # compiles
    for name, kind in FAMILIES.items():
        policies = [kind(float(share)) for share in shares]
        start, began = peak_mib(), time.perf_counter()
        found = replay(model, judge, policies, truth=truth)
        told("exact", name, found, time.perf_counter() - began, start)
    start, began = peak_mib(), time.perf_counter()
    steps = steps_of(model, judge, truth)
    found = replay_steps(steps, [kind(float(share)) for kind in FAMILIES.values() for share in shares])
    told("from steps", "all four", found, time.perf_counter() - began, start)


def told(way: str, name: str, found: Replayed, seconds: float, start_mib: float) -> None:
    """One line."""
    ends = sum(len(states.bought) for states in {id(each.states): each.states for each in found.outcomes}.values())
    began = time.perf_counter()
    found.table()
    print(
        f"{way:>10}, {name:<20} {len(found.outcomes)} policies, {len(found.items):,} items: {seconds:5.1f} s, "
        f"table {time.perf_counter() - began:4.1f} s, {ends:,} ends, memory {start_mib:,.0f} "
        f"+ {peak_mib() - start_mib:,.0f} MiB",
        flush=True,
    )


def peak_mib() -> float:
    """Most memory this process ever held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--thresholds", type=int, default=100)
    parser.add_argument("--teach", type=int, default=3_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
