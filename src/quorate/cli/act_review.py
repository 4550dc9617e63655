"""`quorate act review | train | report`: what people look at, what a student learns, and what it was worth."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.act_shown import reviewed_json, show_reviewed
from quorate.cli.act_where import DEFAULT_FOLDER, Where, there
from quorate.cli.arguments import AsJson
from quorate.cli.terminal import console, count, print_json, progress, table, tell
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.act.answers import Taken
    from quorate.act.folder import ActFolder
    from quorate.act.ground import Ground

TOKEN = "QUORATE_TOKEN"  # noqa: S105 - the name of a variable


class RuleName(StrEnum):
    """How the budget is spent on doubtful labels."""

    THRESHOLDING = "thresholding"
    EXPONENTIAL = "exponential"
    NORMALIZATION = "normalization"
    OPTIMAL = "optimal"


class CombineName(StrEnum):
    """How several opinions become one."""

    MEAN = "mean"
    LOGISTIC = "logistic"
    TREES = "trees"


def review(
    where: Where = DEFAULT_FOLDER,
    budget: Annotated[
        str | None,
        typer.Option(help="What people review: 250 labels, 10% of them, or '$40' (with --price).", show_default=False),
    ] = None,
    rule: Annotated[RuleName, typer.Option(help="The most doubtful first, or drawn by their doubt.")] = (
        RuleName.THRESHOLDING
    ),
    combine: Annotated[
        CombineName,
        typer.Option(help="Critics by their mean, by weights learned from answers; or trees instead of critics."),
    ] = CombineName.MEAN,
    critic: Annotated[
        list[str] | None, typer.Option("--critic", help="Use these only: MODEL or MODEL=STRATEGY; repeat it.")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars that an answer of a person costs.")] = None,
    people: Annotated[int, typer.Option(min=1, help="People who answer each.")] = 1,
    queue: Annotated[
        Path | None,
        typer.Option(help="Where the queue is written (.csv, .jsonl, .parquet). Default: queue.csv in --act."),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="The queue as it came back, `label` filled in; or any table of item and label.")
    ] = None,
    service: Annotated[str, typer.Option(help="Put the queue into a quorate service at this address.")] = "",
    campaign: Annotated[str, typer.Option(help="service: the campaign's name.")] = "act review",
    token_env: Annotated[str, typer.Option(help="service: the variable that holds the token.")] = TOKEN,
    beta: Annotated[float, typer.Option(min=0, help="exponential: its sharpness.")] = 100.0,
    even: Annotated[float, typer.Option(min=0, max=1, help="Share of the budget that is spread over all alike.")] = 0.0,
    items: Annotated[Path | None, typer.Option(help="Where the items lie now, if they were moved.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the draw.")] = 0,
    *,
    with_confidence: Annotated[
        bool, typer.Option("--with-confidence", help="Join the annotator's own confidence.")
    ] = False,
    show_label: Annotated[
        bool, typer.Option("--show-label", help="Show people what the machine said; they agree with it more easily.")
    ] = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="service: take in what people have answered there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw what people review; take their answers in; say whether more is worth its price.

    With a budget it draws the queue, with answers it goes on from there; a larger budget later asks only what is new.
    Example: quorate act review --budget 10% && quorate act review --answers act/queue.csv
    """
    from quorate.act.answers import Taken, read_answers
    from quorate.act.folder import PLAN
    from quorate.act.ground import read_ground
    from quorate.act.reviewing import asked_keys, draw, take

    with there(where).held() as folder:
        standing = folder.need("review", "criticize")
        ground = read_ground(folder, items=items)
        if budget is not None:
            wish = _wish(budget, rule, combine, critic, price, people, beta, even, seed, with_confidence)
            draw(folder, ground, wish, queue=queue, show_label=show_label)
        elif "review" not in standing.records or not folder.file(PLAN).is_file():
            raise SettingError("nothing is drawn yet: say how much people may review, as --budget 10%")
        elif "review" in standing.stale:
            raise SettingError("the criticisms have changed since the queue was drawn: draw again with --budget")
        new = Taken((), 0)
        if answers is not None:
            new = read_answers(answers, ground.rubric.schema, asked_keys(folder))
        elif fetch:
            new = _fetched(folder, ground, token_env)
        if service:
            _send(folder, ground, service, campaign, token_env, people)
        found = take(folder, ground, new)
        record = folder.record("review") or {}
    if as_json:
        print_json(reviewed_json(found, record))
    else:
        show_reviewed(found, record, where)


def report(
    where: Where = DEFAULT_FOLDER,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars that an answer of a person costs.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """One page: what the review has found, what more would find, what it cost beside asking people everything."""
    from quorate.act.folder import FIGURES, PAGE
    from quorate.report.act import gather, write_act_report

    folder = there(where)
    with folder.held():
        folder.need("report", "review")
        found = gather(folder, answer_usd=price)
        write_act_report(found, folder.file(PAGE), folder.file(FIGURES))
    if as_json:
        print_json({"page": str(folder.file(PAGE)), "headline": found.headline})
        return
    screen = console()
    screen.print(found.headline, markup=False)
    screen.print(f"\nwritten to {folder.file(PAGE)}", markup=False, soft_wrap=True)


def train(
    where: Where = DEFAULT_FOLDER,
    task: Annotated[
        str | None, typer.Option(help="What the student learns; by default every task, one student each.")
    ] = None,
    lambda_: Annotated[
        float | None,
        typer.Option(
            "--lambda", min=0, max=1, help="Share of the machine's loss; by default the one of least variance."
        ),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Where the items lie now, if they were moved.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides folds and starts.")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Teach a student on the corrected labels, with the loss that knows which labels people have reviewed and why.

    Of texts a linear model on words, of images a small network; it lies in model/TASK of the folder. Example:
    quorate act train --task tone
    """
    from quorate.act.teaching import teach

    with there(where).held() as folder:
        standing = folder.need("train", "review")
        if standing.records["review"].get("left"):
            tell(
                f"quorate: {standing.records['review']['left']:,} labels of the queue are still open; going on without"
            )
        with progress("training") as step:
            found = teach(folder, task=task, lambda_=lambda_, items=items, seed=seed, progress=step)
    if as_json:
        print_json({"students": [{**each._asdict(), "place": str(each.place)} for each in found]})
        return
    rows = [
        (each.task, each.kind, count(each.items), count(each.reviewed), count(each.mended), f"{each.lambda_:.2f}")
        for each in found
    ]
    console().print(table(("task", "student", "items", "reviewed", "mended", "lambda"), rows, text_columns=2))
    console().print(f"\nkept in {where / 'model'}; next: quorate act report", markup=False, soft_wrap=True)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _wish(
    budget: str,
    rule: RuleName,
    combine: CombineName,
    critic: list[str] | None,
    price: float | None,
    people: int,
    beta: float,
    even: float,
    seed: int,
    with_confidence: bool,
) -> Any:
    from quorate.act.review import parse_budget
    from quorate.act.reviewing import Wish

    named = [text.strip().partition("=") for text in critic or ()]
    critics = tuple((model, way or None) for model, _, way in named)
    return Wish(
        parse_budget(budget), rule.value, combine.value, critics, with_confidence, price, people, beta, even, seed
    )


def _send(folder: ActFolder, ground: Ground, url: str, name: str, token_env: str, people: int) -> None:
    from quorate.act.folder import PLAN
    from quorate.act.review import Plan
    from quorate.act.reviewing import note_campaigns
    from quorate.act.service import send_queue
    from quorate.client.client import Client

    queue = Plan.read(folder.table(PLAN)).queue()
    with Client(url, _token(token_env)) as client:
        made = send_queue(client, name, queue, ground.items, ground.rubric, people=people)
    note_campaigns(folder, url, made)
    for task, number in made.items():
        tell(f"{task}: campaign {number} at {url}; take the answers in with --fetch")


def _fetched(folder: ActFolder, ground: Ground, token_env: str) -> Taken:
    from quorate.act.answers import taken
    from quorate.act.reviewing import asked_keys
    from quorate.act.service import fetch_answers
    from quorate.client.client import Client

    kept = (folder.record("review") or {}).get("campaigns") or {}
    if not kept:
        raise SettingError("the queue is in no service: put it there with --service URL")
    with Client(kept["url"], _token(token_env)) as client:
        return taken(fetch_answers(client, kept["of"]), ground.rubric.schema, asked_keys(folder))


def _token(variable: str) -> str:
    token = os.environ.get(variable)
    if not token:
        raise SettingError(f"no token: set the environment variable {variable}")
    return token
