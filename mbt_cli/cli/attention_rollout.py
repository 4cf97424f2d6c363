"""`mbt-cli attention-rollout`: where a trained model looked and listened."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mbt_cli.cli.options import HERE, DataFolder, Device, Metadata, Results
from mbt_cli.errors import MbtError

if TYPE_CHECKING:
    from mbt_cli.terminal import Screen


def attention_rollout(
    video: Annotated[Path | None, typer.Argument(help="A video file with sound; or a clip of the"
                                           " built-in world by its name, such as test/00002. Of a"
                                           " run on features: none.")] = None,
    key: Annotated[
        str | None,
        typer.Option("--run", help="A finished run's key, or the beginning of it. By default the"
                     " best bottleneck run, by validation; without a video the best on features."),
    ] = None,
    start_s: Annotated[
        float, typer.Option(help="Where in the video to begin, in seconds.")
    ] = 0.0,
    data: DataFolder = None,
    metadata: Metadata = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder for the files. By default rollouts/VIDEO-KEY in --results, or"
                     " rollouts/features-KEY."),
    ] = None,
    device: Device = "auto",
    results: Results = HERE,
) -> None:  # fmt: skip
    """Where a trained model looked and listened: pictures and a film with heat.

    Attention rollout (Abnar & Zuidema 2020) over the streams of the model's
    wiring: how much of the answer came from which patch, and what crossed between
    sound and sight through which bottleneck token. The model is given as many
    seconds of the video as it was trained on.

    Without a video, of a run on features: which segment of which modality it reads
    in its test clips, by category, and how spread its attention is. Of Attend-Fusion
    that is the attention of its last layers.
    """
    from mbt_cli.terminal import Screen, stdout

    screen = Screen(stdout())
    if video is not None:
        if data or metadata:
            raise MbtError(
                "--data and --metadata are for the clips of a run on features: leave them out, or"
                f" leave out {video}."
            )
        _video(video, key, start_s, out, device, results, screen)
    elif start_s:
        raise MbtError("--start-s is a time in a video: name the video, or leave it out.")
    else:
        _features(key, data, metadata, out, device, results, screen)


def _video(
    video: Path, key: str | None, start_s: float, out: Path | None, device: str, results: Path,
    screen: "Screen",
) -> None:  # fmt: skip
    from mbt_cli.choice import chosen, clip_of
    from mbt_cli.environment import device_of
    from mbt_cli.look import film_of, folder_of, look, write
    from mbt_cli.telling import told

    run, why = chosen(results, key)
    screen.say(f"Run {run.key}: {run.experiment.title}, {why}.")
    path, truth = clip_of(run, video, results)
    one = look(run, path, start_s=start_s, device=device_of(device), truth=truth)
    screen.say(f"{video}, {one.span}.")
    screen.console.print(told(one), crop=False)
    screen.say("")
    pictures, rate = film_of(path, one.span_s)
    with screen.bar("Film", pictures, "pictures") as advance:
        files = write(one, out or folder_of(one, results), advance, pictures, rate)
    for file in files:
        screen.say(str(file))


def _features(
    key: str | None, data: Path | None, metadata: Path | None, out: Path | None, device: str,
    results: Path, screen: "Screen",
) -> None:  # fmt: skip
    from mbt_cli.categories import check
    from mbt_cli.choice import OF_FEATURES, chosen
    from mbt_cli.environment import device_of
    from mbt_cli.executors import executor_of
    from mbt_cli.gaze import CLIPS, folder_of, gaze, write
    from mbt_cli.intake import manifest_of
    from mbt_cli.ready import enough, ready
    from mbt_cli.telling import of_categories

    run, why = chosen(results, key, OF_FEATURES)
    check(run)
    screen.say(f"Run {run.key}: {run.experiment.title}, {why}.")
    spec, splits = run.experiment.data, ["test"]
    some = partial(enough, left_out={}, min_coverage=0.0, splits=splits)
    manifest = manifest_of(spec, data, metadata, results, screen, some)
    if manifest.fingerprint != spec.fingerprint:
        screen.say("These are other clips than the run was trained on.")
    readers = os.cpu_count() or 1
    with executor_of(readers, 1) as executor:
        source = ready(
            spec, manifest, executor, screen, min_coverage=0.0, readers=readers, splits=splits
        )
    with screen.bar("Looking", min(CLIPS, manifest.count("test"))) as advance:
        one = gaze(run, source, device_of(device), advance)
    screen.console.print(of_categories(one), crop=False)
    screen.say("")
    for file in write(one, out or folder_of(run, results)):
        screen.say(str(file))
