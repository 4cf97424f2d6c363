"""The words and the code of a text, and nothing in it that acts instead of being seen."""

import re
from dataclasses import dataclass

CODE = re.compile(r"(?<!`)`([^`\s](?:[^`]*[^`\s])?)`(?!`)")
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of what follows, halves of a character."""
SHOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Span:
    """A stretch of a text."""

    text: str
    code: bool


def spans(text: str) -> list[Span]:
    """The stretches in one line, without the backticks of code; other backticks stay."""
    line = UNSEEN.sub(SHOWN, " ".join(text.split()))
    turns = enumerate(CODE.split(line))
    return [Span(stretch, turn % 2 == 1) for turn, stretch in turns if stretch]


def plain(text: str) -> str:
    """The same in one piece, for a place that does not tell code from words."""
    return "".join(span.text for span in spans(text))
