"""A small search log: a query is two words, a document is worth more the more of its words are the query's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.schema import Schema, Task

GRADE = Task("relevance", ("0", "1", "2", "3"), ordered=True)
N_WORDS = 60


def searches(n_queries: int = 40, n_documents: int = 12, *, noise: float = 0.2, seed: int = 5) -> Dataset:
    """Documents under queries; a person grades 0 to 3, and a judge `kind judge` with scores; x_fresh says nothing."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, str, float]] = []
    truth: list[int] = []
    for number in range(n_queries):
        query = rng.choice(N_WORDS, 2, replace=False)
        for place in range(n_documents):
            grade = int(rng.integers(0, 4))
            filler = rng.choice(np.setdiff1d(np.arange(N_WORDS), query), 12 - grade)
            text = rng.permutation([*filler, *query[rng.integers(0, 2, grade)]])
            words = " ".join(f"word{each}" for each in text.tolist())
            asked = " ".join(f"word{each}" for each in query.tolist())
            rows.append((f"q{number}d{place}", asked, words, float(rng.normal())))
            truth.append(grade)
    names = [row[0] for row in rows]
    person = [_said(rng, grade, noise) for grade in truth]
    judge = [_said(rng, grade, noise) for grade in truth]
    probs = 0.1 + 0.6 * np.eye(4)[judge]
    return Dataset(
        labels=pa.table({
            "item": names, "task": ["relevance"] * len(names), "annotator": ["ann"] * len(names),
            "label": [str(each) for each in person],
        }),
        scores=pa.table({
            "item": np.repeat(names, 4), "task": ["relevance"] * 4 * len(names),
            "model": ["kind judge"] * 4 * len(names), "label": list(GRADE.classes) * len(names), "score": probs.ravel(),
        }),
        items=pa.table({
            name: [row[place] for row in rows] for place, name in enumerate(("item", "query", "text", "x_fresh"))
        }),
        schema=Schema((GRADE,)),
    )  # fmt: skip


def _said(rng: np.random.Generator, grade: int, noise: float) -> int:
    return int(rng.integers(0, 4)) if rng.random() < noise else grade
