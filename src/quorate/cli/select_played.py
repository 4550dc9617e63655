"""Active learning played through on known labels: the pool, the runs, and their picture."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quorate.cli.select_where import Lie, rows_of_items
from quorate.cli.terminal import progress, tell
from quorate.data.write import whole
from quorate.errors import DataError
from quorate.evaluate.protocol import strict_majority, truth_of
from quorate.select.loop import Loop, Round, Task, run, side_by_side
from quorate.study.runs import Runs

if TYPE_CHECKING:
    from quorate.data.encode import Coded

Array = np.ndarray


def known(folder: Path, coded: Coded, at: int, lie: Lie) -> tuple[Array, Array]:
    """Rows and class codes of the items whose truth is known: gold, or what most people say."""
    truth = truth_of(coded).code[:, at].astype(np.int64)
    alone = strict_majority(2 * coded.counts(at)).astype(np.int64)  # a single label is a majority of itself
    codes = np.where(truth >= 0, truth, alone)
    kept = np.flatnonzero(codes >= 0)
    if len(kept) < 30 or len(np.unique(codes[kept])) < 2:
        raise DataError(f"{len(kept)} items with a known label", mend="30 or more, of two classes, are needed",
                        source=str(folder))  # fmt: skip
    return rows_of_items(folder, coded, lie)[kept], codes[kept]


def n_tested(codes: Array) -> int:
    """How many items are measured on and never chosen: a third, 1,000 at most."""
    return min(1_000, len(codes) // 3)


def _split(rows: Array, codes: Array, n_classes: int, seed: int) -> tuple[Task, Array]:

    order = np.random.default_rng(seed).permutation(len(codes))
    test, pool = order[: n_tested(codes)], order[n_tested(codes) :]
    return Task(rows[pool], rows[test], codes[test], n_classes), codes[pool]


def curves_of(
    rows: Array, codes: Array, n_classes: int, names: list[str], loop: Loop, seeds: int, out: Path
) -> dict[str, list[list[Round]]]:
    """Every strategy's curve of each repetition; a repetition that is in the folder is not played again."""
    digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes() + codes.tobytes()).hexdigest()
    kept, found = Runs(out), dict[str, list[list[Round]]]()
    out.mkdir(parents=True, exist_ok=True)
    with progress("select") as step:
        jobs = [(name, seed) for name in dict.fromkeys(names) for seed in range(seeds)]
        for done, (name, seed) in enumerate(jobs):
            step(done / len(jobs), f"{name}, repetition {seed + 1} of {seeds}")

            def played(name: str = name, seed: int = seed) -> dict[str, Any]:
                task, known = _split(rows, codes, n_classes, seed)
                return {"rounds": [list(each) for each in run(task, known.__getitem__, name, loop, seed=seed)]}

            settings = {"data": digest, "loop": list(loop), "seed": seed, "strategy": name}
            part = kept.once(f"{name}-{seed}", settings, ("quorate.select.loop",), played)
            found.setdefault(name, []).append([Round(*each) for each in part["rounds"]])
    return found


def drawn(curves: dict[str, list[list[Round]]], out: Path) -> str | None:
    """The picture; None, and a word on stderr, without matplotlib."""
    try:
        from quorate.study.figures import Line
        from quorate.study.figures import curves as picture

        lines = {}
        for name, of in curves.items():
            labels, accuracy = side_by_side(of)
            se = accuracy.std(axis=0, ddof=1) / len(of) ** 0.5 if len(of) > 1 else np.zeros(len(labels))
            lines[name] = Line(labels.astype(float), accuracy.mean(axis=0), se)
        png = picture(lines, "labels of people", "right on items never chosen", percent=False)
    except ImportError:
        tell("quorate: no picture without matplotlib: pip install 'quorate[report]'")
        return None
    path = out / "select.png"
    with whole(path) as part:
        part.write_bytes(png)
    return str(path)
