"""A document as Markdown, in the dialect of GitHub."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from mbt_cli.document import Document, Figure, Items, Part, Section, Table
from mbt_cli.document.spans import spans

MARKUP = re.compile(
    r"[\\`*\[\]<|~$]"
    r"|(?<![^\W_])_"  # after a letter, as in cross_attention, it is none
    r"|(?<!\S)[#^]|&(?=#?\w+;)"
    r"|:(?=//)|(?<=www)\.",  # what looks like an address becomes a link by itself
    re.IGNORECASE,
)
"""Characters that are markup where they stand, or begin it."""
OPENING = re.compile(r"^(\d+(?=[.)])|)(?=[-+=>.)])")
"""Where a line would begin a list, a quotation or a rule."""


def page(document: Document) -> str:
    """The page; its figures lie beside it as PNG."""
    parts = [f"# {_words(document.title)}", *map(_line, document.lead)]
    parts += [f"**Answer.** {_words(document.answer)}"]
    parts += [text for section in document.sections for text in _section(section)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    return [f"## {_words(section.title)}", *map(_part, section.parts)]


def _part(part: Part) -> str:
    match part:
        case str():
            return _line(part)
        case Table():
            return _table(part)
        case Figure():
            return f"![{_words(part.says)}]({quote(part.name, safe='')}.png)"
        case Items():
            mark = "**Warning.** " if part.warning else ""
            return "\n".join(f"- {mark}{_line(sentence)}" for sentence in part.sentences)
    return "\n".join(f"- **{_words(word)}**: {_words(said)}" for word, said in part.meanings)


def _table(table: Table) -> str:
    rule = ["--:" if column.number else "---" for column in table.columns]
    lines = [_pipes([_cell(column.name) for column in table.columns]), _pipes(rule)]
    for row in table.rows:
        texts = map(_cell, row.texts)
        lines.append(_pipes([f"**{text}**" if row.strong and text else text for text in texts]))
    caption = ["", _line(table.caption)] if table.caption else []
    return "\n".join(lines + caption)


def _pipes(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _line(text: str) -> str:
    """A text that may stand at the beginning of a line."""
    return OPENING.sub(r"\1\\", _words(text))


def _words(text: str) -> str:
    """A text within a line: what looks like markup is escaped, code is as it was."""
    return "".join(_code(s.text) if s.code else _escaped(s.text) for s in spans(text))


def _cell(text: str) -> str:
    """The same in a table, where a pipe ends a cell even within code."""
    return "".join(
        _code(s.text.replace("|", r"\|")) if s.code else _escaped(s.text) for s in spans(text)
    )


def _code(text: str) -> str:
    return f"`{text}`"


def _escaped(text: str) -> str:
    return MARKUP.sub(r"\\\g<0>", text)


def line(text: str) -> str:
    """A text on a line of its own, for a page that is put together elsewhere."""
    return _line(text)
