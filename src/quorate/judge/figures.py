"""What a gate report shows: a judge's figures with intervals, beside people's among themselves and a constant's.

A judge is compared with a random person of the item, a person with another of the same item, and the constant judge
says people's most frequent class of every item (of grades: their mean, or for absolute differences their best class).
Intervals are bootstrapped over items; they describe, and the gate's bounds decide. Where items were drawn with unequal
chances, each counts by 1 / its chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from quorate.errors import SettingError
from quorate.judge.graded import Graded
from quorate.judge.losses import Losses, classes_of, grades_of, losses
from quorate.judge.rule import LOSS, Figure
from quorate.measure.coefficients import ratio
from quorate.measure.intervals import bootstrap

Array = np.ndarray
Party = Literal["judge", "people", "constant"]
Totals = Float64[Array, "draws sums"]


class Measured(NamedTuple):
    """One figure of one party; without estimate and interval where the items cannot give it."""

    figure: str  # mse, mae, kappa, agreement; bias: mean signed error in grades, of classes a share too many
    party: Party
    column: str | None  # of items; "class" where these are the items of one class; None: all items
    value: str | None
    n_items: int
    estimate: float | None
    low: float | None
    high: float | None
    se: float | None


Slices = Mapping[str, Sequence[str | None]]  # column to the value of every item


def measured(
    of: Graded,
    grades: Float64[Array, "items"] | None = None,
    *,
    slices: Slices | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Measured, ...]:
    """Every figure of all items, of each class and of each slice, with intervals.

    Raises SettingError where nothing is known, or a slice names another number of items.
    """
    order = np.argsort(of.items, kind="stable")  # by name, so that resamples do not see how the items lay
    whole_slices = {column: _sized(column, values, of)[order] for column, values in (slices or {}).items()}
    of, grades = of.select(order), None if grades is None else grades[order]
    rows = _party_rows(of, grades, None, None, level, seed) + _class_rows(of, grades, level, seed)
    for column, names in whole_slices.items():
        for name in np.unique(names[of.known]).tolist():
            kept = names == name
            part = None if grades is None else grades[kept]
            rows += _party_rows(of.select(kept), part, column, name or None, level, seed)
    return tuple(rows)


def _sized(column: str, values: Sequence[str | None], of: Graded) -> Shaped[Array, "items"]:
    if len(values) != len(of.items):
        raise SettingError(f"slice {column!r} has {len(values)} values for {len(of.items)} items")
    return np.array(["" if value is None else str(value) for value in values])


def _party_rows(
    of: Graded, grades: Float64[Array, "items"] | None, column: str | None, value: str | None, level: float, seed: int
) -> list[Measured]:
    names: tuple[Figure, ...] = ("mse", "mae", "kappa", "agreement") if of.task.ordered else ("kappa", "agreement")
    rows: list[Measured] = []
    for name in names:
        each = losses(of, LOSS[name], grades)
        pairs = each.select(each.pairable)
        rows += [
            _row(name, "judge", column, value, _judge_sums(each), _figure(each, name), level, seed),
            _row(name, "people", column, value, _people_sums(pairs), _people_figure(pairs, name), level, seed),
            _row(name, "constant", column, value, _constant_sums(each), _constant_figure(each, name), level, seed),
        ]
    if of.task.ordered:
        error = (grades_of(of, grades) - of.human)[of.known]
        weights = np.ones(len(error)) if of.weights is None else of.weights[of.known]
        sums = np.column_stack([error * weights, weights])
        rows.append(_row("bias", "judge", column, value, sums, _mean, level, seed))
    return rows


def _class_rows(of: Graded, grades: Float64[Array, "items"] | None, level: float, seed: int) -> list[Measured]:
    """Of each class that people gave: how often the judge says it too, and how far off it is."""
    each, known = losses(of.select(of.known), "differs", grades), np.flatnonzero(of.known)
    known = known[np.argsort([of.items[at] for at in known.tolist()], kind="stable")]
    rows: list[Measured] = []
    for code, name in enumerate(of.task.classes):
        share = each.shares[:, code]
        if not share.any():
            continue
        said = (classes_of(of, grades)[known] == code).astype(float)
        error = share * (grades_of(of, grades)[known] - of.values[code]) if of.task.ordered else said - share
        weight = share if of.task.ordered else np.ones(len(share))
        given = share > 0
        agree = (np.column_stack([share * said, share]) * each.weights[:, None])[given]
        bias = (np.column_stack([error, weight]) * each.weights[:, None])[given if of.task.ordered else slice(None)]
        rows.append(_row("agreement", "judge", "class", name, agree, _mean, level, seed))
        rows.append(_row("bias", "judge", "class", name, bias, _mean, level, seed))
    return rows


def _row(
    name: str, party: Party, column: str | None, value: str | None, sums: Float64[Array, "items sums"],
    figure: Callable[[Totals], Float64[Array, "draws"]], level: float, seed: int,
) -> Measured:  # fmt: skip
    rng = np.random.default_rng(seed)
    found = bootstrap(sums, lambda total: figure(total)[:, None], rng=rng, level=level)[0] if len(sums) else None
    return Measured(name, party, column, value, len(sums), *(found or (None, None, None, None)))


# ---- sums over items, and figures of them ---------------------------------------------------------------------------
def _mean(total: Totals) -> Float64[Array, "draws"]:
    return ratio(total[:, 0], total[:, 1])


def _judge_sums(of: Losses) -> Float64[Array, "items sums"]:
    return np.column_stack([of.own, np.ones(len(of.own)), of.cost, of.shares]) * of.weights[:, None]


def _people_sums(of: Losses) -> Float64[Array, "items sums"]:
    return np.column_stack([of.paired, np.ones(len(of.cost)), of.shares @ of.between, of.shares]) * of.weights[:, None]


def _constant_sums(of: Losses) -> Float64[Array, "items classes"]:
    return of.shares * of.weights[:, None]


def _figure(of: Losses, name: Figure) -> Callable[[Totals], Float64[Array, "draws"]]:
    n_classes = len(of.between)

    def kappa(total: Totals) -> Float64[Array, "draws"]:
        """1 - loss / loss of chance [cohen1968]."""
        cost, share = total[:, 2 : 2 + n_classes], total[:, 2 + n_classes :]
        chance: Shaped[Array, "draws"] = ratio((cost * share).sum(axis=1), total[:, 1] ** 2)
        return 1 - ratio(_mean(total), chance)

    if name == "kappa":
        return kappa
    return (lambda total: 1 - _mean(total)) if name == "agreement" else _mean


_people_figure = _figure


def _constant_figure(of: Losses, name: Figure) -> Callable[[Totals], Float64[Array, "draws"]]:
    """Of class shares: people's variance, or the loss of the best class; a constant's kappa is 0."""

    def figure(share: Totals) -> Float64[Array, "draws"]:
        share = share / share.sum(axis=1, keepdims=True)
        if name == "kappa":
            return np.zeros(len(share))
        if name == "mse":
            return np.einsum("dc,ck,dk->d", share, of.between, share) / 2
        best = (share @ of.between).min(axis=1)
        return 1 - best if name == "agreement" else best

    return figure


def estimate(of: Losses, name: Figure, party: Party) -> float | None:
    """A figure without interval; None where the items cannot give it."""
    if party == "people":
        of = of.select(of.pairable)
    if not len(of.cost):
        return None
    if party == "constant":
        found = _constant_figure(of, name)(_constant_sums(of).sum(axis=0)[None])
    else:
        sums = _judge_sums(of) if party == "judge" else _people_sums(of)
        found = _figure(of, name)(sums.sum(axis=0)[None])
    return float(found[0]) if np.isfinite(found[0]) else None
