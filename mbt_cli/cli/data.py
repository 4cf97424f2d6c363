"""`mbt-cli data`: what there is of a dataset, and smaller files of it that decode fast."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, Metadata, Results, Settings, setting
from mbt_cli.dataset import Data, Features, Rendered
from mbt_cli.errors import MbtError, Stopped, UnknownName
from mbt_cli.recipes import recipe

app = typer.Typer(
    no_args_is_help=True, help="Datasets: look at all clips, prepare them, list what was looked at."
)

RecipeName = Annotated[
    str, typer.Option("--recipe", help="The recipe whose dataset it is, such as vggsound.")
]
Folder = Annotated[Path, typer.Option("--data", help="The folder with the clips.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; by default one a core.", show_default=False)
]

NAMED = 20
"""Files that are named where none could be made of them; the rest is counted."""


@app.command()
def scan(
    of: RecipeName,
    data: Folder,
    metadata: Metadata = None,
    settings: Settings = None,
    name: Annotated[str, typer.Option(help="Freeze it under this name.")] = "",
    leave_out: Annotated[
        str, typer.Option(help="Give runs no clips with these remarks: silent,still,short.")
    ] = "",
    classes: Annotated[bool, typer.Option("--classes", help="Count every class.")] = False,
    workers: Workers = None,
    results: Results = HERE,
) -> None:
    """Look at every clip that the metadata promise: is it there, does it decode, what is it like.

    What is found is frozen under a name in results/data: runs take exactly these clips. Stopped or
    killed, the same command goes on; what was looked at is not looked at again.
    """
    from dataclasses import replace

    from mbt_cli.census import account
    from mbt_cli.data.snapshot import free, header_of
    from mbt_cli.executors import Local
    from mbt_cli.intake import free_name, frozen_of
    from mbt_cli.scan import REMARKS
    from mbt_cli.scan import scan as look
    from mbt_cli.terminal import Screen, stdout

    console, spec = stdout(), _spec(of, settings)
    unwanted = [word.strip() for word in leave_out.split(",") if word.strip()]
    for word in unwanted:
        if word not in REMARKS:
            raise UnknownName("remark to leave out", word, REMARKS)
    if name:
        free(results, name)  # better said now than after hours
    try:
        with Local(workers or os.cpu_count() or 1) as executor:
            seen = look(
                spec, data, metadata, leave_out=unwanted, executor=executor, show=Screen(console)
            )
    except KeyboardInterrupt:
        raise Stopped("Stopped. The same command goes on where it was.") from None
    console.print(account(seen, all_classes=classes), crop=False)
    if seen.used.empty:
        raise MbtError("No clip can be used: nothing is frozen.")
    if not name and (before := frozen_of(spec, data, results, metadata)):
        if header_of(before)["fingerprint"] == seen.fingerprint:
            console.print(f"Frozen already, and the same: {before}.", highlight=False)
            return
        raise MbtError(
            f"{before} is frozen, with other clips of this folder. To freeze these too, give them a"
            f" name of their own: --name {free_name(results, spec.dataset)}."
        )
    path = replace(seen, name=name or free_name(results, spec.dataset)).save(results)
    console.print(f"Frozen: {path}. Runs take these clips by --data {path.stem}.", highlight=False)


@app.command()
def prepare(
    of: RecipeName,
    data: Folder,
    to: Annotated[Path, typer.Option(help="The folder for the small files.")],
    metadata: Metadata = None,
    settings: Settings = None,
    workers: Workers = None,
) -> None:
    """Make small files of a dataset's, from which random windows decode fast: short side 256 px, 25
    pictures a second, a key frame a second, mono sound at 16 kHz.

    The folder is one of the same dataset, with its metadata. Stopped or killed, the same command
    goes on where it was; a file that was changed is made anew.
    """
    from mbt_cli.executors import Local
    from mbt_cli.prepare import prepare as make
    from mbt_cli.terminal import Screen, stdout

    console, spec = stdout(), _spec(of, settings)
    if isinstance(spec.views, Features):
        raise MbtError(f"The recipe {of} has records of features: they are read as they are.")
    try:
        with Local(workers or os.cpu_count() or 1) as executor:
            done = make(spec, data, metadata, to, executor=executor, show=Screen(console))
    except KeyboardInterrupt:
        raise Stopped("Stopped. The same command goes on where it was.") from None
    before, now = (size / 1e6 for size in done.bytes)
    console.print(
        f"{done.files - len(done.failed):,} of {done.files:,} files are in {to}, {done.before:,} of"
        f" them from before: {now:,.1f} MB, of {before:,.1f} MB.",
        highlight=False,
    )
    for path, why in list(done.failed.items())[:NAMED]:
        console.print(f"- {path}: {why}", markup=False, highlight=False, soft_wrap=True)
    if len(done.failed) > NAMED:
        console.print(f"- and {len(done.failed) - NAMED:,} more.", highlight=False)
    console.print(f"Next: mbt-cli data scan --recipe {of} --data {to}", highlight=False)


@app.command("list")
def list_all(results: Results = HERE) -> None:
    """Every frozen scan of a results folder."""
    from mbt_cli.census import of_scans
    from mbt_cli.data.snapshot import frozen
    from mbt_cli.terminal import stdout

    if not (paths := list(frozen(results))):
        raise MbtError(f"{results} holds no scan yet: make one with mbt-cli data scan.")
    stdout().print(of_scans(paths), crop=False)


def _spec(name: str, settings: list[str] | None) -> Data:
    """The dataset of a recipe. Raises MbtError for one that is rendered, or a wrong setting."""
    base = recipe(name)
    for field, value in map(setting, settings or []):
        base = base.at(field, value)
    base.data.check()
    if isinstance(base.data, Rendered):
        raise MbtError(f"The recipe {name} renders its own clips: there is nothing to look for.")
    return base.data
