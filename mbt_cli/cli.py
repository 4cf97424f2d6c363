"""The commands: read the arguments, call the library, print. Heavy imports wait inside."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mbt_cli import __version__
from mbt_cli.errors import MbtError, Stopped
from mbt_cli.grid import grids, load_grid
from mbt_cli.options import HERE, DataFolder, Device, Results, Settings, setting
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


@app.command(
    epilog=f"Grids: {', '.join(grids())}, or the path of your own .py file.   Recipes:"
    f" {', '.join(RECIPES)}.   Fusion strategies: "
    + "; ".join(f"{name} = '{text}'" for name, text in FUSIONS.items())
    + "; or a wiring of your own in the same notation."
)
def ablate(
    grid: Annotated[str, typer.Option(help="The question: a name, or the path of a .py file.")],
    recipe: Annotated[str, typer.Option(help="The base experiment the grid varies.")] = "synthetic",
    data: DataFolder = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each cell: seeds 0, 1, ...")] = 3,
    settings: Settings = None,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the clips that must be readable.")
    ] = 1.0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time; by default one a core, or one on a GPU."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each run.")] = 1,
    device: Device = "auto",
    checkpoint_s: Annotated[
        float, typer.Option(min=0, help="Seconds of training that a kill may cost each run.")
    ] = 30.0,
    plan: Annotated[
        bool, typer.Option("--plan", help="List the runs with their price, and stop.")
    ] = False,
    rerun_stale: Annotated[
        bool, typer.Option("--rerun-stale", help="Run again what other code finished.")
    ] = False,
    results: Results = HERE,
) -> None:
    """Run what is missing of a grid: every cell at every seed. What is finished is never repeated.

    Every field of an experiment is reached by --set, for example --set model.width=64 or
    --set "model.fusion=each <- each fsn; fsn <- all fsn".
    """
    from mbt_cli.ablate import ablate as run_all
    from mbt_cli.ablate import plan as plan_runs
    from mbt_cli.data import open_manifest
    from mbt_cli.environment import device_of
    from mbt_cli.executors import executor_of
    from mbt_cli.runs import Run, run_folder, writable
    from mbt_cli.study import ask, base_of
    from mbt_cli.tables import plan_table, price
    from mbt_cli.terminal import Screen, stdout
    from mbt_cli.tracking import Tracker

    console = stdout()
    question, changed = load_grid(grid), dict(sorted(map(setting, settings or [])))
    base = base_of(question, recipe, changed)
    manifest = open_manifest(base.data, data)
    study = ask(question, recipe, base, changed, manifest)
    planned = plan_runs(study, seeds, results, rerun_stale=rerun_stale)
    if plan:
        console.print(plan_table(planned, study), crop=False)
        console.print(price(planned, manifest))
        return
    writable(results)
    study.save(results)
    console.print(price(planned, manifest))
    todo, failed, problems = sum(not run.done for run in planned), 0, []
    with Tracker(results, study) as track:
        for run in planned:
            if run.done:
                track.follow(Run(run_folder(results, run.key)))
        if todo:
            where = device_of(device)
            at_once = workers or (1 if where.startswith("cuda") else os.cpu_count() or 1)
            try:
                with executor_of(min(at_once, todo), threads) as executor:
                    failed = run_all(
                        planned, manifest, results, executor=executor, min_coverage=min_coverage,
                        device=where, threads=threads, checkpoint_s=checkpoint_s,
                        show=Screen(console), track=track,
                    )  # fmt: skip
            except KeyboardInterrupt:
                raise Stopped(
                    "Stopped. What is finished is kept: run the same command again to go on."
                ) from None
    if failed:
        problems.append(
            f"{failed} of {todo} runs failed; status.json below {results / 'runs'} has each one's"
            " error and traceback. The same command runs them again."
        )
    if track.problem and not track.failed:
        console.print(track.problem)
    elif track.problem:
        problems.append(track.problem)
    console.print(f"The answer: mbt-cli report {study.name}", highlight=False)
    if problems:
        raise MbtError(" ".join(problems))


@app.command()
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
    from mbt_cli.study import base_of
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


@app.command()
def evaluate(
    key: Annotated[str, typer.Argument(help="A finished run's key, or the beginning of it.")],
    settings: Settings = None,
    data: DataFolder = None,
    device: Device = "auto",
    results: Results = HERE,
) -> None:
    """Score a finished run in another way, without training: --set fusion=late is bottlenecks off.

    Fields: split (test, validation), fusion (any strategy of the same blocks), without_positives
    (left_out, zero). What was asked once is kept in the run's record.
    """
    from mbt_cli.ablate import evaluate_again, ready
    from mbt_cli.data import open_manifest
    from mbt_cli.environment import device_of
    from mbt_cli.executors import executor_of
    from mbt_cli.experiment import Evaluation
    from mbt_cli.runs import run_of
    from mbt_cli.terminal import Screen, headline, stdout

    console, run, how = stdout(), run_of(results, key), Evaluation()
    for name, value in map(setting, settings or []):
        how = how.at(name, value)
    manifest = open_manifest(run.experiment.data, data)
    with executor_of(os.cpu_count() or 1, 1) as executor:
        views = ready(run.experiment, manifest, 0.0, executor, Screen(console))
    found = evaluate_again(run, how, manifest, views, device_of(device))
    for title, figures in (("as trained", run.figures(Evaluation())), ("as asked", found)):
        if figures:
            console.print(f"{run.experiment.title}, {title:<10}  {headline(figures)}")


@app.command()
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


def main() -> None:
    """The entry point: errors of the user's are one sentence and exit code 1."""
    try:
        app()
    except MbtError as error:
        typer.secho(f"mbt-cli: {error}", fg="red", err=True)
        if isinstance(error, Stopped):
            os._exit(130)  # at once: MLflow's thread may have much to do yet
        sys.exit(1)
