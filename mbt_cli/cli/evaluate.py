"""`mbt-cli evaluate`: score a finished run in another way."""

import os
from functools import partial
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, DataFolder, Device, Metadata, Results, Settings, setting
from mbt_cli.errors import MbtError


def evaluate(
    key: Annotated[str, typer.Argument(help="A finished run's key, or the beginning of it.")],
    probes: Annotated[
        bool,
        typer.Option("--probes", help="Take something from it at a time, and see what it loses."),
    ] = False,
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
    clip whose logits are averaged), without_positives (left_out, zero); removed, averaged and
    shuffled (modalities), shift_ms (how much later the sound is heard), without_token (a bottleneck
    token). --probes asks what there is to ask by these, says what each modality is worth, and
    shows what every line of the model reads. With --data, on clips of the same classes that it was
    not trained on. What was asked once is kept in the run's record.
    """
    from mbt_cli.answers import of_probes
    from mbt_cli.environment import device_of
    from mbt_cli.executors import executor_of
    from mbt_cli.experiment import Evaluation
    from mbt_cli.intake import manifest_of
    from mbt_cli.probes import probed
    from mbt_cli.ready import enough, ready
    from mbt_cli.revisit import evaluate_again, probe
    from mbt_cli.runs import run_of
    from mbt_cli.terminal import Screen, headline, stdout

    console, run, how = stdout(), run_of(results, key), Evaluation()
    screen, spec = Screen(console), run.experiment.data
    for name, value in map(setting, settings or []):
        how = how.at(name, value)
    how.check(run.experiment.model)
    if probes and (altered := {*how.changed()} - {"split", "crops", "without_positives"}):
        raise MbtError(
            f"--probes takes something from the model as it was trained: leave out --set"
            f" {min(altered)}."
        )
    splits = [how.split, "validation"] if probes or how.averaged else [how.split]
    check = partial(enough, left_out={}, min_coverage=min_coverage, splits=splits)
    manifest = manifest_of(spec, data, metadata, results, screen, check)
    if manifest.fingerprint != spec.fingerprint:
        screen.say("These are other clips than the run was trained on.")
        how = how.at("clips", manifest.fingerprint)
    readers = os.cpu_count() or 1
    with executor_of(readers, 1) as executor:
        source = ready(
            spec, manifest, executor, screen, min_coverage=min_coverage, readers=readers,
            splits=splits, crops=how.crops,
        )  # fmt: skip
    if probes:
        probe(run, source, device_of(device), how)
        if (answers := probed(run, how)) is not None:
            console.print(f"{run.experiment.title}, run {run.key}", highlight=False)
            console.print(of_probes(answers), crop=False)
        return
    (found,) = evaluate_again(run, [how], source, device_of(device))
    for title, figures in (("as trained", run.figures(Evaluation())), ("as asked", found)):
        if figures:
            console.print(f"{run.experiment.title}, {title:<10}  {headline(figures)}")
