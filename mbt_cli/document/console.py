"""A document in a terminal: the answer, the tables in brief, what must be known beside them."""

from textwrap import wrap

from rich import box
from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from mbt_cli.document import Column, Document, Items, Part, Table
from mbt_cli.document.spans import plain

WORD = 20
"""The longest text that is kept in one piece, in columns of the terminal."""


def page(document: Document) -> Group:
    """Brief sections that are not folded, without figures, paragraphs and words explained."""
    blocks: list[Text | Grid] = [Text(plain(document.answer), "bold")]
    for section in document.sections:
        seen = section.parts if section.brief and not section.folded else ()
        shown = [block for part in seen for block in _part(part)]
        if shown:
            blocks += [Text(f"\n{plain(section.title)}", "bold"), *shown]
    return Group(*blocks)


def table(table: Table) -> Grid:
    """The brief columns; where the terminal is narrow, numbers stay whole and texts wrap."""
    grid = Grid(
        box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True,
        show_edge=False,
    )  # fmt: skip
    places = [place for place, column in enumerate(table.columns) if column.brief]
    for place in places:
        _add(grid, table.columns[place], [Text(plain(row.texts[place])) for row in table.rows])
    for row in table.rows:
        texts = [Text(plain(row.texts[place])) for place in places]
        grid.add_row(*texts, style="bold" if row.strong else "")
    return grid


def _add(grid: Grid, column: Column, texts: list[Text]) -> None:
    """A column that is as wide as its texts, whatever its name is."""
    wide = max((text.cell_len for text in texts), default=0)
    whole = wide <= WORD and (column.number or not any(" " in text.plain for text in texts))
    name = plain(column.name)
    words = max((len(word) for word in name.split()), default=0)
    lines = wrap(name, min(max(wide, words, 1), WORD)) if whole else [name]
    grid.add_column(
        Text("\n".join(lines)),
        justify="right" if column.number else "left",
        no_wrap=whole,
        overflow="fold",
    )


def _part(part: Part) -> list[Text | Grid]:
    if isinstance(part, Table):
        return [table(part)]
    if isinstance(part, Items):
        mark = "Warning. " if part.warning else ""
        return [Text(f"- {mark}{plain(sentence)}") for sentence in part.sentences]
    return []
