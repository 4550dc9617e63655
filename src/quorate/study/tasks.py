"""Figure 5: what the number of tasks does to the area under the curve and to accuracy at half the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from quorate.measure.efficiency import Estimate
from quorate.policy.stopping import Minimum, PerTaskConfidence
from quorate.study import figures
from quorate.study.campaign import GRID
from quorate.study.choices import option_choices, world_choices
from quorate.study.gather import Gathered, World, gathered, world_part
from quorate.study.order import bands, difference, over_seeds, paper_order, ranked
from quorate.study.plan import ORACLE, Plan, seeds_said
from quorate.study.section import Drawing, Section, Table, best, listed, with_error

FULL, QUICK = (1, 2, 5, 10, 20), (1, 4, 10)
POLICIES = (Minimum(1.0), PerTaskConfidence(1.0))  # the threshold is swept
HALF = len(GRID) // 2
JOINT = ("calco", "hybrid")  # whose tasks learn from each other
TITLES = {"auc": "AUC", "half": "accuracy at half the labels"}


class Case(NamedTuple):
    """One world."""

    tasks: int
    seed: int


Found = Mapping[str, Mapping[int, list[float]]]  # by estimator and number of tasks, one figure per seed


def tasks(plan: Plan) -> Section:
    """Run it, or read what is kept."""
    numbers = QUICK if plan.quick else FULL
    seeds, n_items = plan.world_seeds(3, 1), plan.n_items(4_000, 500)
    cases = [Case(t, seed) for t in numbers for seed in seeds]
    names = (*plan.estimators, ORACLE)
    parts = gathered(
        plan, names, cases, lambda name, case: world_part(plan, name, World(case.tasks, n_items, case.seed), POLICIES)
    )
    found = {
        f"{what}, {policy.name}": _figures(parts, numbers, policy.name, what) for policy in POLICIES for what in TITLES
    }
    return Section(
        kind="tasks",
        title="Figure 5: more tasks about the same items",
        asks=f"The paper's world with {listed([str(t) for t in numbers])} tasks, {n_items:,} items, "
        f"{seeds_said(len(seeds))}; one half teaches, the other is asked label by label.",
        found=sentences(found, numbers),
        tables=(
            *(_table(title, of, numbers) for title, of in found.items()),
            world_choices(numbers[-1]),
            option_choices(plan),
        ),
        drawings=tuple(_drawn(title, of) for title, of in found.items()),
        data={
            "items": n_items,
            "tasks": list(numbers),
            "seeds": seeds,
            "figures": {title: _data(of) for title, of in found.items()},
        },
        failed=parts.failed,
        remarks=(
            "± is the standard error over seeds; shades are those of the difference to the mean of all lines.",
            "A world with another number of tasks is another world: compare estimators, not numbers of tasks.",
        ),
    )


def _figures(parts: Gathered[Case], numbers: tuple[int, ...], policy: str, what: str) -> Found:
    return {
        name: {
            t: [_figure(part["policies"][policy], what) for case, part in of.items() if case.tasks == t]
            for t in numbers
        }
        for name, of in parts.parts.items()
    }


def _figure(of: Mapping[str, object], what: str) -> float:
    accuracy = of["accuracy"]
    assert isinstance(accuracy, list)
    return float(accuracy[HALF] if what == "half" else of["auc"])  # type: ignore[arg-type]


def _data(of: Found) -> dict[str, list[dict[str, float | int | None]]]:
    return {
        name: [
            {"tasks": t, **dict(zip(("value", "se"), over_seeds(values), strict=True))} for t, values in each.items()
        ]
        for name, each in of.items()
    }


# ---- words ----------------------------------------------------------------------------------------------------------
def sentences(found: Mapping[str, Found], numbers: tuple[int, ...]) -> tuple[str, ...]:
    """What more tasks bring to each estimator, and whether the lead over those that treat tasks apart grows."""
    of = {name: each for name, each in found["auc, minimum"].items() if name != ORACLE}
    if not of:
        return ("No estimator could be run.",)
    said = [_lead(of, numbers, first) for first in JOINT if first in of]
    said.append(_growth(of, numbers, found["auc, per-task-confidence"]))
    said += [_order(of, t) for t in numbers]
    return tuple(said)


def _order(of: Found, t: int) -> str:
    return paper_order({name: each[t] for name, each in of.items()}, f"with {_tasks(t)}, minimum policy")


def _tasks(t: int) -> str:
    return f"{t} task{'s' if t > 1 else ''}"


def _growth(of: Found, numbers: tuple[int, ...], per_task: Found) -> str:
    few, many = numbers[0], numbers[-1]
    parts = [
        f"{name} {_signed(each[few], each[many])} ({_signed(per_task[name][few], per_task[name][many])})"
        for name, each in of.items()
    ]
    return f"AUC with {many} tasks less that with {few}, minimum policy (per-task confidence): {', '.join(parts)}."


def _signed(few: list[float], many: list[float]) -> str:
    return difference(Estimate(float(np.mean(many) - np.mean(few)), None))


def _lead(of: Found, numbers: tuple[int, ...], first: str) -> str:
    """First over the best of those whose tasks know nothing of each other."""
    rivals = [name for name in of if name not in JOINT]
    if not rivals:
        return f"{first} has no rival here that treats tasks apart."
    leads = {t: _leads(of, t, first, rivals) for t in numbers}
    change = over_seeds([many - few for few, many in zip(leads[numbers[0]], leads[numbers[-1]], strict=True)])
    word = "widens" if change.value > 0 else "does not widen"
    steps = ", ".join(f"{with_error(over_seeds(values), 4)} with {t}" for t, values in leads.items())
    return (
        f"The lead of {first} in AUC over the best estimator that treats tasks apart {word} by {with_error(change, 4)} "
        f"from {_tasks(numbers[0])} to {numbers[-1]}: {steps}."
    )


def _leads(of: Found, t: int, first: str, rivals: list[str]) -> list[float]:
    rival = ranked({name: of[name][t] for name in rivals})[0]
    return [one - other for one, other in zip(of[first][t], of[rival][t], strict=True)]


# ---- tables and pictures --------------------------------------------------------------------------------------------
def _table(title: str, of: Found, numbers: tuple[int, ...]) -> Table:
    names = [name for name in of if name != ORACLE]
    rows = tuple((name, *(with_error(over_seeds(of[name][t])) for t in numbers)) for name in of)
    bold = [
        (row, column + 1)
        for column, t in enumerate(numbers)
        for row in best([float(np.mean(of[name][t])) for name in names], most=True)
    ]
    what, policy = title.split(", ")
    return Table(f"{_capital(TITLES[what])}, {policy}", ("estimator", *map(_tasks, numbers)), rows, tuple(bold))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _drawn(title: str, of: Found) -> Drawing:
    what, policy = title.split(", ")
    found = bands({name: np.transpose(list(each.values())).tolist() for name, each in of.items()})
    lines = {name: figures.Line(np.array(list(of[name]), float), *band) for name, band in found.items()}
    picture = figures.curves(lines, "tasks", TITLES[what], marks=True, percent=False)
    shows = f"{_capital(TITLES[what])} against the number of tasks, {policy}: mean over seeds."
    return Drawing(f"tasks-{what}-{policy}", shows, picture)
