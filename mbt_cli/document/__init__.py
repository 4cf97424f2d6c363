"""What a report says, before it is in any format; each format is a file of its own here.

Sentences are plain text in which `backticks` mark code. Nothing else in them is markup: what looks
like it (a label of somebody's dataset may be anything) is shown as it stands.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    number: bool = False
    """Whether it is set to the right."""
    brief: bool = True
    """Whether a terminal shows it too."""


@dataclass(frozen=True)
class Row:
    """A row of a table: one text a column."""

    texts: tuple[str, ...]
    strong: bool = False
    """Whether it is the one to look at first."""


@dataclass(frozen=True)
class Table:
    """Texts by column; `caption` is a sentence or two, or nothing."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""

    def without(self, names: Collection[str]) -> "Table":
        """The same without some of its columns."""
        kept = [i for i, one in enumerate(self.columns) if one.name not in names]
        rows = (Row(tuple(row.texts[i] for i in kept), row.strong) for row in self.rows)
        return Table(tuple(self.columns[i] for i in kept), tuple(rows), self.caption)


@dataclass(frozen=True)
class Figure:
    """A figure that lies in the report's folder."""

    name: str
    """Of its files, without an ending."""
    says: str
    """What is to be seen in it, in a sentence, also for those who cannot see it."""


@dataclass(frozen=True)
class Items:
    """Sentences that stand beside each other; warnings are marked as such."""

    sentences: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True)
class Terms:
    """Words, each with its meaning."""

    meanings: tuple[tuple[str, str], ...]


Part = str | Table | Figure | Items | Terms
"""What a section is made of; a text is a paragraph."""


@dataclass(frozen=True)
class Section:
    """A part of a page under a title of its own."""

    title: str
    parts: tuple[Part, ...]
    folded: bool = False
    """Whether a page that can hide it shows it only when it is asked for."""
    brief: bool = True
    """Whether a terminal shows it too, where it is not folded."""


@dataclass(frozen=True)
class Document:
    """A page: what was asked, what the answer is, then the evidence."""

    title: str
    lead: tuple[str, ...]
    """Paragraphs: the question, its cost, what was expected."""
    answer: str
    sections: tuple[Section, ...]
