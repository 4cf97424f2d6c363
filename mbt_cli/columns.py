"""A table for a terminal, from columns of texts."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

FOLD = len("cross_attention")
"""A strategy's column is at least as wide as this, or as its longest."""
WORDS = (
    "key", "data", "strategy", "state", "file", "label", "output", "crossed", "split", "reason",
    "remark", "class", "scan", "folder", "what it means", "such as", "probe", "modality", "line",
    "queries of", "model", "form", "block", "family", "category",
)  # fmt: skip
"""Columns that begin at the left; numbers end at the right."""
Column = tuple[str, list[str]]
"""Its name, and its text in each row."""


def table(*columns: Column) -> Table:
    """Words to the left, folded where room is short; then numbers to the right, never cut."""
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True,
        show_edge=False,
    )  # fmt: skip
    for name, texts in columns:
        widest = max(map(len, (*texts, *name.split())))
        table.add_column(
            name, justify="left" if name in WORDS else "right", overflow="fold",
            min_width=min(widest, FOLD) if name == "strategy" else widest,
        )  # fmt: skip
    for row in zip(*(texts for _, texts in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def page(*parts: RenderableType) -> Group:
    """One below the other, with a blank line between."""
    shown = [Text(part) if isinstance(part, str) else part for part in parts]
    return Group(*[line for part in shown for line in (Text(), part)][1:])
