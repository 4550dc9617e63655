"""A floor that is proven: the lowest threshold whose closed answers are right often enough, at a stated risk.

    P(accuracy of what the chosen threshold closes < floor) <= delta

over draws of the validation items, which must be drawn as the campaign's items are and must not have been used to
fit. Learn-then-Test [angelopoulos2021ltt]: every threshold of a grid is a hypothesis "right less often than the
floor"; those that `floor.rejected` rejects are proven together, and the lowest of them closes most.

The grid must not know the answers it is tested on. `thresholds_from` takes it from the sureness of the campaign's own
items (best: nothing is lost); without one, a tenth of the validation items, drawn by `seed`, gives the grid and is
left out of the tests. Nothing is assumed of sureness: it may be overconfident, and surer answers wrong more often.
The tasks of one item depend on one another, so items, not item-tasks, are the independent draws:

    binomial             one task is drawn per item by `seed`, whatever its sureness; the others are not tested
    hoeffding-bentkus    all tasks count: of an item, floor + sum over closed tasks (right - floor) / T, from 0 to 1,
                         with a mean below the floor exactly under the hypothesis; T the most tasks of an item

Where items differ in their number of tasks, the first weighs items alike and the second item-tasks alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from math import ceil, log
from typing import NamedTuple, get_args

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import betaincinv, ndtri

from quorate.errors import SettingError
from quorate.policy.certificate import Certificate
from quorate.policy.floor import Rule, Tail, binomial_p, hoeffding_bentkus_p, rejected
from quorate.policy.stopping import DIGITS

Array = np.ndarray

STARTS = ((0.0, 0.1), (2 / 9, 0.65), (5 / 9, 0.25))  # place in the sequence, share of delta: at 10, 30, 60 % closed
POINTS = 37  # thresholds of a grid, from one that closes a tenth to one that closes all: every 2.5 %
LEAST_SHARE = 0.1  # closed at the strictest; fewer would prove little
GRID_SHARE = 0.1  # of the validation items, set aside for the grid where none is given
MOST_LABELS = 1_000_000  # beyond it `labels_needed` gives up
HALVINGS = 50  # of the interval in which a lower bound is sought
NAMED = 5  # items that a message names


class Cells(NamedTuple):
    """The item-tasks under test."""

    sureness: Float64[Array, "cells steps"]
    right: Float64[Array, "cells steps"]
    item: Int64[Array, "cells"]


class Counts(NamedTuple):
    """What each threshold closes."""

    closed: Int64[Array, "thresholds"]  # item-tasks
    right: Float64[Array, "thresholds"]  # credit of these
    items: Int64[Array, "thresholds"]  # with anything closed
    n_items: int  # with anything closed or not
    most: int  # item-tasks of one item


# ---- the choice -----------------------------------------------------------------------------------------------------
def certify(
    sureness: Float64[Array, "cells *steps"],
    right: Float64[Array, "cells *steps"],
    floor: float = 0.95,
    delta: float = 0.1,
    method: Rule = "fixed-sequence",
    p_value: Tail = "binomial",
    weights: Float64[Array, "_weights"] | None = None,
    thresholds: Float64[Array, "_thresholds"] | None = None,
    target: str = "gold",
    *,
    items: Sequence[str] | None = None,
    fitted_items: Collection[str] | None = None,
    seed: int = 0,
) -> Certificate:
    """The lowest threshold proven to close answers of which at least the floor, a share, are right.

    sureness, right: a row per validation item-task; with a second axis, its state after each label in the order of
    arrival, where it closes at the first step that is sure enough (fill missing steps with -inf and any right).
    right: 0 or 1; credits between them need "hoeffding-bentkus". weights: the share of delta with which each
    threshold begins, strictest first, fixed beforehand; default three starts along the sequence, all alike for
    "bonferroni-holm". thresholds: fixed without these data. items: the item of each row, default all different.
    fitted_items: those of the fit, by name or `item_digest`. Source: [angelopoulos2021ltt].
    Raises SettingError for no data, for data used in the fit, and for settings that do not go together.

    >>> rng = np.random.default_rng(0)
    >>> sure = rng.uniform(0.7, 1.0, 1000)
    >>> found = certify(sure, (rng.random(1000) < sure).astype(float), floor=0.85)
    >>> found.closed > 400, found.accuracy > 0.85
    (True, True)
    """
    _check_settings(floor, delta, method, p_value)
    _check_data(sureness, right, p_value)
    item = _numbered(items, fitted_items, len(sureness))
    rng = np.random.default_rng(seed)
    cells = Cells(np.round(sureness, DIGITS).reshape(len(item), -1), right.reshape(len(item), -1), item)
    cells, grid = _set_aside(cells, rng) if thresholds is None else (cells, _strictest_first(thresholds))
    cells = _one_task_each(cells, rng) if p_value == "binomial" else cells
    counts = _counts(cells, grid)
    p_values = _p_values(counts, floor, p_value)
    proven = np.flatnonzero(rejected(p_values, _weights(weights, len(grid), method), delta, method))
    at = int(proven[-1]) if len(proven) else None
    closed = 0 if at is None else int(counts.closed[at])
    return Certificate(
        threshold=None if at is None else float(grid[at]),
        floor=floor,
        delta=delta,
        n=len(cells.item),
        n_items=counts.n_items,
        closed=closed,
        accuracy=None if at is None else float(counts.right[at]) / closed,
        lower=None if at is None else _lower(_only(counts, at), delta, p_value),
        p_value=None if at is None else float(p_values[at]),
        share_closed=closed / len(cells.item),
        method=method,
        tail=p_value,
        target=target,
        fit_checked=fitted_items is not None,
        reason=None if at is not None else _why_none(counts, p_values, floor, delta),
    )


def thresholds_from(sureness: Float64[Array, "cells *steps"], points: int = POINTS) -> Float64[Array, "thresholds"]:
    """A grid at even shares closed, from a tenth to all, in the unit of sureness; strictest first, none twice.

    sureness: of any item-tasks but those to be tested, such as the campaign's that have no gold.

    >>> thresholds_from(np.arange(1, 101) / 100, points=4).tolist()
    [0.91, 0.61, 0.31, 0.01]
    """
    if not len(sureness):
        raise SettingError("a grid of thresholds needs the sureness of at least one item-task")
    surest = np.round(sureness, DIGITS).reshape(len(sureness), -1).max(axis=1)
    falling = np.sort(surest)[::-1]
    place = np.ceil(np.linspace(LEAST_SHARE, 1.0, points) * len(falling) - 1e-9).astype(int) - 1
    return _strictest_first(falling[place])


def item_digest(item: str) -> str:
    """A name for an item that does not tell the item, for `fitted_items` that should not be kept in clear.

    >>> item_digest("item-1")[:8]
    '59908df5'
    """
    return hashlib.sha256(item.encode()).hexdigest()


def labels_needed(floor: float, delta: float, accuracy: float, share_closed: float = 1.0, power: float = 0.8) -> int:
    """How many validation labels prove the floor with this power where what closes is right at this accuracy.

    The least n from which on P(binomial p-value <= delta) >= power, over the share closed: one threshold, tested at
    all of delta, which `certify` shares out over its starts: ask at delta / 2 to be on the safe side. Exact.
    Source: [clopper1934].
    Raises SettingError where the accuracy is not above the floor, or more than a million would have to close.

    >>> labels_needed(floor=0.95, delta=0.1, accuracy=0.98)
    209
    """
    _check_open("floor", floor)
    _check_open("delta", delta)
    _check_open("power", power)
    if not (floor < accuracy <= 1 and 0 < share_closed <= 1):
        raise SettingError(
            f"a floor of {floor} is proven only where accuracy is above it, at most 1, and something closes, "
            f"not with accuracy {accuracy} and share_closed {share_closed}"
        )
    spread = ndtri(1 - delta) * (floor * (1 - floor)) ** 0.5 + ndtri(power) * (accuracy * (1 - accuracy)) ** 0.5
    guess = max((spread / (accuracy - floor)) ** 2, log(delta) / log(floor))
    if guess > MOST_LABELS:
        raise SettingError(f"it would take over {MOST_LABELS} closed labels; lower the floor, or raise delta")
    n = np.arange(1, 2 * ceil(guess) + 200)
    return ceil((int(n[_power(n, floor, delta, accuracy) < power].max(initial=0)) + 1) / share_closed - 1e-9)


def _power(n: Int64[Array, "sizes"], floor: float, delta: float, accuracy: float) -> Float64[Array, "sizes"]:
    """P(the p-value of n closed is at most delta)."""
    from scipy.stats import binom  # heavy

    return np.asarray(binom.sf(binom.isf(delta, n, floor), n, accuracy))


# ---- the data under test --------------------------------------------------------------------------------------------
def _numbered(items: Sequence[str] | None, fitted_items: Collection[str] | None, n_cells: int) -> Int64[Array, "cells"]:
    """The items by number. Raises SettingError where one of them was in the fit."""
    if items is None:
        if fitted_items is not None:
            raise SettingError("fitted_items is held against the items of the validation: give items too")
        return np.arange(n_cells)
    if len(items) != n_cells:
        raise SettingError(f"items has one name per row of sureness: {n_cells}, not {len(items)}")
    names, item = np.unique(np.asarray(items, str), return_inverse=True)
    fitted = set(fitted_items or ())
    shared = [name for name in names.tolist() if name in fitted or (fitted and item_digest(name) in fitted)]
    if shared:
        some = ", ".join(shared[:NAMED]) + (", ..." if len(shared) > NAMED else "")
        raise SettingError(
            f"{len(shared)} of {len(names)} validation items were used in the fit ({some}), so that their answers "
            "look better than new ones will be: leave them out here, or fit again without them"
        )
    return item.astype(np.int64)


def _set_aside(cells: Cells, rng: np.random.Generator) -> tuple[Cells, Float64[Array, "thresholds"]]:
    """A few items give the grid by their sureness, and the others are left for the tests."""
    n_items = int(cells.item.max()) + 1  # numbered without a gap
    if n_items < 2:
        raise SettingError("certify needs at least two validation items, or thresholds fixed beforehand")
    chosen = np.zeros(n_items, bool)
    chosen[rng.choice(n_items, ceil(GRID_SHARE * n_items), replace=False)] = True
    aside = chosen[cells.item]
    return _those(cells, ~aside), thresholds_from(cells.sureness[aside])


def _one_task_each(cells: Cells, rng: np.random.Generator) -> Cells:
    """Of every item one row, at random and blind to its sureness: a row drawn for being sure would not be typical."""
    order = rng.permutation(len(cells.item))
    _, first = np.unique(cells.item[order], return_index=True)
    return _those(cells, order[first])


def _those(cells: Cells, rows: Array) -> Cells:
    return Cells(cells.sureness[rows], cells.right[rows], cells.item[rows])


def _strictest_first(thresholds: Float64[Array, "_given"]) -> Float64[Array, "thresholds"]:
    if not len(thresholds) or np.isnan(thresholds).any():
        raise SettingError("thresholds are at least one number, and none of them NaN")
    return np.unique(np.round(thresholds, DIGITS))[::-1]


def _counts(cells: Cells, grid: Float64[Array, "thresholds"]) -> Counts:
    surest = cells.sureness.max(axis=1)
    order = np.argsort(cells.item, kind="stable")
    often = np.bincount(cells.item)
    often = often[often > 0]
    of_items = np.maximum.reduceat(surest[order], often.cumsum() - often)
    closed, items = _at_least(surest, grid), _at_least(of_items, grid)
    return Counts(closed, _right(cells, grid), items, len(often), int(often.max()))


def _at_least(values: Float64[Array, "_values"], grid: Float64[Array, "thresholds"]) -> Int64[Array, "thresholds"]:
    return np.searchsorted(np.sort(-values), -grid, side="right").astype(np.int64)


def _right(cells: Cells, grid: Float64[Array, "thresholds"]) -> Float64[Array, "thresholds"]:
    """The credit of what each threshold closes, at the first step that is sure enough."""
    if cells.sureness.shape[1] == 1:
        order = np.argsort(-cells.sureness[:, 0], kind="stable")
        credit = np.concatenate([[0.0], cells.right[order, 0].cumsum()])
        return credit[_at_least(cells.sureness[:, 0], grid)]
    right = np.zeros(len(grid))
    for each, threshold in enumerate(grid):
        sure = cells.sureness >= threshold
        rows = np.flatnonzero(sure.any(axis=1))
        right[each] = cells.right[rows, sure[rows].argmax(axis=1)].sum()
    return right


# ---- the tests ------------------------------------------------------------------------------------------------------
def _p_values(counts: Counts, floor: float, tail: Tail) -> Float64[Array, "thresholds"]:
    if tail == "binomial":
        return binomial_p(counts.right, counts.closed, floor)
    above = (counts.right - floor * counts.closed) / (counts.most * np.maximum(counts.items, 1))
    return hoeffding_bentkus_p(floor + above, counts.items, floor)


def _weights(given: Float64[Array, "_given"] | None, n_thresholds: int, method: Rule) -> Float64[Array, "thresholds"]:
    if given is None and method == "bonferroni-holm":
        return np.full(n_thresholds, 1.0 / n_thresholds)
    if given is None:
        place, share = np.array(STARTS).T
        return np.bincount((place * n_thresholds).astype(int), weights=share, minlength=n_thresholds)
    if len(given) != n_thresholds or not (given >= 0).all() or not given.sum() <= 1 + 1e-9:
        raise SettingError(
            f"weights are one share of delta per threshold ({n_thresholds} different ones here), 0 or more and "
            "together at most 1; give them with thresholds"
        )
    return given


def _lower(one: Counts, delta: float, tail: Tail) -> float:
    """The highest floor that this one threshold would pass; for the binomial that of [clopper1934]."""
    if tail == "binomial":
        right, closed = float(one.right[0]), int(one.closed[0])
        return float(betaincinv(right, closed - right + 1, delta)) if right > 0 else 0.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _p_values(one, middle, tail)[0] <= delta else (low, middle)
    return low


def _only(counts: Counts, at: int) -> Counts:
    here = slice(at, at + 1)
    return Counts(counts.closed[here], counts.right[here], counts.items[here], counts.n_items, counts.most)


def _why_none(counts: Counts, p_values: Float64[Array, "thresholds"], floor: float, delta: float) -> str:
    most, least = int(counts.closed.max()), ceil(log(delta) / log(floor) - 1e-9)
    if most == 0:
        return "nothing is as sure as any of the thresholds"
    if most < least:
        return f"at most {most} close, and even if all are right it takes {least} to prove the floor"
    at = int(np.where(counts.closed > 0, p_values, np.inf).argmin())
    closed, accuracy = int(counts.closed[at]), float(counts.right[at] / counts.closed[at])
    nearest = f"the nearest closes {closed}, of which {round(100 * accuracy, 2):g} % agree"
    if accuracy <= floor:
        return f"{nearest}; ask for more labels before closing, or for a lower floor"
    return f"{nearest}, too few to tell it from the floor; `labels_needed` says how many would do"


# ---- the door -------------------------------------------------------------------------------------------------------
def _check_settings(floor: float, delta: float, method: str, tail: str) -> None:
    _check_open("floor", floor)
    _check_open("delta", delta)
    if method not in get_args(Rule):
        raise SettingError(f"method is one of {', '.join(get_args(Rule))}, not {method!r}")
    if tail not in get_args(Tail):
        raise SettingError(f"p_value is one of {', '.join(get_args(Tail))}, not {tail!r}")


def _check_open(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise SettingError(f"{name} lies between 0 and 1, both excluded, not {value}")


def _check_data(sureness: Float64[Array, "_a *_b"], right: Float64[Array, "_c *_d"], tail: Tail) -> None:
    if not len(sureness):
        raise SettingError("certify has no validation data: give it item-tasks whose right answer is known")
    if sureness.shape != right.shape or sureness.ndim > 2:
        raise SettingError(f"sureness and right have one shape, not {sureness.shape} and {right.shape}")
    if np.isnan(sureness).any():
        raise SettingError("sureness has NaN: leave those item-tasks out, or fill steps that are missing with -inf")
    if not ((right >= 0) & (right <= 1)).all():
        raise SettingError("right is 0 or 1, or a credit between them")
    if tail == "binomial" and not np.isin(right, (0.0, 1.0)).all():
        raise SettingError('right has credits between 0 and 1: use p_value="hoeffding-bentkus"')
