"""`mbt-cli report`: tables, statistics and figures of a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbt_cli.cli.options import HERE, Results
from mbt_cli.errors import MbtError

if TYPE_CHECKING:
    from rich.console import Console

    from mbt_cli.study import Study


def report(
    name: Annotated[
        str | None,
        typer.Argument(help="A grid, or a study's folder name. By default the last one run."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing: say whether every number of the report still follows from the"
            " stored scores.",
        ),
    ] = False,
    results: Results = HERE,
) -> None:
    """A study's report, rebuilt from the records of its runs: as Markdown, HTML, LaTeX, CSV, JSON.

    Which cell is best, how sure that is, what it costs, and what is wrong. Beside it lie the
    records it is made of, packed: who has no runs makes and checks it from these. Where runs are
    logged to MLflow, the report stands there too, as a run of its own.
    """
    from mbt_cli.study import study
    from mbt_cli.terminal import stdout

    console, asked = stdout(), study(results, name)
    (_check if check else _write)(console, asked, results)


def _write(console: "Console", asked: "Study", results: Path) -> None:
    from mbt_cli import index
    from mbt_cli.report import report as write_report
    from mbt_cli.store import Untold, in_use
    from mbt_cli.tracking import tell_report

    with console.status("Making the report"):
        made = write_report(asked, results)
        index.write(results)
    console.print(made)
    if made.own and in_use(results):  # last, for MLflow takes seconds to begin
        try:
            with console.status("Telling MLflow"):
                tell_report(results, asked)
        except Untold as error:  # the report itself is written
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)


def _check(console: "Console", asked: "Study", results: Path) -> None:
    from mbt_cli.audit import audit
    from mbt_cli.report import texts

    with console.status("Making the report again"):
        found = audit(asked, results, lambda of, records: texts(of, records, results / of.name))
    if found.differences:
        raise MbtError(f"Not every number of {found.folder} follows.\n{found}")
    console.print(str(found), markup=False, highlight=False, soft_wrap=True)
