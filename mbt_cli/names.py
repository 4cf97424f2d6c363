"""What fields and their values are called in tables, and which of them tell cells apart."""

from collections.abc import Sequence
from typing import Any

from mbt_cli.experiment import Experiment

WORDS = {"model.fusion": "strategy", "model.fusion_layer": "L_f", "model.bottlenecks": "B"}
"""Fields the house has a word for; others go by the last part of their name."""


def differing(cells: Sequence[Experiment]) -> list[str]:
    """The fields that are not the same in all of these cells."""
    flat = [cell.flat() for cell in cells]
    return [name for name in flat[0] if len({repr(one.get(name)) for one in flat}) > 1]


def word(field: str) -> str:
    """A field as a column's name."""
    return WORDS.get(field, field.split(".")[-1])


def plain(value: Any) -> Any:
    """A value as a table shows it."""
    return " + ".join(map(str, value)) if isinstance(value, tuple) else value


def encodable(text: str) -> str:
    """With what cannot be written as UTF-8 spelled out: names of files may hold any bytes."""
    return text.encode(errors="backslashreplace").decode()
