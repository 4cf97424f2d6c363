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
    """Tables and figures of a study, rebuilt from the records of its runs."""
    from mbt_cli.report import report as write_report
    from mbt_cli.study import study
    from mbt_cli.terminal import stdout

    stdout().print(write_report(study(results, name), results))
