"""A trained model's scores for clips, and what they come to.

n clips, c classes, b clips of a batch. The logits of modalities and of several spans of a clip are
averaged before any softmax or sigmoid (Nagrani et al. 2021, sec. 3.4 and 4.2).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mbt_cli.data.clips import Clips
from mbt_cli.disguise import BATCH, Disguises
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.feed import crops, normalised
from mbt_cli.loss import loss
from mbt_cli.memory import halved
from mbt_cli.model import Network
from mbt_cli.model.mbt import predict
from mbt_cli.tally import Scored, tally


def evaluate(
    model: Network, experiment: Experiment, data: Clips, how: Evaluation, device: str = "cpu", *,
    threshold: float | None = None, full: bool = False,
) -> Scored:  # fmt: skip
    """Every clip of a split.

    Where clips are tagged, F1 is at a probability of `threshold`, or at the best one, and `full`
    asks for the mAP over all scores too. Raises MbtError where the evaluation cannot be asked of
    this model, or no clip of the split can be read.
    """
    (found,) = evaluations(model, experiment, data, [how], device, threshold=threshold, full=full)
    return found


@torch.inference_mode()
def evaluations(
    model: Network, experiment: Experiment, data: Clips, hows: Sequence[Evaluation],
    device: str = "cpu", *, threshold: float | None = None, full: bool = False,
) -> list[Scored]:  # fmt: skip
    """Several evaluations of one split and as many crops; what they share of a clip is read once.

    Raises MbtError as `evaluate` does.
    """
    if len({(how.split, how.crops) for how in hows}) != 1:
        raise ValueError(f"No evaluations of one split and as many crops: {hows}.")
    model.eval()
    for how in hows:
        how.check(model.spec)
        with altered(model, how):
            pass
    show = Disguises(data, experiment.data.views, model.spec.modalities, hows)
    means = normalised({m: v[None] for m, v in show.means.items()}, show.views, device)
    shares = crops(hows[0].crops or experiment.data.views.crops)
    tallies = [tally(show.places, data, len(shares), full=full) for _ in hows]
    parts = [slice(start, start + BATCH) for start in range(0, len(show.places), BATCH)]
    forward = _Forward(model, experiment, data, device)
    for share in shares:
        wanted = (one for part in parts for one in show.wanted(part, share))
        with closing(data.batches(wanted)) as batches:
            for some in zip(*[batches] * len(show.needs), strict=True):
                for how, seen in zip(hows, tallies, strict=True):
                    places, shown = show.shown(how, share, some)
                    same = {m: means[m] for m in how.averaged}
                    with altered(model, how):
                        for mine, scores, mean_loss in forward.passes(places, shown, same):
                            seen.add(mine, scores, mean_loss)
    return [one.scored(how, threshold) for one, how in zip(tallies, hows, strict=True)]


@contextmanager
def altered(model: Network, how: Evaluation) -> Iterator[None]:
    """The model as an evaluation has it, and after that as it was trained."""
    try:
        model.rewire(how.fusion or model.spec.fusion, how.removed, how.without_token)
        yield
    finally:
        model.rewire(model.spec.fusion)


@dataclass
class _Forward:
    """Forward passes of as many clips at a time as memory has room for."""

    model: Network
    experiment: Experiment
    data: Clips
    device: str
    clips: int = BATCH

    def passes(
        self, places: Int64[np.ndarray, " b"], shown: Mapping[str, np.ndarray],
        same: Mapping[str, Tensor],
    ) -> Iterator[tuple[Int64[np.ndarray, " k"], Float[np.ndarray, "k c"], float]]:  # fmt: skip
        """Some clips after the others, with their logits and their mean loss. They are given by
        their own views (b, *view), and by views (1, *view) that all show in place of them."""
        how, views, manifest = (
            self.experiment.training,
            self.experiment.data.views,
            self.data.manifest,
        )
        heads, labels, start = [*manifest.heads.values()], self.data.labels(places), 0
        while start < len(places):
            cut = slice(start, start + self.clips)
            mine = places[cut]
            try:
                inputs = normalised({m: view[cut] for m, view in shown.items()}, views, self.device)
                inputs |= {m: v.expand(len(mine), *v.shape[1:]) for m, v in same.items()}
                with autocast(how, self.device):
                    logits = self.model(inputs)
                    scores = predict(logits)
                truth = torch.from_numpy(labels[cut]).to(self.device)
                objective = loss(
                    logits, truth, manifest.multi_label, how.label_smoothing, heads=heads
                )
            except (RuntimeError, MemoryError) as error:
                self.clips = halved(self.clips, error)
                continue
            yield mine, scores.float().cpu().numpy(), float(objective)
            start += self.clips


def autocast(how: Training, device: str) -> torch.autocast:
    """Matrix products in bfloat16, where the run says so."""
    return torch.autocast(device, torch.bfloat16, enabled=how.precision == "bfloat16")
