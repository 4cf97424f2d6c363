"""`mbt-cli flops`: what a grid costs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mbt_cli.cli.options import Settings, setting
from mbt_cli.errors import MbtError
from mbt_cli.grid import load_grid


def flops(
    grid: Annotated[
        str | None, typer.Option(help="The question: a name, or the path of a .py file.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="The base experiment; by default synthetic.")
    ] = None,
    settings: Settings = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table there as well.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time each cell's model, and watch its memory.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="To measure on: cpu, cuda, mps; by default the GPU if any.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads to measure with; by default 1.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's Fig. 3 beside our formula; no grid.")
    ] = False,
) -> None:
    """What each cell of a grid costs, in closed form: nothing is trained, no clip is needed."""
    from mbt_cli import measure as measuring
    from mbt_cli import prices, tables
    from mbt_cli.environment import device_of
    from mbt_cli.published import figure3
    from mbt_cli.question import base_of
    from mbt_cli.terminal import Screen, stdout

    console = stdout()
    if csv:
        prices.writable(csv)
    if paper:
        if grid or recipe or settings or measure or device or threads:
            raise MbtError("--paper is a table of its own: leave out all options but --csv.")
        points = figure3()
        rows = [point.row() for point in points]
        console.print(tables.of_paper(points), crop=False)
    elif not grid:
        raise MbtError("Which grid? As in --grid fusion_layer; or --paper for the paper's Fig. 3.")
    else:
        if not measure and (device or threads):
            raise MbtError("--device and --threads say how to measure: add --measure.")
        question = load_grid(grid)
        base = base_of(question, recipe or "synthetic", dict(map(setting, settings or [])))
        found, fields = prices.prices(question, base), prices.further(question, base)
        rows = [prices.row(price, fields) for price in found]
        if measure:
            where = device_of(device or "auto")
            measuring.check(found)
        console.print(tables.of_prices(found, fields), crop=False)
        if measure:
            with Screen(console).bar("Measuring", len(found), "cells") as advance:
                took = measuring.measured(found, where, threads or 1, advance)
            rows = [row | asdict(one) for row, one in zip(rows, took, strict=True)]
            console.print("", tables.of_measured(found, took, fields), sep="\n", crop=False)
    if csv:
        prices.save(rows, csv)
