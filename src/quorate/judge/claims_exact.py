"""The claims of a gate as means over blocks of unlike items, for bets (see `bets`): their ranges are known."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from jaxtyping import Float64, Int64

from quorate.judge.bets import Claim, orders
from quorate.judge.losses import Losses

Array = np.ndarray


# ---- losses as claims -----------------------------------------------------------------------------------------------
def small_loss(of: Losses, rng: np.random.Generator) -> Claim:
    """Minus the judge's mean loss is above t."""
    place = orders(len(of.cost), 1, rng)[..., 0]
    return _mean_claim(-of.own[place], -of.most, 0.0)


def beside_people(of: Losses, rng: np.random.Generator) -> Claim:
    """People's mean loss among themselves less the judge's, on the same items, is above t."""
    kept = of.select(of.pairable)
    place = orders(len(kept.cost), 1, rng)[..., 0]
    return _mean_claim((kept.paired - kept.own)[place], -of.most, of.most)


def beside_class(of: Losses, code: int, rng: np.random.Generator) -> Claim:
    """The loss of one class said of every item, less the judge's, is above t."""
    place = orders(len(of.cost), 1, rng)[..., 0]
    return _mean_claim((of.shares @ of.between[code] - of.own)[place], -of.most, of.most)


def beside_mean(of: Losses, rng: np.random.Generator) -> Claim:
    """The squared loss of the best constant less the judge's is above t.

    The best constant is people's mean, and its loss their variance: half the squared difference of two grades of unlike
    items, less what is known of neither [hoeffding1948].
    """
    first, second = _blocks(of, 2, rng)
    variance = _people_cross(of, first, second) / 2
    return _mean_claim(variance - (of.own[first] + of.own[second]) / 2, -of.most, of.most)


def _mean_claim(values: Float64[Array, "orders blocks"], low: float, high: float) -> Claim:
    return Claim(values, np.ones_like(values), lambda t: low - t, lambda t: high - t)


# ---- kappas as claims -----------------------------------------------------------------------------------------------
def kappa(of: Losses, rng: np.random.Generator) -> Claim:
    """The judge's kappa with people is above t: E[d'] - E[d] - t E[d'] > 0, where d' is the loss of unlike items."""
    first, second = _blocks(of, 2, rng)
    return _kappa(_cross(of, first, second), (of.own[first] + of.own[second]) / 2, of.most)


def people_kappa(of: Losses, rng: np.random.Generator) -> Claim:
    """People's kappa among themselves is above t."""
    kept = of.select(of.pairable)
    first, second = _blocks(kept, 2, rng)
    return _kappa(_people_cross(kept, first, second), (kept.paired[first] + kept.paired[second]) / 2, of.most)


def _kappa(chance: Float64[Array, "orders blocks"], own: Float64[Array, "orders blocks"], most: float) -> Claim:
    return Claim(chance - own, chance, lambda t: -most - max(t - 1, 0) * most, lambda t: (1 - min(t, 1)) * most)


def kappa_beside_people(of: Losses, rng: np.random.Generator) -> Claim:
    """The judge's kappa less people's is above t: E[o' j'] - E[j o'] ... in products of unlike items.

    With j, o the losses of judge and people and j', o' those of chance: o/o' - j/j' > t, that is
    E[o] E[j'] - E[j] E[o'] - t E[j'] E[o'] > 0; each product is a mean over two pairs of unlike items.
    """
    kept = of.select(of.pairable)
    four = _blocks(kept, 4, rng)
    part, unit = np.zeros(four[0].shape), np.zeros(four[0].shape)
    ways = [way for way in permutations(range(4)) if way[0] < way[1] and way[2] < way[3]]  # 6 ways to split four
    for way in ways:
        a, b, c, d = (four[at] for at in way)
        judge, people = (kept.own[a] + kept.own[b]) / 2, (kept.paired[a] + kept.paired[b]) / 2
        judge_chance, people_chance = _cross(kept, c, d), _people_cross(kept, c, d)
        part += (people * judge_chance - judge * people_chance) / len(ways)
        unit += _cross(kept, a, b) * people_chance / len(ways)
    square = of.most**2
    return Claim(part, unit, lambda t: -(1 + max(t, 0.0)) * square, lambda t: (1 + max(-t, 0.0)) * square)


def _blocks(of: Losses, size: int, rng: np.random.Generator) -> list[Int64[Array, "orders blocks"]]:
    place = orders(len(of.cost), size, rng)
    return [place[..., at] for at in range(size)]


def _cross(
    of: Losses, first: Int64[Array, "orders blocks"], second: Int64[Array, "orders blocks"]
) -> Float64[Array, "orders blocks"]:
    """The judge's grade of an item against people's of another, both ways."""
    loss = of.cost @ of.shares.T
    return (loss[first, second] + loss[second, first]) / 2


def _people_cross(
    of: Losses, first: Int64[Array, "orders blocks"], second: Int64[Array, "orders blocks"]
) -> Float64[Array, "orders blocks"]:
    """People's grades of an item against people's of another."""
    return (of.shares @ of.between @ of.shares.T)[first, second]
