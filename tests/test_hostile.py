"""Labels that may be anything do nothing in a report: every format, every figure, its terminal.

How each format shows them is in `test_document.py`; here a whole report is made.
"""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from labels import HOSTILE
from markdown_it import MarkdownIt
from recorded import few, fill, manifest, study_of
from rich.console import Console

from mbt_cli import index
from mbt_cli.audit import audit
from mbt_cli.report import report, texts
from mbt_cli.study import Study


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, str]:
    """A report of a study whose labels, groups and question are hostile, and what was printed."""
    results = tmp_path_factory.mktemp("hostile")
    groups = {HOSTILE[0]: HOSTILE[:7], HOSTILE[2]: HOSTILE[7:13]}
    study = study_of(few(), manifest(groups, HOSTILE))
    question = f"Who {HOSTILE[0]}?\n\n{' '.join(HOSTILE[1:9])}"
    says = {HOSTILE[0]: HOSTILE[11]}
    study = replace(study, question=question, data=replace(study.data, says=says))
    study.save(results)
    fill(study, results, seeds=3, groups=groups, multi_label=True)
    console = Console(width=100, no_color=True)
    with console.capture() as capture:
        console.print(report(study, results))
    index.write(results)
    return study, results, capture.get()


def test_no_tag_of_theirs_comes_out_of_the_pages(made: tuple[Study, Path, str]) -> None:
    study, results, _ = made
    page = (results / study.name / "report.html").read_text()
    assert not re.search(r"<script|onload=\"|javascript:[^ ]*\"", page, re.IGNORECASE)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for file in (results / study.name / "report.md", results / "README.md"):
        shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(file.read_text())
        assert "<script" not in shown.lower()
        assert 'href="javascript' not in shown and 'src="http' not in shown


def test_every_figure_is_drawn_without_their_maths_or_scripts(
    made: tuple[Study, Path, str],
) -> None:
    study, results, _ = made
    figures = sorted(file.stem for file in (results / study.name).glob("*.svg"))
    assert figures == ["cost", "groups", "layers-cost", "mAP"]
    for file in (results / study.name).glob("*.svg"):
        assert "<script" not in file.read_text().lower()


def test_csv_and_json_hold_them_as_they_are(made: tuple[Study, Path, str]) -> None:
    study, results, _ = made
    values = json.loads((results / study.name / "report.json").read_text())
    assert values["data"]["classes"] == list(HOSTILE)
    kept = [name.encode(errors="backslashreplace").decode() for name in HOSTILE]
    with (results / study.name / "runs.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert len(rows) == 9
    assert all(len(row) == len(head) for row in rows)
    assert [f"classes.{name}.AP" in head for name in kept] == [True] * len(kept)


def test_the_terminal_reads_no_markup_in_them(made: tuple[Study, Path, str]) -> None:
    printed = made[2]
    assert "[bold" in printed and "red]x[/]" in printed  # a column's name, in two lines
    assert "\x1b" not in printed and "\u202e" not in printed


def test_the_table_for_latex_has_no_command_of_theirs(made: tuple[Study, Path, str]) -> None:
    study, results, _ = made
    table = (results / study.name / "table.tex").read_text()
    assert r"\ensuremath{<}script" in table
    assert "<script" not in table


def test_such_a_report_can_be_checked(made: tuple[Study, Path, str]) -> None:
    study, results, _ = made
    found = audit(study, results, lambda of, at: texts(of, at, results / of.name))
    assert found.differences == ()
