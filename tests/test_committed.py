"""The reports in the repository follow from the records beside them: as on anybody's clone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mbt_cli.audit import audit
from mbt_cli.report import texts
from mbt_cli.study import study

RESULTS = Path(__file__).parents[1] / "results"
REPORTS = sorted(file.parent.name for file in RESULTS.glob("*/records.zip"))


def test_there_are_some() -> None:
    assert {"fusion_layer-synthetic", "modalities-synthetic"} <= set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
def test_every_number_follows_from_the_records(name: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS / name, tmp_path / name)
    asked = study(tmp_path, name)
    found = audit(asked, tmp_path, lambda of, records: texts(of, records, tmp_path / of.name))
    assert found.differences == ()
    assert found.records == tmp_path / name / "records.zip"
    assert found.numbers > 1000


def test_a_clone_makes_a_report_again_from_the_records(mbt: Any, tmp_path: Path) -> None:
    name = "modalities-synthetic"
    shutil.copytree(RESULTS / name, tmp_path / name)
    kept = {file.name: file.read_bytes() for file in (tmp_path / name).glob("*.*")}
    told = ("report.md", "report.json", "runs.csv", "table.tex")
    for file in told:
        (tmp_path / name / file).unlink()
    done = mbt("report", name, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    again = {file: (tmp_path / name / file).read_bytes() for file in (*told, "records.zip")}
    assert rounded(again.pop("report.json")) == rounded(kept["report.json"])
    for file, found in again.items():
        assert found == kept[file], file


def rounded(report: bytes) -> Any:
    """To nine digits: the last ones are another processor's."""
    return json.loads(report, parse_float=lambda digits: f"{float(digits):.9g}")


def test_a_number_that_was_changed_is_told_and_the_command_fails(mbt: Any, tmp_path: Path) -> None:
    name = "modalities-synthetic"
    shutil.copytree(RESULTS / name, tmp_path / name)
    page = tmp_path / name / "report.md"
    text = page.read_text()
    assert "0.963 ± 0.000" in text
    page.write_text(text.replace("0.963 ± 0.000", "0.993 ± 0.000", 1))
    done = mbt("report", name, "--check", "--results", tmp_path)
    assert done.returncode == 1
    assert "Not every number of" in done.stderr and "Traceback" not in done.stderr
    assert "0.993 stands there, 0.963 follows." in " ".join(done.stderr.split())
    page.write_text(text)
    done = mbt("report", name, "--check", "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "follow from the records of 12 runs" in " ".join(done.stdout.split())
