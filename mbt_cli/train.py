"""One run, from first to last: learn on train, choose the epoch on validation, score once.

b batch, c classes. Recipe and losses: Nagrani et al. 2021, sec. 4.2, and the official code.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli.data.cache import Cached
from mbt_cli.dataset import Views
from mbt_cli.descent import descend, learning_rate, optimizer_of
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.loss import Targets, loss, penalty
from mbt_cli.memory import gradients, halved
from mbt_cli.metrics import Figures, figures, primary
from mbt_cli.mixup import draw, mixup
from mbt_cli.model import build
from mbt_cli.model.mbt import MBT, Logits, predict
from mbt_cli.progress import Log, Progress, State

ROWS_PER_EPOCH = 10
"""How often the mean training loss is logged."""
SCORING_BATCH = 128

DRAWS = ("order", "drops", "mixup")
"""What a run draws, each on its own."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, at its best epoch."""

    model: MBT
    epoch: int
    """The best on validation, from 1."""
    validation: Figures
    seconds: float
    """Of training, without validation."""
    micro_batch: int
    """Clips at a time: fewer than in a batch where memory was short."""


def fit(
    experiment: Experiment,
    data: Cached,
    log: Log,
    device: str = "cpu",
    state: State | None = None,
) -> Fitted:
    """Trains a run, or goes on with one from the state it was left in.

    On the CPU the same values give the same weights, bit by bit, with or without a break: what is
    drawn at a step depends on the seed and the step alone.

    Raises MbtError where an epoch has no full batch, where the loss is no longer a number, or
    where no validation clip has a label.
    """
    how, manifest = experiment.training, data.manifest
    torch.manual_seed(how.seed)
    views, classes = experiment.data.views, len(manifest.classes)
    model = build(experiment.model, views.shapes, classes).to(device)
    places, labels = data.places("train"), torch.from_numpy(data.labels("train"))
    steps_per_epoch = len(places) // how.batch_size
    if not steps_per_epoch:
        raise MbtError(
            f"training.batch_size is {how.batch_size}, but there are {len(places)} training clips:"
            " no batch can be filled."
        )
    optimizer, at = optimizer_of(model, how), Progress()
    if state:
        at = Progress.restored(state, model, optimizer)
    steps = how.epochs * steps_per_epoch
    every, order = max(1, steps_per_epoch // ROWS_PER_EPOCH), None

    def row(values: Mapping[str, Any]) -> None:
        log.row({"step": at.step, "epoch": epoch, **values})
        at.rows += 1

    def objective(views: Mapping[str, Tensor], targets: Targets) -> Float[Tensor, ""]:
        with autocast(how, device):
            logits = model(views)
        return loss(logits, targets, manifest.multi_label, how.label_smoothing)

    while at.step < steps:
        began = time.perf_counter()
        epoch, place = at.step // steps_per_epoch + 1, at.step % steps_per_epoch
        if order is None or place == 0:
            order = torch.from_numpy(drawn(how.seed, "order", epoch).permutation(len(places)))
            model.train()
        batch = order[place * how.batch_size :][: how.batch_size]
        inputs = batch_of(data, places[batch.numpy()], views, model.spec.modalities, device)
        targets: Targets = (truth := labels[batch].to(device))
        if how.mixup:
            random = drawn(how.seed, "mixup", at.step)
            each = draw(how.mixup, [*inputs], independent=how.mixup_independent, random=random)
            inputs, targets = mixup(inputs, truth, each)
        seed = None
        if model.spec.stochastic_depth:
            seed = int(drawn(how.seed, "drops", at.step).integers(2**63))
        clips = at.micro_batch or how.batch_size
        try:
            value = gradients(model, objective, inputs, targets, clips, seed)
        except (RuntimeError, MemoryError) as error:
            at.micro_batch, value = halved(clips, error), None
        if value is None:  # out of memory; what the error held is free by now
            optimizer.zero_grad()
            row({"micro_batch": at.micro_batch})
            continue  # what is drawn depends on the step alone: it is the same step again
        if how.l2:
            penalty(model, how.l2).backward()
        rate = learning_rate(at.step, how, steps_per_epoch)
        descend(model, optimizer, rate, how.clip_norm)
        at.step += 1
        at.losses.append(value)
        if at.step % every == 0:
            row({"loss": _mean(at.losses, at.step, how.seed), "learning_rate": rate})
            at.losses = []
        at.seconds += time.perf_counter() - began

        if at.step % steps_per_epoch == 0:
            found = evaluate(model, experiment, data, Evaluation(split="validation"), device)[1]
            row({"validation": _means_only(found)})
            reached = found[primary(manifest.multi_label)]
            if reached is None:
                raise MbtError("No validation clip has a label: no epoch can be chosen.")
            if reached > at.reached:
                at.weights = {name: value.clone() for name, value in model.state_dict().items()}
                at.reached, at.epoch, at.validation = reached, epoch, found
                log.best(at.weights)
        log.step(lambda: at.state(model, optimizer), last=at.step == steps)

    model.load_state_dict(at.weights)
    return Fitted(model, at.epoch, at.validation, at.seconds, at.micro_batch or how.batch_size)


def drawn(seed: int, what: str, when: int) -> np.random.Generator:
    """What a run draws for one purpose at one epoch or step, whatever was drawn before."""
    return np.random.default_rng([seed, DRAWS.index(what), when])


@torch.inference_mode()
def evaluate(
    model: MBT, experiment: Experiment, data: Cached, how: Evaluation, device: str = "cpu"
) -> tuple[Float[np.ndarray, "n c"], Figures]:
    """Scores (the mean of the modalities' logits) of every clip of a split, and their figures.

    Raises MbtError where the evaluation's own strategy cannot run this model.
    """
    model.eval()
    model.rewire(how.fusion or model.spec.fusion)
    scores = [
        predict(logits).float().cpu().numpy()
        for logits in scored(model, experiment, data, data.places(how.split), device)
    ]
    model.rewire(model.spec.fusion)
    found = figures(
        together := np.concatenate(scores),
        data.labels(how.split),
        data.manifest.classes,
        groups=data.manifest.groups,
        multi_label=data.manifest.multi_label,
        without_positives=how.without_positives,
    )
    return together, found


def scored(
    model: MBT, experiment: Experiment, data: Cached, places: np.ndarray, device: str
) -> Iterator[Logits]:
    """The logits of clips, batch after batch; fewer at a time where memory is short."""
    start, clips = 0, SCORING_BATCH
    while start < len(places):
        rows = places[start : start + clips]
        try:
            inputs = batch_of(data, rows, experiment.data.views, model.spec.modalities, device)
            with autocast(experiment.training, device):
                logits = model(inputs)
        except (RuntimeError, MemoryError) as error:
            clips = halved(clips, error)
            continue
        yield logits
        start += len(rows)


def batch_of(
    data: Cached, places: np.ndarray, views: Views, modalities: tuple[str, ...], device: str
) -> dict[str, Float[Tensor, "b *view"]]:
    """The normalised views of some clips."""
    batch = {}
    for m in modalities:
        mean, std = views.scale[m]
        view = torch.from_numpy(data.arrays[m][places]).to(device)
        batch[m] = (view.float() - mean) / std
    return batch


def autocast(how: Training, device: str) -> torch.autocast:
    """Matrix products in bfloat16, where the run says so."""
    return torch.autocast(device, torch.bfloat16, enabled=how.precision == "bfloat16")


def _mean(losses: list[Tensor], step: int, seed: int) -> float:
    """Of the losses up to a step. Raises MbtError where one is no number."""
    each = torch.stack(losses).tolist()
    for place, value in enumerate(each, step - len(each) + 1):
        if not math.isfinite(value):
            raise MbtError(f"The training loss is {value} at step {place} of seed {seed}: try a"
                           " lower training.learning_rate.")  # fmt: skip
    return sum(each) / len(each)


def _means_only(found: Figures) -> Figures:
    return {name: value for name, value in found.items() if name not in ("classes", "left_out")}
