"""`mbt-cli report`: tables and figures of a study."""

from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, Results


def report(
    name: Annotated[
        str | None,
        typer.Argument(help="A grid, or a study's folder name. By default the last one run."),
    ] = None,
    results: Results = HERE,
) -> None:
    """Tables and figures of a study, rebuilt from the records of its runs.

    Where runs are logged to MLflow, the report stands there too, as a run of its own.
    """
    from mbt_cli.report import report as write_report
    from mbt_cli.store import Untold, in_use
    from mbt_cli.study import study
    from mbt_cli.terminal import stdout
    from mbt_cli.tracking import tell_report

    console, asked = stdout(), study(results, name)
    console.print(write_report(asked, results))
    if in_use(results):  # last, for MLflow takes seconds to begin
        try:
            with console.status("Telling MLflow"):
                tell_report(results, asked)
        except Untold as error:  # the report itself is written
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
