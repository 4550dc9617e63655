"""What `quorate judge` says of a labeled set afterwards: its prevalences and means, and what users think of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.judge_shown import show_disputes, show_estimates
from quorate.cli.judge_where import DEFAULT_FOLDER, Where, there
from quorate.cli.terminal import print_json
from quorate.errors import SettingError


def estimate(
    where: Where = DEFAULT_FOLDER,
    level: Annotated[float, typer.Option(help="How often each interval holds what it is about.")] = 0.95,
    *,
    anchors_only: Annotated[
        bool, typer.Option("--anchors-only", help="Leave the gate items out, since they let the judge through.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """How frequent every class is in all that was labeled, and the mean grade, corrected by people; with intervals.

    The judge's own shares repeat its errors. Gate items and anchors tell how far they are off: prediction-powered
    inference. Also written to amplified/prevalence.json. Example: quorate judge estimate --level 0.9
    """
    from quorate.judge.estimating import estimate as estimated

    with there(where).held() as folder:
        found = estimated(folder, level=level, anchors_only=anchors_only)
    if as_json:
        print_json(found.as_json())
    else:
        show_estimates(found)


def discrepancy(
    items: Annotated[
        Path, typer.Argument(metavar="ITEMS", help="What was labeled: it says what is restricted.", show_default=False)
    ],
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG",
            help="Table of item, query, signal [, position, weight]; a row per showing.",
            show_default=False,
        ),
    ],
    where: Where = DEFAULT_FOLDER,
    most: Annotated[int, typer.Option(min=1, help="Items to hand to people, at most.")] = 100,
    task: Annotated[str | None, typer.Option(help="What the signal is about; needed where there are several.")] = None,
    of_class: Annotated[
        str | None, typer.Option("--class", help="Of a task without order: the class that people look for.")
    ] = None,
    *,
    falling: Annotated[
        bool, typer.Option("--falling", help="The signal falls as grades rise: skips, returns, complaints.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides folds, and logs drawn anew.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Find where users and the judge disagree most, beyond chance, and list those items for people.

    The signal is 0 or 1 (clicks), or any number (seconds); with a position clicks are corrected for where items stood.
    The list is to_people.csv of the judge's folder, its figures are discrepancies.csv; quorate judge seed DATA --also
    judge/to_people.csv brings it to people. Example: quorate judge discrepancy everything.csv clicks.csv --most 50
    """
    from quorate.data.dataset import Dataset
    from quorate.data.files import read_file
    from quorate.data.restricted import restricted_items
    from quorate.judge.behavior import read_log
    from quorate.judge.disputes import dispute

    data = Dataset.read(items) if items.is_dir() else Dataset.from_raw([read_file("items", items)])
    if data.items is None:
        raise SettingError(f"{items} has no table of items: without it nobody knows which are restricted")
    hidden = restricted_items(data.items, items)
    with there(where).held() as folder:
        found = dispute(
            folder,
            read_log(log),
            restricted=hidden,
            most=most,
            task=task,
            of_class=of_class,
            falling=falling,
            seed=seed,
        )
    if as_json:
        print_json(found.as_json())
    else:
        show_disputes(found, where)
