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
from torch import Tensor, nn

from mbt_cli.data.cache import Cached
from mbt_cli.dataset import Views
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.loss import Targets, loss, penalty
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
    every, order = max(1, steps_per_epoch // ROWS_PER_EPOCH), None

    def row(values: Mapping[str, Any]) -> None:
        log.row({"step": at.step, "epoch": epoch, **values})
        at.rows += 1

    while at.step < how.epochs * steps_per_epoch:
        began = time.perf_counter()
        epoch, place = at.step // steps_per_epoch + 1, at.step % steps_per_epoch
        if order is None or place == 0:
            order = torch.from_numpy(drawn(how.seed, "order", epoch).permutation(len(places)))
            model.train()
        batch = order[place * how.batch_size :][: how.batch_size]
        torch.manual_seed(int(drawn(how.seed, "drops", at.step).integers(2**63)))
        rate = learning_rate(at.step, how, steps_per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = batch_of(data, places[batch.numpy()], views, model.spec.modalities, device)
        targets: Targets = (truth := labels[batch].to(device))
        if how.mixup:
            random = drawn(how.seed, "mixup", at.step)
            each = draw(how.mixup, [*inputs], independent=how.mixup_independent, random=random)
            inputs, targets = mixup(inputs, truth, each)
        with autocast(how, device):
            logits = model(inputs)
        value = loss(logits, targets, manifest.multi_label, how.label_smoothing)
        descend(model, optimizer, value + penalty(model, how.l2), how.clip_norm)
        at.step += 1
        at.losses.append(value.detach())
        if at.step % every == 0:
            mean = torch.stack(at.losses).mean().item()
            if not math.isfinite(mean):
                raise MbtError(f"The training loss is {mean} at step {at.step} of seed {how.seed}:"
                               " try a lower training.learning_rate.")  # fmt: skip
            row({"loss": mean, "learning_rate": rate})
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
        log.step(lambda: at.state(model, optimizer))

    model.load_state_dict(at.weights)
    return Fitted(model, at.epoch, at.validation, at.seconds)


def drawn(seed: int, what: str, when: int) -> np.random.Generator:
    """What a run draws for one purpose at one epoch or step, whatever was drawn before."""
    return np.random.default_rng([seed, DRAWS.index(what), when])


def descend(
    model: nn.Module, optimizer: torch.optim.Optimizer, value: Float[Tensor, ""], clip_norm: float
) -> Float[Tensor, ""]:
    """One step down from a loss; the norm of all gradients before they were clipped."""
    value.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return norm


def learning_rate(step: int, how: Training, steps_per_epoch: int) -> float:
    """At a step from 0: linear warm-up times a cosine that starts where the warm-up ends.

    As the official schedule: at step 0 it is 0, and after the last step the cosine starts again.
    """
    warmup, total = how.warmup_epochs * steps_per_epoch, how.epochs * steps_per_epoch
    rise = min(1.0, step / warmup) if warmup else 1.0
    past = max(0.0, step - warmup) / max(1, total - int(warmup)) % 1
    fall = how.final_rate + (1 - how.final_rate) * 0.5 * (1 + math.cos(math.pi * past))
    return how.learning_rate * rise * fall


def optimizer_of(model: nn.Module, how: Training) -> torch.optim.Optimizer:
    """Weight decay is for the weights of linear layers alone."""
    decayed = {m.weight for m in model.modules() if isinstance(m, nn.Linear)}
    groups = [
        {"params": [p for p in model.parameters() if (p in decayed) == decay], "weight_decay": rate}
        for decay, rate in ((True, how.weight_decay), (False, 0.0))
    ]
    if how.optimizer == "sgd":
        return torch.optim.SGD(groups, how.learning_rate, how.momentum)
    return torch.optim.AdamW(groups, how.learning_rate, (how.momentum, how.beta2), fused=True)


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
    """The logits of clips, batch after batch."""
    for start in range(0, len(places), SCORING_BATCH):
        rows = places[start : start + SCORING_BATCH]
        inputs = batch_of(data, rows, experiment.data.views, model.spec.modalities, device)
        with autocast(experiment.training, device):
            yield model(inputs)


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


def _means_only(found: Figures) -> Figures:
    return {name: value for name, value in found.items() if name not in ("classes", "left_out")}
