"""`mbt-cli sync`: MLflow is told all that the records say."""

from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, Results
from mbt_cli.errors import MbtError


def sync(
    name: Annotated[
        str | None,
        typer.Argument(help="A grid, or a study's folder name. By default every run there is."),
    ] = None,
    results: Results = HERE,
) -> None:
    """Tell MLflow all that the records say and that it does not hold: runs and reports.

    It is rebuilt whole where it was lost; what it holds is not sent again, and a run that was
    killed runs no more there.
    """
    from mbt_cli import tracking
    from mbt_cli.runs import recorded
    from mbt_cli.store import address
    from mbt_cli.study import studies, study
    from mbt_cli.terminal import Screen, stdout
    from mbt_cli.words import count

    asked = [study(results, name)] if name else list(studies(results).values())
    cells = {cell.cell for one in asked for cell in one.cells}
    runs = [run for run in recorded(results) if not name or run.experiment.cell in cells]
    if not runs:
        of = f" of {asked[0].name}" if name else ""
        raise MbtError(f"{results} holds no run{of} yet: make some with mbt-cli ablate.")
    reports = [one for one in asked if one.reported(results)]
    console = stdout()
    with Screen(console).bar("Telling MLflow", len(runs) + len(reports), "entries") as advance:
        told = tracking.sync(results, runs, reports, advance)
    console.print(
        f"{address(results)} holds {count(len(runs), 'run')} and {count(len(reports), 'report')}:"
        f" {told.there} were there already, {told.sent} were sent.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
