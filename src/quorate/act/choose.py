"""Which model annotates and which one criticizes, from a small test set that people have labeled [lin2025act], 4.3.

The annotator is the model that is right most often. The source's criticizer is the second best; ours is the one with
the largest ABS for this annotator on the same test set, itself included, where there are enough mistakes to tell (a
criticism is how little a model believes the annotator's answer: 1 - its score of that answer). `quorate study act`
measures both. ABS is never compared between annotators: a worse one makes mistakes that are easier to find, so that its
ABS may be larger and its labels, at every budget, worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from quorate.act.metrics import area, influence
from quorate.errors import SettingError
from quorate.measure.intervals import Interval, clopper_pearson, mean_interval, paired_difference

Array = np.ndarray
Way = Literal["measured", "second"]
WAYS: tuple[Way, ...] = ("measured", "second")
LEAST_WRONG = 10  # mistakes of the annotator in the test set; with fewer, ABS says too little


class Ability(NamedTuple):
    """How often a model is right on the test set, and how much less often than the best."""

    model: str
    accuracy: Interval
    behind: Interval | None  # best less this one, on the same items; None for the best itself


class Critic(NamedTuple):
    """What a model's criticism of the annotator is worth, and how much less than the best criticism."""

    model: str
    area: Interval  # ABS
    behind: Interval | None  # best less this one, on the same items; None for the best itself


class Choice(NamedTuple):
    """Who annotates and who criticizes, and the figures that say so, best first."""

    annotator: str
    criticizer: str
    way: Way  # by which the criticizer was chosen: "second" where the test set has too few mistakes to measure
    abilities: tuple[Ability, ...]
    critics: tuple[Critic, ...]  # empty where the annotator made no mistake

    @property
    def clear(self) -> bool:
        """Whether the annotator's lead over the next model is more than chance, at the level of the intervals."""
        return len(self.abilities) < 2 or (self.abilities[1].behind or self.abilities[1].accuracy).low > 0


def criticisms(
    scores: Float64[Array, "items models classes"], answers: Shaped[Array, "items"]
) -> Float64[Array, "items models"]:
    """What each model thinks of these answers: 1 - its score of them, the probability that they are wrong.

    >>> criticisms(np.array([[[0.9, 0.1], [0.3, 0.7]]]), np.array([0])).round(2).tolist()
    [[0.1, 0.7]]
    """
    return 1.0 - np.take_along_axis(scores, answers[:, None, None].astype(np.int64), axis=2)[:, :, 0]


def choose(
    scores: Float64[Array, "items models classes"],
    truth: Int64[Array, "items"],
    models: Sequence[str],
    *,
    way: Way = "measured",
    level: float = 0.95,
) -> Choice:
    """The annotator and its criticizer. Raises SettingError for fewer than two models or items, or an unknown way.

    >>> scores = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.2, 0.8], [0.3, 0.7]], [[0.6, 0.4], [0.9, 0.1]]])
    >>> found = choose(scores, np.array([0, 1, 0]), ["sharp", "blunt"])
    >>> found.annotator, found.criticizer
    ('sharp', 'blunt')
    """
    if way not in WAYS:
        raise SettingError(f"there is no way {way!r} to choose; use one of {', '.join(WAYS)}")
    if len(models) < 2 or len(truth) < 2:
        raise SettingError(f"choosing needs two models and two test items; here are {len(models)} and {len(truth)}")
    right = scores.argmax(axis=2) == truth[:, None]
    ranked = abilities(right, models, level)
    first = list(models).index(ranked[0].model)
    wrong = ~right[:, first]
    found = critics(criticisms(scores, scores[:, first].argmax(axis=1)), wrong, models, level) if wrong.any() else ()
    measured = way == "measured" and wrong.sum() >= LEAST_WRONG
    names = [each.model for each in (found if measured else ranked[1:])]
    criticizer = names[0]
    return Choice(ranked[0].model, criticizer, "measured" if measured else "second", ranked, found)


def abilities(right: Shaped[Array, "items models"], models: Sequence[str], level: float = 0.95) -> tuple[Ability, ...]:
    """Accuracy of every model, best first, equals in their order; with intervals [clopper1934]."""
    share = clopper_pearson(right.sum(axis=0), len(right), level)
    order: list[int] = np.argsort(-right.sum(axis=0), kind="stable").tolist()
    best = right[:, order[0]].astype(np.float64)
    behind = [None, *(paired_difference(best, right[:, at].astype(np.float64), level) for at in order[1:])]
    return tuple(Ability(models[at], share.at(at), less) for at, less in zip(order, behind, strict=True))


def critics(
    errors: Float64[Array, "items critics"],
    wrong: Shaped[Array, "items"],
    models: Sequence[str],
    level: float = 0.95,
) -> tuple[Critic, ...]:
    """ABS of every criticizer of one annotator, best first, with paired differences by influence [hampel1974].

    Raises SettingError where no label is wrong.
    """
    found = [area(column, wrong, level) for column in errors.T]
    known = [each for each in found if each is not None]
    if not known:
        raise SettingError("no label of the test set is wrong, so that criticism cannot be measured")
    order = sorted(range(len(known)), key=lambda at: -known[at].estimate)
    best = influence(errors[:, order[0]], wrong)
    ranked: list[Critic] = []
    for at in order:
        gap = known[order[0]].estimate - known[at].estimate
        spread = mean_interval(best - influence(errors[:, at], wrong), level)
        behind = None if at == order[0] else Interval(gap, gap + spread.low, gap + spread.high, spread.se)
        ranked.append(Critic(models[at], known[at], behind))
    return tuple(ranked)
