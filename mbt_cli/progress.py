"""How far a run has come: what it tells on its way, and all that is needed to go on."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mbt_cli.metrics import Figures

Weights = dict[str, Tensor]
State = dict[str, Any]
"""Plain values and tensors: a run between two steps."""


@runtime_checkable
class Log(Protocol):
    """Who wants to know how a run goes."""

    def row(self, values: Mapping[str, Any]) -> None:
        """Figures at a step: loss and learning rate, or an epoch's validation."""

    def best(self, weights: Weights) -> None:
        """The weights of the best epoch so far."""

    def step(self, state: Callable[[], State], *, last: bool) -> None:
        """A step is done, maybe the last; `state` gives all that is needed to go on from here."""


@dataclass
class Progress:
    """How far a run has come, besides its weights and the optimizer's."""

    step: int = 0
    """Steps done."""
    rows: int = 0
    """Rows logged."""
    seconds: float = 0.0
    """Of training, without validation."""
    micro_batch: int = 0
    """Clips at a time, where a batch does not fit into memory; 0 for all of a batch."""
    losses: list[Tensor] = field(default_factory=list)
    """Of the steps since the last row."""
    reached: float = -math.inf
    """The primary figure of the best epoch so far."""
    epoch: int = 0
    """The best so far, from 1."""
    weights: Weights = field(default_factory=dict)
    """Of that epoch."""
    validation: Figures = field(default_factory=dict)
    """Of that epoch."""

    def state(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
        """With the weights and what the optimizer remembers."""
        return {
            "progress": {one.name: getattr(self, one.name) for one in fields(self)},
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }

    @classmethod
    def restored(
        cls, state: State, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> "Progress":
        """The inverse of `state`, into this model and this optimizer."""
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        device = next(model.parameters()).device
        at = cls(**state["progress"])
        at.losses = [loss.to(device) for loss in at.losses]
        return at
