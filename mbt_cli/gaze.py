"""A look at clips of features as a trained model reads them: from run and clips to files.

b clips of a batch; h heads, q queries and k keys of a line; t tokens of a stream.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mbt_cli import mosaic, poster
from mbt_cli.attention import lines_of
from mbt_cli.categories import Gaze, Readings, check, gaze_of
from mbt_cli.data.clips import MIDDLE, Clips, Wanted
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.feed import normalised, spans
from mbt_cli.files import part_of, sweep, write_text, writing
from mbt_cli.model import Network
from mbt_cli.model.mbt import MBT
from mbt_cli.revisit import trained
from mbt_cli.rollout import listening, origins
from mbt_cli.runs import Run
from mbt_cli.scoring import autocast
from mbt_cli.source import Source

CLIPS = 2048
"""Of the test split, the first ones: a fixed sample."""
AT_A_TIME = 8
"""Clips: the attention of all lines is held whole, h q k numbers for each."""
Maps = list[Float[Tensor, "b h q k"]]
"""The attention of every line, in the order in which they run; rows sum to 1."""


def gaze(
    run: Run, source: Source, device: str = "cpu", advance: Callable[[int], None] = lambda _: None
) -> Gaze:
    """What a finished run reads in the test clips.

    Raises MbtError where its attention tells nothing of them, where they are of other classes, or
    where none can be read; and for a run without weights.
    """
    check(run)
    source = source.learned_by(run.experiment)
    model = trained(run, source, device)
    with source.opened() as data:
        every = data.places("test")
        places, found = readings(model, run.experiment, data, every[:CLIPS], device, advance)
        return gaze_of(run, found, data.labels(places), source.manifest, len(every))


@torch.inference_mode()
def readings(
    model: Network, experiment: Experiment, data: Clips, places: Int64[np.ndarray, " n"],
    device: str = "cpu", advance: Callable[[int], None] = lambda _: None,
) -> tuple[Int64[np.ndarray, " m"], Readings]:  # fmt: skip
    """What a model as trained reads in each of these clips, and which of them could be read.

    Raises MbtError where none could.
    """
    model.eval()
    views, lines, maps = experiment.data.views, lines_of(model), Maps()
    read, shares, entropy = list[Any](), list[Any](), list[Any]()

    def see(attention: Any, inputs: tuple[Any, ...]) -> None:
        with torch.autocast(inputs[0].device.type, enabled=False):
            maps.append(attention.heads_weights(*inputs).float().cpu())

    parts = [places[start : start + AT_A_TIME] for start in range(0, len(places), AT_A_TIME)]
    wanted = [Wanted(part, spans(model.spec.modalities, len(part), MIDDLE)) for part in parts]
    with listening(model, see), closing(data.batches(wanted)) as batches:
        for batch, part in zip(batches, parts, strict=True):
            if len(batch.places):
                maps.clear()
                with autocast(experiment.training, device):
                    model(normalised(batch.views, views, device))
                read.append(batch.places)
                shares.append(given(model, maps))
                entropy.append(torch.stack([spread(one) for one in maps], 1))
            advance(len(part))
    if not read:
        raise MbtError(
            "No clip of the test split can be read: give the folder with its clips by --data."
        )
    of = {stream: torch.cat([one[stream] for one in shares]) for stream in shares[0]}
    return np.concatenate(read), Readings(
        shares={stream: found.double().numpy() for stream, found in of.items()},
        entropy=torch.cat(entropy).double().numpy(),
        lines=[f"layer {n}, {' '.join(one.writes)} <- {' '.join(one.reads)}" for n, one in lines],
        of_answer=isinstance(model, MBT),
    )


def given(model: Network, maps: Sequence[Tensor]) -> dict[str, Float[Tensor, "b _"]]:
    """What each token of each stream gives to each clip's answer (b, t): by attention rollout over
    all layers of MBT; in Attend-Fusion to its stream, by the last layer of that."""
    if isinstance(model, MBT):
        heats = [
            origins(model, [one[clip].mean(0) for one in maps]).heat for clip in range(len(maps[0]))
        ]
        return {m: torch.stack([heat[m] for heat in heats]) for m in heats[0]}
    each = zip(lines_of(model), maps, strict=True)
    return {line.reads[0]: one.mean((1, 2)) for (_, line), one in each}  # the last one stays


def spread(weights: Float[Tensor, "b h q k"]) -> Float[Tensor, " b"]:
    """Entropy of a line's attention over that of equal shares, mean over heads and queries; NaN
    where there is one key."""
    keys = weights.shape[-1]
    of = torch.special.entr(weights).sum(-1).mean((1, 2))
    return of / log(keys) if keys > 1 else torch.full_like(of, torch.nan)


def folder_of(run: Run, results: Path) -> Path:
    """Where the files of a look belong."""
    return results / "rollouts" / f"features-{run.key}"


def write(one: Gaze, folder: Path) -> list[Path]:
    """Picture and numbers, each file there whole or not at all. Raises Unwritable."""
    picture, shares, entropy = (
        folder / name for name in ("attention.png", "attention.csv", "entropy.csv")
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        poster.save(lambda: mosaic.page_of(one), part := part_of(picture))
        part.replace(picture)
    write_text(shares, _csv(one.rows()))
    write_text(entropy, _csv(one.spreads()))
    return [picture, shares, entropy]


def _csv(rows: Iterable[Mapping[str, object]]) -> str:
    return pd.DataFrame([*rows]).to_csv(index=False, lineterminator="\n", float_format="%.6g")
