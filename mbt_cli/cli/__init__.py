"""The commands: read the arguments, call the library, print. Heavy imports wait inside."""

import os
import signal
import sys
from typing import Annotated

import typer

from mbt_cli import __version__
from mbt_cli.cli import data, runs
from mbt_cli.cli.ablate import ablate
from mbt_cli.cli.attention_rollout import attention_rollout
from mbt_cli.cli.compare import compare
from mbt_cli.cli.evaluate import evaluate
from mbt_cli.cli.flops import flops
from mbt_cli.cli.report import report
from mbt_cli.cli.sync import sync
from mbt_cli.errors import MbtError, Stopped
from mbt_cli.grid import grids
from mbt_cli.recipes import RECIPES
from mbt_cli.wiring import FUSIONS

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Audio-visual fusion ablations: late fusion, cross-attention, self-attention and"
    " bottleneck fusion at every fusion layer, with what each costs.",
)


def _version(asked: bool) -> bool:
    if asked:
        typer.echo(f"mbt-cli {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the tool itself."""


app.command(
    epilog=f"Grids: {', '.join(grids())}, or the path of your own .py file.   Recipes:"
    f" {', '.join(RECIPES)}.   Fusion strategies: "
    + "; ".join(f"{name} = '{text}'" for name, text in FUSIONS.items())
    + "; or a wiring of your own in the same notation."
)(ablate)
for command in (flops, evaluate, report, compare, sync, attention_rollout):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")


def _stop(*_: object) -> None:
    """The first Ctrl-C ends what goes on in good order, the second everything at once. A cluster
    that takes a job's time away says SIGTERM."""
    for ask in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ask, signal.SIG_DFL)
    raise KeyboardInterrupt


def main() -> None:
    """The entry point: errors of the user's are one sentence and exit code 1."""
    for ask in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ask, _stop)
    try:
        app()
    except MbtError as error:
        typer.secho(f"mbt-cli: {error}", fg="red", err=True)
        if isinstance(error, Stopped):
            os._exit(130)  # at once: MLflow's thread may have much to do yet
        sys.exit(1)
