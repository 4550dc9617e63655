"""Agents that err at known rates about items of one task, as a cascade reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quorate.calibrate.logits import log_softmax
from quorate.cascade.answers import HARD, SCORES, Agent, Answers
from quorate.schema import Task


def said(
    n: int,
    *,
    seed: int,
    prices: Sequence[float] = (1.0, 3.0, 9.0),
    skill: Sequence[float] = (0.8, 1.6, 2.6),
    n_classes: int = 3,
    person: bool = False,
) -> Answers:
    """Scores from logits skill · 1[c = truth] + noise; the last agent, if asked for, is a person right on 90 %."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    one_hot = np.eye(n_classes)
    logits = [one_hot[truth] * each + rng.normal(size=(n, n_classes)) for each in skill]
    scores = np.stack([np.exp(log_softmax(2.0 * each)) for each in logits], axis=1)  # twice as sure as they should be
    kind = np.full((n, len(skill)), SCORES, np.int8)
    agents = [Agent(f"m{at}", "model", price) for at, price in enumerate(prices[: len(skill)])]
    if person:
        answer = np.where(rng.random(n) < 0.9, truth, rng.integers(0, n_classes, n))
        scores = np.concatenate([scores, one_hot[answer][:, None]], axis=1)
        kind = np.hstack([kind, np.full((n, 1), HARD, np.int8)])
        agents.append(Agent("person", "person", 30.0))
    task = Task("t", tuple("abcdefgh"[:n_classes]))
    return Answers(task, tuple(f"i{at}" for at in range(n)), tuple(agents), scores, kind, truth.astype(np.int64))
