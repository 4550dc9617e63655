"""`quorate label`: language models answer the questions of a rubric about items, with a probability for every class.

It ends with 4 where the run stopped before its end (the cap, an empty account, a key that is not accepted): what was
answered is written and kept, and the same command goes on from there. It ends with 5 where a model obeyed instructions
hidden in items more often than `--most-turned` allows.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.connection import (
    BaseUrl,
    InFlight,
    Inside,
    KeyEnv,
    PriceFile,
    Timeout,
    UnknownPrices,
    connection,
    ledger_for,
    local_models,
)
from quorate.cli.label_batch import read_batch, write_batch
from quorate.cli.terminal import console, plural, print_json, progress, tell
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.llm.annotate import Annotated as Done
    from quorate.llm.calls import Job
    from quorate.llm.canary import Turned
    from quorate.llm.items import Items
    from quorate.llm.ledger import Ledger

STOPPED, TURNED = 4, 5


class ConfidenceName(StrEnum):
    """Where the confidence comes from."""

    LOGPROBS = "logprobs"
    VERBALISED = "verbalised"
    CONSISTENCY = "consistency"
    VERIFIER = "verifier"


class AggregateName(StrEnum):
    """How log probabilities become one number for a class."""

    FIRST = "first"
    LARGEST = "largest"


class ChecksName(StrEnum):
    """Which labels a verifier checks."""

    ANSWER = "answer"
    EACH = "each"


class BatchName(StrEnum):
    """What is done with files of a batch API."""

    WRITE = "write"
    READ = "read"


class DeviceName(StrEnum):
    """Where local models run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class DtypeName(StrEnum):
    """In which numbers local models compute."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def label(
    items: Annotated[
        Path | None,
        typer.Argument(
            metavar="ITEMS",
            help="A table (.csv, .jsonl, .parquet), a dataset folder, or a folder of texts and images.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str, typer.Option(help="Names with commas between; `local:NAME` is run here, through transformers.")
    ] = "",
    rubric: Annotated[Path, typer.Option(help="What is asked: tasks, classes, guidelines, examples (YAML).")] = Path(
        "rubric.yaml"
    ),
    out: Annotated[Path, typer.Option(help="The dataset folder that is made: ready for `quorate fit`.")] = Path(
        "labeled"
    ),
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    confidence: Annotated[
        ConfidenceName, typer.Option(help="From label tokens, from words, from repeated answers, or by a verifier.")
    ] = ConfidenceName.LOGPROBS,
    aggregate: Annotated[
        AggregateName, typer.Option(help="logprobs: at the label's own token, or the largest anywhere in the answer.")
    ] = AggregateName.FIRST,
    samples: Annotated[int, typer.Option(min=2, help="consistency: answers to every prompt.")] = 5,
    temperature: Annotated[float, typer.Option(help="consistency: of these answers.")] = 1.0,
    top: Annotated[int, typer.Option(min=1, max=20, help="logprobs: likeliest tokens to ask for.")] = 20,
    verifier: Annotated[str, typer.Option(help="verifier: the model that checks labels.")] = "",
    verify: Annotated[
        ChecksName, typer.Option(help="verifier: it checks the answer, or each class in turn.")
    ] = ChecksName.ANSWER,
    examples: Annotated[int | None, typer.Option(min=0, help="Worked examples of the rubric to show at most.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="A folder with prompts of your own, by the same names.")] = None,
    reasoning_tokens: Annotated[
        int | None,
        typer.Option(min=0, help="Tokens to think in, for models that do so unseen too; 400 where the rubric asks."),
    ] = None,
    cap: Annotated[float | None, typer.Option(min=0, help="Dollars that all runs with this journal may spend.")] = None,
    prices: PriceFile = None,
    journal: Annotated[
        Path | None, typer.Option(help="Where calls are kept, to go on from. Default: calls.sqlite in --out.")
    ] = None,
    rpm: Annotated[float | None, typer.Option(min=1, help="Requests a minute, where the server does not say.")] = None,
    tpm: Annotated[float | None, typer.Option(min=1, help="Tokens a minute, where the server does not say.")] = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    batch: Annotated[
        BatchName | None, typer.Option(help="Write files for a batch API into OUT/batch, or read its results there.")
    ] = None,
    canaries: Annotated[
        int, typer.Option(min=0, help="Hide instructions in so many items and ask again: does a model obey them?")
    ] = 0,
    most_turned: Annotated[
        float, typer.Option(min=0, max=1, help="canaries: share that may obey before this ends with 5.")
    ] = 0.05,
    boundary: Inside = None,
    device: Annotated[DeviceName, typer.Option(help="Where local models run.")] = DeviceName.AUTO,
    dtype: Annotated[DtypeName, typer.Option(help="Numbers of local models; auto: as saved.")] = DtypeName.AUTO,
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts that a local model reads at once.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="consistency: of the samples.")] = 0,
    *,
    plain: Annotated[
        bool, typer.Option("--plain", help="Ask for a bare label, a question a call: for servers without schemas.")
    ] = False,
    allow_unknown_prices: UnknownPrices = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many calls and what price; ask nothing.")] = False,
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Print the first prompt; ask nothing.")] = False,
    example: Annotated[
        Path | None, typer.Option(help="Write an example to try: items, labels, rubric, answers for `fake-llm`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask language models for labels with confidence, at a known price; a run that was stopped goes on where it was."""
    if example is not None:
        _write_example(example, as_json=as_json)
        return
    from quorate.llm.annotate import Recorded, annotate
    from quorate.llm.boundary import Boundary
    from quorate.llm.calls import Job
    from quorate.llm.canary import measure_canaries
    from quorate.llm.items import read_items
    from quorate.llm.journal import Journal
    from quorate.llm.labeled import JOURNAL, check_folder, merged_schema
    from quorate.llm.limits import Limits
    from quorate.llm.prompt import Prompts
    from quorate.llm.rubric_file import read_rubric
    from quorate.llm.settings import Settings

    if items is None:
        raise SettingError("name the items: a table, a folder, or see `quorate label --example FOLDER`")
    settings = Settings(
        confidence.value, aggregate.value, samples, temperature, top, verifier or None, verify.value, plain, examples,
        reasoning_tokens, seed,
    )  # fmt: skip
    asked = read_rubric(rubric)
    found = read_items(items, asked.show)
    merged_schema(found, asked.schema)
    _tell_left_aside(found)
    names = tuple(filter(None, (name.strip() for name in models.split(","))))
    job = Job(found, asked, names, settings, Prompts(prompts), rubric.parent)
    if show_prompt:
        _show_prompt(job)
        return
    check_folder(out)
    ledger = ledger_for(job.models, prices, cap, allow_unknown=allow_unknown_prices)
    kept = journal or out / JOURNAL
    if dry_run:
        _tell_forecast(job, kept, ledger, as_json=as_json)
        return
    inside = Boundary.of(asked.boundary, boundary)
    far = connection(base_url, key_env, timeout, in_flight, inside) if batch is None and job.far else None
    writes = batch is BatchName.WRITE
    near = local_models(job.near, device.value, dtype.value, batch_size) if job.near and not writes else None
    kept.parent.mkdir(parents=True, exist_ok=True)
    with Journal(kept) as known:
        if writes:
            write_batch(job, known, out / "batch", as_json=as_json)
            return
        missing = read_batch(job, known, ledger, out / "batch") if batch is BatchName.READ else {}
        limits = Limits(requests_per_min=rpm, tokens_per_min=tpm, most_in_flight=in_flight)
        server = far or Recorded(missing)
        with progress("labeling") as step:
            done = annotate(job, server, journal=known, ledger=ledger, limits=limits, local=near, progress=step)
        with progress("canaries") as step:
            n = 0 if done.stopped or batch is not None else canaries
            found = measure_canaries(
                done, n, server, journal=known, ledger=ledger, limits=limits, local=near, progress=step, seed=seed
            )
    about = {"rubric": rubric.name, "base_url": base_url, "canaries": _figures(found)}
    _finish(done, found, out, about, as_json=as_json)
    if any(each.rate.estimate > most_turned for each in found):
        raise typer.Exit(TURNED)


def _tell_left_aside(items: Items) -> None:
    if items.left_aside:
        names = ", ".join(items.left_aside[:3]) + (" ..." if len(items.left_aside) > 3 else "")
        tell(f"quorate: {plural(len(items.left_aside), 'file')} left aside, neither text nor image: {names}")


def _finish(done: Done, found: list[Turned], out: Path, about: dict[str, Any], *, as_json: bool) -> None:
    from quorate.cli.label_summary import as_figures, nothing_said, show
    from quorate.llm.labeled import write_labeled

    data = write_labeled(done, out, about)
    if as_json:
        print_json({**as_figures(done), "canaries": _figures(found), "out": str(out)})
    else:
        show(done, found, data, out)
    if done.stopped or (done.failures and nothing_said(done)):
        raise typer.Exit(STOPPED)


def _figures(found: list[Turned]) -> list[dict[str, Any]]:
    return [{**each._asdict(), "rate": each.rate._asdict()} for each in found]


def _tell_forecast(job: Job, kept: Path, ledger: Ledger, *, as_json: bool) -> None:
    from quorate.cli.label_summary import show_forecast
    from quorate.llm.annotate import forecast
    from quorate.llm.journal import Journal

    with Journal(kept if kept.is_file() else None) as journal:
        ledger.carry(journal.booked())
        found = forecast(job, journal, ledger)
    if as_json:
        print_json({"models": [each._asdict() for each in found], "spent_usd": ledger.spent_usd})
    else:
        show_forecast(job, found, ledger)


def _show_prompt(job: Job) -> None:
    from quorate.llm.prompt import shown

    _, request = next(job.calls(job.models[:1]))
    console().print(shown(request.messages), markup=False, highlight=False, soft_wrap=True)


def _write_example(folder: Path, *, as_json: bool) -> None:
    from quorate.llm.testing.example import COMMANDS, write_example

    files = write_example(folder)
    if as_json:
        print_json({"files": [str(path) for path in files]})
        return
    screen = console()
    screen.print(f"written to {folder}: {', '.join(path.name for path in files)}", markup=False, soft_wrap=True)
    screen.print("\nTry it, in two terminals:\n", markup=False)
    for line in COMMANDS:
        screen.print(f"  {line.format(folder=folder)}", markup=False, soft_wrap=True)
