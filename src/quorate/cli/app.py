"""All verbs under one name."""

from __future__ import annotations

from typing import Annotated

import typer

from quorate.cli.agents import agents
from quorate.cli.agreement import agreement
from quorate.cli.compare import compare
from quorate.cli.demo import demo
from quorate.cli.exchange import export_folder, import_file
from quorate.cli.fit import fit
from quorate.cli.predict import predict
from quorate.cli.simulate import simulate
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


for name, function in {
    "demo": demo,
    "predict": predict,
    "fit": fit,
    "agents": agents,
    "agreement": agreement,
    "compare": compare,
    "simulate": simulate,
    "import": import_file,
    "export": export_folder,
}.items():
    app.command(name)(verb(function))
