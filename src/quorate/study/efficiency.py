"""Figure 4: accuracy and log loss over the share of labels saved, all estimators and the oracle [nguyen2026]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from quorate.policy.stopping import Minimum, PerTaskConfidence
from quorate.study import figures
from quorate.study.campaign import GRID
from quorate.study.choices import option_choices, world_choices
from quorate.study.gather import World, gathered, world_part
from quorate.study.order import (
    against_paper,
    bands,
    difference,
    gap,
    mean_curve,
    order_found,
    over_seeds,
    paper_order,
    ranked,
    to_best,
)
from quorate.study.plan import ORACLE, Plan, seeds_said
from quorate.study.runs import Part
from quorate.study.section import Drawing, Section, Table, best, figure, with_error

TASKS = 10
POLICIES = (Minimum(1.0), PerTaskConfidence(1.0))  # the threshold is swept
UNDER = {"minimum": "under the minimum policy", "per-task-confidence": "under per-task confidence"}
REMARKS = (
    "± is the standard error over seeds; differences to the best are taken seed by seed.",
    "Shades: one standard error of the difference to the mean of all curves, since worlds differ more than estimators.",
    "The oracle is the posterior under the world's true parameters: nobody can do better on average.",
    "The area of the log loss is over the share of labels saved; lower is better.",
)
Parts = Mapping[str, Mapping[int, Part]]


def efficiency(plan: Plan) -> Section:
    """Run it, or read what is kept."""
    seeds, n_items = plan.world_seeds(5, 2), plan.n_items(10_000, 600)
    found = gathered(
        plan,
        (*plan.estimators, ORACLE),
        seeds,
        lambda name, seed: world_part(plan, name, World(TASKS, n_items, seed), POLICIES),
    )
    parts = found.parts
    return Section(
        kind="efficiency",
        title="Figure 4: quality against labels saved",
        asks=f"The paper's world, {n_items:,} items with {TASKS} tasks, {seeds_said(len(seeds))}: "
        "one half of the items teaches, the other is asked label by label.",
        found=sentences(parts),
        tables=(*(_table(parts, policy) for policy in UNDER), world_choices(TASKS), option_choices(plan)),
        drawings=tuple(_drawn(parts)),
        data={
            "items": n_items,
            "tasks": TASKS,
            "seeds": seeds,
            "estimators": {name: _data(parts[name]) for name in parts},
            "order": {policy: ranked(without_oracle(aucs(parts, policy))) for policy in UNDER},
        },
        failed=found.failed,
        remarks=REMARKS,
    )


# ---- figures out of parts -------------------------------------------------------------------------------------------
def aucs(parts: Parts, policy: str, what: str = "auc") -> dict[str, list[float]]:
    """One figure per seed."""
    return {name: [part["policies"][policy][what] for part in of.values()] for name, of in parts.items()}


def without_oracle(values: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Those who can be used."""
    return {name: each for name, each in values.items() if name != ORACLE}


def _data(of: Mapping[int, Part]) -> dict[str, Any]:
    fits = [part["fit_s"] for part in of.values() if part["fit_s"] is not None]
    return {
        "fit_s": float(np.mean(fits)) if fits else None,
        "status": [part["status"] for part in of.values()],
        "policies": {policy: _policy_data([part["policies"][policy] for part in of.values()]) for policy in UNDER},
    }


def _policy_data(of_seeds: list[dict[str, Any]]) -> dict[str, Any]:
    auc, area = (over_seeds([each[key] for each in of_seeds]) for key in ("auc", "log_loss_area"))
    accuracy, log_loss = (mean_curve([each[key] for each in of_seeds]) for key in ("accuracy", "log_loss"))
    return {
        "auc": auc.value,
        "auc_se": auc.se,
        "log_loss_area": area.value,
        "log_loss_area_se": area.se,
        "efficiency": GRID.round(2).tolist(),
        "accuracy": accuracy.round(6).tolist(),
        "log_loss": log_loss.round(6).tolist(),
    }


# ---- words ----------------------------------------------------------------------------------------------------------
def sentences(parts: Parts) -> tuple[str, ...]:
    """Who is best, whether the paper's order holds, and where it does not, where the difference comes from."""
    if not without_oracle(aucs(parts, "minimum")):
        return ("No estimator could be run.",)
    found: list[str] = []
    for policy, under in UNDER.items():
        of = without_oracle(aucs(parts, policy))
        found += [order_found(of, f"AUC {under}"), paper_order(of, under), *_why(parts, of, policy)]
    found.append(order_found(without_oracle(aucs(parts, "minimum", "log_loss_area")),
                             "Area of the log loss, in nats, under the minimum policy", most=False))  # fmt: skip
    return (*found, *_to_oracle(parts))


def _why(parts: Parts, of: Mapping[str, list[float]], policy: str) -> list[str]:
    """For every pair that stands against the paper: with how many labels the difference is there."""
    return [_ends(parts, first, second, policy) for first, second in against_paper(of)]


def _ends(parts: Parts, first: str, second: str, policy: str) -> str:
    ends = [
        over_seeds([
            one["policies"][policy]["accuracy"][place] - other["policies"][policy]["accuracy"][place]
            for one, other in zip(parts[first].values(), parts[second].values(), strict=True)
        ])
        for place in (-1, 0)
    ]  # fmt: skip
    cut = sorted({part["status"] for part in parts[first].values()} - {"converged"})
    ended = f" The fits of {first} ended: {', '.join(cut)}." if cut else ""
    return (
        f"Accuracy of {first} less that of {second}: {difference(ends[0])} with the scores alone, "
        f"{difference(ends[1])} with all labels.{ended}"
    )


def _to_oracle(parts: Parts) -> list[str]:
    if ORACLE not in parts:
        return []
    of = aucs(parts, "minimum")
    first, top = ranked(without_oracle(of))[0], with_error(over_seeds(of[ORACLE]))
    short = with_error(gap(of, ORACLE, first), 4)
    return [f"The oracle reaches {top} under the minimum policy, {first} falls short of it by {short}."]


# ---- tables and pictures --------------------------------------------------------------------------------------------
HEADINGS = ("estimator", "AUC", "to the best", "log loss, area, nats", "accuracy, scores alone", "half saved",
            "all labels", "fit, s")  # fmt: skip


def _table(parts: Parts, policy: str) -> Table:
    of, area = aucs(parts, policy), aucs(parts, policy, "log_loss_area")
    names = [*ranked(without_oracle(of)), *([ORACLE] if ORACLE in of else [])]
    apart = to_best(without_oracle(of)) | {ORACLE: None}
    rows = tuple(
        (
            name,
            with_error(over_seeds(of[name])),
            "–" if name == ORACLE else difference(apart[name]),
            with_error(over_seeds(area[name])),
            *_accuracies(parts[name], policy),
            _fit(parts[name]),
        )
        for name in names
    )
    bold = [(row, 1) for row in best([float(np.mean(of[name])) for name in names if name != ORACLE], most=True)]
    bold += [(row, 3) for row in best([float(np.mean(area[name])) for name in names if name != ORACLE], most=False)]
    return Table(f"{UNDER[policy][0].upper()}{UNDER[policy][1:]}", HEADINGS, rows, tuple(bold))


def _accuracies(of: Mapping[int, Part], policy: str) -> list[str]:
    curve = mean_curve([part["policies"][policy]["accuracy"] for part in of.values()])
    return [figure(float(curve[place])) for place in (len(GRID) - 1, len(GRID) // 2, 0)]


def _fit(of: Mapping[int, Part]) -> str:
    seconds = [part["fit_s"] for part in of.values() if part["fit_s"] is not None]
    return f"{np.mean(seconds):.1f}" if seconds else "–"


def _drawn(parts: Parts) -> list[Drawing]:
    return [
        Drawing(
            f"efficiency-{policy}-{what.replace('_', '-')}",
            f"{title} against the share of labels saved, {UNDER[policy]}: mean over seeds.",
            figures.curves(_lines(parts, policy, what), "labels saved", title),
        )
        for policy in UNDER
        for what, title in (("accuracy", "Accuracy"), ("log_loss", "Log loss, nats"))
    ]


def _lines(parts: Parts, policy: str, what: str) -> dict[str, figures.Line]:
    found = bands({name: [part["policies"][policy][what] for part in of.values()] for name, of in parts.items()})
    return {name: figures.Line(GRID, *band) for name, band in found.items()}
