"""The offline phase: from validation items to the policy that a campaign should run, or why there is none.

    least cost under floors, or best quality under limits on what is bought

All kinds of stopping policies compete, with one threshold or one per task. Thresholds are searched on one half of the
items and proven on the other, so that the choice among many does not flatter itself. Source: section 7.1 of
[nguyen2026]; the proof by [angelopoulos2021ltt].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
from jaxtyping import Int64

from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Estimator
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.policy.optimize.advice import price_of_proof, why_none, why_this
from quorate.policy.optimize.attempt import EVERYTHING, Attempt, attempt, limit_breaks
from quorate.policy.optimize.choice import Choice, choice_of
from quorate.policy.optimize.constraints import ALL_TASKS, Aim, Constraints
from quorate.policy.optimize.ground import Ground, Margin, Replayer
from quorate.policy.optimize.prove import Proof, proof_of
from quorate.policy.optimize.result import Optimized
from quorate.policy.optimize.standing import accuracy_of
from quorate.policy.outcome import Outcome
from quorate.policy.prices import Prices
from quorate.policy.replay import replay_folds
from quorate.policy.steps import BY_LABEL, Fold, Order, Progress, Steps, fitted_folds, of_folds
from quorate.policy.stopping import FixedOverlap, Policy

Array = np.ndarray
NAMED = 5  # tasks that a note names
MOST_OVERLAPS = 5  # fixed overlaps that are shown beside the best of each family


def optimize(
    steps: Steps,
    constraints: Constraints,
    *,
    aim: Aim | None = None,
    margin: Margin = "proven",
    delta: float = 0.1,
    n_items: int | None = None,
    seed: int = 0,
    replayed: Replayer | None = None,
    progress: Progress | None = None,
) -> Optimized:
    """The best policy that keeps to the constraints, on the states of validation items.

    aim: "cost" (the default under a floor), "accuracy" (the default without one) or "log-loss". margin: "proven": the
    floors are proven at risk delta, and limits hold with probability 1 - delta; "point": both hold by the estimates
    alone, as often as not. n_items: of the campaign, for costs and limits; default as many as there are here. seed:
    decides the halves. replayed: how policies end on some of these items, where that is known better than by the steps.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.steps import cross_fitted
    >>> from quorate.simulate.world import world
    >>> steps = cross_fitted(world("paper", 60).coded(), estimator("majority"))
    >>> optimize(steps, Constraints(budget=0)).chosen.labels
    0.0
    """
    aim = _aim(constraints, aim)
    _check(delta, n_items, margin)
    floors = constraints.floors(steps.schema)
    ground = Ground(steps, replayed=replayed, n_items=n_items, margin=margin, delta=delta, seed=seed)
    tell = progress or (lambda _share, _what: None)
    tell(0.1, "searching")
    tried = attempt(ground, constraints, aim)
    tell(0.6, "comparing")
    near = tried.nearest
    chosen = None if tried.picked is None else tried.choices[tried.picked]
    why = why_none(ground, constraints, tried) if chosen is None else None
    tell(0.9, "comparing")
    return Optimized(
        policy=None if chosen is None else chosen.policy,
        chosen=chosen,
        proofs=() if near is None else _proofs(ground, tried, near),
        choices=_others(ground, constraints, tried),
        nearest=None if near is None or chosen is not None else tried.choices[near],
        binding=why.binding if why else why_this(constraints, chosen, floors) if chosen else (),
        advice=why.advice if why else price_of_proof(tried, constraints, floors),
        constraints=constraints,
        aim=aim,
        margin=margin,
        delta=delta,
        n_items=ground.n_items,
        n_searched=len(ground.searching),
        n_proved=len(ground.proving),
        notes=_notes(steps, constraints, chosen),
    )


def optimize_on(
    data: Dataset | Coded,
    estimator: Estimator,
    constraints: Constraints,
    *,
    prices: Prices = BY_LABEL,
    order: Order = "arrival",
    most_items: int | None = None,
    aim: Aim | None = None,
    margin: Margin = "proven",
    delta: float = 0.1,
    n_items: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Optimized:
    """The best policy for campaigns like this one: fitted and judged on its recorded labels, no item by a model that
    saw it; what is proven is proven of the exact replay.

    n_items: default all items of the data, however many are sampled to judge by. Other arguments as in `optimize` and
    `cross_fitted`.
    """
    coded = coded_of(data)
    constraints.floors(coded.schema)  # an unknown task is told before the work
    prices.of_labels(coded)
    _check(delta, n_items, margin)
    _aim(constraints, aim)
    folds = fitted_folds(
        coded, estimator, order=order, seed=seed, most_items=most_items, progress=_part(progress, 0.0, 0.6)
    )
    steps = of_folds(folds, prices, _part(progress, 0.6, 0.2))
    return optimize(
        steps,
        constraints,
        aim=aim,
        margin=margin,
        delta=delta,
        n_items=coded.n_items if n_items is None else n_items,
        seed=seed,
        replayed=lambda policies, items: _exactly(folds, policies, items, prices),
        progress=_part(progress, 0.8, 0.2),
    )


def _exactly(
    folds: Sequence[Fold], policies: Sequence[Policy], items: Int64[Array, "kept"], prices: Prices
) -> Sequence[Outcome]:
    """How policies end on some items, label by label."""
    parts: list[Fold] = []
    for fold in folds:
        rows = np.flatnonzero(np.isin(fold.place, items))
        if len(rows):
            parts.append(Fold(fold.model, fold.judge.select(rows), fold.truth.select(rows), fold.place[rows]))
    return replay_folds(parts, policies, prices).outcomes


def _proofs(ground: Ground, tried: Attempt, at: int) -> tuple[Proof, ...]:
    return tuple(
        proof_of(check, tried.judged[at], ground.delta, ground.target(check.task), holds=at < tried.n_passed)
        for check in tried.checks
        if ground.judgeable(check.task)
    )


# ---- what else there is ---------------------------------------------------------------------------------------------
def _others(ground: Ground, constraints: Constraints, tried: Attempt) -> tuple[Choice, ...]:
    """The best of each family under the constraints, fixed overlaps, and everything, on the items to prove on."""
    named: list[tuple[str, Policy]] = list(tried.best_of_family.items())
    named += [(f"{n} labels each", FixedOverlap(n)) for n in range(min(ground.most_labels, MOST_OVERLAPS + 1))]
    named.append((EVERYTHING, ground.everything))
    frame = ground.frame(ground.prove, constraints)
    outcomes = ground.proved([policy for _, policy in named])
    found = [choice_of(name, outcome, frame) for (name, _), outcome in zip(named, outcomes, strict=True)]
    return tuple(replace(choice, breaks=_breaks(choice, constraints, ground)) for choice in found)


def _breaks(choice: Choice, constraints: Constraints, ground: Ground) -> tuple[str, ...]:
    floors = constraints.floors(ground.steps.schema)
    below = tuple(
        f"floor{f' of {task}' if task else ''}: {100 * accuracy_of(choice, task):.1f} %"
        for task, floor in floors.items()
        if accuracy_of(choice, task) < floor
    )
    return (*below, *limit_breaks(choice, constraints))


def _notes(steps: Steps, constraints: Constraints, chosen: Choice | None) -> tuple[str, ...]:
    found: list[str] = []
    unjudged = [task.name for task, known in zip(steps.schema.tasks, steps.counted.T, strict=True) if not known.sum()]
    if unjudged:
        found.append(
            f"Nothing to judge by on {_named(unjudged)}: with a threshold per task, everything is asked there."
        )
    if "panel" in steps.kind:
        found.append(
            "Without gold, right means what all people asked would conclude: asking everyone is right by definition."
        )
    floors = constraints.floors(steps.schema)
    free = [task.name for task in steps.schema.tasks if task.name not in floors]
    if floors and ALL_TASKS not in floors and free:
        found.append(f"No floor is asked of {_named(free)}: with a threshold per task, nothing is bought there.")
    overall = floors.get(ALL_TASKS)
    if overall is not None and chosen is not None:
        low = [name for name in free if name in chosen.accuracy_of_task and accuracy_of(chosen, name) < overall]
        if low:
            found.append(
                f"The floor is over all tasks together; below it on their own: {_named(low)}. Floors per task help."
            )
    return tuple(found)


def _named(tasks: Sequence[str]) -> str:
    shown = ", ".join(map(repr, tasks[:NAMED]))
    return f"{'task' if len(tasks) == 1 else 'tasks'} {shown}" + (", ..." if len(tasks) > NAMED else "")


# ---- the door -------------------------------------------------------------------------------------------------------
def _aim(constraints: Constraints, aim: Aim | None) -> Aim:
    if aim is None:
        return "accuracy" if constraints.floor is None else "cost"
    if aim not in get_args(Aim):
        raise SettingError(f"aim is one of {', '.join(get_args(Aim))}, not {aim!r}")
    if aim == "cost" and constraints.floor is None:
        raise SettingError("without a floor the least cost is to buy nothing: give a floor, or aim at accuracy")
    return aim


def _check(delta: float, n_items: int | None, margin: str) -> None:
    if not 0 < delta < 1:
        raise SettingError(f"delta lies between 0 and 1, both excluded, not {delta}")
    if n_items is not None and n_items < 1:
        raise SettingError(f"n_items is the size of the campaign, 1 or more, not {n_items}")
    if margin not in get_args(Margin):
        raise SettingError(f"margin is one of {', '.join(get_args(Margin))}, not {margin!r}")


def _part(progress: Progress | None, begin: float, length: float) -> Progress | None:
    if progress is None:
        return None
    return lambda share, what: progress(begin + length * share, what)
