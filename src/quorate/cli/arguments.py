"""Arguments and options that several verbs take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class OnBad(StrEnum):
    """What to do with rows that cannot be used."""

    RAISE = "raise"
    QUARANTINE = "quarantine"


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
