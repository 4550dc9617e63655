"""Speed and memory of `hybrid`: the paper world's fit, growth with items, one label online.

    python benchmarks/hybrid.py [--fit] [--growth 10000,100000,1000000] [--session]

Every figure of growth is taken in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from quorate.consensus.hybrid import Hybrid
from quorate.consensus.registry import estimator
from quorate.data.encode import Coded
from quorate.simulate.world import Setting, shared_components, simulate, world

GIVEN = Hybrid(factors=2, subtypes=1, annotator_shrinkage=5.0, model_shrinkage=300.0)
BATCH = 50_000  # items predicted at a time


def main() -> None:
    """What is asked for; everything if nothing is."""
    options = parsed()
    if options.one:
        one_size(options.one)
        return
    everything = not (options.fit or options.growth or options.session)
    if options.fit or everything:
        paper_fit()
    if options.session or everything:
        online()
    if options.growth or everything:
        for size in (options.growth or "10000,100000,1000000").split(","):
            subprocess.run([sys.executable, __file__, "--one", size], check=True)  # noqa: S603 - this very script


def paper_fit() -> None:
    """5,000 items x 10 tasks x 3 models x 5 labels, settings chosen from the data."""
    data = world("paper", 5_000, 1).coded()
    GIVEN.fit(data.select(np.arange(50)))  # compiles
    estimator("hybrid").fit(data.select(np.arange(200)))
    began = time.perf_counter()
    model = estimator("hybrid").fit(data)
    print(f"fit of the paper world, 5,000 items x 10 tasks: {time.perf_counter() - began:.1f} s, {model.fit.status}")


def online() -> None:
    """One label at T = 10, K = 3, S = 256."""
    data = world("paper", 1_000, 1).coded()
    model = Hybrid(
        factors=2, subtypes=1, annotator_shrinkage=5.0, model_shrinkage=300.0, points=256, max_iterations=40
    ).fit(data)
    tasks, update_s, read_s = data.schema.tasks, [], []
    for item in range(200):
        session = model.session(item=str(item))
        for t, task in enumerate(tasks):
            label = task.classes[(item + t) % len(task.classes)]
            update_s.append(timed(lambda s=session, n=task.name, c=label: s.update(n, data.annotators[0], c)))
            read_s.append(timed(lambda s=session, n=task.name: s.probs(n)))
    print(f"session at T = 10, K = 3, S = 256: update {1e6 * np.median(update_s):.0f} us, ", end="")
    print(f"probabilities of a task under its target {1e6 * np.median(read_s):.0f} us (medians)")


def one_size(n_items: int) -> None:
    """Fit and batched prediction at this size: 2 tasks x 3 models x 5 labels."""
    small = two_tasks(5_000)  # compiles what large passes run
    GIVEN.fit(small).predict(small).joint_confidence()
    data = two_tasks(n_items)
    start = peak_mib()
    began = time.perf_counter()
    model = GIVEN.fit(data)
    fitted, fit_peak = time.perf_counter(), peak_mib()
    for lo in range(0, n_items, BATCH):
        model.predict(data.select(np.arange(lo, min(lo + BATCH, n_items)))).joint_confidence()
    predicted = time.perf_counter()
    print(
        f"{n_items:>9,} items: fit {fitted - began:7.1f} s ({len(model.fit.objective)} steps), "
        f"predict {predicted - fitted:6.1f} s; data and start {start:6.0f} MiB, "
        f"fit +{fit_peak - start:6.0f} MiB, predict +{peak_mib() - fit_peak:5.0f} MiB",
        flush=True,
    )


def two_tasks(n_items: int) -> Coded:
    """The paper world with two tasks."""
    setting = Setting(classes=(3, 3), task_correlation=shared_components((3, 3), 0.6))
    return simulate(setting, n_items, seed=1).coded()


def timed(action: object) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    action()  # pyright: ignore[reportCallIssue]
    return time.perf_counter() - began


def peak_mib() -> float:
    """Most memory this process ever held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--session", action="store_true")
    parser.add_argument("--growth")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
