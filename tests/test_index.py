"""The page of the results folder: every study with its question, its answer, and its files."""

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from mbt_cli import index


def reported(results: Path, name: str, *files: str, **told: object) -> Path:
    """A study's folder as a report leaves it."""
    folder = results / name
    folder.mkdir(parents=True)
    for file in ("report.md", *files):
        (folder / file).write_text("x")
    if told:
        (folder / "report.json").write_text(json.dumps({"format": 1, "study": name, **told}))
    return folder


def page_of(results: Path) -> str:
    index.write(results)
    return (results / "README.md").read_text()


def html_of(results: Path) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(page_of(results))


def test_a_study_shows_its_question_its_answer_its_files_and_its_figure(tmp_path: Path) -> None:
    reported(tmp_path, "few-synthetic", "report.html", "records.zip", "mAP.png", n_runs=1037,
             question="At which layer?\n\nIt costs an hour.", answer="At L_f = 2.", measure="mAP",
             chosen="late fusion")  # fmt: skip
    page = page_of(tmp_path)
    assert "## [At which layer?](few-synthetic/report.md)" in page
    assert "**Answer.** At L_f = 2." in page
    assert "few-synthetic, 1,037 runs: [report](few-synthetic/report.md)" in page
    assert "(few-synthetic/report.html)" in page and "(few-synthetic/records.zip)" in page
    assert "![mAP](few-synthetic/mAP.png)" in page
    assert "table.tex" not in page and "costs an hour" not in page and "LOG" not in page


def test_studies_stand_by_name_and_what_has_no_report_does_not(tmp_path: Path) -> None:
    for name in ("zebra", "ant"):
        reported(tmp_path, name, question=f"Is it a {name}?")
    (tmp_path / "unreported").mkdir()
    (tmp_path / "unreported" / "study.json").write_text("{}")
    (tmp_path / "LOG.md").write_text("x")
    page = page_of(tmp_path)
    places = [page.index(text) for text in ("Is it a ant?", "Is it a zebra?", "[LOG.md](LOG.md)")]
    assert places == sorted(places)
    assert "unreported" not in page


def test_every_link_leads_to_a_file(tmp_path: Path) -> None:
    reported(tmp_path, "a study (2) & [more] 100%", "runs.csv", "mAP.png", measure="mAP")
    (tmp_path / "LOG.md").write_text("x")
    links = re.findall(r'(?:href|src)="([^"]+)"', html_of(tmp_path))
    assert len(links) == 5
    assert all((tmp_path / unquote(unescape(link))).is_file() for link in links)


@pytest.mark.parametrize("text", [
    "<script>alert(1)</script>", "[x](javascript:alert)", "![x](http://a.b/c.png)", "# no head",
    "1. no list", "**no** _emphasis_", "`", "a | b", "](x)", "&lt;b&gt;", "a\n# b",
])  # fmt: skip
def test_what_looks_like_markup_is_shown_as_it_stands(tmp_path: Path, text: str) -> None:
    reported(tmp_path, "s", question=text, answer=text)
    page = html_of(tmp_path)
    tags = set(re.findall(r"<(/?\w+)", page.replace(index.MARK, "")))
    assert tags == {f"{end}{tag}" for end in ("", "/")
                    for tag in ("h1", "h2", "p", "a", "strong", "code")}  # fmt: skip
    assert re.findall(r'href="([^"]+)"', page) == ["s/report.md"] * 2
    shown = unescape(re.sub(r"<[^>]*>", "", page))
    assert shown.count(" ".join(text.split())) == 2


@pytest.mark.parametrize("told", ["", "[1]", '{"answer": 7, "n_runs": "many", "question": null}'])
def test_a_report_that_cannot_be_read_is_still_linked(tmp_path: Path, told: str) -> None:
    (reported(tmp_path, "s") / "report.json").write_text(told)
    assert "## [s](s/report.md)" in page_of(tmp_path)


def test_a_figure_is_looked_for_in_the_studys_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "mAP.png").write_text("x")
    reported(tmp_path, "s", measure="../mAP")
    assert "![" not in page_of(tmp_path)


def test_a_page_of_somebody_elses_stays(tmp_path: Path) -> None:
    reported(tmp_path, "s")
    (tmp_path / "README.md").write_text("# Mine\n")
    assert page_of(tmp_path) == "# Mine\n"


def test_the_page_is_written_anew_each_time(tmp_path: Path) -> None:
    reported(tmp_path, "s", question="Old?")
    old = page_of(tmp_path)
    (tmp_path / "s" / "report.json").write_text(json.dumps({"question": "New?"}))
    assert page_of(tmp_path) == old.replace("Old?", "New?")
    assert not [*tmp_path.glob("*.part")]
