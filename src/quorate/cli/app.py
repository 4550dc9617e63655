"""All verbs under one name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from quorate.cli.act import act
from quorate.cli.agents import agents
from quorate.cli.agreement import agreement
from quorate.cli.calibrate import calibrate
from quorate.cli.campaign import campaign
from quorate.cli.cascade import cascade
from quorate.cli.compare import compare
from quorate.cli.demo import demo
from quorate.cli.exchange import export_folder, import_file
from quorate.cli.fake_llm import fake_llm
from quorate.cli.fit import fit
from quorate.cli.judge import judge
from quorate.cli.label import label
from quorate.cli.policy import policy
from quorate.cli.predict import predict
from quorate.cli.ranker import ranker
from quorate.cli.replay import replay
from quorate.cli.report import report
from quorate.cli.select import select
from quorate.cli.serve import serve
from quorate.cli.simulate import simulate
from quorate.cli.student import student
from quorate.cli.study import study
from quorate.cli.terminal import verb

app = typer.Typer(
    name="quorate",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # an unexpected error shows its plain traceback
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from quorate import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def quorate(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Consensus of people and language models that can be trusted.

    Start with `quorate demo`, or with a folder of your own: `quorate predict FOLDER`.
    """


START, JUDGE, DATA, MODELS, SERVICE = "Consensus", "Judgement", "Data", "Language models", "Service"
VERBS: dict[str, tuple[str, Callable[..., None]]] = {
    "demo": (START, demo),
    "predict": (START, predict),
    "fit": (START, fit),
    "agents": (JUDGE, agents),
    "agreement": (JUDGE, agreement),
    "compare": (JUDGE, compare),
    "replay": (JUDGE, replay),
    "policy": (JUDGE, policy),
    "report": (JUDGE, report),
    "calibrate": (JUDGE, calibrate),
    "study": (JUDGE, study),
    "import": (DATA, import_file),
    "export": (DATA, export_folder),
    "simulate": (DATA, simulate),
    "label": (MODELS, label),
    "fake-llm": (MODELS, fake_llm),
    "serve": (SERVICE, serve),
}
for name, (panel, function) in VERBS.items():
    app.command(name, rich_help_panel=panel)(verb(function))
app.add_typer(cascade, name="cascade", rich_help_panel=JUDGE)
app.add_typer(judge, name="judge", rich_help_panel=MODELS)
app.add_typer(act, name="act", rich_help_panel=MODELS)
app.add_typer(student, name="student", rich_help_panel=MODELS)
app.add_typer(ranker, name="ranker", rich_help_panel=MODELS)
app.add_typer(select, name="select", rich_help_panel=MODELS)
app.add_typer(campaign, name="campaign", rich_help_panel=SERVICE)
