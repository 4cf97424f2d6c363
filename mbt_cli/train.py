"""One run, from first to last: learn on train, choose the epoch on validation, score once.

b batch, c classes. Recipe and losses: Nagrani et al. 2021, sec. 4.2, and the official code.
"""

import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mbt_cli.data.clips import Clips, Wanted
from mbt_cli.descent import descend, learning_rate, optimizer_of
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.feed import drawn, normalised, windows
from mbt_cli.loss import Targets, loss, penalty
from mbt_cli.memory import gradients, halved
from mbt_cli.metrics import Figures
from mbt_cli.mixup import draw, mixup
from mbt_cli.model import Network, build
from mbt_cli.progress import Log, Progress, State
from mbt_cli.scoring import autocast, evaluate

ROWS_PER_EPOCH = 10
"""How often the mean training loss is logged."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, at its best epoch."""

    model: Network
    epoch: int
    """The best on validation, from 1."""
    validation: Figures
    seconds: float
    """Of training, without validation."""
    micro_batch: int
    """Clips at a time: fewer than in a batch where memory was short."""


def fit(
    experiment: Experiment,
    data: Clips,
    log: Log,
    device: str = "cpu",
    state: State | None = None,
) -> Fitted:
    """Trains a run, or goes on with one from the state it was left in.

    On the CPU the same values give the same weights, bit by bit, with or without a break: what is
    drawn at a step depends on the seed and the step alone.

    Raises MbtError where an epoch has no full batch, where the loss is no longer a number, where
    no validation clip has a label, or where too many clips cannot be read any more.
    """
    how, manifest = experiment.training, data.manifest
    torch.manual_seed(how.seed)
    views, classes = experiment.data.views, len(manifest.classes)
    model = build(experiment.model, views.shapes, classes).to(device)
    places, modalities = data.places("train"), model.spec.modalities
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
    every = max(1, steps_per_epoch // ROWS_PER_EPOCH)

    def row(values: Mapping[str, Any]) -> None:
        log.row({"step": at.step, "epoch": epoch, **values})
        at.rows += 1

    def objective(views: Mapping[str, Tensor], targets: Targets) -> Float[Tensor, ""]:
        with autocast(how, device):
            logits = model(views)
        heads = [*manifest.heads.values()]
        return loss(logits, targets, manifest.multi_label, how.label_smoothing, heads=heads)

    def learn(inputs: Mapping[str, Tensor], targets: Targets) -> Float[Tensor, ""]:
        """The gradients of a batch, and its loss; fewer clips at a time where memory is short."""
        seed = None
        if model.spec.draws:
            seed = int(drawn(how.seed, "drops", at.step).integers(2**63))
        while True:
            clips = at.micro_batch or how.batch_size
            try:
                return gradients(model, objective, inputs, targets, clips, seed)
            except (RuntimeError, MemoryError) as error:
                at.micro_batch = halved(clips, error)
            optimizer.zero_grad()  # what the error held is free by now
            row({"micro_batch": at.micro_batch})

    lost = len(data.lost)

    def tell_lost() -> None:
        nonlocal lost
        if more := dict(islice(data.lost.items(), lost, None)):
            row({"lost": more})
            lost += len(more)

    while at.step < steps:
        epoch, done = at.step // steps_per_epoch + 1, at.step % steps_per_epoch
        order = data.shuffled(places, drawn(how.seed, "order", epoch))
        turns = order[: steps_per_epoch * how.batch_size].reshape(steps_per_epoch, -1)[done:]
        wanted = [
            Wanted(turn, windows(views, modalities, how.batch_size, how.seed, step))
            for step, turn in enumerate(turns, at.step)
        ]
        model.train()
        began = time.perf_counter()
        with closing(data.batches(wanted)) as batches:
            for batch in batches:
                if not len(batch.places):
                    raise MbtError(f"No clip of a whole batch can be read. {_last(data.lost)}")
                inputs = normalised(batch.views, views, device)
                targets: Targets = (truth := torch.from_numpy(data.labels(batch.places)).to(device))
                if how.mixup:
                    random = drawn(how.seed, "mixup", at.step)
                    each = draw(how.mixup, [*inputs], independent=how.mixup_independent,
                                random=random)  # fmt: skip
                    inputs, targets = mixup(inputs, truth, each)
                value = learn(inputs, targets)
                if how.l2:
                    penalty(model, how.l2).backward()
                rate = learning_rate(at.step, how, steps_per_epoch)
                descend(model, optimizer, rate, how.clip_norm)
                at.step += 1
                at.losses.append(value)
                tell_lost()
                if at.step % every == 0:
                    row({"loss": _mean(at.losses, at.step, how.seed), "learning_rate": rate})
                    at.losses = []
                at.seconds += time.perf_counter() - began
                if at.step % steps_per_epoch == 0:
                    break
                log.step(lambda: at.state(model, optimizer), last=False)
                began = time.perf_counter()

        how_now = Evaluation(split="validation", crops=1)
        scored = evaluate(model, experiment, data, how_now, device)
        found = scored.figures
        tell_lost()
        row({"validation": {**_means_only(found), "loss": scored.loss}})
        reached = found[manifest.task.primary]
        if reached is None:
            raise MbtError("No validation clip has a label: no epoch can be chosen.")
        if reached > at.reached:
            at.weights = {name: value.clone() for name, value in model.state_dict().items()}
            at.reached, at.epoch, at.validation = reached, epoch, found
            log.best(at.weights)
        log.step(lambda: at.state(model, optimizer), last=at.step == steps)

    model.load_state_dict(at.weights)
    return Fitted(model, at.epoch, at.validation, at.seconds, at.micro_batch or how.batch_size)


def _last(lost: Mapping[str, str]) -> str:
    return [*lost.values()][-1]


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
