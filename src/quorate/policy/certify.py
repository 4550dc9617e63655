"""A floor that is proven: the lowest threshold whose closed answers are right often enough, at a stated risk.

    P(accuracy of what the chosen threshold closes < floor) <= delta

over draws of the validation items, which must be drawn as the campaign's items are and must not have been used to
fit. Learn-then-Test [angelopoulos2021ltt]: every threshold of a grid is a hypothesis "right less often than the
floor"; those that `floor.rejected` rejects are proven together, and the lowest of them closes most.

The grid, and where in it testing begins (`floor_starts`), must not know the answers they are tested on. Best is the
sureness of the campaign's own items, whose answers nobody knows: then all validation items are tested. Without it as
many of them as the square root of their number, drawn by `seed`, tell the grid and are left out of the tests. Nothing
is assumed of sureness: it may be overconfident, and surer answers wrong more often. The tasks of one item depend on
one another, so items, not item-tasks, are the independent draws:

    randomized-binomial  the default where every item has one task, and answers are right or wrong: no test of one
                         threshold is stronger; a coin, tossed by `seed`, decides where whole numbers leave a gap
    betting              the default otherwise: all tasks count; the items are met in an order drawn by `seed`
    binomial             no coin; of several tasks of an item one is drawn by `seed`, the others are not tested
    hoeffding-bentkus    all tasks count: of an item, floor + sum over closed tasks (right - floor) / T, from 0 to 1,
                         with a mean below the floor exactly under the hypothesis; T the most tasks of an item

Where items differ in their number of tasks, the binomial weighs items alike and the others item-tasks alike. The seed
is part of the plan: who tries several and keeps the best has no proof. How much any such procedure can prove is told by
`floor_ceiling`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from math import ceil, isqrt, log
from typing import NamedTuple, get_args

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import betaincinv, ndtri

from quorate.errors import SettingError
from quorate.policy.certificate import Certificate
from quorate.policy.floor import Rule, Tail, binomial_p, hoeffding_bentkus_p, randomized_binomial_p, rejected
from quorate.policy.floor_betting import betting_p
from quorate.policy.floor_cells import Cells, Counts, Tally, counts_of, one_task_each, surest, tally_of
from quorate.policy.floor_starts import starts
from quorate.policy.stopping import DIGITS

Array = np.ndarray

POINTS = 50  # thresholds of a grid, from one that closes a fiftieth to one that closes all: every 2 %
LEAST_SHARE = 0.02  # closed at the strictest
MOST_LABELS = 1_000_000  # beyond it `labels_needed` gives up
HALVINGS = 30  # of the interval from the floor to 1 in which a lower bound is sought
STEPS = 60  # of the same interval, for betting
NAMED = 5  # items that a message names


class Grid(NamedTuple):
    """The thresholds under test, strictest first, and the share of item-tasks that each is expected to close."""

    threshold: Float64[Array, "thresholds"]
    share: Float64[Array, "thresholds"]


class Evidence(NamedTuple):
    """What is needed to test any of the thresholds against any floor."""

    tail: Tail
    tally: Tally
    counts: Counts
    level: Float64[Array, "thresholds"]  # at which each is tested where the sequence begins with it
    expected: Float64[Array, "thresholds"]  # closed tasks of an item that closes any
    coin: float

    def at(self, threshold: int, times: int = 1) -> Evidence:
        """One of the thresholds, so many times."""
        here = np.full(times, threshold)
        counts = Counts(*(each[here] for each in self.counts))
        return self._replace(
            tally=self.tally.at(here), counts=counts, level=self.level[here], expected=self.expected[here]
        )


# ---- the choice -----------------------------------------------------------------------------------------------------
def certify(
    sureness: Float64[Array, "cells *steps"],
    right: Float64[Array, "cells *steps"],
    floor: float = 0.95,
    delta: float = 0.1,
    method: Rule = "fixed-sequence",
    p_value: Tail | None = None,
    weights: Float64[Array, "_weights"] | None = None,
    thresholds: Float64[Array, "_thresholds"] | None = None,
    target: str = "gold",
    *,
    items: Sequence[str] | None = None,
    fitted_items: Collection[str] | None = None,
    campaign: Float64[Array, "_cells *steps"] | None = None,
    seed: int = 0,
) -> Certificate:
    """The lowest threshold proven to close answers of which at least the floor, a share, are right.

    sureness, right: a row per validation item-task; with a second axis, its state after each label in the order of
    arrival, where it closes at the first step that is sure enough (fill missing steps with -inf and any right).
    right: 0 or 1, or credits between them. p_value: default the strongest that is valid. weights: the share of delta
    with which each threshold begins, strictest first, fixed beforehand; default those of `floor_starts`, all alike for
    "bonferroni-holm". thresholds: fixed without these data. items: the item of each row, default all different.
    fitted_items: those of the fit, by name or `item_digest`. campaign: sureness of items that are not under test,
    drawn alike, from which grid and starts are taken. Source: [angelopoulos2021ltt].
    Raises SettingError for no data, for data used in the fit, and for settings that do not go together.

    >>> rng = np.random.default_rng(0)
    >>> sure = rng.uniform(0.7, 1.0, 1000)
    >>> found = certify(sure, (rng.random(1000) < sure).astype(float), floor=0.85)
    >>> found.closed > 400, found.accuracy > 0.85
    (True, True)
    """
    item = _numbered(items, fitted_items, len(sureness)) if len(sureness) else np.zeros(0, np.int64)
    tail = p_value or _strongest(item, right)
    _check_settings(floor, delta, method, tail)
    _check_data(sureness, right, tail)
    rng = np.random.default_rng(seed)
    cells = Cells(np.round(sureness, DIGITS).reshape(len(item), -1), right.reshape(len(item), -1), item)
    cells, grid = _with_grid(cells, thresholds, campaign, rng, known=weights is not None or method != "fixed-sequence")
    cells = one_task_each(cells, rng) if tail in ("binomial", "randomized-binomial") else cells
    own = _own(weights, grid, method, len(np.unique(cells.item)), floor, delta)
    evidence = _evidence(tail, cells, grid, own * delta, rng)
    p_values = _p_values(evidence, np.full(len(own), floor))
    proven = np.flatnonzero(rejected(p_values, own, delta, method))
    at = int(proven[-1]) if len(proven) else None
    closed = 0 if at is None else int(evidence.counts.closed[at])
    return Certificate(
        threshold=None if at is None else float(grid.threshold[at]),
        floor=floor,
        delta=delta,
        n=len(cells.item),
        n_items=len(evidence.tally.closed),
        closed=closed,
        accuracy=None if at is None else float(evidence.counts.right[at]) / closed,
        lower=None if at is None else _lower(evidence, at, floor, delta),
        p_value=None if at is None else float(p_values[at]),
        share_closed=closed / len(cells.item),
        method=method,
        tail=tail,
        target=target,
        fit_checked=fitted_items is not None,
        reason=None if at is not None else _why_none(evidence, p_values, floor, delta),
    )


def thresholds_from(sureness: Float64[Array, "cells *steps"], points: int = POINTS) -> Float64[Array, "thresholds"]:
    """A grid at even shares closed, from a fiftieth to all, in the unit of sureness; strictest first, none twice.

    sureness: of any item-tasks but those to be tested, such as the campaign's that have no gold. With steps as many
    thresholds again lie at even shares of all steps: where nearly all close, it is the step that saves.

    >>> thresholds_from(np.arange(1, 101) / 100, points=4).tolist()
    [0.99, 0.66, 0.33, 0.01]
    """
    if not len(sureness):
        raise SettingError("a grid of thresholds needs the sureness of at least one item-task")
    every = np.round(sureness[np.isfinite(sureness)], DIGITS)
    return _strictest_first(np.concatenate([_even_shares(each, points) for each in (surest(sureness), every)]))


def _even_shares(values: Float64[Array, "_values"], points: int) -> Float64[Array, "points"]:
    place = np.ceil(np.linspace(LEAST_SHARE, 1.0, points) * len(values) - 1e-9).astype(int) - 1
    return np.sort(values)[::-1][place]


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


def _with_grid(
    cells: Cells,
    thresholds: Float64[Array, "_thresholds"] | None,
    campaign: Float64[Array, "_cells *steps"] | None,
    rng: np.random.Generator,
    *,
    known: bool,
) -> tuple[Cells, Grid]:
    """The cells that are left to test, and the grid. known: what thresholds close is not asked for."""
    if campaign is not None:
        given = thresholds_from(campaign) if thresholds is None else _strictest_first(thresholds)
        return cells, _grid(given, campaign)
    if thresholds is not None and (known or len(thresholds) == 1):
        given = _strictest_first(thresholds)
        return cells, Grid(given, np.ones(len(given)))
    aside, cells = _set_aside(cells, rng)
    given = thresholds_from(aside) if thresholds is None else _strictest_first(thresholds)
    return cells, _grid(given, aside)


def _grid(thresholds: Float64[Array, "thresholds"], sureness: Float64[Array, "cells *steps"]) -> Grid:
    return Grid(thresholds, np.searchsorted(np.sort(-surest(sureness)), -thresholds, side="right") / len(sureness))


def _set_aside(cells: Cells, rng: np.random.Generator) -> tuple[Float64[Array, "aside steps"], Cells]:
    """The sureness of a few items, and the others, which are left for the evidence."""
    n_items = int(cells.item.max()) + 1  # numbered without a gap
    if n_items < 2:
        raise SettingError("certify needs at least two validation items, or a threshold fixed beforehand")
    chosen = np.zeros(n_items, bool)
    chosen[rng.choice(n_items, isqrt(n_items), replace=False)] = True
    aside = chosen[cells.item]
    return cells.sureness[aside], cells.those(~aside)


def _strictest_first(thresholds: Float64[Array, "_given"]) -> Float64[Array, "thresholds"]:
    if not len(thresholds) or np.isnan(thresholds).any():
        raise SettingError("thresholds are at least one number, and none of them NaN")
    return np.unique(np.round(thresholds, DIGITS))[::-1]


# ---- the tests ------------------------------------------------------------------------------------------------------
def _strongest(item: Int64[Array, "cells"], right: Float64[Array, "cells *_steps"]) -> Tail:
    plain = len(np.unique(item)) == len(item) and bool(np.isin(right, (0.0, 1.0)).all())
    return "randomized-binomial" if plain else "betting"


def _own(
    given: Float64[Array, "_given"] | None, grid: Grid, method: Rule, n_items: int, floor: float, delta: float
) -> Float64[Array, "thresholds"]:
    """The share of delta with which each threshold begins."""
    n_thresholds = len(grid.threshold)
    if given is None and method == "bonferroni-holm":
        return np.full(n_thresholds, 1.0 / n_thresholds)
    if given is None:
        return starts(grid.share, n_items, floor, delta)
    if len(given) != n_thresholds or not (given >= 0).all() or not given.sum() <= 1 + 1e-9:
        raise SettingError(
            f"weights are one share of delta per threshold ({n_thresholds} different ones here), 0 or more and "
            "together at most 1; give them with thresholds"
        )
    return given


def _evidence(
    tail: Tail, cells: Cells, grid: Grid, own: Float64[Array, "thresholds"], rng: np.random.Generator
) -> Evidence:
    tally = tally_of(cells, grid.threshold)
    if tail == "betting":  # rows may come in an order that knows the answers
        order = rng.permutation(len(tally.closed))
        tally = Tally(tally.closed[order], tally.right[order], tally.most)
    before = np.maximum.accumulate(np.where(own > 0, np.arange(len(own)), -1))  # the start from which one comes
    level = np.where(before >= 0, own[before], own.sum())
    expected = np.maximum(tally.most * grid.share, 1.0)
    return Evidence(tail, tally, counts_of(tally), level, expected, float(rng.random()))


def _p_values(evidence: Evidence, floor: Float64[Array, "thresholds"]) -> Float64[Array, "thresholds"]:
    counts, tally = evidence.counts, evidence.tally
    if evidence.tail == "binomial":
        return binomial_p(counts.right, counts.closed, floor)
    if evidence.tail == "randomized-binomial":
        return randomized_binomial_p(counts.right, counts.closed, floor, evidence.coin)
    if evidence.tail == "betting":
        return betting_p(tally.closed, tally.right, floor, tally.most, evidence.level, evidence.expected)
    above = (counts.right - floor * counts.closed) / (tally.most * np.maximum(counts.items, 1))
    return hoeffding_bentkus_p(floor + above, counts.items, floor)


def _lower(evidence: Evidence, at: int, floor: float, delta: float) -> float:
    """The highest floor that this one threshold would pass; for the binomial that of [clopper1934].

    By betting it is the last of a row of floors, from the certified one on, that are all passed.
    """
    if evidence.tail == "binomial":
        right, closed = float(evidence.counts.right[at]), int(evidence.counts.closed[at])
        return float(betaincinv(right, closed - right + 1, delta)) if right > 0 else 0.0
    if evidence.tail == "betting":
        floors = np.linspace(floor, 1.0, STEPS, endpoint=False)
        passed = _p_values(evidence.at(at, STEPS), floors) <= delta
        return float(floors[max(int(np.append(passed, False).argmin()) - 1, 0)])
    one, low, high = evidence.at(at), floor, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _p_values(one, np.array([middle]))[0] <= delta else (low, middle)
    return low


def _why_none(evidence: Evidence, p_values: Float64[Array, "thresholds"], floor: float, delta: float) -> str:
    counts = evidence.counts
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
    if tail in ("binomial", "randomized-binomial") and not np.isin(right, (0.0, 1.0)).all():
        raise SettingError('right has credits between 0 and 1: use p_value="betting" or "hoeffding-bentkus"')
