"""`quorate fit`: learn from a folder and keep what was learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson, Bad, Estimator, Folder, OnBad
from quorate.cli.source import Size, fitted, opened, size
from quorate.cli.terminal import console, notes, plural, print_json

if TYPE_CHECKING:
    from quorate.consensus.estimator import Model


def fit(
    folder: Folder,
    estimator: Estimator = "hybrid",
    out: Annotated[Path, typer.Option(help="Where the model is written.")] = Path("model.quorate"),
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Fit an estimator on a folder and save it."""
    from quorate.consensus.archive import save

    data = opened(folder, on_bad)
    model = fitted(data, estimator)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(model, out)
    if as_json:
        print_json({**learned(model), "data": size(data.encode())._asdict(), "out": str(out)})
    else:
        _show(model, size(data.encode()), out)


def learned(model: Model) -> dict[str, Any]:
    """How the fit ended, for programs."""
    fit = model.fit
    return {
        "estimator": model.name,
        "status": fit.status,
        "iterations": fit.iterations,
        "objective": fit.objective[-1] if fit.objective else None,
        "notes": list(fit.notes),
    }


def _show(model: Model, counts: Size, out: Path) -> None:
    screen = console()
    screen.print(counts.line())
    screen.print(f"[bold]{model.name}[/bold] {fit_line(model)}")
    screen.print(notes(model.fit.notes))
    screen.print(f"\nmodel written to {out}; use it with: quorate predict FOLDER --model {out}", markup=False)


def fit_line(model: Model) -> str:
    """How the fit ended, in words."""
    steps = plural(model.fit.iterations, "step")
    return {
        "converged": f"converged after {steps}",
        "iteration limit": f"stopped at the limit of {steps} before it converged; figures may still move",
        "prior only": "nothing to learn from: these are prior beliefs",
    }[model.fit.status]
