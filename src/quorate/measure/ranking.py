"""NDCG: how much of the gain of the best ranking a ranking has within its first k places, query by query.

    DCG@k = Σ_{r ≤ k} gain of the document at place r / log2(1 + r),     NDCG@k = DCG@k / the largest DCG@k

[jarvelin2002]; gains are 2^grade - 1 [burges2005] or the grade itself. Documents with equal scores have no order: each
gets the mean discount of the places that they share, which is the exact mean over all orders [mcsherry2008]. A query
without any gain has no best ranking, and no NDCG.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from quorate.errors import SettingError

Array = np.ndarray
GainName = Literal["exponential", "linear"]
MOST_EXPONENT = 30.0  # 2^30 - 1: beyond it a scale was not meant for exponential gains


def gains(grades: Float64[Array, "*n"], kind: GainName = "exponential") -> Float64[Array, "*n"]:
    """What a document of a grade is worth; grades count from 0. Raises SettingError for a grade out of range.

    >>> gains(np.array([0.0, 1.0, 3.0])).tolist(), gains(np.array([0.0, 1.0, 3.0]), "linear").tolist()
    ([0.0, 1.0, 7.0], [0.0, 1.0, 3.0])
    """
    if kind not in ("exponential", "linear"):
        raise SettingError(f"the gain is exponential or linear, not {kind!r}")
    if grades.size and grades.min() < 0:
        raise SettingError(f"grades count from 0: {grades.min():g} is none")
    if kind == "linear":
        return grades.astype(np.float64)
    if grades.size and grades.max() > MOST_EXPONENT:
        raise SettingError(f"2^{grades.max():g} - 1 is too large a gain: take linear gains")
    return np.exp2(grades) - 1


def discounts(n: int, k: int | None = None) -> Float64[Array, "places"]:
    """1 / log2(1 + place) of the first k places, 0 after them. Raises SettingError for k below 1."""
    if k is not None and k < 1:
        raise SettingError(f"NDCG looks at the first place at least: k = {k}")
    found = 1 / np.log2(2.0 + np.arange(n))
    found[n if k is None else k :] = 0.0
    return found


def dcg(gain: Float64[Array, "documents"], score: Float64[Array, "documents"], k: int | None = None) -> float:
    """Discounted gain of the ranking by falling scores, in units of gain; the mean over orders of equal scores.

    >>> round(dcg(np.array([3.0, 0.0]), np.array([1.0, 1.0])), 3)  # (3 + 0) / 2 at either place
    2.446
    """
    _, place = np.unique(-score, return_inverse=True)
    size = np.bincount(place)
    ends = np.cumsum(size)
    summed = np.concatenate([[0.0], np.cumsum(discounts(len(gain), k))])
    share = (summed[ends] - summed[ends - size]) / size
    return float(np.bincount(place, gain) @ share) if len(gain) else 0.0


def ndcg(
    gain: Float64[Array, "documents"],
    score: Float64[Array, "documents"],
    query: Int64[Array, "documents"],
    k: int | None = None,
) -> Float64[Array, "queries"]:
    """NDCG of every query (codes from 0), from 0 to 1; NaN where no document of it has a gain.

    Raises SettingError for a gain below 0 or a score that is no number.
    """
    if gain.size and not (gain.min() >= 0 and np.isfinite(gain).all()):
        raise SettingError("gains are finite and at least 0")
    if not np.isfinite(score).all():
        raise SettingError("a score is no finite number, so it ranks nothing")
    order = np.argsort(query, kind="stable")
    cuts = np.cumsum(np.bincount(query))[:-1] if len(query) else np.zeros(0, np.int64)
    parts = np.split(order, cuts) if len(query) else []
    return np.array([_one(gain[part], score[part], k) for part in parts])


def _one(gain: Float64[Array, "documents"], score: Float64[Array, "documents"], k: int | None) -> float:
    best = dcg(gain, gain, k)
    return dcg(gain, score, k) / best if best > 0 else float("nan")
