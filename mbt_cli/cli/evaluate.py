"""`mbt-cli evaluate`: score a finished run in another way."""

import os
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, DataFolder, Device, Results, Settings, setting


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
