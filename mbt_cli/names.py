"""What fields and their values are called in tables, and which of them tell cells apart."""

from collections.abc import Sequence
from typing import Any

from mbt_cli.experiment import Experiment

WORDS = {"model.fusion": "strategy", "model.fusion_layer": "L_f", "model.bottlenecks": "B",
         "model.family": "family"}  # fmt: skip
"""Fields the house has a word for; others go by the last part of their name."""
ALL = {"data.vocabulary": 0}
"""Values that stand for all there is."""


def differing(cells: Sequence[Experiment]) -> list[str]:
    """The fields that are not the same in all of these cells that have them."""
    flat = [cell.flat() for cell in cells]
    names = dict.fromkeys(name for one in flat for name in one)
    return [n for n in names if len({repr(one[n]) for one in flat if n in one}) > 1]


def models(cells: Sequence[Experiment]) -> list[str]:
    """The model of each of these cells, in as few words as tell it from the others."""
    titles, families = [one.model.title for one in cells], {one.model.family for one in cells}
    found = []
    for one, title in zip(cells, titles, strict=True):
        twins = [cell for cell, other in zip(cells, titles, strict=True) if other == title]
        told = (f"{word(name)} {plain(value(one, name))}" for name in differing(twins))
        name = f"MBT {title}" if len(families) > 1 and one.model.family == "mbt" else title
        found.append(", ".join((name, *told)))
    return found


def value(one: Experiment, field: str) -> Any:
    """A field of a cell, or its model in few words; `none` where the model makes no use of it, and
    nothing where its family has no such field."""
    if field in one.model.idle:
        return "none"
    found = one.told().get(field, "")
    return "all" if field in ALL and found == ALL[field] else found


def word(field: str) -> str:
    """A field as a column's name."""
    return WORDS.get(field, field.split(".")[-1])


def plain(value: Any) -> Any:
    """A value as a table shows it."""
    return " + ".join(map(str, value)) if isinstance(value, tuple) else value


def encodable(text: str) -> str:
    """With what cannot be written as UTF-8 spelled out: names of files may hold any bytes."""
    return text.encode(errors="backslashreplace").decode()
