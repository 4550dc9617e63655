"""What the models (and item features) say, as columns that the evidence is linear in.

A model's scores enter as centred log scores x_m[k] = log s_m[k] - mean_k log s_m[k]: with s | y ~ Dirichlet(lambda
psi_y) the log-likelihood is linear in log s, so nothing is lost ([nguyen2026], equation 15). A hard answer enters as
the scores 1 - ANSWER_DOUBT + ANSWER_DOUBT / K on the answer and ANSWER_DOUBT / K elsewhere. The columns of a task are

    pooled   mean of x_m over the models that spoke          (classes)
    apart    x_m - pooled, 0 where model m did not speak     (models * classes; only with two or more models)
    item     standardised features, 0 where unknown          (features)

so that a missing model leaves the pooled vote at full strength.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from quorate.data.encode import Coded, ModelOutput

Array = np.ndarray
SCORE_FLOOR = 1e-6  # a score of 0 is a rounding, not a certainty
ANSWER_DOUBT = 0.1


class Design(NamedTuple):
    """Which columns a fitted model reads: models that speak per task, and how features are standardised."""

    speakers: tuple[Int64[Array, "_speakers"], ...]
    feature_mean: Float64[Array, "features"]
    feature_scale: Float64[Array, "features"]
    feature_names: tuple[str, ...] = ()


class Evidence(NamedTuple):
    """The columns of one task and whether anything was said about an item at all."""

    columns: Float32[Array, "items columns"]
    spoken: Bool[Array, "items"]


def design_of(coded: Coded) -> Design:
    """The columns that this data can feed."""
    speakers = tuple(np.flatnonzero((output.kind > 0).any(axis=0)) for output in coded.outputs)
    known = coded.features[coded.features_known].astype(np.float64)
    if not known.size:
        width = coded.features.shape[1]
        return Design(speakers, np.zeros(width), np.ones(width), coded.feature_names)
    spread = known.std(axis=0)
    return Design(speakers, known.mean(axis=0), np.where(spread > 0, spread, 1.0), coded.feature_names)


def evidence_of(coded: Coded, design: Design) -> tuple[Evidence, ...]:
    """The evidence columns of every task."""
    item = _feature_columns(coded, design)
    return tuple(
        _task_evidence(output, speakers, item, coded.features_known)
        for output, speakers in zip(coded.outputs, design.speakers, strict=True)
    )


def _feature_columns(coded: Coded, design: Design) -> Float32[Array, "items features"]:
    scaled = (coded.features - design.feature_mean) / design.feature_scale
    scaled[~coded.features_known] = 0.0
    return scaled.astype(np.float32)


def _task_evidence(
    output: ModelOutput,
    speakers: Int64[Array, "speakers"],
    item: Float32[Array, "items features"],
    item_known: Bool[Array, "items"],
) -> Evidence:
    n_items, _, n_classes = output.scores.shape
    said = output.kind[:, speakers] > 0
    x = log_scores(output, speakers)
    pooled = x.sum(axis=1) / np.maximum(said.sum(axis=1), 1)[:, None]
    parts = [pooled] if len(speakers) else []
    if len(speakers) > 1:
        parts.append(np.where(said[:, :, None], x - pooled[:, None], 0.0).reshape(n_items, len(speakers) * n_classes))
    columns = np.concatenate([*parts, item], axis=1, dtype=np.float32)
    return Evidence(columns, said.any(axis=1) | (item_known & (item.shape[1] > 0)))


def evidence_of_one(
    said: Sequence[Sequence[float] | int | None], n_classes: int, item: Sequence[float], *, item_known: bool
) -> Evidence:
    """The evidence of one item and task, number by number: a hundredth of the arrays' time.

    said: of every speaker its scores, the code of its hard answer, or None.
    """
    logs = [None if each is None else _centred_logs(each, n_classes) for each in said]
    spoken = [each for each in logs if each is not None]
    pooled = [sum(column) / len(spoken) for column in zip(*spoken, strict=True)] if spoken else [0.0] * n_classes
    columns = list(pooled) if said else []
    if len(said) > 1:
        for each in logs:
            columns += [0.0] * n_classes if each is None else [x - p for x, p in zip(each, pooled, strict=True)]
    known = bool(spoken) or (item_known and len(item) > 0)
    return Evidence(np.array([[*columns, *item]], np.float32), np.array([known]))


def _centred_logs(said: Sequence[float] | int, n_classes: int) -> list[float]:
    if isinstance(said, int):
        doubt = ANSWER_DOUBT / n_classes
        logs = [log(doubt)] * n_classes
        logs[said] = log(1.0 - ANSWER_DOUBT + doubt)
    else:
        logs = [log(max(score, SCORE_FLOOR)) for score in said]
    mean = sum(logs) / n_classes
    return [each - mean for each in logs]


def log_scores(output: ModelOutput, speakers: Int64[Array, "speakers"]) -> Float32[Array, "items speakers classes"]:
    """Centred log scores, 0 where a model said nothing."""
    scores, kind = output.scores[:, speakers], output.kind[:, speakers, None]
    n_classes = scores.shape[2]
    doubted = scores * (1.0 - ANSWER_DOUBT) + ANSWER_DOUBT / n_classes
    logs = np.log(np.where(kind == 2, doubted, np.maximum(scores, SCORE_FLOOR)))
    return np.where(kind > 0, logs - logs.mean(axis=2, keepdims=True), 0.0).astype(np.float32)
