"""The claims of a gate as means over items: every figure linearized, with the worst item there can be (see `bounds`).

With j, o the mean losses of the judge and of people among themselves, and j', o' those of chance (a grade beside
people's of another item), kappa is 1 - j/j' and people's own 1 - o/o'. A product or a mean over two items is replaced
by its projection on each (at the worst item: by its mean), f(i) = E[d(i, other)] + E[d(other, i)] - mean, whose mean
is that of d [hoeffding1948]. Items that were not drawn with equal chances count by 1 / chance in all of this, so that
a claim is about the items that they were drawn from [hajek1971]; the worst item has the largest weight.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from quorate.judge.bounds import Linear, linear
from quorate.judge.losses import Losses

Array = np.ndarray


def small_loss(of: Losses) -> Linear:
    """Minus the judge's mean loss is above t."""
    return _mean(of, -of.own, -of.most)


def beside_people(of: Losses) -> Linear:
    """People's mean loss among themselves less the judge's, on the same items, is above t."""
    of = of.select(of.pairable)
    return _mean(of, of.paired - of.own, -of.most)


def beside_class(of: Losses, code: int) -> Linear:
    """The loss of one class said of every item, less the judge's, is above t."""
    constant = of.shares @ of.between[code]
    return _mean(of, constant - of.own, -of.most)


def beside_mean(of: Losses) -> Linear:
    """The squared loss of people's mean said of every item, which is their variance, less the judge's, is above t."""
    variance = _people_chance(of) / 2
    return _mean(of, variance - of.own, float(of.mean(variance)) - of.most)


def kappa(of: Losses) -> Linear:
    """The judge's kappa with people is above t: j' - j - t j' > 0."""
    chance = _chance(of)
    mean = float(of.mean(chance))
    return _weighed(of, chance - of.own, chance, (mean - of.most, mean))


def people_kappa(of: Losses) -> Linear:
    """People's kappa among themselves is above t: o' - o - t o' > 0."""
    of = of.select(of.pairable)
    chance = _people_chance(of)
    mean = float(of.mean(chance))
    return _weighed(of, chance - of.paired, chance, (mean - of.most, mean))


def kappa_beside_people(of: Losses) -> Linear:
    """The judge's kappa less people's is above t: o j' - j o' - t j' o' > 0."""
    of = of.select(of.pairable)
    own, paired, chance, people_chance = of.own, of.paired, _chance(of), _people_chance(of)
    j_chance, o_chance = float(of.mean(chance)), float(of.mean(people_chance))
    part = _product(of, paired, chance) - _product(of, own, people_chance)
    return _weighed(of, part, _product(of, chance, people_chance), (-of.most * o_chance, j_chance * o_chance))


def _mean(of: Losses, values: Float64[Array, "items"], worst: float) -> Linear:
    return _weighed(of, values, np.ones(len(values)), (worst, 1.0))


def _weighed(
    of: Losses, part: Float64[Array, "items"], unit: Float64[Array, "items"], worst: tuple[float, float]
) -> Linear:
    most = float(of.weights.max(initial=0.0))
    return linear(of.weights * part, of.weights * unit, (most * worst[0], most * worst[1]))


def _product(of: Losses, first: Float64[Array, "items"], second: Float64[Array, "items"]) -> Float64[Array, "items"]:
    """The product of two means as a mean: a(i) B + A b(i) - A B."""
    one, other = float(of.mean(first)), float(of.mean(second))
    return first * other + one * second - one * other


def _chance(of: Losses) -> Float64[Array, "items"]:
    """The judge's grade beside people's of other items, projected on items."""
    given, met = of.cost @ of.mean(of.shares), of.shares @ of.mean(of.cost)
    return given + met - float(of.mean(given))


def _people_chance(of: Losses) -> Float64[Array, "items"]:
    met = of.shares @ of.between @ of.mean(of.shares)
    return 2 * met - float(of.mean(met))
