"""`quorate select next | try`: which items a person should see next, and what that would have saved."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson, Bad, Estimator, Folder, OnBad
from quorate.cli.select_try import trial
from quorate.cli.select_where import By, Embeddings, Lie, Show, rows_of_items, tasks_of
from quorate.cli.source import opened, size
from quorate.cli.terminal import console, count, plural, print_json, progress, table, verb
from quorate.errors import DataError, SettingError
from quorate.select.names import INFORMATION, NO_ROWS, STRATEGIES

if TYPE_CHECKING:
    from quorate.data.encode import Coded
    from quorate.select.strategies import Picked

DEFAULT_OUT = Path("select.csv")
ENDINGS = (".csv", ".jsonl", ".parquet")
LISTED = (*(name for name in STRATEGIES if name != "worth"), INFORMATION)

select = typer.Typer(no_args_is_help=True, help="Choose which items people should see next, and measure what it saves.")


class ByName(StrEnum):
    """Whose probabilities tell how unsure an item is."""

    SCORES = "scores"
    CONSENSUS = "consensus"


# ---- next -----------------------------------------------------------------------------------------------------------
def following(
    folder: Folder,
    n: Annotated[int, typer.Option("--n", min=1, help="How many items.")] = 100,
    strategy: Annotated[str, typer.Option(help=f"{', '.join(LISTED)}.")] = "hybrid",
    by: Annotated[
        ByName, typer.Option(help="Unsure by what models say (their mean), or by the consensus with people's labels.")
    ] = ByName.SCORES,
    model: Annotated[list[str] | None, typer.Option(help="These models only; may be given often.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="These tasks only; may be given often.")] = None,
    enough: Annotated[
        int, typer.Option(min=1, help="Labels of people on every task that make an item labeled; it is not chosen.")
    ] = 1,
    without: Annotated[
        Path | None, typer.Option(help="A table with a column `item`: these are not chosen either.")
    ] = None,
    show: Show = "",
    embeddings: Embeddings = None,
    embedder: By = None,
    weight: Annotated[
        float, typer.Option(min=0, max=1, help="Of uncertainty in the hybrid; the rest is distance.")
    ] = 0.6,
    estimator: Estimator = "hybrid",
    seed: Annotated[int, typer.Option(min=0, help="Decides ties and draws.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the list goes: .csv, .jsonl or .parquet.")] = DEFAULT_OUT,
    on_bad: Bad = OnBad.RAISE,
    *,
    spread: Annotated[
        bool, typer.Option("--spread", help="Draw a batch by score from ten times as many, apart from each other.")
    ] = False,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="Find the nearest of many labeled items by an index: extra `near`."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the items that people should see next, the first first: unsure, unlike the rest, in dispute.

    Nothing that is labeled, and nothing marked `restricted`. Example: quorate select next labeled --n 50
    """
    from quorate.cli.select_pools import Evidence, closed_to, listed, pools
    from quorate.data.write import write_table
    from quorate.select.tasks import select_all

    if out.suffix.lower() not in ENDINGS:
        raise SettingError(f"cannot write {out.name!r}: the name must end in {', '.join(ENDINGS)}")
    if strategy not in LISTED:
        raise SettingError(f"there is no strategy {strategy!r}; use one of {', '.join(LISTED)}")
    data = opened(folder, on_bad)
    coded = data.encode()
    tasks = tasks_of(coded, task)
    closed = closed_to(coded, tasks, enough, without, data, folder)
    if closed.all():
        raise DataError("every item is labeled, left out or restricted", mend="raise --enough, or add items",
                        source=str(folder))  # fmt: skip
    needs_rows = strategy not in NO_ROWS or spread
    rows = rows_of_items(folder, coded, Lie(show, embeddings, embedder, out.parent), seed) if needs_rows else None
    of = Evidence(data, coded, tasks, tuple(model) if model else None, by is ByName.CONSENSUS, estimator)
    with progress("select"):
        each = [replace(pool, approximate=approximate) for pool in pools(of, strategy, rows, closed)]
        name = "worth" if strategy == INFORMATION else strategy
        found = select_all(name, each, n, seed=seed, weight=weight, spread=spread)
    written = listed(data, coded, found)
    write_table(written, out)
    if as_json:
        print_json({
            "data": size(coded)._asdict(), "strategy": strategy, "selected": len(found.places),
            "closed": int(closed.sum()), "items": written["item"].to_pylist(), "out": str(out),
        })  # fmt: skip
        return
    _show(coded, found, strategy, int((~closed).sum()), out)


def _show(coded: Coded, found: Picked, strategy: str, n_free: int, out: Path) -> None:
    screen = console()
    screen.print(size(coded).line())
    chosen = len(found.places)
    screen.print(f"{plural(chosen, 'item')} of {count(n_free)} that are open, by {strategy}\n", markup=False)
    numbered = enumerate(zip(found.places.tolist(), found.criterion.tolist(), strict=True), start=1)
    rows = [
        (coded.items[at], str(rank), "-" if isnan(worth) else f"{worth:.3f}")
        for rank, (at, worth) in list(numbered)[:5]
    ]
    screen.print(table(("item", "rank", "worth"), rows))
    screen.print(f"\nwritten to {out}", markup=False, soft_wrap=True)


select.command("next")(verb(following))
select.command("try")(verb(trial))
