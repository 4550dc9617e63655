"""Who is better than whom, over seeds, in computed sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.evaluate.protocol import clustered_mean
from quorate.measure.efficiency import Estimate
from quorate.study.section import figure, listed, with_error

Array = np.ndarray
PAPER_ORDER = ("calco", "haic", "dawid-skene", "majority-all")  # by AUC, from Figures 4 and 5, best first
LEVEL = 0.95  # at which a difference is called one


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean over seeds and its standard error.

    >>> over_seeds([1.0, 3.0])
    Estimate(value=2.0, se=1.0)
    """
    return clustered_mean(np.array(values, float), np.arange(len(values)))


def mean_curve(curves: Sequence[Sequence[float]]) -> Float64[Array, "points"]:
    """Point by point over seeds."""
    return np.array(curves, float).mean(axis=0)


class Band(NamedTuple):
    """A curve and its standard error, 0 where there is one seed."""

    mean: Float64[Array, "points"]
    se: Float64[Array, "points"]


def bands(curves: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Band]:
    """Means over seeds; errors of the difference to the mean of all curves, taken seed by seed.

    Worlds differ far more than estimators do in one world: what all share would hide who is better.

    >>> bands({"a": [[1.0], [3.0]], "b": [[0.0], [2.0]]})["a"].se.tolist()
    [0.0]
    """
    each = {name: np.array(of, float) for name, of in curves.items()}
    shared = np.mean(list(each.values()), axis=0)
    return {name: Band(of.mean(axis=0), _error(of - shared)) for name, of in each.items()}


def _error(values: Float64[Array, "seeds points"]) -> Float64[Array, "points"]:
    n = len(values)
    return values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(values.shape[1])


def ranked(figures: Mapping[str, Sequence[float]], *, most: bool = True) -> list[str]:
    """Names from best to worst by their mean.

    >>> ranked({"a": [0.1, 0.3], "b": [0.5, 0.5]})
    ['b', 'a']
    """
    return sorted(figures, key=lambda name: float(np.mean(figures[name])), reverse=most)


def gap(figures: Mapping[str, Sequence[float]], first: str, second: str) -> Estimate:
    """First minus second, seed by seed."""
    return over_seeds([one - other for one, other in zip(figures[first], figures[second], strict=True)])


def clear(figures: Mapping[str, Sequence[float]], first: str, second: str) -> bool | None:
    """Whether two differ by Student's t over seeds, paired [student1908]; None where one seed gives no error.

    >>> clear({"a": [1.0, 1.1, 0.9], "b": [0.5, 0.6, 0.4]}, "a", "b")
    True
    """
    from scipy.special import stdtrit

    apart, n = gap(figures, first, second), len(figures[first])
    if apart.se is None:
        return None
    return abs(apart.value) > float(stdtrit(n - 1, 0.5 + LEVEL / 2)) * apart.se


def order_found(figures: Mapping[str, Sequence[float]], what: str, *, most: bool = True) -> str:
    """From best to worst, with standard errors over seeds."""
    parts = [f"{name} {with_error(over_seeds(figures[name]))}" for name in ranked(figures, most=most)]
    return f"{what}, best to worst: {', '.join(parts)}."


def paper_pairs(figures: Mapping[str, Sequence[float]]) -> list[tuple[str, str]]:
    """Neighbours in the paper's order among those present."""
    return list(pairwise(name for name in PAPER_ORDER if name in figures))


def against_paper(figures: Mapping[str, Sequence[float]]) -> list[tuple[str, str]]:
    """Those neighbours whose first is no better than the second."""
    return [(a, b) for a, b in paper_pairs(figures) if gap(figures, a, b).value <= 0]


def paper_order(figures: Mapping[str, Sequence[float]], under: str) -> str:
    """Whether calco > haic > disc-ds > majority holds among those present; where not, by how much."""
    present = [name for name in PAPER_ORDER if name in figures]
    missing = [name for name in PAPER_ORDER if name not in figures]
    if len(present) < 2:
        return f"The paper's order cannot be checked {under}: without {listed(missing)} there is nothing to compare."
    wrong = against_paper(figures)
    head = f"The paper's order {' > '.join(present)} {'does not hold' if wrong else 'holds'} {under}"
    head += f" ({listed(missing)} missing)" if missing else ""
    return f"{head}: {'; '.join(_pair(figures, *pair) for pair in (wrong or paper_pairs(figures)))}."


def _pair(figures: Mapping[str, Sequence[float]], first: str, second: str) -> str:
    apart = gap(figures, first, second)
    side = "above" if apart.value > 0 else "below"
    amount = with_error(Estimate(abs(apart.value), apart.se), 4)
    within = ", which the error over seeds could explain" if clear(figures, first, second) is False else ""
    return f"{first} is {side} {second} by {amount}{within}"


def to_best(figures: Mapping[str, Sequence[float]], *, most: bool = True) -> dict[str, Estimate | None]:
    """Paired difference of each to the best; None for the best itself."""
    names = ranked(figures, most=most)
    return {name: None if name == names[0] else gap(figures, name, names[0]) for name in names}


def difference(estimate: Estimate | None) -> str:
    """A paired difference as a table prints it."""
    if estimate is None:
        return "best"
    sign = "+" if estimate.value > 0 else "−"
    size = figure(abs(estimate.value), 4)
    return f"{sign}{size}" + ("" if estimate.se is None else f" ± {figure(estimate.se, 4)}")
