"""How many labels a strategy needs for what random order reaches with all of its: digits, and titles of news articles.

    python benchmarks/selecting.py [--data ../shared/data] [--seeds 10] [--sets digits,countries] [--strategies badge]

digits: scikit-learn's 1,797 images, 64 pixels; 500 labels of 1,297 items, 500 items to measure on. titles: nk_frames,
the only set there whose texts are themselves what is classified: 499 titles of news articles, the frame that most
people chose, 150 to measure on, all others labeled in the end, in random order as well, so that all meet at the end;
`--share 0.5` ends at half of the pool instead, as `quorate select try` does. countries: the same titles, by the country
that they are about.
Both: logistic regression, 20 items first, 20 a round. A seed draws the split, the first items and all that is random.
The figure is labels to reach random's last accuracy over random's labels, its 95 % interval over resampled seeds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from quorate.data.dataset import Dataset
from quorate.evaluate.protocol import strict_majority
from quorate.judge.student.contents import read_contents
from quorate.select.embeddings import embedded
from quorate.select.loop import Loop, Round, Task, mean_curve, run, saving

RANDOM = "random"
STRATEGIES = ("hybrid", "entropy", "margin", "least-confidence", "badge", "core-set", "k-means++", "vote-entropy",
              "jensen-shannon", "gradient-length")  # fmt: skip
ROUNDS = Loop(batch=20, first=20, most=500)


def main() -> None:
    """Print a table per set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default="digits,titles,countries")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the pool that is labeled at most; 500 are the most"
    )
    options = parser.parse_args()
    for name in options.sets.split(","):
        rows, codes = digits() if name == "digits" else SETS[name](options.data)
        _set(name, rows, codes, options.strategies.split(","), options.seeds, options.share)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels and digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.data / 16).astype(np.float32), found.target.astype(np.int64)


def titles(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Titles as rows, and the frame that most people chose."""
    folder = data / "nk_frames"
    contents = read_contents(folder, ("title",))
    coded = Dataset.read(folder).encode()
    place = {item: at for at, item in enumerate(coded.items)}
    codes = strict_majority(coded.counts(0))[[place[item] for item in contents.ids]].astype(np.int64)
    rows = embedded(contents.texts)
    return rows[codes >= 0], codes[codes >= 0]


def countries(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Titles as rows, and the country that they are about, as the data set has it."""
    contents = read_contents(data / "nk_frames", ("title",))
    table = Dataset.read(data / "nk_frames").items
    assert table is not None
    of = dict(zip(table["item"].to_pylist(), table["country"].to_pylist(), strict=True))
    names = sorted(set(of.values()))
    return embedded(contents.texts), np.array([names.index(of[item]) for item in contents.ids])


SETS = {"titles": titles, "countries": countries}


def split(rows: np.ndarray, codes: np.ndarray, seed: int) -> tuple[Task, np.ndarray]:
    """A pool with its labels, and items to measure on."""
    order = np.random.default_rng(1_000 + seed).permutation(len(rows))
    n_test = min(500, round(0.3 * len(rows)))
    test, pool = order[:n_test], order[n_test:]
    return Task(rows[pool], rows[test], codes[test], int(codes.max()) + 1), codes[pool]


def _set(name: str, rows: np.ndarray, codes: np.ndarray, strategies: list[str], n_seeds: int, share: float) -> None:
    began_s = time.perf_counter()
    curves: dict[str, list[list[Round]]] = {}
    for strategy in (RANDOM, *strategies):
        for seed in range(n_seeds):
            task, known = split(rows, codes, seed)
            loop = ROUNDS._replace(most=min(ROUNDS.most, round(share * len(known))))
            curves.setdefault(strategy, []).append(run(task, known.__getitem__, strategy, loop, seed=seed))
    last = mean_curve(curves[RANDOM])[-1]
    took = time.perf_counter() - began_s
    print(
        f"\n{name}: {len(rows):,} items, random order reaches {last.accuracy:.3f} with {last.labels} labels; "
        f"{took:.0f} s"
    )
    print(f"{'strategy':18} {'at 100':>7} {'at 200':>7} {'at end':>7}   labels needed, of random's")
    for strategy, of in curves.items():
        curve = {each.labels: each.accuracy for each in mean_curve(of)}
        at = " ".join(f"{curve.get(n, float('nan')):7.3f}" for n in (100, 200, last.labels))
        need = saving(of, curves[RANDOM])
        said = "" if need is None else f"{need.estimate:.0%} ({need.low:.0%} to {need.high:.0%})"
        print(f"{strategy:18} {at}   {said}", flush=True)


if __name__ == "__main__":
    main()
