"""Coefficients of agreement, as functions of sums over items, so that a resample of the items costs one product.

Raw agreement, Fleiss' kappa (for any number of labels per item), Krippendorff's alpha, Gwet's AC1 and AC2, Cohen's
kappa. All of them compare observed with chance agreement, (o - e) / (1 - e), and differ in what chance means.
Counts are people's labels per item and class; an item without a label says nothing, one with a single label only how
often classes are used.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

Array = np.ndarray
Metric = Literal["nominal", "ordinal", "interval"]
Weighting = Literal["unweighted", "linear", "quadratic"]

ROUNDING = 1e-12


class Totals(NamedTuple):
    """Sums over items; the first axis counts resamples."""

    answered: Float64[Array, "draws"]  # items with a label
    pairable: Float64[Array, "draws"]  # items with two labels or more
    agree: Float64[Array, "draws"]  # over pairable items: P(two of its labels are the same)
    near: Float64[Array, "draws"]  # the same, nearly right counted by the quadratic weights
    same: Float64[Array, "draws"]  # coincidences of a class with itself
    share: Float64[Array, "draws classes"]  # over answered items: the share of each class
    values: Float64[Array, "draws classes"]  # labels of pairable items
    coincidence: Float64[Array, "draws classes classes"] | None  # of ordered tasks


# ---- one figure ---------------------------------------------------------------------------------------------------
def raw_agreement(counts: Shaped[Array, "items classes"]) -> float | None:
    """P(two labels of an item are the same), mean over items with two labels; None where no item has two.

    >>> raw_agreement(np.array([[2, 0], [1, 1]]))
    0.5
    """
    return _single(agreement_share(_totals_of(counts)))


def fleiss_kappa(counts: Shaped[Array, "items classes"]) -> float | None:
    """Fleiss' kappa; chance is that of two labels drawn from all [fleiss1971]. None where undefined.

    Items may differ in their number of labels: agreement is averaged over items with two or more, class shares over
    all items [gwet2014].

    >>> fleiss_kappa(np.array([[3, 0], [0, 3], [3, 0], [0, 3]]))
    1.0
    """
    return _single(fleiss(_totals_of(counts)))


def gwet_ac(counts: Shaped[Array, "items classes"], weighting: Weighting = "unweighted") -> float | None:
    """Gwet's AC1, and with weights AC2; chance is that of the items that are hard to classify [gwet2008, gwet2014].

    >>> round(gwet_ac(np.array([[3, 0], [3, 0], [3, 0], [2, 1]])), 3)
    0.803
    """
    weights = agreement_weights(counts.shape[1], weighting)
    labels, mean = counts.sum(axis=1), _totals_of(counts)
    pairs = np.maximum(labels * (labels - 1), 1)
    agree = ((counts * (counts @ weights - 1)).sum(axis=1) / pairs)[labels > 1].sum()
    return _single(gwet(mean, np.array([agree]), weights))


def krippendorff_alpha(counts: Shaped[Array, "items classes"], metric: Metric = "nominal") -> float | None:
    """Krippendorff's alpha, 1 - observed/expected disagreement [krippendorff2018]. None where undefined.

    metric "interval" takes the classes as 0, 1, 2, ...; "ordinal" as their mean ranks among the labels given.

    >>> krippendorff_alpha(np.array([[2, 0], [0, 2], [2, 0]]))
    1.0
    """
    return _single(alpha(_totals_of(counts, ordered=True), metric))


def cohen_kappa(table: Shaped[Array, "classes classes"], weighting: Weighting = "unweighted") -> float | None:
    """Cohen's kappa of two agents from how often they gave each pair of classes [cohen1960, cohen1968].

    >>> round(cohen_kappa(np.array([[20, 5], [10, 15]])), 12)
    0.4
    """
    weights = agreement_weights(len(table), weighting)
    return _single(cohen(table[None].astype(np.float64), weights))


def agreement_weights(n_classes: int, weighting: Weighting) -> Float64[Array, "classes classes"]:
    """How much of an agreement each pair of classes is: 1 on the diagonal, 0 at the two ends of the scale.

    >>> agreement_weights(3, "linear")[0].tolist()
    [1.0, 0.5, 0.0]
    """
    if weighting == "unweighted":
        return np.eye(n_classes)
    distance = np.abs(np.subtract.outer(np.arange(n_classes), np.arange(n_classes))) / max(n_classes - 1, 1)
    return 1 - distance ** (1 if weighting == "linear" else 2)


# ---- sums ---------------------------------------------------------------------------------------------------------
def item_sums(counts: Shaped[Array, "items classes"], *, ordered: bool) -> Float64[Array, "items sums"]:
    """What each item adds to `Totals`, in its order."""
    counts = counts.astype(np.float64)
    n_items, n_classes = counts.shape
    labels = counts.sum(axis=1)
    pairable = labels > 1
    pairs = np.where(pairable, labels * (labels - 1), 1.0)
    same = (counts * (counts - 1)).sum(axis=1)
    near = (counts * (counts @ agreement_weights(n_classes, "quadratic") - 1)).sum(axis=1)
    partners = np.where(pairable, labels - 1, 1.0)
    columns = [labels > 0, pairable, same / pairs, near / pairs * pairable, same / partners]
    parts = [np.column_stack(columns), counts / np.maximum(labels, 1)[:, None], counts * pairable[:, None]]
    if ordered:
        own = counts[:, :, None] * np.eye(n_classes)
        crossed = (counts[:, :, None] * counts[:, None, :] - own) / partners[:, None, None]
        parts.append(crossed.reshape(n_items, n_classes**2))
    return np.hstack(parts).astype(np.float64)


def totals(sums: Float64[Array, "draws sums"], n_classes: int) -> Totals:
    """The columns of `item_sums`, added over items, by name."""
    scalars, share, values, crossed = np.split(sums, np.array([5, 5 + n_classes, 5 + 2 * n_classes]), axis=1)
    coincidence = crossed.reshape(-1, n_classes, n_classes) if crossed.shape[1] else None
    answered, pairable, agree, near, same = scalars.T
    return Totals(answered, pairable, agree, near, same, share, values, coincidence)


# ---- the coefficients ---------------------------------------------------------------------------------------------
def agreement_share(of: Totals) -> Float64[Array, "draws"]:
    """P(two labels of an item are the same)."""
    return ratio(of.agree, of.pairable)


def fleiss(of: Totals) -> Float64[Array, "draws"]:
    """Chance: sum_k share_k²."""
    share = of.share / np.maximum(of.answered, 1)[:, None]
    return above_chance(agreement_share(of), (share**2).sum(axis=1))


def gwet(
    of: Totals, agree: Float64[Array, "draws"], weights: Float64[Array, "classes classes"]
) -> Float64[Array, "draws"]:
    """Chance: sum(weights) / (K (K - 1)) · sum_k share_k (1 - share_k)."""
    n_classes = len(weights)
    if n_classes < 2:
        return np.full(len(agree), np.nan)
    share = of.share / np.maximum(of.answered, 1)[:, None]
    chance = weights.sum() / (n_classes * (n_classes - 1)) * (share * (1 - share)).sum(axis=1)
    return above_chance(ratio(agree, of.pairable), chance)


def alpha(of: Totals, metric: Metric) -> Float64[Array, "draws"]:
    """1 - (n - 1) sum o_ck d_ck² / sum n_c n_k d_ck²; ordinal distances are interval distances of mean ranks."""
    n = of.values.sum(axis=1)
    if metric == "nominal":
        return 1 - ratio((n - 1) * (n - of.same), n**2 - (of.values**2).sum(axis=1))
    assert of.coincidence is not None, "ordered tasks only"
    ranks = np.cumsum(of.values, axis=1) - of.values / 2
    place = ranks if metric == "ordinal" else np.broadcast_to(np.arange(ranks.shape[1], dtype=float), ranks.shape)
    first, second = (of.values * place).sum(axis=1), (of.values * place**2).sum(axis=1)
    crossed = np.einsum("dc,dck,dk->d", place, of.coincidence, place)
    expected = n * second - first**2
    return 1 - ratio((n - 1) * (second - crossed), np.where(expected > ROUNDING * n * second, expected, 0.0))


def cohen(
    tables: Float64[Array, "*n classes classes"], weights: Float64[Array, "classes classes"]
) -> Float64[Array, "*n"]:
    """Chance: each agent's own use of the classes, independently."""
    n = tables.sum(axis=(-2, -1))
    observed = ratio(np.einsum("...ck,ck->...", tables, weights), n)
    expected = np.einsum("...c,ck,...k->...", tables.sum(axis=-1), weights, tables.sum(axis=-2))
    return above_chance(observed, ratio(expected, n**2))


def above_chance(observed: Float64[Array, "*n"], chance: Float64[Array, "*n"]) -> Float64[Array, "*n"]:
    """(o - e) / (1 - e); NaN where chance alone agrees always."""
    return ratio(observed - chance, 1 - chance)


def ratio(part: Float64[Array, "*n"], whole: Float64[Array, "*n"]) -> Float64[Array, "*n"]:
    """Part over whole; NaN (undefined, never shown) where the whole is 0 up to rounding."""
    known = whole > ROUNDING
    return np.where(known, part / np.where(known, whole, 1.0), np.nan)


def _totals_of(counts: Shaped[Array, "items classes"], *, ordered: bool = False) -> Totals:
    return totals(item_sums(counts, ordered=ordered).sum(axis=0)[None], counts.shape[1])


def _single(value: Float64[Array, "1"]) -> float | None:
    return float(value[0]) if np.isfinite(value[0]) else None
