"""Constants that the paper does not publish, and what was chosen; read from the settings that are run."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from quorate.errors import QuorateError
from quorate.evaluate.protocol import MOST_ITEMS, MOST_LABELS
from quorate.study.campaign import setting_of
from quorate.study.plan import Plan
from quorate.study.section import Table

HEADINGS = ("what", "in the paper", "here")
SAID = "used, value not given"
PAPER_SAYS = {
    "majority-all": "MV: the mode of all agents' labels; its confidence not defined",
    "dawid-skene": "Disc-DS: smoothing and stopping not given",
    "calibrated-dawid-skene": "CAL-DS: several models, several people and priors not given",
    "haic": "HAIC: several models and people, and how it is fitted, not given",
    "calco": "encoder, learning rate, batch, archetypes F, precision γ, priors α, β, η and stopping not given",
}


def world_choices(n_tasks: int) -> Table:
    """The simulated world."""
    world = setting_of(n_tasks)
    inside, across = world.model_correlation[0, 1], world.model_correlation[0, -1]
    lowest, highest = world.model_accuracy
    fewest, most = world.labels_per_item
    rows = (
        ("items, tasks", "10,000 and 10 in Figure 4; items of Figure 5 not given", "stated with every figure"),
        ("classes per task K", SAID, str(world.classes[0])),
        ("mean of the log-odds μ", SAID, f"normal, mean 0, sd {world.mean_sd:g}, drawn anew for every seed"),
        ("scale of the log-odds σ", SAID, f"{world.sigma:g}"),
        ("task correlation Ω_θ", "matched to production, not given",
         f"{world.task_correlation[0, world.classes[0] - 1]:g} between equal components of different tasks, else 0"),
        ("models M", SAID, f"{len(world.model_correlation)}, two of one family and one of another"),
        ("model correlation Ω_ψ", "matched to production, not given",
         f"{inside:g} inside the family, {across:g} across"),
        ("model accuracy p_min, p_max", SAID, f"{lowest:g}, {highest:g}"),
        ("score concentration λ", SAID, f"{world.concentration:g}"),
        ("annotators A", SAID, str(world.n_annotators)),
        ("annotators' rows φ", "generated independently, law not given",
         f"Dirichlet, {world.diagonal:g} on the diagonal, {world.off_diagonal:g} shared by the other classes"),
        ("labels per item J", SAID, str(most) if fewest == most else f"{fewest} to {most}, each as likely"),
        ("who teaches", "history; split not given", "the first half of the items, its truth unseen"),
        ("label order", "not given", "the order in which the world drew them"),
        ("AUC", "not defined", "trapezoid over all thresholds, flat to efficiency 0 and 1"),
    )  # fmt: skip
    return Table("The simulated world", HEADINGS, rows)


def option_choices(plan: Plan) -> Table:
    """The options of every estimator, as fitted."""
    rows = [_options(plan, name) for name in plan.estimators]
    return Table("The estimators", ("estimator", "in the paper", "here"), tuple(row for row in rows if row is not None))


def protocol_choices() -> Table:
    """How recorded data are judged."""
    rows = (
        ("data sets", "ten of the authors' own, not published", "the folders given"),
        ("folds", "not given", "two over items: one teaches, the other is replayed, and the reverse"),
        ("what counts as right", "not given", "gold where a task has it, else the strict majority of all its people"),
        ("label order", "not given", "random, seeded"),
        ("limits", "not given", f"{MOST_LABELS} labels per item and task, {MOST_ITEMS:,} items, sampled"),
        ("stopping rule of Table 5", "not given", "minimum; per-task confidence beside it"),
    )
    return Table("How recorded data are judged", HEADINGS, rows)


def _options(plan: Plan, name: str) -> tuple[str, str, str] | None:
    """One row for an estimator; none where it cannot be made, which the study says elsewhere."""
    try:
        option: Any = plan.options(name)
    except (QuorateError, ImportError):
        return None
    values = {each.name: getattr(option, each.name) for each in fields(option)} if is_dataclass(option) else {}
    text = ", ".join(f"{key.replace('_', ' ')} {_said(value)}" for key, value in values.items() if value is not None)
    changed = ", ".join(key.replace("_", " ") for key in plan.settings(name))
    cut = f" (cut down for the quick study: {changed})" if changed else ""
    return (name, PAPER_SAYS.get(name, "not in the paper"), (text or "no options") + cut)


def _said(value: Any) -> Any:
    return ("yes" if value else "no") if isinstance(value, bool) else value
