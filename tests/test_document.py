"""A document says the same in every format, and no label of somebody's data acts in any of them."""

import io
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from labels import HOSTILE, PAGE, SHOUT, SVG, WORDS, mentions, noise
from markdown_it import MarkdownIt
from rich.console import Console

from mbt_cli.document import Column, Document, Row, Section, Table, console, html, latex, markdown
from mbt_cli.document.spans import Span, plain, spans
from mbt_cli.errors import MbtError


class Seen(HTMLParser):
    """The tags of a page, their attributes, and its texts without space around them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._open = True
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._open = self._open or tag not in ("code", "strong", "span")

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open or tag not in ("code", "strong", "span")

    def handle_data(self, data: str) -> None:
        if self._open or not self.texts:
            self.texts.append("")
        self.texts[-1] += data
        self._open = False

    def said(self) -> list[str]:
        return [text.strip() for text in self.texts if text.strip()]


def rendered(page: str) -> Seen:
    """Markdown as its readers see it, with everything that a renderer may have switched on."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return Seen(reader.render(page))


def shown(page: Document, width: int = 80) -> str:
    screen = Console(width=width, file=io.StringIO(), force_terminal=False)
    screen.print(console.page(page))
    return screen.file.getvalue()


def test_backticks_in_pairs_mark_code_and_others_stay():
    assert spans("of `a b` and `c`: it`s") == [
        Span("of ", False), Span("a b", True), Span(" and ", False), Span("c", True),
        Span(": it`s", False),
    ]  # fmt: skip
    assert plain("`` ` x ` a\n\tb ``") == "`` ` x ` a b ``"
    assert spans("") == []


def test_what_acts_unseen_is_seen():
    assert plain("a\u202eb\x1b[31m\x00\u2067\udc80\x9b") == "a�b�[31m����"
    assert plain("👩‍🔬 ‏ عربي é") == "👩‍🔬 ‏ عربي é"


def test_markdown_has_the_parts_of_a_page_in_their_order():
    assert markdown.page(PAGE).split("\n\n") == [
        "# Which of two?", "Varies the fusion.", "It costs `2` minutes.",
        "**Answer.** Of 2 cells, neither.", "## Results",
        "| strategy | test mAP | seconds |\n| --- | --: | --: |\n| late | 0.840 ± 0.002 | 5.7 |\n"
        "| **bottleneck** | **0.963** | **7.1** |",
        "Over 3 seeds.", "- **Warning.** Few seeds.", "## Figures",
        "![Late fusion is below.](mAP.png)", "## Notes", "Read `this`:", "- One.\n- Two.",
        "## Words", "- **cell**: a point of the grid", "- Three.\n",
    ]  # fmt: skip


def test_markdown_leaves_names_and_numbers_readable():
    text = "cross_attention at L_f = 1: -0.3 (p < 0.05), rising^pulsing, 16.3% & more!"
    assert markdown.page(replace(PAGE, answer=text)).count(text.replace("<", r"\<")) == 1


@pytest.mark.parametrize("text", [*HOSTILE, *map(noise, range(97))])
def test_markdown_shows_any_text_as_it_stands(text):
    seen, said = rendered(markdown.page(mentions(text))), plain(text)
    ours = "h1 p strong h2 table thead tr th tbody td img ul li code"
    assert set(seen.tags) <= set(ours.split())
    assert {name for name, _ in seen.attributes} <= {"style", "src", "alt"}
    assert seen.attributes.count(("src", "mAP.png")) == seen.tags.count("img") == 2
    part = [said] * 8 + [said] * 2 + [f"Warning. {said}", f"{said}: {said}"]
    assert seen.said() == [said] * 3 + [f"Answer. {said}"] + [said, *part] * 2


def test_markdown_makes_no_formula_no_address_and_no_footnote():
    page = markdown.page(replace(PAGE, answer="$x$ http://a.b www.a.b WWW.a.b"))
    assert r"![\^1](" in markdown.page(mentions("^1"))  # GitHub's footnotes
    assert r"\$x\$ http\://a.b www\.a.b WWW\.a.b" in page


def test_an_empty_text_is_not_made_bold():
    table = replace(SHOUT, rows=(Row(("", "1", "``"), strong=True),))
    page = replace(PAGE, sections=(Section("Results", (table,)),))
    assert "\n|  | **1** | **\\`\\`** |\n" in markdown.page(page)
    assert "\n & \\textbf{1} & " in latex.table(table, "", "")


def test_a_figure_s_name_is_quoted_in_its_address():
    page = markdown.page(mentions("x", figure="javascript:a) b/c"))
    assert "![x](javascript%3Aa%29%20b%2Fc.png)" in page


def test_html_has_the_parts_of_a_page_in_their_order(tmp_path):
    (tmp_path / "mAP.svg").write_text(SVG)
    seen = Seen(html.page(PAGE, tmp_path).split("</style>")[1])
    assert seen.said() == [
        "Results", "Figures", "Notes", "Words", "Which of two?", "Varies the fusion.",
        "It costs 2 minutes.", "Answer. Of 2 cells, neither.", "Results", "Over 3 seeds.",
        "strategy", "test mAP", "seconds", "late", "0.840 ± 0.002", "5.7", "bottleneck", "0.963",
        "7.1", "Warning. Few seeds.", "Figures", "Late fusion is below.", "Notes", "Read this:",
        "One.", "Two.", "Words", "cell", "a point of the grid", "Three.",
    ]  # fmt: skip
    assert [seen.tags.count(tag) for tag in ("details", "caption", "code")] == [1, 1, 2]
    assert seen.attributes.count(("scope", "col")) == 3
    assert seen.attributes.count(("scope", "row")) == 2
    assert seen.attributes.count(("class", "number")) == 6
    assert seen.attributes.count(("class", "strong")) == 1
    targets = [value for name, value in seen.attributes if name == "id"]
    assert targets == [v[1:] for name, v in seen.attributes if name == "href"]


def test_html_holds_its_figures_and_asks_nobody_for_anything(tmp_path):
    (tmp_path / "mAP.svg").write_text(SVG)
    page = html.page(PAGE, tmp_path)
    seen = Seen(page)
    (source,) = (value for name, value in seen.attributes if name == "src")
    head, _, body = source.partition(",")
    assert (head, b64decode(body).decode()) == ("data:image/svg+xml;base64", SVG)
    assert ("alt", "Late fusion is below.") in seen.attributes
    policies = [value for name, value in seen.attributes if value.startswith("default-src 'none';")]
    assert len(policies) == 1
    assert "script" not in seen.tags
    assert not re.search(r"https?:|@import|url\(|//", page.replace(body, ""))


@pytest.mark.parametrize("text", HOSTILE)
def test_html_shows_any_text_as_it_stands(text, tmp_path):
    (tmp_path / "mAP.svg").write_text(SVG)
    page, plainly = (html.page(mentions(one), tmp_path) for one in (text, "x"))
    seen, said = Seen(page.split("</style>")[1]), plain(text)
    marked = [tag for tag in seen.tags if tag != "code"]
    assert marked == Seen(plainly.split("</style>")[1]).tags
    part = [said] * 11 + [f"Warning. {said}"] + [said] * 2
    assert seen.said() == [said] * 5 + [f"Answer. {said}"] + [said, *part] * 2
    for name, value in seen.attributes:
        assert name in ("class", "id", "href", "src", "alt", "scope", "role", "tabindex",
                        "aria-label")  # fmt: skip
        assert name != "href" or re.fullmatch(r"#section-\d", value)
    page.encode()


def test_html_without_a_figure_s_file_says_so(tmp_path):
    with pytest.raises(MbtError, match=r"mAP.svg cannot be read \(No such file.*report again."):
        html.page(PAGE, tmp_path)


def test_html_of_hundreds_of_rows_is_one_table(tmp_path):
    rows = tuple(Row((f"c{i}", "0.5", "1")) for i in range(499))
    page = html.page(
        replace(PAGE, sections=(Section("All", (replace(SHOUT, rows=rows),)),)), tmp_path
    )
    assert Seen(page).tags.count("tr") == 500


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_ink_is_read_on_every_ground(theme):
    css = (Path(html.__file__).parent / "page.css").read_text()
    named = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme == "dark"]
    colour = dict(re.findall(r"--(\w+): #(\w{6})", named))

    def light(name: str) -> float:
        parts = (int(colour[name][i : i + 2], 16) / 255 for i in (0, 2, 4))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05

    pairs = [
        (ink, ground) for ink in ("ink", "soft", "link", "warn") for ground in ("paper", "code")
    ]
    pairs += [("ink", "tint"), ("ink", "strong"), ("soft", "strong")]
    for ink, ground in pairs:
        assert max(light(ink), light(ground)) / min(light(ink), light(ground)) >= 4.5, (ink, ground)


def test_a_terminal_shows_what_is_brief_and_not_folded():
    assert [line.rstrip() for line in shown(PAGE).splitlines()] == [
        "Of 2 cells, neither.", "", "Results",
        "strategy         test mAP", "─" * 25,
        "late        0.840 ± 0.002", "bottleneck          0.963",
        "- Warning. Few seeds.", "", "Notes", "- One.", "- Two.",
    ]  # fmt: skip


def test_a_narrow_terminal_wraps_texts_and_no_number():
    numbers = ("0.001559", "+16.3%", "0.963 ± 0.000", "0.966")
    names = ("GMACs per clip and view", "over late", "test mAP", "validation mAP")
    columns = (WORDS, *(Column(name, number=True) for name in names), Column("remark"))
    rows = tuple(
        Row((name, *numbers, "best on validation")) for name in ("late", "cross_attention")
    )
    page = replace(PAGE, sections=(Section("All", (Table(columns, rows),)),))
    for width in (73, 80, 200):
        lines = shown(page, width).splitlines()
        assert max(map(len, lines)) <= width
        for name in ("late", "cross_attention"):
            (line,) = (line for line in lines if line.startswith(f"{name} "))
            assert all(number in line for number in numbers)
        said = " ".join(lines)
        assert all(
            said.count(word) == 2 + (word == "validation") for word in ("best", "validation")
        )


def test_a_terminal_shows_all_of_a_word_that_is_wider_than_the_terminal():
    said = shown(mentions("x" * 199))
    assert max(map(len, said.splitlines())) == 80
    assert said.count("x") == 11 * 199


def test_a_terminal_s_answer_and_strong_rows_are_bold():
    assert console.page(PAGE).renderables[0].style == "bold"
    assert [row.style for row in console.table(SHOUT).rows] == ["", "bold"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_shows_any_text_as_it_stands(text):
    said, lines = plain(text), shown(mentions(text), 2000).splitlines()
    assert [line.strip() for line in lines if "─" not in line] == [
        said, "", said, f"{said}  {said}".strip(), *[f"{said}  {said}".strip()] * 2,
        f"- {said}", f"- {said}", f"- Warning. {said}",
    ]  # fmt: skip
