"""`mbt-cli evaluate`: score a finished run in another way."""

import os
from functools import partial
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, DataFolder, Device, Metadata, Results, Settings, setting


def evaluate(
    key: Annotated[str, typer.Argument(help="A finished run's key, or the beginning of it.")],
    settings: Settings = None,
    data: DataFolder = None,
    metadata: Metadata = None,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the clips that must be readable.")
    ] = 0.0,
    device: Device = "auto",
    results: Results = HERE,
) -> None:
    """Score a finished run in another way, without training: --set fusion=late is bottlenecks off.

    Fields: split (test, validation), fusion (any strategy of the same blocks), crops (spans of a
    clip whose logits are averaged), without_positives (left_out, zero). With --data, on clips of
    the same classes that it was not trained on. What was asked once is kept in the run's record.
    """
    from mbt_cli.ablate import evaluate_again
    from mbt_cli.environment import device_of
    from mbt_cli.executors import executor_of
    from mbt_cli.experiment import Evaluation
    from mbt_cli.intake import manifest_of
    from mbt_cli.ready import enough, ready
    from mbt_cli.runs import run_of
    from mbt_cli.terminal import Screen, headline, stdout

    console, run, how = stdout(), run_of(results, key), Evaluation()
    screen, spec = Screen(console), run.experiment.data
    for name, value in map(setting, settings or []):
        how = how.at(name, value)
    check = partial(enough, left_out={}, min_coverage=min_coverage, splits=[how.split])
    manifest = manifest_of(spec, data, metadata, results, screen, check)
    if manifest.fingerprint != spec.fingerprint:
        screen.say("These are other clips than the run was trained on.")
        how = how.at("clips", manifest.fingerprint)
    readers = os.cpu_count() or 1
    with executor_of(readers, 1) as executor:
        source = ready(
            spec, manifest, executor, screen, min_coverage=min_coverage, readers=readers,
            splits=[how.split], crops=how.crops,
        )  # fmt: skip
    found = evaluate_again(run, how, source, device_of(device))
    for title, figures in (("as trained", run.figures(Evaluation())), ("as asked", found)):
        if figures:
            console.print(f"{run.experiment.title}, {title:<10}  {headline(figures)}")
