"""`quorate judge gate` and `quorate judge watch`: may the judge label, and may it still?"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.connection import BaseUrl, Cap, InFlight, Inside, KeyEnv, PriceFile, Timeout, UnknownPrices
from quorate.cli.judge_asked import ALARM, NOT_PASSED, Data, items_of, line_of, says_of
from quorate.cli.judge_shown import (
    decided_json,
    round_json,
    show_decided,
    show_round,
)
from quorate.cli.judge_where import DEFAULT_FOLDER, Where, there
from quorate.cli.terminal import print_json, progress
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.folder import JudgeFolder


class FigureName(StrEnum):
    """What the gate measures."""

    KAPPA = "kappa"
    AGREEMENT = "agreement"
    MSE = "mse"
    MAE = "mae"


def gate(
    data: Data,
    where: Where = DEFAULT_FOLDER,
    figure: Annotated[FigureName, typer.Option(help="What is measured; kappa is quadratic on scales.")] = (
        FigureName.KAPPA
    ),
    threshold: Annotated[
        float | None, typer.Option(help="What the figure must reach. Default: as well as people agree, less --margin.")
    ] = None,
    margin: Annotated[float, typer.Option(min=0, help="How much better people may agree with each other.")] = 0.05,
    level: Annotated[float, typer.Option(help="How often a bad judge may be let through, at most.")] = 0.05,
    alarm_level: Annotated[
        float, typer.Option(help="How often the watch may cry out for nothing, ever, at most.")
    ] = 0.05,
    by_column: Annotated[
        list[str] | None, typer.Option("--slice", help="Figures for every value of this column of the items.")
    ] = None,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    *,
    allow_unknown_prices: UnknownPrices = False,
    as_json: AsJson = False,
) -> None:
    """Let the judge through only if held-out grades show that it agrees with people well enough; ends with 3 if not."""
    from quorate.judge.asked import judge_of
    from quorate.judge.deciding import decide
    from quorate.judge.rule import Rule

    rule = Rule(figure.value, threshold, margin, level)
    with there(where).held() as folder:
        folder.check("gated")
        judge = judge_of(folder)
        line = line_of(
            judge, boundary, base_url=base_url, key_env=key_env, cap=cap, prices=prices, in_flight=in_flight,
            timeout_s=timeout, allow_unknown=allow_unknown_prices,
        )  # fmt: skip
        says = says_of(folder, judge, data, line, "gate")
        slices = _slices(folder, data, by_column)
        with progress("gate"):
            found = decide(folder, says, rule, slices=slices, alarm_level=alarm_level)
    if as_json:
        print_json(decided_json(found))
    else:
        show_decided(found, where)
    if not found.standing.open:
        raise typer.Exit(NOT_PASSED)


def _slices(folder: JudgeFolder, data: Path, columns: Sequence[str] | None) -> dict[str, list[str | None]] | None:
    """Columns of the items, for the gate items in their order."""
    if not columns:
        return None
    from quorate.judge.deciding import people_of_folder
    from quorate.judge.folder import ROLES
    from quorate.judge.seed import read_seed

    table = people_of_folder(folder).items
    names = read_seed(folder.sealed(ROLES, "seeded")).of("gate")
    found = dict[str, list[str | None]]()
    for column in columns:
        if table is None or column not in table.column_names:
            raise SettingError(f"the items of {data} have no column {column!r}")
        of = dict(zip(table["item"].to_pylist(), table[column].to_pylist(), strict=True))
        found[column] = [None if of.get(name) is None else str(of[name]) for name in names]
    return found


# ---- watch ----------------------------------------------------------------------------------------------------------
def watch(
    data: Data,
    where: Where = DEFAULT_FOLDER,
    anchors: Annotated[int, typer.Option(min=1, help="Anchors to grade again.")] = 50,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    *,
    allow_unknown_prices: UnknownPrices = False,
    as_json: AsJson = False,
) -> None:
    """Grade anchors again; an alarm closes the gate, sets labels aside, and ends with 5."""
    from quorate.judge.asked import judge_of
    from quorate.judge.deciding import people_of_folder
    from quorate.judge.rounds import watch_round

    with there(where).held() as folder:
        folder.check("watched")
        judge = judge_of(folder)
        line = line_of(
            judge, boundary, base_url=base_url, key_env=key_env, cap=cap, prices=prices, in_flight=in_flight,
            timeout_s=timeout, allow_unknown=allow_unknown_prices,
        )  # fmt: skip
        says = says_of(folder, judge, data, line, "watch")
        schema = judge.rubric.schema if judge.rubric else people_of_folder(folder).schema
        restricted = items_of(data, judge.rubric).restricted if judge.rubric else frozenset[str]()
        with progress("anchors"):
            found = watch_round(folder, says, anchors, schema, restricted=restricted)
    if as_json:
        print_json(round_json(found))
    else:
        show_round(found, where)
    if found.alarms:
        raise typer.Exit(ALARM)
