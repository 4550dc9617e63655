"""Figure 6: the stopping policies of Table 4 with one estimator, and who is on the Pareto front [nguyen2026]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.study import figures
from quorate.study.campaign import GRID
from quorate.study.choices import option_choices, world_choices
from quorate.study.front import Curves, front, sentences
from quorate.study.gather import World, gathered
from quorate.study.order import bands, difference, mean_curve, over_seeds, ranked, to_best
from quorate.study.plan import Plan, seeds_said
from quorate.study.section import Drawing, Section, Table, best, figure, with_error
from quorate.study.stopping_runs import SWEPT, TABLE_4, policy_part

TASKS = 10
DEFAULT = "hybrid"
BESIDE = ("minimum", "per-task-confidence", "fixed-overlap", "majority-agreement")
REMARKS = (
    "Joint is from the joint posterior; product, the condition that the paper writes, takes tasks as independent.",
    "As it goes: a task that stopped buys nothing more, so that others cannot learn from labels nobody bought.",
    "Policies that stop whole items are the same either way.",
    "On the front at an efficiency: no other is more accurate there by two standard errors of the paired difference.",
)


def policies(plan: Plan) -> Section:
    """Run it, or read what is kept; with the first of the plan's estimators if `hybrid` is not among them."""
    name = DEFAULT if DEFAULT in plan.estimators else plan.estimators[0]
    seeds, n_items = plan.world_seeds(5, 2), plan.n_items(10_000, 1_600)
    points = 8 if plan.quick else 19
    found = gathered(plan, (name,), seeds, lambda _, seed: policy_part(plan, name, World(TASKS, n_items, seed), points))
    parts = list(found.parts.get(name, {}).values())
    curves = {kind.name: [part[kind.name] for part in parts] for kind in SWEPT} if parts else {}
    return Section(
        kind="policies",
        title="Figure 6: when to stop",
        asks=f"The paper's world, {n_items:,} items with {TASKS} tasks, {seeds_said(len(seeds))}, {name}: "
        "one half of the items teaches, the other is asked label by label.",
        found=sentences(curves) if curves else ("No policy could be replayed.",),
        tables=(_table(curves), world_choices(TASKS), option_choices(plan)) if curves else (),
        drawings=tuple(_drawn(curves)) if curves else (),
        data={
            "items": n_items,
            "tasks": TASKS,
            "seeds": seeds,
            "estimator": name,
            "policies": {policy: _data(of) for policy, of in curves.items()},
            "front": front(curves) if curves else {},
        },
        failed=found.failed,
        remarks=REMARKS,
    )


# ---- tables and pictures --------------------------------------------------------------------------------------------
HEADINGS = (
    "policy",
    "AUC",
    "to the best",
    "as it goes",
    "log loss, area, nats",
    "half saved",
    "80 % saved",
    "on the front",
)


def _table(curves: Curves) -> Table:
    aucs = {name: [each["auc"] for each in of] for name, of in curves.items()}
    areas = {name: [each["log_loss_area"] for each in of] for name, of in curves.items()}
    names, apart, standing = ranked(aucs), to_best(aucs), front(curves)
    rows = tuple(
        (
            name,
            with_error(over_seeds(aucs[name])),
            difference(apart[name]),
            _went(curves[name]),
            with_error(over_seeds(areas[name])),
            *(figure(float(mean_curve([each["accuracy"] for each in curves[name]])[place])) for place in (50, 80)),
            figure(standing[name], 2),
        )
        for name in names
    )
    bold = [(row, 1) for row in best([float(np.mean(aucs[name])) for name in names], most=True)]
    bold += [(row, 4) for row in best([float(np.mean(areas[name])) for name in names], most=False)]
    return Table("Policies, best to worst by AUC", HEADINGS, rows, tuple(bold))


def _went(of: Sequence[Mapping[str, Any]]) -> str:
    return with_error(over_seeds([each["as_it_goes"]["auc"] for each in of])) if "as_it_goes" in of[0] else "the same"


def _data(of: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    auc_of, area = (over_seeds([each[key] for each in of]) for key in ("auc", "log_loss_area"))
    found: dict[str, Any] = {
        "auc": auc_of.value,
        "auc_se": auc_of.se,
        "log_loss_area": area.value,
        "log_loss_area_se": area.se,
        **{key: mean_curve([each[key] for each in of]).round(6).tolist() for key in ("accuracy", "log_loss")},
    }
    if "as_it_goes" in of[0]:
        found["auc_as_it_goes"] = over_seeds([each["as_it_goes"]["auc"] for each in of]).value
    return found


def _drawn(curves: Curves) -> list[Drawing]:
    shown = {name: curves[name] for name in TABLE_4}
    drawings = [
        Drawing(
            f"policies-{what.replace('_', '-')}",
            f"{title} against the share of labels saved under the policies of Table 4: mean over seeds.",
            _picture(shown, what, title),
        )
        for what, title in (("accuracy", "Accuracy"), ("log_loss", "Log loss, nats"))
    ]
    went = [each["as_it_goes"] for each in curves["per-task-confidence"]]
    beside = {**{name: curves[name] for name in BESIDE}, "per task, as it goes": went}
    shows = "Accuracy of per-task confidence by the protocol and as it goes, beside minimum and what is used today."
    return [*drawings, Drawing("policies-as-it-goes", shows, _picture(beside, "accuracy", "Accuracy"))]


def _picture(curves: Curves, what: str, title: str) -> bytes:
    found = bands({name: [each[what] for each in of] for name, of in curves.items()})
    return figures.curves({name: figures.Line(GRID, *band) for name, band in found.items()}, "labels saved", title)
