"""`mbt-cli runs`: what is recorded, in full, and how it goes."""

import sys
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, Results
from mbt_cli.errors import MbtError

app = typer.Typer(no_args_is_help=True, help="The records of runs: list, show or remove them.")

Key = Annotated[str, typer.Argument(help="A run's key, or the beginning of it.")]


@app.command("list")
def list_all(results: Results = HERE) -> None:
    """Every run of a results folder: its state, its figure on test, its size on disk."""
    from mbt_cli.runs import recorded
    from mbt_cli.tables import of_runs
    from mbt_cli.terminal import stdout

    if not (runs := list(recorded(results))):
        raise MbtError(f"{results} holds no run yet: make some with mbt-cli ablate.")
    stdout().print(of_runs(runs), crop=False)


@app.command()
def show(key: Key, results: Results = HERE) -> None:
    """All that is recorded of one run, finished or not."""
    from mbt_cli.runs import run_of
    from mbt_cli.tables import of_run
    from mbt_cli.terminal import stdout

    stdout().print(of_run(run_of(results, key, done=False)), crop=False)


@app.command()
def remove(
    keys: Annotated[list[str], typer.Argument(help="Keys of runs, or the beginnings of them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    results: Results = HERE,
) -> None:
    """Delete records of runs; the next ablate does them again. MLflow keeps what it has."""
    from mbt_cli.record import Record
    from mbt_cli.runs import run_of
    from mbt_cli.tables import of_runs
    from mbt_cli.terminal import stdout

    found = {run.key: run for run in (run_of(results, key, done=False) for key in keys)}
    console = stdout()
    console.print(of_runs(list(found.values())), crop=False)
    if not yes:
        if not sys.stdin.isatty():
            raise MbtError("Nothing was removed: add --yes, for nobody can be asked here.")
        typer.confirm(f"Delete {len(found)} run(s) for good?", abort=True)
    for run in found.values():
        Record(run.folder).remove()
    console.print(f"Removed {len(found)} run(s).")
