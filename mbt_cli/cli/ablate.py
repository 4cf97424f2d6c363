"""`mbt-cli ablate`: run what is missing of a grid."""

import os
from functools import partial
from typing import Annotated, Literal

import typer

from mbt_cli.cli.options import (
    HERE,
    CacheGB,
    DataFolder,
    Device,
    Metadata,
    Readers,
    Results,
    Settings,
    setting,
)
from mbt_cli.errors import MbtError, Stopped
from mbt_cli.grid import load_grid


def ablate(
    grid: Annotated[str, typer.Option(help="The question: a name, or the path of a .py file.")],
    recipe: Annotated[str, typer.Option(help="The base experiment the grid varies.")] = "synthetic",
    data: DataFolder = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each cell: seeds 0, 1, ...")] = 3,
    settings: Settings = None,
    metadata: Metadata = None,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Share of each split's clips that must be readable.")
    ] = 1.0,
    cache_gb: CacheGB = 64.0,
    readers: Readers = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time; by default one a core, or one on a GPU."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each run.")] = 1,
    device: Device = "auto",
    checkpoint_s: Annotated[
        float, typer.Option(min=0, help="Seconds between checkpoints of a run; 0: every step.")
    ] = 30.0,
    keep: Annotated[
        Literal["none", "best", "all"],
        typer.Option(
            help="Weights that a finished run keeps: none, of its best epoch, or these and"
            " its last checkpoint."
        ),
    ] = "best",
    on_error: Annotated[
        Literal["continue", "stop"], typer.Option(help="What the other runs do when one fails.")
    ] = "continue",
    retries: Annotated[
        int, typer.Option(min=0, help="How often a run that fails is tried again at once.")
    ] = 0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again what failed earlier.")
    ] = False,
    rerun_stale: Annotated[
        bool, typer.Option("--rerun-stale", help="Run again what other code did.")
    ] = False,
    probes: Annotated[
        bool,
        typer.Option("--probes", help="Then probe every finished run (see evaluate --probes)."),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="List the runs with their price, and stop.")
    ] = False,
    results: Results = HERE,
) -> None:
    """Run what is missing of a grid: every cell at every seed. What is finished is never repeated.

    Every field of an experiment is reached by --set, for example --set model.width=64 or
    --set "model.fusion=each <- each fsn; fsn <- all fsn".
    """
    from mbt_cli.ablate import Policy
    from mbt_cli.ablate import ablate as run_all
    from mbt_cli.ablate import plan as plan_runs
    from mbt_cli.environment import device_of
    from mbt_cli.executors import Local
    from mbt_cli.intake import manifest_of
    from mbt_cli.question import ask, base_of
    from mbt_cli.ready import enough, ready
    from mbt_cli.record import Record, writable
    from mbt_cli.revisit import probe_all
    from mbt_cli.runs import FAILED, FINISHED, Run, run_folder
    from mbt_cli.tables import plan_table, price
    from mbt_cli.terminal import Screen, stdout
    from mbt_cli.tracking import Tracker

    if probes and keep == "none":
        raise MbtError("--probes asks trained models: leave out --keep none.")
    console = stdout()
    screen = Screen(console)
    question, changed = load_grid(grid), dict(sorted(map(setting, settings or [])))
    base = base_of(question, recipe, changed)
    check = None if plan else partial(enough, left_out={}, min_coverage=min_coverage)
    manifest = manifest_of(base.data, data, metadata, results, screen, check)
    study = ask(question, recipe, base, changed, manifest)
    planned = plan_runs(study, seeds, results, rerun_stale=rerun_stale, retry_failed=retry_failed)
    if plan:
        console.print(plan_table(planned, study), crop=False)
        console.print(price(planned, manifest))
        return
    writable(results)
    study.save(results)
    console.print(price(planned, manifest))
    todo, failed, unasked, problems = sum(run.todo for run in planned), 0, "", []
    try:
        with Tracker(results, study) as track:
            for run in planned:
                if run.state == FINISHED:
                    record = Record(run_folder(results, run.key))
                    record.tidy()
                    track.follow(Run(record.folder))
            if todo or probes:
                where = device_of(device)
                at_once = workers or (1 if where.startswith("cuda") else os.cpu_count() or 1)
                at_once = min(at_once, len(planned) if probes else todo)
                if readers is None:
                    readers = max(1, (os.cpu_count() or 1) // at_once - 1)
                with Local(at_once, threads) as executor:
                    needed = dict.fromkeys(
                        run.experiment.data for run in planned if run.todo or probes
                    )
                    sources = {
                        one.views: ready(
                            one, manifest, executor, screen, min_coverage=min_coverage,
                            cache_gb=cache_gb, readers=readers,
                        )
                        for one in needed
                    }  # fmt: skip
                    failed = run_all(
                        planned, sources, results, executor=executor, device=where, threads=threads,
                        checkpoint_s=checkpoint_s, keep=keep,
                        policy=Policy(stop=on_error == "stop", retries=retries),
                        show=screen, track=track,
                    ) if todo else 0  # fmt: skip
                    if probes:
                        runs = [Run(run_folder(results, run.key)) for run in planned]
                        unasked = probe_all(
                            [run for run in runs if run.state == FINISHED], sources,
                            executor=executor, device=where, threads=threads, show=screen,
                        )  # fmt: skip
    except KeyboardInterrupt:
        raise Stopped(
            "Stopped. What is finished is kept: run the same command again to go on."
        ) from None
    if failed:
        problems.append(f"{failed} of {todo} runs failed: mbt-cli runs list shows which.")
    if earlier := sum(run.state == FAILED and not run.todo for run in planned):
        problems.append(f"{earlier} of {len(planned)} runs failed earlier and were left alone.")
    if problems:
        problems.append("The same command with --retry-failed runs them again.")
    if unasked:
        problems.append(unasked)
    if track.problem and not track.failed:
        console.print(track.problem)
    elif track.problem:
        problems.append(track.problem)
    console.print(f"The answer: mbt-cli report {study.name}", highlight=False)
    if problems:
        raise MbtError(" ".join(problems))
