"""`quorate act criticize`: models say how likely each label is wrong."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.act_where import DEFAULT_FOLDER, Where, there
from quorate.cli.arguments import AsJson
from quorate.cli.connection import BaseUrl, Cap, InFlight, Inside, KeyEnv, PriceFile, Timeout, UnknownPrices, line_to
from quorate.cli.terminal import console, count, notes, percent, plural, print_json, progress, table, tell
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.act.critic import Critic
    from quorate.act.criticize import Criticized
    from quorate.act.folder import ActFolder
    from quorate.act.ground import Ground
    from quorate.judge.answers import Line
    from quorate.llm.journal import Journal

STOPPED = 4
Items = Annotated[
    Path | None, typer.Option("--items", help="Where the items lie now, if they were moved.", show_default=False)
]


class BatchName(StrEnum):
    """What is done with files of a batch API."""

    WRITE = "write"
    READ = "read"


def criticize(
    critic: Annotated[
        list[str],
        typer.Option(
            "--critic",
            help="A model that doubts the labels, MODEL or MODEL=STRATEGY; repeat it for several.",
            show_default=False,
        ),
    ],
    where: Where = DEFAULT_FOLDER,
    strategy: Annotated[
        str,
        typer.Option(help="naive, cot, levels, devil; logit, cot-logit, perplexity where log probabilities are shown."),
    ] = "cot",
    annotator: Annotated[str | None, typer.Option(help="Whose labels, where several models have labeled.")] = None,
    items: Items = None,
    prompts: Annotated[Path | None, typer.Option(help="A folder with prompts of your own, by the same names.")] = None,
    retries: Annotated[int, typer.Option(min=0, help="Tries more for an answer that cannot be read.")] = 2,
    batch: Annotated[
        BatchName | None, typer.Option(help="Write files for a batch API into batch/, or read its results there.")
    ] = None,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Ask in brackets: for servers without schemas.")] = False,
    allow_unknown_prices: UnknownPrices = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many calls and what price; ask nothing.")] = False,
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Print the first prompt; ask nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have models say how likely each label is wrong.

    The annotator itself (self-criticism) or another model (cross-criticism, most often better); criticisms of several
    add up in the folder. Example: quorate act criticize --critic gpt-4o --critic local:NAME=logit --cap 5
    """
    from quorate.act.critic import Critic, critic_prompts, named
    from quorate.act.ground import read_ground
    from quorate.act.strategies import strategy as strategy_of
    from quorate.llm.boundary import Boundary

    with there(where).held() as folder:
        folder.need("criticize", "annotate")
        ground = read_ground(folder, annotator, items)
        own = critic_prompts(prompts)
        critics = [
            Critic(each.model, strategy_of(each.strategy), ground.rubric, own, plain)
            for each in named(critic, strategy)
        ]
        if show_prompt:
            _show_prompt(ground, critics)
            return
        options: dict[str, Any] = {
            "base_url": base_url, "key_env": key_env, "cap": cap, "prices": prices, "in_flight": in_flight,
            "timeout_s": timeout, "allow_unknown": allow_unknown_prices,
        }  # fmt: skip
        line = line_to([each.model for each in critics], Boundary.of(ground.rubric.boundary, boundary), **options)
        if dry_run:
            _forecast(folder, ground, critics, line, as_json=as_json)
            return
        if batch is BatchName.WRITE:
            _write_batch(folder, ground, critics, retries, as_json=as_json)
            return
        done = _criticized(folder, ground, critics, line, retries, read_batch=batch is BatchName.READ)
    _finish_criticize(done, where, as_json=as_json)


# ---- parts -----------------------------------------------------------------------------------------------------------
def _criticized(
    folder: ActFolder, ground: Ground, critics: list[Critic], line: Line, retries: int, *, read_batch: bool
) -> Criticized:
    from quorate.act.criticize import criticize as criticized
    from quorate.act.folder import CRITIQUES
    from quorate.act.kept import keep
    from quorate.llm.annotate import Recorded
    from quorate.llm.journal import Journal

    with Journal(folder.file(CRITIQUES)) as journal, progress("criticizing") as step:
        means = line.means(journal)
        transport = means.transport
        if read_batch:
            transport = Recorded(_read_batch(folder, ground, critics, line, journal, retries))
        done = criticized(
            ground.labels, ground.items, critics, transport, journal=journal, ledger=means.ledger,
            limits=means.limits, local=means.local, progress=step, retries=retries,
        )  # fmt: skip
    keep(folder, done, ground.annotator)
    return done


def _finish_criticize(done: Criticized, where: Path, *, as_json: bool) -> None:
    from quorate.act.kept import by_critic

    found = by_critic(done)
    if as_json:
        rows = [each._asdict() for each in found]
        print_json({"critics": rows, "flags": dict(done.flags), "missing": done.missing, "spent_usd": done.spent_usd})
    else:
        screen = console()
        rows = [
            (each.criticizer, each.strategy, count(each.criticized), percent(each.mean_error), count(each.unsure))
            for each in found
        ]
        screen.print(table(("criticizer", "strategy", "labels", "mean error", "unsure"), rows, text_columns=2))
        remarks = [f"{n:,} unsure: {why}" for why, n in done.flags.items()]
        screen.print()
        screen.print(notes([*remarks, f"${done.spent_usd:.4f} spent by all runs with this journal."]))
        screen.print(f"\nwritten to {where}; next: quorate act review --budget 10%", markup=False, soft_wrap=True)
    if done.stopped:
        tell(f"quorate: stopped, {plural(done.missing, 'criticism')} missing; the same command goes on from here")
        raise typer.Exit(STOPPED)


def _show_prompt(ground: Ground, critics: list[Critic]) -> None:
    from quorate.act.criticize import requests
    from quorate.llm.prompt import shown

    first = next(iter(requests(ground.labels[:1], ground.items, critics, near=True)), None)
    if first is not None:
        console().print(shown(first.messages), markup=False, highlight=False, soft_wrap=True)


def _forecast(folder: ActFolder, ground: Ground, critics: list[Critic], line: Line, *, as_json: bool) -> None:
    """Calls and their price, critic by critic, without a call."""
    from quorate.act.folder import CRITIQUES
    from quorate.act.kept import forecast
    from quorate.llm.journal import Journal
    from quorate.llm.ledger import Ledger

    kept = folder.file(CRITIQUES)
    ledger = Ledger(line.purse.prices, cap_usd=line.purse.cap_usd, allow_unknown=line.purse.allow_unknown)
    with Journal(kept if kept.is_file() else None) as journal:
        ledger.carry(journal.booked())
        found = forecast(ground, critics, journal, ledger)
    if as_json:
        print_json({"critics": [each._asdict() for each in found], "spent_usd": ledger.spent_usd})
        return
    rows = [
        (each.model, count(each.calls), count(each.known), f"${each.likely_usd:.4f}", f"${each.most_usd:.4f}")
        for each in found
    ]
    console().print(table(("criticizer", "calls", "known", "likely", "at most"), rows))


def _write_batch(folder: ActFolder, ground: Ground, critics: list[Critic], retries: int, *, as_json: bool) -> None:
    from quorate.act.criticize import requests
    from quorate.act.folder import BATCH, CRITIQUES
    from quorate.llm import batch
    from quorate.llm.journal import Journal

    for stale in folder.file(BATCH).glob("batch-*.jsonl"):
        stale.unlink()
    with Journal(folder.file(CRITIQUES)) as journal:
        asked = requests(ground.labels, ground.items, critics, journal, retries=retries)
        paths = batch.write(asked, folder.file(BATCH), journal=journal)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
        return
    for path in paths:
        console().print(str(path), markup=False, soft_wrap=True)
    into = folder.file(BATCH) / "results"
    tell(
        f"{plural(len(paths), 'file')} written; put the results into {into}, then --batch read"
        if paths
        else "nothing to ask: the journal knows every answer; run again without --batch"
    )


def _read_batch(
    folder: ActFolder, ground: Ground, critics: list[Critic], line: Line, journal: Journal, retries: int
) -> Any:
    """Take the results home; what they say of calls that failed, by key."""
    from quorate.act.criticize import requests
    from quorate.act.folder import BATCH
    from quorate.llm import batch
    from quorate.llm.ledger import Ledger

    results = sorted((folder.file(BATCH) / "results").glob("*.jsonl"))
    if not results:
        raise SettingError(f"no results of a batch in {folder.file(BATCH) / 'results'}: put the files there")
    ledger = Ledger(line.purse.prices, cap_usd=None, allow_unknown=line.purse.allow_unknown)
    asked = requests(ground.labels, ground.items, critics, journal, retries=retries)
    found = batch.reconcile(asked, results, journal=journal, ledger=ledger)
    tell(f"{plural(len(found.answers), 'answer')} read, {len(found.missing):,} missing")
    return found.failures
