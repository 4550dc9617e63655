"""From a table of labels in memory to arrays of codes, on one core: checks, schema, sort and all.

Timed is `Dataset(labels=table).encode()`, which a user waits for; every variant runs in a process of its own, pinned to
one core, with compiled code cached on disk before the clock starts. Rows are one million items times five labels, with
ids such as "item-0004217", grouped by item or in random order, as texts or dictionary-encoded. CPU
seconds tell what the work costs when other programs share the machine. Memory is the peak of the process above what it
held with the table loaded, and the whole peak.

    python benchmarks/encode.py --items 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa

VARIANTS = ("by item", "random order", "dictionary-encoded")
TARGET_S = 3.0  # for five million rows


def main() -> None:
    """Run every variant in its own process and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--labels-per-item", type=int, default=5)
    parser.add_argument("--measure", metavar="FILE", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measured(asked.measure)))
        return
    print(f"{'labels':>20} {'rows':>10} {'wall s':>8} {'CPU s':>8} {'table MB':>9} {'added MB':>9} {'peak MB':>8}")
    for variant in VARIANTS:
        found = in_own_process(labels(variant, asked.items, asked.labels_per_item))
        seconds = f"{found['wall_s']:>8.2f} {found['cpu_s']:>8.2f}"
        memory = f"{found['table_mb']:>9,.0f} {found['added_mb']:>9,.0f} {found['peak_mb']:>8,.0f}"
        print(f"{variant:>20} {found['rows']:>10,.0f} {seconds} {memory}", flush=True)
    print(f"target: 5,000,000 rows under {TARGET_S:g} s")


def in_own_process(table: pa.Table) -> dict[str, float]:
    """The figures of one table."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/labels.arrow"
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=len(table))
        command = [sys.executable, __file__, "--measure", path]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command line
        return json.loads(done.stdout)


def measured(path: str) -> dict[str, float]:
    """Wall and CPU seconds, megabytes above the loaded table, peak megabytes."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    from quorate.data.dataset import Dataset

    with pa.OSFile(path) as file:
        table = pa.ipc.open_file(file).read_all()
    few = table.slice(0, max(len(table) // 4, 2**20))
    Dataset(labels=few).encode()  # compiles, or reads what is compiled
    before, wall, cpu = resident_mb(), time.perf_counter(), time.process_time()
    coded = Dataset(labels=table).encode()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    assert len(coded.labels.code) == len(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"rows": len(table), "wall_s": wall_s, "cpu_s": cpu_s}
    return figures | {"table_mb": table.nbytes / 2**20, "added_mb": peak - before, "peak_mb": peak}


def labels(variant: str, n_items: int, n_labels: int) -> pa.Table:
    """Every item has its labels from different people."""
    rng = np.random.default_rng(0)
    item = np.repeat(np.arange(n_items, dtype=np.int32), n_labels)
    annotator = ((item * 13 + np.tile(np.arange(n_labels, dtype=np.int32), n_items) * 37) % 200).astype(np.int32)
    if variant != "by item":
        order = rng.permutation(len(item))
        item, annotator = item[order], annotator[order]
    columns = {
        "item": (item, pa.array([f"item-{i:07d}" for i in range(n_items)])),
        "task": (np.zeros(len(item), np.int32), pa.array(["question"])),
        "annotator": (annotator, pa.array([f"person-{a}" for a in range(200)])),
        "label": (rng.integers(0, 4, len(item), np.int32), pa.array(["a", "b", "c", "d"])),
    }
    encoded = {name: pa.DictionaryArray.from_arrays(pa.array(codes), texts) for name, (codes, texts) in columns.items()}
    if variant == "dictionary-encoded":
        return pa.table(encoded)
    return pa.table({name: column.cast(pa.string()) for name, column in encoded.items()})


def resident_mb() -> float:
    """What the process holds now (Linux), else the peak so far."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
