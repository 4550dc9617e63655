"""`quorate act`: a model labels, another doubts, people review what is doubtful, and a student learns from the rest.

Everything lies in one folder, named by `--act`; where it stands is told from its files, and every step that was stopped
goes on when the same command is given again. A step ends with 4 where the cap, the account or the key stopped it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.act_choose import choose
from quorate.cli.act_criticize import criticize
from quorate.cli.act_review import report, review, train
from quorate.cli.act_where import DEFAULT_FOLDER, Where, folder_at, there
from quorate.cli.arguments import AsJson
from quorate.cli.connection import BaseUrl, Cap, InFlight, Inside, KeyEnv, PriceFile, Timeout, UnknownPrices, line_to
from quorate.cli.terminal import console, count, notes, print_json, progress, table, tell, verb
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.act.folder import ActFolder

STOPPED = 4
act = typer.Typer(
    no_args_is_help=True, help="A model labels, another doubts, people review what is doubtful, a student learns."
)


def annotate(
    items: Annotated[
        Path,
        typer.Argument(metavar="ITEMS", help="A table, a dataset folder, or a folder of texts and images."),
    ],
    where: Where = DEFAULT_FOLDER,
    models: Annotated[str, typer.Option(help="Models to ask, with commas between; `local:NAME` is run here.")] = "",
    labels: Annotated[
        Path | None,
        typer.Option(help="Labels that models gave already: item, task, model, label [, confidence, reasoning]."),
    ] = None,
    rubric: Annotated[
        Path | None, typer.Option(help="What is asked (YAML); needed to ask models.", show_default=False)
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
    """Have models label the items, or take labels that they gave already.

    Without --models the labels are those of --labels, or of ITEMS where it is a dataset folder that holds some
    (as `quorate label` writes one). Example: quorate act annotate labeled --rubric rubric.yaml
    """
    from quorate.act.ground import take_ground, with_labels

    names = tuple(filter(None, (name.strip() for name in models.split(","))))
    if names and labels is not None:
        raise SettingError("give --models to ask, or --labels with what was said already, not both")
    with folder_at(where).held() as folder:
        if names:
            if rubric is None:
                raise SettingError("to ask models a rubric is needed: --rubric rubric.yaml")
            options: dict[str, Any] = {
                "base_url": base_url, "key_env": key_env, "cap": cap, "prices": prices, "in_flight": in_flight,
                "timeout_s": timeout, "allow_unknown": allow_unknown_prices,
            }  # fmt: skip
            said = _ask(folder, items, rubric, names, boundary, options)
        else:
            data = with_labels(items, labels)
            found = take_ground(folder, data, items, rubric)
            said = {"models": found, "labels": _counts(folder), "stopped": False}
        standing = folder.standing()
    _finish_annotate(said, where, standing.line(), as_json=as_json)


def status(where: Where = DEFAULT_FOLDER, *, as_json: AsJson = False) -> None:
    """Where it stands, what each step left, and what comes next."""
    standing = there(where).standing()
    following = f"quorate act {standing.following}"
    if as_json:
        print_json(
            {
                "stage": standing.stage,
                "stale": list(standing.stale),
                "records": {step: dict(record) for step, record in standing.records.items()},
                "next": following,
            }
        )
        return
    screen = console()
    screen.print(f"{where}: {standing.line()}\n", markup=False, soft_wrap=True)
    rows = [
        (record["at"].replace("T", " ")[:19], step, str(record.get("told", "")))
        for step, record in standing.records.items()
    ]
    screen.print(table(("when", "step", "what came of it"), rows, text_columns=3))
    screen.print(f"\nnext: {following}", markup=False)


# ---- annotate -------------------------------------------------------------------------------------------------------
def _ask(
    folder: ActFolder,
    items: Path,
    rubric: Path,
    names: tuple[str, ...],
    boundary: str | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Labels asked for now, through the labeling of `quorate label`."""
    from quorate.act.folder import ANNOTATED, CALLS
    from quorate.act.ground import take_ground
    from quorate.llm.annotate import annotate as labeled
    from quorate.llm.boundary import Boundary
    from quorate.llm.calls import Job
    from quorate.llm.items import read_items
    from quorate.llm.journal import Journal
    from quorate.llm.labeled import failure_counts, merged_schema, write_labeled
    from quorate.llm.rubric_file import read_rubric

    asked = read_rubric(rubric)
    found = read_items(items, asked.show)
    merged_schema(found, asked.schema)
    job = Job(found, asked, names, examples_folder=rubric.parent)
    line = line_to(names, Boundary.of(asked.boundary, boundary), **options)
    with Journal(folder.file(CALLS)) as journal, progress("labeling") as step:
        means = line.means(journal)
        done = labeled(
            job, means.transport, journal=journal, ledger=means.ledger, limits=means.limits, local=means.local,
            progress=step,
        )  # fmt: skip
    data = write_labeled(done, folder.file(ANNOTATED), {"rubric": rubric.name})
    if not any(done.tally.labeled_by(model).any() for model in range(len(names))):
        why = ", ".join(f"{n:,} {kind}" for kind, n in failure_counts(done.failures).items())
        raise SettingError(f"no label came back ({why or 'nothing was asked'}); see {folder.file(ANNOTATED)}")
    take_ground(
        folder, data, items, rubric, kept=True, stopped=done.stopped, spent_usd=done.spent_usd,
        told=f"{len(found):,} items, by {', '.join(names)}",
    )  # fmt: skip
    return {
        "models": list(names),
        "labels": _counts(folder),
        "failures": failure_counts(done.failures),
        "spent_usd": done.spent_usd,
        "stopped": done.stopped,
    }


def _counts(folder: ActFolder) -> dict[str, int]:
    from quorate.act.folder import LABELS

    models = folder.table(LABELS)["model"].to_pylist()
    return {name: models.count(name) for name in dict.fromkeys(models)}


def _finish_annotate(said: dict[str, Any], where: Path, line: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**said, "folder": str(where), "standing": line})
    else:
        screen = console()
        rows = [(model, count(n)) for model, n in said["labels"].items()]
        screen.print(table(("annotator", "labels"), rows))
        failures = [f"{n:,} missing: {kind}" for kind, n in said.get("failures", {}).items()]
        spent = [f"${said['spent_usd']:.4f} spent."] if "spent_usd" in said else []
        if failures or spent:
            screen.print()
            screen.print(notes([*failures, *spent]))
        whose = " --annotator NAME" if len(said["labels"]) > 1 else ""
        screen.print(f"\nnext: quorate act criticize --critic MODEL{whose}", markup=False, soft_wrap=True)
    if said["stopped"]:
        tell("quorate: stopped before its end; the same command goes on from here")
        raise typer.Exit(STOPPED)


act.command("choose")(verb(choose))
act.command("annotate")(verb(annotate))
act.command("criticize")(verb(criticize))
act.command("review")(verb(review))
act.command("train")(verb(train))
act.command("report")(verb(report))
act.command("status")(verb(status))
