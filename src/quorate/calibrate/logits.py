"""From a language model's token logits to one score per class: steps 1, 2 and 4 of [hovsepian2024].

Two readings. The source's takes, per class, the largest logit over matching tokens and all positions of the output,
and needs no position where the answer stands. The exact one adds the probabilities of all tokens that begin a class at
the first position of the answer; it also tells how much probability went to no class at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy.special import logsumexp

from quorate.errors import SettingError

Array = np.ndarray
LEAST_FLOOR, MOST_FLOOR = 1e-6, 5e-3


class FirstToken(NamedTuple):
    """What the first token of an answer says."""

    log_scores: Float64[Array, "items classes"]  # log P(class | some class was named)
    log_outside: Float64[Array, "items"]  # log P(no class was named); -inf where every token is one


# ---- scores and their logarithms ------------------------------------------------------------------------------------
def log_softmax(logits: Float64[Array, "*rows classes"]) -> Float64[Array, "*rows classes"]:
    """Log probabilities of logits: step 2 of [hovsepian2024], in nats.

    >>> np.exp(log_softmax(np.array([[0.0, np.log(3.0)]]))).round(2).tolist()
    [[0.25, 0.75]]
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def score_floor(scores: Shaped[Array, "*rows classes"]) -> float:
    """What a score of 0 stands for: half the smallest positive score, since a 0 is a rounding and no certainty.

    Never below 1e-6, nor above .005 (a table of ones and zeros knows nothing of roundings).

    >>> score_floor(np.array([[0.999, 0.001, 0.0]]))
    0.0005
    """
    positive = scores[scores > 0]
    return float(np.clip(positive.min() / 2, LEAST_FLOOR, MOST_FLOOR)) if len(positive) else MOST_FLOOR


def log_scores(scores: Shaped[Array, "*rows classes"], floor: float) -> Float64[Array, "*rows classes"]:
    """Logarithms of scores with zeros at the floor, in nats: what calibrators read where logits are not known.

    >>> log_scores(np.array([[1.0, 0.0]]), floor=0.5).round(2).tolist()
    [[0.0, -0.69]]
    """
    return np.log(np.maximum(scores.astype(np.float64), floor))


# ---- whole vocabularies ---------------------------------------------------------------------------------------------
def matching(tokens_of_class: Sequence[Sequence[int]], n_tokens: int) -> Bool[Array, "classes vocabulary"]:
    """Which tokens name which class. Raises SettingError for a class without token, and for a token of two classes.

    >>> matching([[0, 2], [1]], 4).astype(int).tolist()
    [[1, 0, 1, 0], [0, 1, 0, 0]]
    """
    found = np.zeros((len(tokens_of_class), n_tokens), bool)
    for code, tokens in enumerate(tokens_of_class):
        found[code, list(tokens)] = True
    if not found.any(axis=1).all():
        raise SettingError(f"class {int(np.argmin(found.any(axis=1)))} has no matching token")
    if (found.sum(axis=0) > 1).any():
        token = int(np.argmax(found.sum(axis=0)))
        raise SettingError(f"token {token} matches two classes; give each class tokens of its own")
    return found


def largest_logits(
    logits: Shaped[Array, "items positions vocabulary"],
    matches: Bool[Array, "classes vocabulary"],
    answered: Bool[Array, "items positions"] | None = None,
) -> Float64[Array, "items classes"]:
    """Per class the largest logit over matching tokens and positions: step 1 of [hovsepian2024].

    x_c = max over tokens i of class c and positions j of x_ij. answered: positions that belong to the output (not
    padding); all where absent. Raises SettingError for an output without positions.

    >>> logits = np.array([[[2.0, 0.0, 5.0], [0.0, 3.0, 1.0]]])
    >>> largest_logits(logits, matching([[0], [1]], 3)).tolist()
    [[2.0, 3.0]]
    """
    if answered is None:
        answered = np.ones(logits.shape[:2], bool)
    if not answered.any(axis=1).all():
        raise SettingError(f"item {int(np.argmin(answered.any(axis=1)))} has an output without positions")
    over_positions = np.where(answered[:, :, None], logits, -np.inf).max(axis=1)
    return np.stack([over_positions[:, tokens].max(axis=1) for tokens in matches], axis=1).astype(np.float64)


def first_token(logits: Shaped[Array, "items vocabulary"], matches: Bool[Array, "classes vocabulary"]) -> FirstToken:
    """Exact probabilities of the classes by the first token of the answer, given that it names one.

    P(c) = Σ over tokens of class c of softmax(logits), over the sum for all classes.

    >>> found = first_token(np.log([[0.3, 0.2, 0.25, 0.25]]), matching([[0, 1], [2]], 4))
    >>> np.exp(found.log_scores).round(3).tolist(), np.exp(found.log_outside).round(3).tolist()
    ([[0.667, 0.333]], [0.25])
    """
    log_probs = log_softmax(logits.astype(np.float64))
    of_class = np.stack([logsumexp(log_probs[:, tokens], axis=1) for tokens in matches], axis=1)
    others = log_probs[:, ~matches.any(axis=0)]
    outside = logsumexp(others, axis=1) if others.shape[1] else np.full(len(logits), -np.inf)
    return FirstToken(log_softmax(of_class), outside)


# ---- lists of the likeliest tokens ----------------------------------------------------------------------------------
def listed_token(
    class_of: Int64[Array, "listed"], log_probs: Float64[Array, "listed"], n_classes: int
) -> tuple[Float64[Array, "classes"], float]:
    """Log scores of the classes from a list of the likeliest first tokens, and log P(no class was named), in nats.

    class_of: the class a token names, -1 for none. A class outside the list has at most the smallest listed
    probability and at most what the list leaves over: it is given the smaller, shared by all absent classes. Raises
    SettingError for an empty list.

    >>> scores, outside = listed_token(np.array([0, -1]), np.log([0.6, 0.3]), n_classes=2)
    >>> np.exp(scores).round(3).tolist(), round(float(np.exp(outside)), 2)
    ([0.857, 0.143], 0.3)
    """
    if not len(log_probs):
        raise SettingError("a list of tokens needs at least one token")
    probs = np.exp(log_probs)
    named = class_of >= 0
    found = np.bincount(class_of[named], probs[named], n_classes)
    absent = ~np.isin(np.arange(n_classes), class_of)
    left_over = max(1.0 - float(probs.sum()), 0.0)
    found[absent] = min(float(probs.min()), left_over) / max(int(absent.sum()), 1)
    found = np.maximum(found, np.finfo(float).tiny)
    outside = max(1.0 - float(found.sum()), 0.0)
    return log_softmax(np.log(found)), float(np.log(outside)) if outside else -np.inf
