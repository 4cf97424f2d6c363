"""A trained model's scores for clips, and what they come to.

n clips, c classes. The logits of modalities and of several spans of a clip are averaged before any
softmax or sigmoid (Nagrani et al. 2021, sec. 3.4 and 4.2).
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mbt_cli.data.clips import Clips, Wanted
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.feed import crops, normalised, spans
from mbt_cli.memory import halved
from mbt_cli.metrics import Figures, figures
from mbt_cli.model.mbt import MBT, predict

BATCH = 128
"""Clips that are read at a time."""


@dataclass(frozen=True)
class Scored:
    """The clips of a split that could be read."""

    places: Int64[np.ndarray, " n"]
    """In the manifest."""
    scores: Float[np.ndarray, "n c"]
    """Logits."""
    figures: Figures


@torch.inference_mode()
def evaluate(
    model: MBT, experiment: Experiment, data: Clips, how: Evaluation, device: str = "cpu"
) -> Scored:
    """Every clip of a split.

    Raises MbtError where the evaluation's own strategy cannot run this model, or no clip of the
    split can be read.
    """
    model.eval()
    model.rewire(how.fusion or model.spec.fusion)
    places, classes = data.places(how.split), len(data.manifest.classes)
    shares = crops(how.crops or experiment.data.views.crops)
    totals = {int(place): np.zeros(classes, np.float32) for place in places}
    times = dict.fromkeys(totals, 0)
    for share in shares:
        for seen, logits in scored(model, experiment, data, places, share, device):
            for place, row in zip(seen.tolist(), logits.numpy(), strict=True):
                totals[place] += row
                times[place] += 1
    model.rewire(model.spec.fusion)
    kept = np.array([place for place in places if times[place] == len(shares)], dtype=np.int64)
    if not len(kept):
        raise MbtError(f"No clip of the {how.split} split can be read.")
    scores = np.stack([totals[place] for place in kept]) / len(shares)
    found = figures(
        scores,
        data.labels(kept),
        data.manifest.classes,
        groups=data.manifest.groups,
        multi_label=data.manifest.multi_label,
        heads=data.manifest.heads,
        without_positives=how.without_positives,
    )
    return Scored(kept, scores, found)


def scored(
    model: MBT, experiment: Experiment, data: Clips, places: Int64[np.ndarray, " n"],
    share: float, device: str,
) -> Iterator[tuple[Int64[np.ndarray, " b"], Float[Tensor, "b c"]]]:  # fmt: skip
    """Clips and their logits, batch after batch, of the span at this share of each clip; fewer go
    through the model at a time where memory is short."""
    modalities, views, clips = model.spec.modalities, experiment.data.views, BATCH
    parts = [places[start : start + BATCH] for start in range(0, len(places), BATCH)]
    wanted = (Wanted(part, spans(modalities, len(part), share)) for part in parts)
    with closing(data.batches(wanted)) as batches:
        for batch in batches:
            start = 0
            while start < len(batch.places):
                cut = slice(start, start + clips)
                try:
                    shown = {m: view[cut] for m, view in batch.views.items()}
                    with autocast(experiment.training, device):
                        logits = predict(model(normalised(shown, views, device)))
                except (RuntimeError, MemoryError) as error:
                    clips = halved(clips, error)
                    continue
                yield batch.places[cut], logits.float().cpu()
                start += clips


def autocast(how: Training, device: str) -> torch.autocast:
    """Matrix products in bfloat16, where the run says so."""
    return torch.autocast(device, torch.bfloat16, enabled=how.precision == "bfloat16")
