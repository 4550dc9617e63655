"""Parts of a study for several estimators and cases; what fails is named and left out, and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from quorate.consensus.registry import ESTIMATORS
from quorate.policy.stopping import Policy
from quorate.study.campaign import (
    Campaign,
    campaign,
    curves_of,
    model_steps,
    oracle_steps,
    setting_of,
    settings_json,
    summary,
    watched,
)
from quorate.study.plan import ORACLE, Plan
from quorate.study.runs import Part, reason

Case = TypeVar("Case", bound=Hashable)


@dataclass(frozen=True)
class Gathered(Generic[Case]):
    """Parts by estimator and case; an estimator that failed in one case is in none."""

    parts: dict[str, dict[Case, Part]]
    failed: dict[str, str]


def gathered(
    plan: Plan, names: Sequence[str], cases: Sequence[Case], work: Callable[[str, Case], Part]
) -> Gathered[Case]:
    """Every part, case after case; progress told before each."""
    parts: dict[str, dict[Case, Part]] = {name: {} for name in names}
    failed: dict[str, str] = {}
    for place, case in enumerate(cases):
        for column, name in enumerate(names):
            if name in failed:
                continue
            plan.tell(place * len(names) + column, len(cases) * len(names), f"{name}, part {place + 1} of {len(cases)}")
            try:
                parts[name][case] = work(name, case)
            except Exception as error:  # noqa: BLE001 - hours of other parts must not be lost to a fault in one
                failed[name] = reason(error)
    return Gathered({name: found for name, found in parts.items() if name not in failed}, failed)


class World(NamedTuple):
    """Which campaign of the paper's world."""

    tasks: int
    items: int
    seed: int


def world_part(
    plan: Plan,
    name: str,
    world: World,
    policies: Sequence[Policy],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Part:
    """One estimator, or the oracle, on one campaign: the curves of these policies, and seconds of the fit."""
    return plan.runs.once(
        f"world-{world.tasks}-tasks-{world.items}-items-seed-{world.seed}.{name}.{len(policies)}-policies",
        {
            "world": settings_json(setting_of(world.tasks)),
            "of": world._asdict(),
            "estimator": "true parameters" if name == ORACLE else repr(plan.options(name)),
            "policies": [kind.to_json() for kind in policies],
        },
        ["quorate.study.campaign", *([] if name == ORACLE else [ESTIMATORS[name].module])],
        lambda: _computed(plan, name, world, policies, clock),
    )


def _computed(plan: Plan, name: str, world: World, policies: Sequence[Policy], clock: Callable[[], float]) -> Part:
    of = made(world)
    began = clock()
    model = None if name == ORACLE else plan.options(name).fit(of.teach)
    fit_s = clock() - began
    steps = watched(oracle_steps(of) if model is None else model_steps(model, of), of, policies)
    return {
        "fit_s": fit_s if model else None,
        "status": model.fit.status if model else "exact",
        "policies": {kind.name: summary(*curves_of(steps, kind)) for kind in policies},
    }


@lru_cache(maxsize=1)
def made(world: World) -> Campaign:
    """The campaign, made once for all estimators that follow one another on it."""
    return campaign(world.tasks, world.items, world.seed)
