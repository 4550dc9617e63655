"""`quorate report`: one page for whoever pays for the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson, Bad, Estimator, Folder, InOrder, ModelFile, OnBad, Order
from quorate.cli.source import opened
from quorate.cli.terminal import console, legend, notes, print_json, progress

if TYPE_CHECKING:
    from quorate.consensus.estimator import Model
    from quorate.report.gather import Report


def report(
    folder: Folder,
    estimator: Estimator = "hybrid",
    model: ModelFile = None,
    floor: Annotated[float, typer.Option(help="Share of the answers that must be right.")] = 0.95,
    price: Annotated[float, typer.Option(help="Cost of one label by a person, in dollars.")] = 0.08,
    delta: Annotated[float, typer.Option(help="Risk that the certificate may take.")] = 0.1,
    order: InOrder = Order.ARRIVAL,
    out: Annotated[Path, typer.Option(help="Folder for the page, its figures as PNG and as JSON.")] = Path("report"),
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Write one page: what was saved, what can be trusted, who is worth a look, and which items to read."""
    from quorate.report.gather import Options, gather
    from quorate.report.page import as_json as all_figures
    from quorate.report.page import need_report, written

    need_report()
    options = Options(estimator, floor, price, delta, order.value)
    data = opened(folder, on_bad)
    saved = None if model is None else _loaded(model)
    with progress("report") as step:
        found = gather(data, options, name=folder.resolve().name, model=saved, progress=step)
        page = written(found, out)
    if as_json:
        print_json({**all_figures(found), "page": str(page)})
    else:
        show(found, page)


def _loaded(path: Path) -> Model:
    from quorate.consensus.archive import load

    return load(path)


def show(found: Report, page: Path) -> None:
    """The headline, the three figures, and where the page is."""
    from quorate.report.sentences import cards, headline, under_headline

    screen = console()
    screen.print(headline(found.saved), style="bold", markup=False)
    screen.print(under_headline(found), markup=False)
    screen.print()
    screen.print(legend([(card.heading, f"{card.figure}: {card.below}") for card in cards(found)]))
    screen.print()
    screen.print(notes(found.notes), style="dim")
    screen.print(f"\nwritten to {page}", markup=False, soft_wrap=True)
