"""Options that several commands have, and how `--set` is read."""

from pathlib import Path
from typing import Annotated

import typer

from mbt_cli.errors import MbtError

Results = Annotated[
    Path, typer.Option("--results", envvar="MBT_RESULTS", help="Where records and reports live.")
]
HERE = Path("results")
"""Of `--results`."""
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="The folder with the recipe's clips, or a frozen scan's name."),
]
Metadata = Annotated[
    Path | None,
    typer.Option(help="The folder with the dataset's csv files, where they are not in --data."),
]
Readers = Annotated[
    int | None,
    typer.Option(min=0, help="Processes of each run that decode clips, where arrays do not fit."),
]
CacheGB = Annotated[
    float, typer.Option("--cache-gb", min=0, help="Largest arrays of decoded clips, in GB.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Set a field; may be given again and again."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps; auto: the GPU if there is one.")]


def setting(text: str) -> tuple[str, str]:
    """FIELD=VALUE as name and value. Raises MbtError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise MbtError(f"--set takes FIELD=VALUE, such as model.width=64, but got '{text}'.")
    return name.strip(), value.strip()
