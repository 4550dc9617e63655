"""`quorate judge amplify`: the judge that passed labels a large set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.connection import BaseUrl, Cap, InFlight, Inside, KeyEnv, PriceFile, Timeout, UnknownPrices
from quorate.cli.judge_asked import ALARM, STOPPED, items_of, line_for, says_of
from quorate.cli.judge_shown import (
    amplified_json,
    show_amplified,
)
from quorate.cli.judge_where import DEFAULT_FOLDER, Where, there
from quorate.cli.terminal import print_json, progress, tell
from quorate.errors import DataError, SettingError

if TYPE_CHECKING:
    from quorate.judge.estimating import Estimates
    from quorate.judge.folder import JudgeFolder


def amplify(
    items: Annotated[Path, typer.Argument(metavar="ITEMS", help="What is to be labeled.", show_default=False)],
    where: Where = DEFAULT_FOLDER,
    seeded: Annotated[
        Path | None, typer.Option("--seeded", help="The data with the seeded items, for anchors; default: ITEMS.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, max=1, help="Anchors graded again per item labeled.")] = 0.02,
    chunk: Annotated[int, typer.Option(min=1, help="Items between two looks at anchors.")] = 1_000,
    processes: Annotated[int, typer.Option(min=1, max=16, help="Processes that label.")] = 1,
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
    """Label a large set with the judge that passed; anchors are graded in between, and an alarm stops it (5).

    Run again it goes on where it was; it ends with 4 where the cap, the account or the key stopped it.
    """
    from quorate.judge.amplify import amplify as amplified
    from quorate.judge.asked import judge_of
    from quorate.judge.folder import AMPLIFIED
    from quorate.judge.parts import write_provenance
    from quorate.judge.rounds import Round, tidy, watch_round

    rounds = list[Round]()
    with there(where).held() as folder:
        standing = folder.check("amplifying")
        judge = judge_of(folder)
        if not judge.may_be_asked or judge.rubric is None:
            raise SettingError("this judge was chosen among recorded answers: calibrate with --models to ask it")
        line = line_for(
            judge.rubric, boundary, (judge.model,), base_url=base_url, key_env=key_env, cap=cap, prices=prices,
            in_flight=in_flight, timeout_s=timeout, allow_unknown=allow_unknown_prices,
        )  # fmt: skip
        found = items_of(items, judge.rubric)
        schema, restricted = judge.rubric.schema, found.restricted
        tidy(folder, schema, restricted)
        says = says_of(folder, judge, seeded or items, line, "watch")
        anchors = max(1, round(rate * chunk)) if rate else 0

        def look(_: int, __: int) -> bool:
            if anchors:
                rounds.append(watch_round(folder, says, anchors, schema, restricted=restricted))
            return bool(rounds and rounds[-1].alarms)

        write_provenance(folder, judge, folder.file(AMPLIFIED), standing.open)
        folder.take("amplifying", told=f"{len(found):,} items, by {judge.name}", restricted=len(restricted))
        with progress("labeling") as step:
            done = amplified(
                judge, found, folder.file(AMPLIFIED), line.connect, line.purse, tasks=standing.open, chunk=chunk,
                processes=processes, limits=line.limits, local=line.local, look=look, progress=step,
            )  # fmt: skip
        means = _means(folder) if done.stopped is None else None
    if as_json:
        print_json(amplified_json(done, rounds, means))
    else:
        show_amplified(done, rounds, where, means)
    if rounds and rounds[-1].alarms:
        raise typer.Exit(ALARM)
    if done.stopped is not None:
        raise typer.Exit(STOPPED)


def _means(folder: JudgeFolder) -> Estimates | None:
    """Prevalences and means of what was labeled; where they cannot be told, why is said, and the labels stand."""
    from quorate.judge.estimating import estimate

    try:
        return estimate(folder)
    except (DataError, SettingError) as error:
        tell(f"no means of the set: {error}")
        return None
