"""`mbt-cli compare`: two runs, two cells or two studies beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, Results
from mbt_cli.errors import MbtError

What = typer.Argument(
    help="A run's key or its beginning; cell:KEY for all seeds of that run's cell; a cell as a"
    " report calls it, as in 'late fusion' or 'fusion_layer:late fusion'; or a study."
)
PAGES = (".md", ".html")


def compare(
    a: Annotated[str, What],
    b: Annotated[str, What],
    out: Annotated[
        Path | None, typer.Option(help="A file for the whole page: FILE.md or FILE.html.")
    ] = None,
    results: Results = HERE,
) -> None:
    """What differs between two runs, cells or studies, and how sure that is.

    Settings, the measure with its interval, cost, and which classes and clips moved most. A study
    is compared by the cell it chose on validation. Nothing is trained or scored.
    """
    from mbt_cli.compare import compare as compared
    from mbt_cli.document import console, html, markdown
    from mbt_cli.files import write_text
    from mbt_cli.terminal import stdout

    if out is not None and out.suffix not in PAGES:
        raise MbtError(f"--out takes a file that ends in {' or '.join(PAGES)}, but got '{out}'.")
    page = compared(results, a, b)
    stdout().print(console.page(page))
    if out is not None:
        write_text(out, markdown.page(page) if out.suffix == ".md" else html.page(page, out.parent))
        stdout().print(f"\n{out}", markup=False, highlight=False, soft_wrap=True)
