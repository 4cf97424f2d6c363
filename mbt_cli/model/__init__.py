"""The model families, built from what an experiment says of them."""

from collections.abc import Mapping

from mbt_cli import architecture
from mbt_cli.model.mbt import MBT

MODELS = {"mbt": MBT}
"""The network of each family in `architecture.Model`."""


def build(spec: architecture.Model, shapes: Mapping[str, tuple[int, ...]], classes: int) -> MBT:
    """A freshly initialised network; its randomness is torch's."""
    return MODELS[spec.family](spec, shapes, classes)
