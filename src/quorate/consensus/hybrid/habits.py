"""What a task's labels say of people before any model of an item: how often each class is used, how far two agree.

Two people who answer the truth with probability q, and else by the shares p of the classes, agree with probability
q^2 + (1 - q^2) sum p^2. Hence q is the root of the chance-corrected agreement [fleiss1971], as the correlation with
the true score is the root of reliability in classical test theory [lord1968].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.consensus.hybrid.options import FIXED
from quorate.data.encode import Coded

Array = np.ndarray
USUAL = 0.6  # chance-corrected agreement where no item has two labels
LEAST, MOST = 0.05, 0.95  # of it, so that a row never says impossible, nor nothing
STEEPEST = 8.0  # nats per step on a scale
NARROW = 1e-6


class Habits(NamedTuple):
    """Of the people of one task."""

    share: Float64[Array, "classes"]  # of every class among labels and gold, smoothed; sums to 1
    agreement: float  # chance-corrected, from LEAST to MOST


def habits_of(coded: Coded) -> tuple[Habits, ...]:
    """Of every task."""
    return tuple(_habits(coded, t, len(task.classes)) for t, task in enumerate(coded.schema.tasks))


def people_row(habits: Habits, *, ordered: bool) -> Float64[Array, "classes classes"]:
    """P(label | class) under which two people agree as often as they do here.

    On an ordered task it falls off with distance by a constant factor per step; else a miss falls by the shares.

    >>> people_row(Habits(np.array([0.5, 0.5]), 0.64), ordered=False).round(2).tolist()
    [[0.9, 0.1], [0.1, 0.9]]
    """
    n = len(habits.share)
    if ordered and n > 2:
        return _fall_off(habits)
    right = math.sqrt(habits.agreement)
    return right * np.eye(n) + (1 - right) * habits.share


def _habits(coded: Coded, task: int, n_classes: int) -> Habits:
    counts, gold = coded.counts(task), coded.gold[:, task]
    used = counts.sum(axis=0) + np.bincount(gold[gold >= 0], minlength=n_classes) + FIXED.share
    share = used / used.sum()
    n_labels = counts.sum(axis=1)
    paired = n_labels > 1
    counts, n_labels = counts[paired].astype(float), n_labels[paired]
    agreeing = float(((counts * (counts - 1)).sum(axis=1) / (n_labels - 1)).sum())
    n_paired, chance = float(n_labels.sum()), float(share @ share)
    excess = agreeing - chance * n_paired + FIXED.agreement * USUAL * (1 - chance)
    possible = (n_paired + FIXED.agreement) * (1 - chance)
    return Habits(share, float(np.clip(excess / possible, LEAST, MOST)) if n_classes > 1 else USUAL)


def _fall_off(habits: Habits) -> Float64[Array, "classes classes"]:
    from scipy.optimize import brentq

    share, n = habits.share, len(habits.share)
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    chance = float(share @ share)
    wanted = chance + (1 - chance) * habits.agreement

    def row(steepness: float) -> Float64[Array, "classes classes"]:
        weight = np.exp(-steepness * steps)
        return weight / weight.sum(axis=1, keepdims=True)

    def missing(steepness: float) -> float:
        return float(share @ (row(steepness) ** 2).sum(axis=1)) - wanted

    low, high = missing(0.0), missing(STEEPEST)
    if low >= 0.0 or high <= 0.0:
        return row(NARROW if low >= 0.0 else STEEPEST)
    return row(float(brentq(missing, 0.0, STEEPEST)))  # pyright: ignore[reportArgumentType]
