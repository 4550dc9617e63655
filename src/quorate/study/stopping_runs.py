"""All stopping policies on one campaign of the paper's world, by the protocol and as they would go.

The curves are those of the protocol: every state has the same number of labels of every task. A policy that stops
tasks one by one buys fewer than that, so it is replayed as it would go as well (`policy.replay`), at thresholds along
its curve. Policies that stop whole items need no second replay: the two are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.consensus.estimator import Model
from quorate.consensus.registry import ESTIMATORS
from quorate.measure.efficiency import Curve
from quorate.policy.replay import replay
from quorate.policy.stopping import (
    FixedOverlap,
    Joint,
    MajorityAgreement,
    Maximum,
    Mean,
    Minimum,
    PerTaskConfidence,
    PerTaskEntropy,
    Policy,
    Product,
)
from quorate.study.campaign import (
    Campaign,
    Steps,
    curves_of,
    model_steps,
    setting_of,
    settings_json,
    summary,
    watched,
)
from quorate.study.gather import World, made
from quorate.study.plan import Plan
from quorate.study.runs import Part

Array = np.ndarray
TABLE_4 = ("minimum", "mean", "maximum", "joint", "product", "per-task-confidence", "per-task-entropy")
SWEPT: tuple[Policy, ...] = (
    Minimum(1.0), Mean(1.0), Maximum(1.0), Joint(1.0), Product(1.0), PerTaskConfidence(1.0), PerTaskEntropy(0.0),
    FixedOverlap(0), MajorityAgreement(1.0),
)  # fmt: skip  # their thresholds are swept
RAISED: dict[str, Callable[[float], Policy]] = {
    "per-task-confidence": lambda sureness: PerTaskConfidence(min(max(sureness, 0.0), 1.0)),
    "per-task-entropy": lambda sureness: PerTaskEntropy(max(-sureness, 0.0)),
}  # policies whose tasks stop one by one, from the sureness at which they do
JUST_ABOVE = 1e-12  # a policy stops at its threshold, a curve's point above it


class Replayed(NamedTuple):
    """Points of a policy replayed as it would go, from nothing saved to everything saved."""

    efficiency: Float64[Array, "points"]
    accuracy: Float64[Array, "points"]
    log_loss: Float64[Array, "points"]  # nats


def policy_part(plan: Plan, name: str, world: World, points: int) -> Part:
    """Curves of every policy on one campaign, by the protocol and as it would go."""
    return plan.runs.once(
        f"policies-{world.items}-items-seed-{world.seed}.{name}",
        {
            "world": settings_json(setting_of(world.tasks)),
            "of": world._asdict(),
            "estimator": repr(plan.options(name)),
            "points": points,
        },
        [__name__, ESTIMATORS[name].module],
        lambda: _computed(plan, name, world, points),
    )


def _computed(plan: Plan, name: str, world: World, points: int) -> Part:
    of = made(world)
    model = plan.options(name).fit(of.teach)
    steps = watched(model_steps(model, of), of, SWEPT)
    ends = _ends(steps)
    part: Part = {}
    for kind in SWEPT:
        accuracy, log_loss = curves_of(steps, kind)
        part[kind.name] = summary(accuracy, log_loss)
        if kind.name in RAISED:
            went = as_it_goes(model, of, [RAISED[kind.name](each) for each in thresholds(accuracy, points)], ends)
            part[kind.name]["as_it_goes"] = summary(*_curves(went))
    return part


def thresholds(curve: Curve, points: int) -> list[float]:
    """Surenesses that lead to efficiencies evenly spread over the curve."""
    wanted = np.linspace(0.0, 1.0, points + 2)[1:-1]
    places = np.searchsorted(-curve.efficiency, -wanted)  # the first point that saves no more
    return (curve.threshold[np.minimum(places, len(curve.threshold) - 1)] + JUST_ABOVE).tolist()


def as_it_goes(model: Model, of: Campaign, kinds: Sequence[Policy], ends: Replayed) -> Replayed:
    """Efficiency, accuracy and log loss of these policies, between the ends."""
    found = replay(model, of.judge, kinds, truth=of.truth)
    bought, credit, loss = (
        np.array([getattr(outcome, name).mean() for outcome in found.outcomes]) for name in ("bought", "credit", "loss")
    )
    saved = 1.0 - bought / found.n_labels.mean()
    inner, order = Replayed(saved, credit, loss), np.argsort(saved)
    return Replayed(*(np.concatenate([end[:1], part[order], end[1:]]) for end, part in zip(ends, inner, strict=True)))


def _ends(steps: Steps) -> Replayed:
    """All labels bought, and none."""
    last = np.minimum(steps.n_labels, len(steps.credit) - 1)[None]
    all_bought = [float(np.take_along_axis(each, last, axis=0).mean()) for each in (steps.credit, steps.loss)]
    none = [float(each[0].mean()) for each in (steps.credit, steps.loss)]
    return Replayed(np.array([0.0, 1.0]), *(np.array(pair) for pair in zip(all_bought, none, strict=True)))


def _curves(went: Replayed) -> tuple[Curve, Curve]:
    saved = went.efficiency[::-1]
    return (
        Curve(np.zeros(len(saved)), saved, went.accuracy[::-1]),
        Curve(np.zeros(len(saved)), saved, went.log_loss[::-1]),
    )
