"""A small world of short reviews: what is meant decides the words, a judge and people say what they read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.schema import Schema, Task

CARE = Task("care", ("1", "2", "3"), ordered=True)
KIND = Task("kind", ("praise", "blame"))
WORDS = (
    ("awful", "broken", "never", "refund", "worse"),
    ("fine", "average", "usable", "plain", "middling"),
    ("superb", "lovely", "quick", "gladly", "thanks"),
)
COMMON = ("the", "order", "came", "with", "parcel", "door", "shop", "week")


def world(n: int = 120, *, noise: float = 0.15, seed: int = 3) -> Dataset:
    """Items with a text, a group and x_size; two people and a judge `kind judge` with scores, on two tasks."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    items = pa.table({
        "item": [f"i{at:04d}" for at in range(n)],
        "text": [_text(rng, code) for code in truth.tolist()],
        "shop": [f"s{at % 12}" for at in range(n)],
        "x_size": rng.normal(truth, 1.0),
        "worth": np.where(np.arange(n) % 4, 1.0, 2.0),
    })  # fmt: skip
    people: list[tuple[str, str, str, str]] = []
    scores: list[tuple[str, str, str, str, float]] = []
    for at, code in enumerate(truth.tolist()):
        for who in ("ann", "bob"):
            said = rng.integers(3) if rng.random() < noise else code
            people += [(f"i{at:04d}", "care", who, CARE.classes[said])]
            people += [(f"i{at:04d}", "kind", who, KIND.classes[0 if said else 1])]
        said = rng.integers(3) if rng.random() < noise else code
        probs = np.full(3, 0.1) + 0.7 * np.eye(3)[said]
        scores += [(f"i{at:04d}", "care", "kind judge", CARE.classes[k], float(probs[k])) for k in range(3)]
        praise = float(probs[1:].sum())
        scores += [
            (f"i{at:04d}", "kind", "kind judge", name, p)
            for name, p in zip(KIND.classes, (praise, 1 - praise), strict=True)
        ]
    return Dataset(
        labels=_table(("item", "task", "annotator", "label"), people),
        scores=_table(("item", "task", "model", "label", "score"), scores),
        items=items,
        schema=Schema((CARE, KIND)),
    )


def truth(data: Dataset) -> np.ndarray:
    """The class that the words of every item come from."""
    assert data.items is not None
    of = {word: code for code, words in enumerate(WORDS) for word in words}
    texts = data.items["text"].to_pylist()
    return np.array([next(of[word] for word in text.split() if word in of) for text in texts])


def _text(rng: np.random.Generator, code: int) -> str:
    words = [*rng.choice(WORDS[code], 3), *rng.choice(COMMON, 4)]
    return " ".join(rng.permutation(words).tolist())


def _table(names: tuple[str, ...], rows: list[tuple]) -> pa.Table:
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
