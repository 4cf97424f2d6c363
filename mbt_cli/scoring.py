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
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.feed import crops, normalised
from mbt_cli.loss import loss
from mbt_cli.memory import halved
from mbt_cli.metrics import Figures, figures
from mbt_cli.model import Network
from mbt_cli.model.mbt import predict


@dataclass(frozen=True)
class Scored:
    """The clips of a split that could be read."""

    places: Int64[np.ndarray, " n"]
    """In the manifest."""
    scores: Float[np.ndarray, "n c"]
    """Logits."""
    figures: Figures
    loss: float
    """What training makes small, without mixup: the mean over clips, and over spans of a clip."""


class Tally:
    """What an evaluation has seen so far of the clips of a split."""

    def __init__(self, places: Int64[np.ndarray, " n"], classes: int) -> None:
        self.totals = {int(place): np.zeros(classes, np.float32) for place in places}
        self.losses = dict.fromkeys(self.totals, 0.0)
        self.times = dict.fromkeys(self.totals, 0)

    def add(
        self, places: Int64[np.ndarray, " b"], scores: Float[np.ndarray, "b c"], mean_loss: float
    ) -> None:
        """One span of some clips."""
        for place, row in zip(places.tolist(), scores, strict=True):
            self.totals[place] += row
            self.losses[place] += mean_loss
            self.times[place] += 1

    def scored(self, data: Clips, how: Evaluation, times: int) -> Scored:
        """The clips of which every span was seen. Raises MbtError where there is none."""
        kept = np.array([place for place, n in self.times.items() if n == times], dtype=np.int64)
        if not len(kept):
            raise MbtError(f"No clip of the {how.split} split can be read.")
        scores = np.stack([self.totals[place] for place in kept]) / times
        found = figures(
            scores,
            data.labels(kept),
            data.manifest.classes,
            groups=data.manifest.groups,
            multi_label=data.manifest.multi_label,
            heads=data.manifest.heads,
            without_positives=how.without_positives,
        )
        return Scored(kept, scores, found, sum(self.losses[p] for p in kept) / times / len(kept))


def evaluate(
    model: Network, experiment: Experiment, data: Clips, how: Evaluation, device: str = "cpu"
) -> Scored:
    """Every clip of a split.

    Raises MbtError where the evaluation cannot be asked of this model, or no clip of the split can
    be read.
    """
    (found,) = evaluations(model, experiment, data, [how], device)
    return found


@torch.inference_mode()
def evaluations(
    model: Network,
    experiment: Experiment,
    data: Clips,
    hows: Sequence[Evaluation],
    device: str = "cpu",
) -> list[Scored]:
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
    tallies = [Tally(show.places, len(data.manifest.classes)) for _ in hows]
    shares = crops(hows[0].crops or experiment.data.views.crops)
    parts = [slice(start, start + BATCH) for start in range(0, len(show.places), BATCH)]
    forward = _Forward(model, experiment, data, device)
    for share in shares:
        wanted = (one for part in parts for one in show.wanted(part, share))
        with closing(data.batches(wanted)) as batches:
            for some in zip(*[batches] * len(show.needs), strict=True):
                for how, tally in zip(hows, tallies, strict=True):
                    places, shown = show.shown(how, share, some)
                    same = {m: means[m] for m in how.averaged}
                    with altered(model, how):
                        for seen, scores, mean_loss in forward.passes(places, shown, same):
                            tally.add(seen, scores, mean_loss)
    return [t.scored(data, how, len(shares)) for t, how in zip(tallies, hows, strict=True)]


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
