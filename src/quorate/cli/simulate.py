"""`quorate simulate`: a world whose truth is known, as a dataset folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.source import size
from quorate.cli.terminal import console, print_json


class World(StrEnum):
    """Worlds that can be simulated."""

    PAPER = "paper"
    COUPLED = "coupled"
    REAL_LIKE = "real-like"


def simulate(
    out: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the dataset folder is made.", show_default=False)
    ],
    world: Annotated[
        World,
        typer.Option(
            help="paper; coupled: the same with stronger ties between tasks; real-like: figures as in recorded sets."
        ),
    ] = World.PAPER,
    items: Annotated[int, typer.Option(min=1, help="How many items.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same world.")] = 1,
    *,
    gold: Annotated[bool, typer.Option("--gold", help="Write the truth too, as gold.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset folder of simulated people and models."""
    from quorate.simulate.world import world as named

    data = named(world.value, n_items=items, seed=seed).dataset(gold=gold)
    data.write(out)
    counts = size(data.encode())
    if as_json:
        print_json({"world": world.value, "seed": seed, "data": counts._asdict(), "out": str(out)})
    else:
        console().print(f"{counts.line()}\nwritten to {out}", markup=False)
