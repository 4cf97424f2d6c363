"""`mbt-cli attention-rollout`: where a trained model looked and listened."""

from pathlib import Path
from typing import Annotated

import typer

from mbt_cli.cli.options import HERE, Device, Results


def attention_rollout(
    video: Annotated[Path, typer.Argument(help="A video file with sound; or a clip of the built-in"
                                           " world by its name, such as test/00002.")],
    key: Annotated[
        str | None,
        typer.Option("--run", help="A finished run's key, or the beginning of it."
                     " By default the best bottleneck run, by validation."),
    ] = None,
    start_s: Annotated[
        float, typer.Option(help="Where in the video to begin, in seconds.")
    ] = 0.0,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder for the files. By default rollouts/VIDEO-KEY in --results."),
    ] = None,
    device: Device = "auto",
    results: Results = HERE,
) -> None:  # fmt: skip
    """Where a trained model looked and listened: pictures and a film with heat.

    Attention rollout (Abnar & Zuidema 2020) over the streams of the model's
    wiring: how much of the answer came from which patch, and what crossed between
    sound and sight through which bottleneck token. The model is given as many
    seconds of the video as it was trained on.
    """
    from mbt_cli.choice import chosen, clip_of
    from mbt_cli.environment import device_of
    from mbt_cli.look import film_of, folder_of, look, write
    from mbt_cli.telling import told
    from mbt_cli.terminal import Screen, stdout

    console = stdout()
    screen = Screen(console)
    run, why = chosen(results, key)
    screen.say(f"Run {run.key}: {run.experiment.title}, {why}.")
    path, truth = clip_of(run, video, results)
    one = look(run, path, start_s=start_s, device=device_of(device), truth=truth)
    screen.say(f"{video}, {one.span}.")
    console.print(told(one), crop=False)
    screen.say("")
    pictures, rate = film_of(path, one.span_s)
    with screen.bar("Film", pictures, "pictures") as advance:
        files = write(one, out or folder_of(one, results), advance, pictures, rate)
    for file in files:
        screen.say(str(file))
