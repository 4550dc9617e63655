"""Theorem 1, Table 2 and Figure 3 of [nguyen2026], and Proposition 1: what ignoring correlation costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quorate.measure.efficiency import Estimate
from quorate.simulate import theory
from quorate.simulate.theory_draws import SimulatedSpread, simulated_reduction, simulated_rows
from quorate.study import figures
from quorate.study.plan import Plan
from quorate.study.section import Drawing, Section, Table, with_error

DRAWS, QUICK_DRAWS = 20_000, 4_000
SD, CORRELATIONS = 2.0, (0.0, 0.3, 0.6, 0.9)  # of Proposition 1: the paper world's scale
FIGURES = ("relative_error", "bias_trace", "naive_trace")


def theorem(plan: Plan) -> Section:
    """Closed form and simulation; seconds, so nothing is kept."""
    n_draws = QUICK_DRAWS if plan.quick else DRAWS
    rows = theory.rows()
    plan.tell(0, 2, "Table 2")
    simulated = simulated_rows(n_draws=n_draws)
    plan.tell(1, 2, "Proposition 1")
    return Section(
        kind="theorem",
        title="Theorem 1: what ignoring correlation costs",
        asks=f"Scores of 2 to 500 agents that correlate by {theory.TABLE_CORRELATION:g}: the variance of their average "
        f"as it is, and as it seems to one who takes them for independent; in closed form and from {n_draws:,} draws.",
        found=(_grows(rows), _saturates(rows), _agrees(rows, simulated)),
        tables=(_table(rows), _simulated(simulated), _proposition(n_draws), _choices()),
        drawings=tuple(_drawn()),
        data={
            "rows": [row._asdict() for row in rows],
            "simulated": [_as_json(agents, found) for agents, found in simulated.items()],
        },
        remarks=(
            "tr(V naive) is K σ² / M, which the paper's table prints; its text says σ² / M.",
            "± is the standard error of the simulation.",
        ),
    )


def _as_json(agents: int, found: SimulatedSpread) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in FIGURES}
    return {"agents": agents} | {
        key: number for name, each in values.items() for key, number in ((name, each.value), (f"{name}_se", each.se))
    }


# ---- words ----------------------------------------------------------------------------------------------------------
def _grows(rows: tuple[theory.Row, ...]) -> str:
    last = rows[-1]
    return (
        f"With {last.agents} agents the variance is understated {last.true_trace / last.naive_trace:.1f} times: "
        f"{last.naive_trace:.4f} as it seems, {last.true_trace:.4f} as it is."
    )


def _saturates(rows: tuple[theory.Row, ...]) -> str:
    limit = theory.TABLE_CORRELATION * theory.VARIANCE * theory.N_CLASSES
    shares = ", ".join(f"{row.bias_trace / limit:.0%} with {row.agents}" for row in rows)
    return f"More agents do not help: the overlooked variance grows to its limit of {limit:g} ({shares})."


def _agrees(rows: tuple[theory.Row, ...], simulated: dict[int, SimulatedSpread]) -> str:
    off = max(
        abs(getattr(simulated[row.agents], name).value - getattr(row, name)) / getattr(simulated[row.agents], name).se
        for row in rows
        for name in FIGURES
    )
    return f"Simulation and closed form differ by at most {off:.1f} standard errors over {len(rows) * 3} figures."


# ---- tables and pictures --------------------------------------------------------------------------------------------
def _table(rows: tuple[theory.Row, ...]) -> Table:
    return Table(
        f"Table 2, closed form (ρ = {theory.TABLE_CORRELATION:g}, σ² = {theory.VARIANCE:g}, K = {theory.N_CLASSES})",
        ("agents M", "‖bias‖ / ‖V naive‖", "tr(bias)", "tr(V naive)", "tr(V true)"),
        tuple(
            (
                str(row.agents),
                theory.printed(row.relative_error, 2),
                *(theory.printed(value, 3) for value in (row.bias_trace, row.naive_trace, row.true_trace)),
            )
            for row in rows
        ),
    )


def _simulated(simulated: dict[int, SimulatedSpread]) -> Table:
    return Table(
        "The same by simulation",
        ("agents M", "‖bias‖ / ‖V naive‖", "tr(bias)", "tr(V naive)"),
        tuple(
            (str(agents), *(_plain(getattr(found, name).value, getattr(found, name).se, digits) for name, digits in
                            zip(FIGURES, (2, 4, 4), strict=True)))
            for agents, found in simulated.items()
        ),
    )  # fmt: skip


def _plain(value: float, se: float, digits: int) -> str:
    return f"{value:.{digits}f} ± {se:.{digits}f}"


def _proposition(n_draws: int) -> Table:
    """Variance of task B before and after task A is known."""
    rows: list[tuple[str, ...]] = []
    for correlation in CORRELATIONS:
        odds, share = theory.log_odds_reduction(SD, correlation), theory.prevalence_reduction(0.0, SD, correlation)
        drawn = simulated_reduction(0.0, SD, correlation, n_draws=n_draws)
        rows.append((f"{correlation:g}", f"{odds.explained / odds.before:.3f}", f"{share.explained / share.before:.3f}",
                     f"{share.explained:.4f}", with_error(Estimate(*drawn.explained), 4)))  # fmt: skip
    return Table(
        f"Proposition 1: what task A explains of task B (two classes, σ = {SD:g})",
        ("correlation ρ", "share of Var(q)", "share of Var(θ)", "Var(θ) explained", "simulated"),
        tuple(rows),
    )


def _choices() -> Table:
    return Table(
        "Constants",
        ("what", "in the paper", "here"),
        (
            ("weights, σ², K, M, ρ", "published", "the same"),
            ("draws of the simulation", "not given", "as stated above"),
            ("means and scales of Proposition 1", "no figures given", f"mean 0, σ = {SD:g}"),
        ),
    )


def _drawn() -> list[Drawing]:
    """Figure 3, its three panels."""
    found = theory.sweep()
    agents = np.array(theory.FIGURE_AGENTS, float)

    def panel(name: str) -> dict[str, figures.Line]:
        return {f"ρ = {rho:g}": _line(agents, [getattr(row, name) for row in rows]) for rho, rows in found.items()}

    half = found[theory.TABLE_CORRELATION]
    both = {"as it is": _line(agents, [row.true_trace for row in half]),
            "as it seems": _line(agents, [row.naive_trace for row in half])}  # fmt: skip
    limits = [rho * theory.VARIANCE * theory.N_CLASSES for rho in found]

    def picture(lines: dict[str, figures.Line], y_label: str, log: str, flat: Sequence[float] = ()) -> bytes:
        return figures.curves(lines, "agents", y_label, log=log, flat=flat, marks=True, percent=False)

    return [
        Drawing(
            "theorem-relative-error",
            "The relative error grows without bound with the number of agents.",
            picture(panel("relative_error"), "‖bias‖ / ‖V naive‖", "xy"),
        ),
        Drawing(
            "theorem-bias",
            "The overlooked variance grows to a limit (dashed) that no number of agents removes.",
            picture(panel("bias_trace"), "tr(bias)", "x", limits),
        ),
        Drawing(
            "theorem-variance",
            f"At ρ = {theory.TABLE_CORRELATION:g} the variance vanishes as it seems, not as it is.",
            picture(both, "tr(V)", "xy"),
        ),
    ]


def _line(x: Any, y: list[float]) -> figures.Line:
    return figures.Line(x, np.array(y), np.zeros(len(y)))
