"""What policies reach over all their thresholds: quality against labels saved, the area below it, the Pareto front.

A family of policies is one policy whose threshold is swept from where it buys nothing to where it buys everything
[nguyen2026]. `curves` does so on the states after each label, exactly: every threshold at which anything changes is a
point. `curves_of` joins policies that were replayed label by label, such as those of `spread`.

Labels and cost are those of all item-tasks, quality that of those with a truth. Where some have none, the areas
differ from those of `evaluate.compare`, which leaves such item-tasks out of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.errors import SettingError
from quorate.measure import efficiency as measured
from quorate.measure.efficiency import Curve, Estimate, Moves, StopRule
from quorate.policy.outcome import Figures, Replayed
from quorate.policy.steps import Steps, sureness_of
from quorate.policy.stopping import POLICIES, FixedOverlap, MajorityAgreement, PerTaskEntropy, Policy

Array = np.ndarray
Quality = Literal["accuracy", "log_loss"]
MOST_ENTROPY = float(np.log(2**15))  # nats; no task has more classes
JUST_ABOVE = 1e-12  # a policy stops at its threshold, a point of a curve above it


# ---- curves ---------------------------------------------------------------------------------------------------------
class Curves(NamedTuple):
    """What a family reaches, from no label bought to all; None where it is not known or there is no truth."""

    efficiency: Float64[Array, "points"]  # share of labels saved; falling
    cost: Float64[Array, "points"]  # of the labels bought, currency
    accuracy: Float64[Array, "points"] | None
    log_loss: Float64[Array, "points"] | None  # nats
    sureness: Float64[Array, "points"] | None  # one asks on until it is above this; see `raised`


def curves(steps: Steps, policy: Policy, task: str | None = None) -> Curves:
    """All thresholds of the policy's family, of all tasks or one; its own threshold is passed over.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.steps import cross_fitted
    >>> from quorate.policy.stopping import Minimum
    >>> from quorate.simulate.world import world
    >>> steps = cross_fitted(world("paper", 40).coded(), estimator("majority"))
    >>> curves(steps, Minimum(1.0)).cost[[0, -1]].tolist()
    [0.0, 2000.0]
    """
    family = _family(steps, policy, task)
    cost, labels = (measured.traced(_totals(family, of)) for of in (family.cost, family.bought))
    n_labels = labels.accuracy[-1]
    return Curves(
        1.0 - labels.accuracy / n_labels if n_labels > 0 else np.ones(len(labels.accuracy)),
        cost.accuracy,
        _mean(family, family.credit),
        _mean(family, family.loss),
        np.append(-np.inf, cost.threshold[1:]),
    )


def curves_of(replayed: Replayed, places: Sequence[int], task: str | None = None) -> Curves:
    """The same through the policies at these places, as they were replayed."""
    found = sorted((replayed.figures(place)[task or ""] for place in places), key=lambda each: -(each.efficiency or 0))
    return Curves(
        np.array([1.0 if each.efficiency is None else each.efficiency for each in found]),
        np.array([each.cost for each in found]),
        _values(found, "accuracy"),
        _values(found, "log_loss"),
        None,
    )


def _values(found: Sequence[Figures], quality: Quality) -> Float64[Array, "points"] | None:
    estimates: list[Estimate | None] = [getattr(each, quality) for each in found]
    known = [each.value for each in estimates if each is not None]
    return np.array(known) if len(known) == len(found) else None


# ---- areas ----------------------------------------------------------------------------------------------------------
def auc(of: Curves, quality: Quality = "accuracy") -> float | None:
    """Area of quality over efficiency by the trapezoid rule, extended flat to efficiency 0 and 1; None without truth.

    >>> auc(Curves(np.array([1.0, 0.0]), np.array([0.0, 9.0]), np.array([0.6, 0.8]), None, None))
    0.7
    """
    values = of.accuracy if quality == "accuracy" else of.log_loss
    return None if values is None else measured.auc(Curve(np.zeros(len(values)), of.efficiency, values))


def auc_estimate(
    steps: Steps, policy: Policy, task: str | None = None, quality: Quality = "accuracy", *, seed: int = 0
) -> Estimate | None:
    """The area with its standard error by the bootstrap over items; None without truth."""
    family = _family(steps, policy, task)
    if not family.counted.any():
        return None
    of = _moves(family, family.credit if quality == "accuracy" else family.loss)
    return measured.auc_estimate(of, seed=seed)


# ---- a family of policies -------------------------------------------------------------------------------------------
def raised(policy: Policy, sureness: float) -> Policy:
    """The policy of that family that asks on until it is surer than this; -inf: the one that asks least.

    No threshold asks on after certainty, so that the last point of a curve, all labels bought, may have no policy.
    Raises SettingError for a policy that is not ours.

    >>> from quorate.policy.stopping import PerTaskConfidence
    >>> raised(FixedOverlap(0), 2.0), raised(PerTaskConfidence(0.5), -np.inf)
    (FixedOverlap(labels=3, of_task={}), PerTaskConfidence(threshold=0.0, of_task={}))
    """
    if POLICIES.get(policy.name) is not type(policy):
        raise SettingError(f"policy {policy.name!r} has no threshold that quorate knows; sweep it by hand")
    bar, alone = sureness + JUST_ABOVE, {"of_task": {}} if hasattr(policy, "of_task") else {}
    if isinstance(policy, FixedOverlap):
        return replace(policy, labels=floor(sureness) + 1 if sureness >= 0 else 0, **alone)
    if isinstance(policy, PerTaskEntropy):
        return replace(policy, threshold=float(np.clip(-bar, 0.0, MOST_ENTROPY)), **alone)
    share = float(np.clip(bar, 0.0, 1.0))
    settings = {"share": share} if isinstance(policy, MajorityAgreement) else {"threshold": share, **alone}
    return replace(policy, **settings)  # type: ignore[type-var] # all of ours are dataclasses


def spread(steps: Steps, policy: Policy, points: int) -> tuple[Policy, ...]:
    """Policies of that family whose efficiencies on these states are spread evenly, from the most saved to the least.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.steps import cross_fitted
    >>> from quorate.simulate.world import world
    >>> steps = cross_fitted(world("paper", 40).coded(), estimator("majority"))
    >>> [each.labels for each in spread(steps, FixedOverlap(0), 6)]
    [0, 1, 2, 3, 4, 5]
    """
    of = curves(steps, policy)
    assert of.sureness is not None
    places = np.searchsorted(-of.efficiency, -np.linspace(1.0, 0.0, points) - JUST_ABOVE)
    surenesses = of.sureness[np.minimum(places, len(of.sureness) - 1)]
    return tuple(dict.fromkeys(raised(policy, float(each)) for each in surenesses))


# ---- the front ------------------------------------------------------------------------------------------------------
class Point(NamedTuple):
    """A policy by what it costs and brings."""

    policy: Policy
    efficiency: float | None
    cost: float  # currency
    accuracy: float | None
    log_loss: float | None  # nats


def points(replayed: Replayed, task: str | None = None) -> tuple[Point, ...]:
    """The replayed policies as points, of all tasks or one."""
    found: list[Point] = []
    for place, outcome in enumerate(replayed.outcomes):
        of = replayed.figures(place)[task or ""]
        accuracy, log_loss = (each and each.value for each in (of.accuracy, of.log_loss))
        found.append(Point(outcome.policy, of.efficiency, of.cost, accuracy, log_loss))
    return tuple(found)


def pareto(of: Sequence[Point], quality: Quality = "accuracy") -> Bool[Array, "points"]:
    """True where no other point is as good for less cost, or better for as much; equal points stand together.

    >>> some = [Point(FixedOverlap(n), None, n, right, None) for n, right in enumerate((0.7, 0.9, 0.8))]
    >>> pareto(some).tolist()
    [True, True, False]
    """
    values = np.array([getattr(point, quality) for point in of], float)  # None, no truth, becomes NaN
    values, cost = np.where(np.isnan(values), 0.0, values), np.array([point.cost for point in of], float)
    return undominated(values if quality == "accuracy" else -values, cost)


def undominated(good: Float64[Array, "points"], cost: Float64[Array, "points"]) -> Bool[Array, "points"]:
    """True where no other point is at least as good for less, or better for as much."""
    order = np.lexsort((-good, cost))
    best_before = np.maximum.accumulate(np.append(-np.inf, good[order])[:-1])
    stands = good[order] > best_before
    same = np.append(False, (np.diff(good[order]) == 0) & (np.diff(cost[order]) == 0))
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))  # of a run of equal points
    found = np.zeros(len(order), bool)
    found[order] = stands[first]
    return found


# ---- parts ----------------------------------------------------------------------------------------------------------
class _Family(NamedTuple):
    """What adds up over item-tasks, and what stops them."""

    rule: StopRule
    sureness: Float64[Array, "steps items tasks"]
    n_labels: Int64[Array, "items tasks"]
    bought: Float64[Array, "steps items tasks"]
    cost: Float64[Array, "steps items tasks"]
    credit: Float64[Array, "steps items tasks"]
    loss: Float64[Array, "steps items tasks"]
    counted: Bool[Array, "items tasks"]


def _family(steps: Steps, policy: Policy, task: str | None) -> _Family:
    """Of one task only: the others are left out where each stops by itself, and add nothing where all stop together."""
    sureness, n_labels = sureness_of(policy, steps), steps.n_labels
    bought = np.minimum(np.arange(len(sureness))[:, None, None], n_labels).astype(float)
    parts = [bought, steps.cost, steps.credit, steps.loss, steps.counted]
    if task is not None:
        t = steps.schema.code_of[steps.schema.task(task).name]
        if policy.whole_item:
            here = np.arange(n_labels.shape[1]) == t
            parts = [part & here if part.dtype == bool else part * here for part in parts]
        else:
            sureness, n_labels = sureness[:, :, t : t + 1], n_labels[:, t : t + 1]
            parts = [part[..., t : t + 1] for part in parts]
    rule: StopRule = "minimum" if policy.whole_item else "per_task"  # tasks that stop together have one sureness
    return _Family(rule, sureness, n_labels, *parts)


def _moves(family: _Family, quantity: Float64[Array, "steps items tasks"]) -> Moves:
    """All item-tasks buy labels; quality is the mean over those with a truth."""
    of = measured.moves(family.sureness, quantity, family.n_labels, rule=family.rule)
    return of._replace(cells=family.counted.sum(axis=1).astype(float))


def _totals(family: _Family, quantity: Float64[Array, "steps items tasks"]) -> Moves:
    """A sum in place of a mean."""
    of = _moves(family, quantity)
    return of._replace(cells=np.eye(1, len(of.cells))[0])


def _mean(family: _Family, quality: Float64[Array, "steps items tasks"]) -> Float64[Array, "points"] | None:
    return measured.traced(_moves(family, quality)).accuracy if family.counted.any() else None
