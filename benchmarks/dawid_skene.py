"""Dawid-Skene on a large simulated labeling, quorate beside crowd-kit, each in a process of its own.

Timed is what a user waits for once the table is in memory: for quorate reading the table into a data set, checking and
encoding it, fit, prediction and probabilities; for crowd-kit `fit_predict_proba`. Both get the same rows in the same
random order. crowd-kit runs twice: on the same texts, and on whole numbers as ids, its fastest case. Memory is the peak
of the process above what it held with the table loaded, and the whole peak. Compiled code is cached on disk before
the clock starts. Every agent's rows are Dirichlet draws around .7 on the diagonal, prevalence .4 .3 .2 .1.

    python benchmarks/dawid_skene.py --items 1000000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PREVALENCE = np.array([0.4, 0.3, 0.2, 0.1])
CONTESTANTS = ("quorate", "crowd-kit, texts", "crowd-kit, numbers")


def main() -> None:
    """Simulate, run every contestant in its own process, print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--labels-per-item", type=int, default=5)
    parser.add_argument("--annotators", type=int, default=200)
    parser.add_argument("--contestant", choices=CONTESTANTS, help="only this one")
    parser.add_argument("--measure", nargs=2, metavar=("CONTESTANT", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measured(asked.measure[0], Path(asked.measure[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), asked.items, asked.labels_per_item, asked.annotators)
        chosen = (asked.contestant,) if asked.contestant else CONTESTANTS
        report({name: in_own_process(name, folder) for name in chosen})


def simulate(folder: Path, n_items: int, n_labels: int, n_annotators: int) -> None:
    """Rows of labels with their truth, in random order, as texts and as numbers."""
    rng = np.random.default_rng(0)
    n_classes = len(PREVALENCE)
    centre = np.full((n_classes, n_classes), 0.3 / (n_classes - 1)) + (0.7 - 0.3 / (n_classes - 1)) * np.eye(n_classes)
    rows = np.array([[rng.dirichlet(8.0 * row) for row in centre] for _ in range(n_annotators)])
    truth = rng.choice(n_classes, n_items, p=PREVALENCE)
    item = np.repeat(np.arange(n_items), n_labels)
    stride = n_annotators // n_labels
    annotator = (rng.integers(n_annotators, size=n_items)[:, None] + stride * np.arange(n_labels)) % n_annotators
    annotator = annotator.ravel()
    limits = rows.cumsum(axis=2)[annotator, truth[item]]
    label = np.minimum((rng.random(len(item))[:, None] > limits).sum(axis=1), n_classes - 1)
    order = rng.permutation(len(item))
    numbers = {"item": item[order], "annotator": annotator[order], "label": label[order]}
    pq.write_table(pa.table(numbers), folder / "numbers.parquet")
    texts = {
        name: pc.binary_join_element_wise(name[0], pa.array(column).cast(pa.string()), "")
        for name, column in numbers.items()
    }
    pq.write_table(
        pa.table({**texts, "task": pa.array(["question"]).take(pa.array(np.zeros(len(item), np.int64)))}),
        folder / "texts.parquet",
    )
    np.save(folder / "truth.npy", truth)


def in_own_process(name: str, folder: str) -> dict[str, float]:
    """The figures of one contestant, measured in a new process after compiled code was brought to the disk."""
    if name == "quorate":
        with tempfile.TemporaryDirectory() as small:
            simulate(Path(small), 25_000, 5, 200)
            _child(name, small)
    return _child(name, folder)


def _child(name: str, folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own command line
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, folder: Path) -> dict[str, float]:
    """Seconds, MiB and accuracy of one contestant in this process."""
    runs: dict[str, Callable[[Path], tuple[np.ndarray, dict[str, float]]]] = {
        "quorate": run_quorate,
        "crowd-kit, texts": lambda path: run_crowd_kit(path, texts=True),
        "crowd-kit, numbers": lambda path: run_crowd_kit(path, texts=False),
    }
    best, figures = runs[name](folder)
    return {**figures, "accuracy": float((best == np.load(folder / "truth.npy")).mean())}


def run_quorate(folder: Path) -> tuple[np.ndarray, dict[str, float]]:
    """Best class per item, by number of the item."""
    from quorate.consensus.dawid_skene import DawidSkene
    from quorate.data.dataset import Dataset

    table = pq.read_table(folder / "texts.parquet")
    held = before()
    begin, cpu = time.perf_counter(), time.process_time()
    coded = Dataset(labels=table).encode()
    encoded = time.perf_counter()
    model = DawidSkene().fit(coded)
    fitted = time.perf_counter()
    consensus = model.predict(coded)
    probs = consensus.latent().probs("question")
    end, cpu = time.perf_counter(), time.process_time() - cpu
    best = np.empty(len(probs), np.int64)
    best[[int(name[1:]) for name in consensus.items]] = probs.argmax(axis=1)
    figures = {
        "seconds": end - begin,
        "cpu_s": cpu,
        "encode_s": encoded - begin,
        "fit_s": fitted - encoded,
        "predict_s": end - fitted,
        "passes": model.fit.iterations,
    }
    return best, {**figures, **after(held)}


def run_crowd_kit(folder: Path, *, texts: bool) -> tuple[np.ndarray, dict[str, float]]:
    """Best class per item, by number of the item."""
    from crowdkit.aggregation import DawidSkene

    columns = ["item", "annotator", "label"]
    frame = pq.read_table(folder / ("texts.parquet" if texts else "numbers.parquet"), columns=columns).to_pandas()
    frame.columns = ["task", "worker", "label"]
    held = before()
    begin, cpu = time.perf_counter(), time.process_time()
    model = DawidSkene(n_iter=100)
    probs = model.fit_predict_proba(frame)
    end, cpu = time.perf_counter(), time.process_time() - cpu
    best = np.empty(len(probs), np.int64)
    number = [int(str(name).lstrip("i")) for name in probs.index]
    label = np.array([int(str(name).lstrip("l")) for name in probs.columns])
    best[number] = label[probs.to_numpy().argmax(axis=1)]
    return best, {"seconds": end - begin, "cpu_s": cpu, "passes": len(model.loss_history_), **after(held)}


def before() -> float:
    """MiB held now, the peak being forgotten."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def after(held: float) -> dict[str, float]:
    """MiB at the peak since `before`, and above what was held then."""
    peak = _status("VmHWM")
    return {"held_mib": held, "peak_mib": peak, "above_mib": peak - held}


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def report(figures: dict[str, dict[str, float]]) -> None:
    """All figures, and crowd-kit's over ours."""
    for name, found in figures.items():
        print(f"{name:20s}", "  ".join(f"{key} {value:.4g}" for key, value in found.items()))
    ours = figures.get("quorate")
    for name, found in figures.items():
        if ours and name != "quorate":
            ratios = {key: found[key] / ours[key] for key in ("seconds", "cpu_s", "peak_mib", "above_mib")}
            print(f"{name} / quorate:", "  ".join(f"{key} {value:.1f}" for key, value in ratios.items()))


if __name__ == "__main__":
    main()
