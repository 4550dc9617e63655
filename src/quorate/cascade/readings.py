"""How an agent's output is read: scores by a calibrator, hard answers by how often each was right.

P(truth = c | said r) = (n_rc + w P_rc) / (n_r + w), with P_rc the agent's overall share of right answers on c = r and
the rest spread over the other classes as they occur: a person is gold-like, yet as fallible as their labels show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8, Int64

from quorate.calibrate.calibrators import Calibrator, Identity, from_json
from quorate.calibrate.logits import log_scores, score_floor
from quorate.calibrate.methods import calibrator
from quorate.cascade.answers import HARD, SCORES, Answers

Array = np.ndarray
PSEUDO_LABELS = 4.0  # w: what the agent's overall share of right answers weighs in the row of one answer
LEAST = 1e-6  # of a probability, so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class Reading:
    """What one agent's output is worth, class by class."""

    calibrator: Calibrator
    floor: float  # what a score of 0 stands for
    rows: Float64[Array, "answers classes"]  # P(truth | hard answer)

    def probs(
        self, scores: Float64[Array, "items classes"], kind: Int8[Array, "items"]
    ) -> Float64[Array, "items classes"]:
        """P(truth | what the agent said); 0 throughout where it said nothing."""
        found = np.zeros_like(scores)
        soft, hard = kind == SCORES, kind == HARD
        found[soft] = self.calibrator.apply(log_scores(scores[soft], self.floor))
        found[hard] = self.rows[scores[hard].argmax(axis=1)]
        return np.where((soft | hard)[:, None], np.maximum(found, LEAST), 0.0)

    def to_json(self) -> dict[str, Any]:
        """Everything, for `from_json`."""
        return {"calibrator": self.calibrator.to_json(), "floor": self.floor, "rows": self.rows.tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reading:
        """The reading that was kept."""
        rows = np.array(value["rows"], np.float64)
        return cls(from_json(value["calibrator"]), float(value["floor"]), rows)


def readings(answers: Answers, method: str) -> tuple[Reading, ...]:
    """A reading per agent, from items whose truth is known. Raises SettingError for an unknown method."""
    known = answers.truth >= 0
    truth = answers.truth[known]
    return tuple(
        _reading(answers.scores[known, at], answers.kind[known, at], truth, method) for at in range(len(answers.agents))
    )


def read(answers: Answers, by: tuple[Reading, ...]) -> Float64[Array, "items agents classes"]:
    """P(truth | what the agent said), for every item and agent; 0 where it said nothing."""
    parts = [each.probs(answers.scores[:, at], answers.kind[:, at]) for at, each in enumerate(by)]
    return np.stack(parts, axis=1)


def _reading(
    scores: Float64[Array, "items classes"], kind: Int8[Array, "items"], truth: Int64[Array, "items"], method: str
) -> Reading:
    soft, hard = kind == SCORES, kind == HARD
    floor = score_floor(scores[soft])
    fitted = calibrator(method, log_scores(scores[soft], floor), truth[soft]) if soft.any() else Identity()
    return Reading(fitted, floor, truth_given(scores[hard].argmax(axis=1), truth[hard], scores.shape[1]))


def truth_given(
    said: Int64[Array, "items"], truth: Int64[Array, "items"], n_classes: int
) -> Float64[Array, "answers classes"]:
    """P(truth | answer), each row summing to 1.

    >>> truth_given(np.array([0] * 8 + [1] * 8), np.array([0] * 8 + [1] * 4 + [0] * 4), 2).round(2).tolist()
    [[0.91, 0.09], [0.43, 0.57]]
    """
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (said, truth), 1.0)
    right = (np.trace(counts) + 1.0) / (counts.sum() + 2.0)
    base = (counts.sum(axis=0) + 1.0) / (counts.sum() + n_classes)
    others = base * (1 - np.eye(n_classes))
    spread = (1 - right) * others / np.maximum(others.sum(axis=1, keepdims=True), LEAST)
    before = right * np.eye(n_classes) + spread if n_classes > 1 else np.ones((1, 1))
    return (counts + PSEUDO_LABELS * before) / (counts.sum(axis=1, keepdims=True) + PSEUDO_LABELS)
