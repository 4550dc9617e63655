"""`quorate campaign list | create | add | export | rebuild`: a service's campaigns, directly in its database."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.terminal import console, count, print_json, table, verb
from quorate.errors import NotFoundError, SettingError

if TYPE_CHECKING:
    from quorate.store.database import Database
    from quorate.store.records import Campaign

DIFFERENT = 3  # exit code: the store's rows are not what its log says
Url = Annotated[
    str,
    typer.Option("--database", envvar="QUORATE_DATABASE", help="sqlite:///file.db or postgresql://user@host/name"),
]
Named = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its name or its number.", show_default=False)]
DATABASE = "sqlite:///quorate.db"


class TableName(StrEnum):
    """What can be exported."""

    CONSENSUS = "consensus"
    LABELS = "labels"
    SCORES = "scores"
    ITEMS = "items"
    DECISIONS = "decisions"


KINDS = {
    ".csv": "text/csv",
    ".jsonl": "application/x-ndjson",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".zip": "huggingface"}
campaign = typer.Typer(no_args_is_help=True, help="Campaigns of a service, directly in its database.")


def list_(database: Url = DATABASE, *, as_json: AsJson = False) -> None:
    """Which campaigns there are."""
    from quorate.store.reading import list_campaigns
    from quorate.store.results import read_standing

    with _opened(database) as store, store.reading() as connection:
        pages = list_campaigns(connection, None)
        found = [(page.campaign, read_standing(connection, page.campaign)) for page in pages]
    if as_json:
        rows = [
            {"id": each.id, "name": each.name, "state": each.state, "items": at.items, "closed": at.closed_items}
            for each, at in found
        ]
        print_json({"campaigns": rows})
        return
    shown = [(str(c.id), c.name, c.state, count(at.items), count(at.closed_items)) for c, at in found]
    console().print(table(("id", "campaign", "state", "items", "closed"), shown))


def create(
    name: Annotated[str, typer.Argument(help="A name that no campaign has yet.", show_default=False)],
    schema: Annotated[
        Path, typer.Option(help='schema.json: {"tasks": [{"name", "classes", "ordered"}]}.', show_default=False)
    ],
    guidelines: Annotated[Path | None, typer.Option(help="A Markdown file.")] = None,
    overlap: Annotated[int, typer.Option(min=1, max=1000, help="People asked the same question at most.")] = 3,
    budget: Annotated[float | None, typer.Option(min=0, help="What may be spent.")] = None,
    database: Url = DATABASE,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a campaign, a draft."""
    from quorate.schema import Schema
    from quorate.store.campaigns import add_campaign
    from quorate.store.records import Settings

    tasks = Schema.from_json(schema.read_text(encoding="utf-8"), source=str(schema))
    text = guidelines.read_text(encoding="utf-8") if guidelines else ""
    settings, now = Settings(overlap=overlap, together=overlap), time.time()
    with _opened(database) as store:
        made = store.write(
            lambda connection: add_campaign(
                connection, name, tasks, settings=settings, guidelines=text, budget=budget, now=now
            )
        )
    _say(as_json, {"id": made.id, "name": made.name}, f"campaign {made.id}, {made.name!r}, is a draft")


def add(
    which: Named,
    file: Annotated[Path, typer.Argument(help="Items: .csv, .jsonl, .json or .parquet.", show_default=False)],
    database: Url = DATABASE,
    *,
    as_json: AsJson = False,
) -> None:
    """Add items, all or none; those that are there already, the same, are left alone."""
    from quorate.service.intake import check_items, items_of
    from quorate.service.problems import Refusal
    from quorate.store.items import add_items

    kind = _by_ending(file, KINDS)
    with _opened(database) as store, file.open("rb") as rows:
        into, now = _campaign(store, which), time.time()
        try:
            check_items(rows, kind, into.schema, "given")
        except Refusal as refusal:
            raise SettingError(f"{file}: {refusal.detail}") from None
        done = store.write(
            lambda connection: add_items(connection, into, items_of(rows, kind, into.schema, "given"), now=now)
        )
    _say(as_json, done._asdict(), f"{count(done.added)} items added, {count(done.unchanged)} were there")


def export(
    which: Named,
    out: Annotated[Path, typer.Argument(help="Ends in .parquet, .jsonl, .csv or .zip.", show_default=False)],
    name: Annotated[TableName, typer.Option("--table", help="Which table; .zip holds all.")] = TableName.CONSENSUS,
    database: Url = DATABASE,
) -> None:
    """Write a table; as .zip a folder of all tables that Hugging Face's datasets reads."""
    from quorate.data.write import whole
    from quorate.service.exports import write_export

    kind: Any = _by_ending(out, FORMATS)
    with _opened(database) as store, store.reading() as connection:
        of = _found(connection, which)
        with whole(out) as part, part.open("wb") as file:
            write_export(connection, of, name.value, kind, file)


def rebuild(
    which: Named,
    database: Url = DATABASE,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 3 where anything differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make every item's state anew from the log, and tell where it differed."""
    from quorate.service.engine import Engine
    from quorate.store import rebuild as store_rebuild

    with _opened(database) as store:
        of = _campaign(store, which)
        work = store_rebuild.compare if check else store_rebuild.rebuild
        done = work(store, Engine(), of.id)
    differences = [f"{each.external_id}: {each.what}" for each in done.differences]
    words = f"{count(done.items)} items from the log; {count(len(differences))} differences"
    _say(as_json, {"items": done.items, "differences": differences}, "\n".join([*differences[:20], words]))
    if check and differences:
        raise typer.Exit(DIFFERENT)


VERBS: dict[str, Callable[..., None]] = {
    "list": list_,
    "create": create,
    "add": add,
    "export": export,
    "rebuild": rebuild,
}
for each, function in VERBS.items():
    campaign.command(each)(verb(function))


# ---- parts ----------------------------------------------------------------------------------------------------------
@contextmanager
def _opened(url: str) -> Generator[Database]:
    from quorate.store.database import Database

    store = Database.open(url)
    try:
        yield store
    finally:
        store.close()


def _campaign(store: Database, which: str) -> Campaign:
    with store.reading() as connection:
        return _found(connection, which)


def _found(connection: Any, which: str) -> Campaign:
    """By name or number. Raises NotFoundError."""
    from quorate.store.reading import list_campaigns

    every = [page.campaign for page in list_campaigns(connection, None)]
    for each in every:
        if which in {each.name, str(each.id)}:
            return each
    known = ", ".join(repr(each.name) for each in every) or "none"
    raise NotFoundError(f"there is no campaign {which!r}; there are: {known}")


def _by_ending(file: Path, kinds: dict[str, str]) -> str:
    if file.suffix.lower() not in kinds:
        raise SettingError(f"{file.name!r} must end in one of {', '.join(kinds)}")
    return kinds[file.suffix.lower()]


def _say(as_json: bool, value: dict[str, Any], words: str) -> None:
    if as_json:
        print_json(value)
    else:
        console().print(words, markup=False)
