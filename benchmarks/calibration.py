"""Calibration: error removed and error added on recorded models against the bars, and the speed of fitting.

    python benchmarks/calibration.py [--data FOLDER] [--seeds 20] [--out build/calibration]
    python benchmarks/calibration.py --choose [--worlds 60]

The first runs `quorate study calibration` on vlm_mmbench, keeps its parts in --out, and returns 1 for a missed bar.
The second shows how the default prior was chosen: on simulated scores alone, by the expected log loss above the best
there is, averaged over worlds that need no calibration, a temperature, biases or both, and over 10 to 100 labels. Of
priors within a few percent of each other the more careful one was taken.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quorate.calibrate.logits import log_softmax
from quorate.calibrate.methods import METHODS, calibrator
from quorate.calibrate.prior import Prior
from quorate.study.calibration import calibration
from quorate.study.page import kept
from quorate.study.plan import Plan

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SET = "vlm_mmbench"
LEAST_CUT, MOST_RISE = 0.46, 0.003  # mean ACE where the raw one is above .05, and where it is not
SLOWEST_FIT_MS = 20.0  # vector scaling, 100 labels, 6 classes
CLASSES, LABELS = (2, 3, 6), (10, 20, 50, 100)


class Bend(NamedTuple):
    """How scores of a simulated model differ from the truth: log slope (mean, sd), slopes and biases (sd)."""

    mean: float
    scale_sd: float
    slope_sd: float
    bias_sd: float


WORLDS = {
    "calibrated": Bend(0, 0, 0, 0),
    "too sure": Bend(-0.35, 0.35, 0, 0),
    "biased": Bend(0, 0, 0.05, 0.6),
    "both": Bend(-0.35, 0.35, 0.1, 0.6),
}
TRIED = {
    "temperature": [Prior(scale_sd=sd) for sd in (0.1, 0.2, 0.3, 0.4, 0.6, 1.0)],
    "vector": [Prior(slope_sd=slope, bias_sd=bias) for slope in (0.05, 0.1, 0.2) for bias in (0.1, 0.2, 0.3, 0.5, 1.0)],
    "matrix": [Prior(cross_sd=sd) for sd in (0.01, 0.02, 0.05, 0.1)],
    "platt": [Prior(examples=n) for n in (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)],
    "beta": [Prior(examples=n) for n in (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)],
    "isotonic": [Prior(examples=n) for n in (0.0, 5.0, 10.0, 20.0, 40.0, 80.0)],
}


def main() -> int:
    """Figures against bars, or the choice of the prior."""
    options = parsed()
    if options.choose:
        choose(options.worlds)
        return 0
    missed = [*speed()]
    folder = Path(options.data) / SET
    if folder.is_dir():
        missed += study(folder, options)
    else:
        print(f"{SET} is not in {options.data}: its bars were not checked")
    return 1 if any(missed) else 0


# ---- recorded models ------------------------------------------------------------------------------------------------
def study(folder: Path, options: argparse.Namespace) -> Iterator[bool]:
    """Yields whether each bar is missed."""
    plan = Plan(out=Path(options.out), seeds=options.seeds, progress=lambda share, what: told(f"{share:.0%} {what}"))
    section = calibration(plan, folder)
    kept(plan.out, section, quick=False)
    for sentence in section.found:
        print(f"- {sentence}")
    runs, chosen = section.data["runs"], section.data["chosen_by_others"]
    best = min((key for key in runs if key.startswith("100/")), key=lambda key: runs[key]["mean"])
    cases = (
        ("the best way", runs[best], best),
        ("chosen on the others", chosen, ", ".join(sorted(set(chosen["runs"])))),
    )
    for name, of, key in cases:
        yield verdict(f"share of ACE gone where it was large, {name} ({key})", of["cut"], LEAST_CUT, least=True)
        yield verdict(f"ACE added where it was not, {name}", of["rise"], MOST_RISE, least=False)
    print(f"largest rise of a single model that was not miscalibrated: {chosen['worst_rise']:.4f} (no bar)")


def verdict(what: str, value: float, bar: float, *, least: bool) -> bool:
    """Say it; true where the bar is missed."""
    reached = value >= bar if least else value <= bar
    print(f"{'reached' if reached else 'MISSED'}: {what} {value:.4f}, bar {bar}")
    return not reached


def told(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


# ---- speed ----------------------------------------------------------------------------------------------------------
def speed() -> Iterator[bool]:
    """Milliseconds to fit 100 and 10,000 labels of six classes, and to apply to a million rows."""
    rng = np.random.default_rng(0)
    x, truth, _ = simulated(WORLDS["both"], 6, 10_000, rng)
    print(f"{'method':12}{'fit 100, ms':>14}{'fit 10,000, ms':>16}{'apply 10⁶, s':>14}")
    for name in METHODS:
        small = min(timed(lambda name=name: calibrator(name, x[:100], truth[:100])) for _ in range(5))
        large = timed(lambda name=name: calibrator(name, x, truth))
        fitted, rows = calibrator(name, x[:100], truth[:100]), np.tile(x, (100, 1))
        applied = timed(lambda fitted=fitted, rows=rows: fitted.apply(rows))
        print(f"{name:12}{small * 1e3:14.2f}{large * 1e3:16.1f}{applied:14.2f}")
        if name == "vector":
            yield verdict("milliseconds to fit vector scaling on 100 labels", small * 1e3, SLOWEST_FIT_MS, least=False)


def timed(work) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# ---- the choice of the prior ----------------------------------------------------------------------------------------
def choose(n_worlds: int) -> None:
    """One line per prior: excess log loss in nats by world, then the average that decides."""
    for method, priors in TRIED.items():
        print(f"\n{method}: excess log loss in nats after {', '.join(map(str, LABELS))} labels; raw scores first")
        means = [tried(method, prior, n_worlds) for prior in priors]
        for prior, mean in zip(priors, means, strict=True):
            mark = "  <" if mean == min(means) else ""
            print(f"    average {mean:.4f}  {prior}{mark}")


def tried(method: str, prior: Prior, n_worlds: int) -> float:
    """The average over worlds and numbers of labels; every prior meets the same worlds."""
    found = []
    for name, bend in WORLDS.items():
        row = []
        for n, seed in product(LABELS, range(n_worlds)):
            n_classes = CLASSES[seed % len(CLASSES)]
            rng = np.random.default_rng([seed, n_classes, list(WORLDS).index(name)])
            x, truth, log_probs = simulated(bend, n_classes, n + 1500, rng)
            fitted = calibrator(method, x[:n], truth[:n], prior=prior)
            row.append((excess(np.log(np.maximum(fitted.apply(x[n:]), 1e-12)), log_probs[n:]),
                        excess(log_softmax(x[n:]), log_probs[n:])))  # fmt: skip
        after, raw = np.array(row).reshape(len(LABELS), n_worlds, 2).mean(axis=1).T
        print(f"  {name:11} raw {raw[0]:.3f}  " + " ".join(f"{value:.3f}" for value in after), end="")
        found.append(after.mean())
    print()
    return float(np.mean(found))


def simulated(
    bend: Bend, n_classes: int, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centred log scores of a model, the truth, and the log probabilities that it was drawn from."""
    z = rng.normal(size=(n, n_classes)) * rng.uniform(1, 3.5) + rng.normal(size=n_classes) * 0.3
    truth = np.argmax(z + rng.gumbel(size=z.shape), axis=1)
    slopes = np.exp(rng.normal(bend.mean, bend.scale_sd) + rng.normal(size=n_classes) * bend.slope_sd)
    centred = z - z.mean(axis=1, keepdims=True)
    return (centred - rng.normal(size=n_classes) * bend.bias_sd) / slopes, truth, log_softmax(z)


def excess(log_q: np.ndarray, log_p: np.ndarray) -> float:
    """Expected log loss above the best there is, in nats."""
    return float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("QUORATE_DATA", str(SHARED)))
    parser.add_argument("--out", default="build/calibration")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--worlds", type=int, default=60, help="simulated worlds of each kind, for --choose")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
