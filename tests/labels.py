"""Names that somebody may give a class, and pages that say them."""

import random
from dataclasses import replace

from mbt_cli.document import Column, Document, Figure, Items, Row, Section, Table, Terms

HOSTILE = (
    "<script>alert(1)</script>", r"&amp; & _x_ 100% $x^2$ #1 \textbf{x}", "[bold red]x[/]",
    "![x](http://a.b/c.png)", "😀 μ ± × – − ≥", "a\u202egnp.exe", "two\nlines", "x" * 200,
    "[click](javascript:alert(1))", "a|b `c|d` `e", "`", "**b** __init__ ~~s~~ www.a.b", "\x1b[31m",
    '" onload="alert(1)', "{{ 7 * 7 }} {% raw %}", r"`a\|b` `c\`", "- [ ] x", "# x #", "17. x",
    "> x", "==", "***", "| a |", "[a]: b", "<!-- x -->", "*", "[1mm] x", r"\\", "--seeds ''x'',,",
    "&#60; &lt", "\ud800", "привет 你好 żółć", "{", "}", "%", "?`!`", "~~~", "WWW.a.b", "x_ _y z__",
    "+", "1)", "`a``b`", "^x",
)  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
WORDS = Column("strategy")
SHOUT = Table(
    (WORDS, Column("test mAP", number=True), Column("seconds", number=True, brief=False)),
    (Row(("late", "0.840 ± 0.002", "5.7")), Row(("bottleneck", "0.963", "7.1"), strong=True)),
    "Over 3 seeds.",
)
PAGE = Document(
    "Which of two?", ("Varies the fusion.", "It costs `2` minutes."), "Of 2 cells, neither.",
    (
        Section("Results", (SHOUT, Items(("Few seeds.",), warning=True))),
        Section("Figures", (Figure("mAP", "Late fusion is below."),)),
        Section("Notes", ("Read `this`:", Items(("One.", "Two.")))),
        Section("Words", (Terms((("cell", "a point of the grid"),)), Items(("Three.",))), True),
    ),
)  # fmt: skip


def mentions(text: str, figure: str = "mAP") -> Document:
    """A page that says a text wherever a page says anything."""
    table = Table((Column(text), Column(text, True)), (Row((text, text)), Row((text, text), True)))
    parts = (text, replace(table, caption=text), Figure(figure, text), Items((text, text)))
    parts += (Items((text,), warning=True), Terms(((text, text),)))
    return Document(text, (text, text), text, (Section(text, parts), Section(text, parts, True)))


def noise(seed: int) -> str:
    """What no one would name a class."""
    rng = random.Random(seed)
    pieces = [*"\\`*_[]<>|~$#&!(){}-+.=:;@^%'\" ", "a", "1", "7.", "&lt;", "ä", "://", "www."]
    return "".join(rng.choices(pieces, k=rng.randrange(1, 23))).strip() or "a"
