"""A rival to criticizers: boosted trees that learn from checked labels when an annotator errs [gligoric2025].

CDI asks the annotator for a confidence in words and fits boosted trees that foretell errors from it; here they see the
class, the confidence and, where there are any, the scores of the classes. What they say of labels they learned from
comes from trees that did not see them (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from quorate.act.labels import MachineLabel
from quorate.errors import MissingExtraError, SettingError
from quorate.schema import Schema

Array = np.ndarray
FOLDS = 5
LEAST = 30  # checked labels


def detected(
    features: Float64[Array, "labels features"],
    rows: Int64[Array, "checked"],
    wrong: Bool[Array, "checked"],
    stands_for: Float64[Array, "checked"] | None = None,
    *,
    seed: int = 0,
) -> Float64[Array, "labels"]:
    """P(wrong) of every label, by boosted trees; each checked one stands for as many as it says.

    Raises SettingError for too few checked labels, or all of one kind.
    """
    if len(rows) < LEAST or not 0 < wrong.sum() < len(wrong):
        raise SettingError(f"boosted trees need {LEAST} checked labels, right and wrong ones; here are {len(rows)}")
    share = np.ones(len(rows)) if stands_for is None else stands_for * (len(rows) / stands_for.sum())
    found = trees(features[rows], wrong, share, seed).predict_proba(features)[:, 1]
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    for number in range(FOLDS):
        out, taught = fold == number, wrong[fold != number]
        if 0 < taught.sum() < len(taught):
            found[rows[out]] = trees(features[rows[~out]], taught, share[~out], seed).predict_proba(
                features[rows[out]]
            )[:, 1]
        else:
            found[rows[out]] = taught.mean()
    return found


def features_of(
    labels: Sequence[MachineLabel], schema: Schema, scores: pa.Table | None = None
) -> Float64[Array, "labels features"]:
    """The class as 0 and 1, the confidence, and the scores of the classes, the largest first; NaN where unknown."""
    width = max(len(task.classes) for task in schema.tasks)
    columns = {key: place for place, key in enumerate((t.name, c) for t in schema.tasks for c in t.classes)}
    x = np.full((len(labels), len(columns) + 1 + width), np.nan)
    x[:, : len(columns)] = 0.0
    vectors = _vectors(scores)
    for row, each in enumerate(labels):
        x[row, columns[each.task, each.label]] = 1.0
        x[row, len(columns)] = np.nan if each.confidence is None else each.confidence
        vector = sorted(vectors.get((each.item, each.task, each.model), ()), reverse=True)
        x[row, len(columns) + 1 : len(columns) + 1 + len(vector)] = vector
    return x[:, ~np.isnan(x).all(axis=0)]


def _vectors(scores: pa.Table | None) -> dict[tuple[str, str, str], list[float]]:
    found: dict[tuple[str, str, str], list[float]] = {}
    if scores is not None:
        for row in scores.select(["item", "task", "model", "score"]).to_pylist():
            found.setdefault((row["item"], row["task"], row["model"]), []).append(row["score"])
    return found


def trees(
    x: Float64[Array, "labels features"],
    wrong: Bool[Array, "labels"],
    share: Float64[Array, "labels"] | None = None,
    seed: int = 0,
) -> Any:
    """Boosted trees that foretell errors, scikit-learn's: `predict_proba(features)[:, 1]` is P(wrong).

    Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise MissingExtraError("scikit-learn", "demo") from None
    least = max(2, min(20, len(x) // 10))
    return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, min_samples_leaf=least, random_state=seed).fit(
        x, wrong, sample_weight=share
    )
