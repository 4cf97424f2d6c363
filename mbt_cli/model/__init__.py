"""The model families, built from what an experiment says of them."""

from collections.abc import Callable, Mapping
from typing import Any

from mbt_cli import architecture
from mbt_cli.model.attend_fusion import AttendFusion
from mbt_cli.model.mbt import MBT

Network = MBT | AttendFusion

MODELS: dict[str, Callable[[Any, Mapping[str, tuple[int, ...]], int], Network]] = {
    "mbt": MBT,
    "attend_fusion": AttendFusion,
}
"""The network of each family in `architecture.Model`."""


def build(spec: architecture.Model, shapes: Mapping[str, tuple[int, ...]], classes: int) -> Network:
    """A freshly initialised network; its randomness is torch's."""
    return MODELS[spec.family](spec, shapes, classes)
