"""Arguments and options that several verbs take."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.policy.prices import Prices


class OnBad(StrEnum):
    """What to do with rows that cannot be used."""

    RAISE = "raise"
    QUARANTINE = "quarantine"


class Order(StrEnum):
    """The order in which recorded labels are replayed."""

    ARRIVAL = "arrival"
    SHUFFLED = "shuffled"


Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="Dataset folder: labels, scores, model_labels, gold, items (.csv, .jsonl or .parquet) and schema.json.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Bad = Annotated[OnBad, typer.Option("--on-bad", help="Bad rows: stop at the first, or set them aside and go on.")]
Estimator = Annotated[
    str, typer.Option("--estimator", help="majority, dawid-skene, calibrated-dawid-skene, haic, calco or hybrid.")
]
ModelFile = Annotated[
    Path | None, typer.Option("--model", help="A model saved by `quorate fit`; without it, one is fitted here.")
]
InOrder = Annotated[Order, typer.Option("--order", help="Labels bought as they arrived, or shuffled.")]
Price = Annotated[float, typer.Option("--price", help="Price of one label by a person.")]
TaskPrices = Annotated[
    list[str] | None,
    typer.Option("--price-task", metavar="TASK=PRICE", help="The same for one task; may be given often."),
]
AnnotatorPrices = Annotated[
    list[str] | None,
    typer.Option("--price-annotator", metavar="PERSON=PRICE", help="The same for one person; may be given often."),
]


def prices_of(price: float, of_task: Sequence[str] | None, of_annotator: Sequence[str] | None) -> Prices:
    """What the three options of prices say."""
    from quorate.policy.prices import Prices

    return Prices(price, pairs("--price-task", of_task), pairs("--price-annotator", of_annotator))


def pairs(option: str, given: Sequence[str] | None) -> dict[str, float]:
    """NAME=NUMBER texts as a table. Raises SettingError for what is none, and for a name given twice."""
    found: dict[str, float] = {}
    for text in given or ():
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = None
        if not name or value is None:
            raise SettingError(f"{option} takes a name, = and a number, as {option} safety=0.98, not {text!r}")
        if name in found:
            raise SettingError(f"{option} names {name!r} twice")
        found[name] = value
    return found
