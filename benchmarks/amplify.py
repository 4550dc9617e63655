"""A judge that labels a large set, killed and gone on with: is the table that of an unbroken run, and how fast is it?

    python benchmarks/amplify.py [--items 200000] [--kills 5] [--processes 2] [--latency 0.3] [--seed 0] [--once]

`quorate fake-llm` answers on a real socket in a process of its own, each call after a latency. A process labels the
items through the judge's own machinery (journals, ledger, chunks of 1,000, several processes) and is killed with
SIGKILL, its children too, after a random share of the chunks; the next one goes on. Then the tables are compared, byte
by byte, with those of a run that nobody killed (--once: only that every item has each of its classes once), and the
money of all runs with that of the unbroken one.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from quorate.judge.amplify import Purse, amplify
from quorate.judge.asked import Judge
from quorate.judge.maps import Rows, ScoreMap
from quorate.judge.parts import numbers
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.ledger import Price
from quorate.llm.rubric_file import parse_rubric

RUBRIC = "tasks: [{name: care, kind: scale, classes: ['1', '2', '3', '4', '5']}]\n"
MODEL = "fake-small"
TABLES = ("scores.parquet", "model_labels.parquet")
PRICES = {MODEL: Price(0.15, 0.6, "2026-11-22", "a benchmark")}


def main() -> None:
    """Run, kill, go on, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--once", action="store_true", help="without the unbroken run")
    parser.add_argument("--label", nargs=2, metavar=("URL", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.label:
        label(options.label[0], Path(options.label[1]), options.items, options.processes)
        return
    with tempfile.TemporaryDirectory() as place:
        compare(options, Path(place))


def label(url: str, out: Path, n_items: int, processes: int) -> None:
    """What is killed: everything that is missing of the set."""
    names = tuple(f"i{at:06d}" for at in range(n_items))
    items = Items(names, {"text": [f"answer {at} of the helper" for at in range(n_items)]}, {})
    rubric = parse_rubric(RUBRIC)
    task = rubric.schema.tasks[0]
    as_said = Rows(tuple(tuple(float(row == column) for column in range(5)) for row in range(5)))
    judge = Judge("judge", MODEL, {task.name: ScoreMap(task, "as said", as_said)}, rubric)
    amplify(judge, items, out, partial(ChatClient, url), Purse(PRICES), processes=processes)


def compare(options: argparse.Namespace, place: Path) -> None:
    """The broken run, the unbroken one, and what differs."""
    n_chunks = -(-options.items // 1_000)
    draw = random.Random(options.seed)  # noqa: S311 - moments, not secrets
    moments = sorted(draw.sample(range(1, n_chunks), min(options.kills, n_chunks - 1)))
    with served(options) as url:
        broken_s = sum(run(url, place / "broken", options, moment) for moment in [*moments, None])
        print(f"{options.items:,} items, killed after {moments} of {n_chunks} chunks: {broken_s:.0f} s", flush=True)
        check(place / "broken", options.items)
        if options.once:
            return
        whole_s = run(url, place / "whole", options, None)
    rate = options.items / whole_s
    print(f"unbroken: {whole_s:.0f} s, {rate:.0f} items a second, {options.processes} processes", flush=True)
    same = all((place / "broken" / name).read_bytes() == (place / "whole" / name).read_bytes() for name in TABLES)
    costs = [pc.sum(pq.read_table(place / which / TABLES[1])["cost_usd"]).as_py() for which in ("broken", "whole")]
    print(f"tables alike to the byte: {same}; their labels cost {costs[0]:.4f} and {costs[1]:.4f} USD")
    if not same:
        raise SystemExit(1)


class served:  # noqa: N801 - read as a word: with served(...)
    """`quorate fake-llm` in a process of its own; its address."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._call = [sys.executable, "-m", "quorate", "fake-llm", "--port", "0", "--latency-ms",
                      str(1_000 * options.latency), "--seed", str(options.seed)]  # fmt: skip

    def __enter__(self) -> str:
        self._process = subprocess.Popen(self._call, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
        assert self._process.stderr is not None
        found = re.search(r"http://\S+", self._process.stderr.readline())
        assert found is not None
        return found[0]

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def run(url: str, out: Path, options: argparse.Namespace, until: int | None) -> float:
    """One process with its children, to the end or killed once so many chunks are there; seconds."""
    began_s = time.perf_counter()
    call = [sys.executable, __file__, "--label", url, str(out), "--items", str(options.items), "--processes",
            str(options.processes)]  # fmt: skip
    process = subprocess.Popen(call, start_new_session=True)  # noqa: S603 - ourselves
    while process.poll() is None:
        if until is not None and len(numbers(out)) >= until:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    process.wait()
    return time.perf_counter() - began_s


def check(out: Path, n_items: int) -> None:
    """Every item is labeled once, and has a score for each of five classes."""
    labels, scores = (pq.read_table(out / name, columns=["item"]) for name in reversed(TABLES))
    once = len(labels) == n_items == len(pc.unique(labels["item"])) and len(scores) == 5 * n_items
    print(f"every item once: {once}")
    if not once:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
