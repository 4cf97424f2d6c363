"""A written report is checked against the stored scores: what does not follow is told, line by
line."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scored import few, record, study_of, truth

from mbt_cli import archive
from mbt_cli.audit import Audit, audit
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import findings_of
from mbt_cli.ledger import runs_table
from mbt_cli.runs import Run
from mbt_cli.study import Study

SEEDS = 2


def remake(study: Study, records: Path) -> Mapping[str, str]:
    """A small report."""
    found = findings_of(study, records)
    frame = runs_table(found)
    mean = frame.groupby("model.fusion")[found.measure].mean()
    lines = [f"- {name}: {value:.3f} of {len(frame):,}" for name, value in mean.items()]
    page = "\n".join(["# Which?", "", *lines, "", f"Best: {found.best.name}."]) + "\n"
    style = "<style>p{margin:17px}</style>"
    return {
        "report.md": page,
        "report.html": f"<p title='3'>{style}{page}</p>",
        "runs.csv": frame.to_csv(index=False, lineterminator="\n"),
    }


def write(study: Study, results: Path) -> None:
    for name, text in remake(study, results).items():
        (results / study.name / name).write_text(text)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Study, Path]:
    """Two cells at two seeds, and their report."""
    study = study_of(few(layers=(2,)), tmp_path)
    for cell in study.cells:
        for seed in range(SEEDS):
            record(study, cell, seed, tmp_path)
    write(study, tmp_path)
    return study, tmp_path


def runs_of(study: Study, results: Path) -> list[Run]:
    return findings_of(study, results).runs


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_report_that_follows_is_one_sentence_with_its_numbers(
    written: tuple[Study, Path],
) -> None:
    study, results = written
    found = audit(study, results, remake)
    assert found.differences == ()
    assert (found.runs, found.records, found.newer) == (4, results / "runs", 0)
    folder = results / study.name
    frame = pd.read_csv(folder / "runs.csv", dtype=str)
    table = sum(frame[name].str.fullmatch(r"[\d.]+").sum() for name in frame)
    page = re.findall(r"\d+(?:\.\d+)?", (folder / "report.md").read_text())
    assert found.numbers == table + 2 * len(page)
    assert str(found).startswith(f"All {found.numbers:,} numbers of report.md, report.html and ")
    assert f"4 runs in {results / 'runs'}, and their test figures from the scores" in str(found)


def test_numbers_are_counted_as_a_reader_sees_them(written: tuple[Study, Path]) -> None:
    study, results = written
    texts = {
        "report.md": "a 1,234.5 and 0.963 ± 0.000 (n=3), 04d4d055db, 1e-9, L_f = 2\n",
        "other.csv": "a,b\n3,500\n",
        "report.html": "<p id='7'>12<style>p{3px}</style></p>",
    }
    for name, text in texts.items():
        (results / study.name / name).write_text(text)
    assert audit(study, results, lambda *_: texts).numbers == 6 + 2 + 1


def test_a_number_that_was_changed_is_told_with_its_line_and_what_follows(
    written: tuple[Study, Path],
) -> None:
    study, results = written
    page = results / study.name / "report.md"
    right = re.findall(r"late: (\S+) of", page.read_text())[0]
    edit(page, f"late: {right}", "late: 0.999")
    (told,) = audit(study, results, remake).differences
    assert told == f"{page}, line 4: 0.999 stands there, {right} follows."


def test_a_word_that_was_changed_is_told(written: tuple[Study, Path]) -> None:
    study, results = written
    page = results / study.name / "report.md"
    edit(page, "Best: ", "Worst: ")
    (told,) = audit(study, results, remake).differences
    assert told.startswith(f"{page}, line 6: 'Worst: ")
    assert "' stands there, 'Best: " in told


def test_lines_too_many_and_too_few_are_told_once_each(written: tuple[Study, Path]) -> None:
    study, results = written
    page = results / study.name / "report.md"
    lines = page.read_text().splitlines()
    page.write_text("\n".join([lines[0], "One more.", *lines[1:5]]) + "\n")
    one, other = audit(study, results, remake).differences
    assert one == f"{page}, line 2: 'One more.' stands there, nothing follows."
    assert re.search(r", line 6: nothing stands there, 'Best: .*' follows\.$", other)


def test_in_a_table_a_value_in_its_last_digit_is_told_and_noise_is_not(
    written: tuple[Study, Path],
) -> None:
    study, results = written
    table = results / study.name / "runs.csv"
    frame = pd.read_csv(table, dtype=str)
    value = float(frame["mAP"][0])
    edit(table, frame["mAP"][0], repr(value + 1e-13))
    assert audit(study, results, remake).differences == ()
    edit(table, repr(value + 1e-13), repr(value + 1e-6))
    (told,) = audit(study, results, remake).differences
    assert told == f"{table}, line 2: {value + 1e-6!r} stands there, {value!r} follows."


def test_a_file_that_is_gone_is_told(written: tuple[Study, Path]) -> None:
    study, results = written
    (results / study.name / "report.html").unlink()
    (told,) = audit(study, results, remake).differences
    assert told.endswith("report.html is missing: make the report again.")


def test_a_figure_that_does_not_follow_from_its_scores_is_told_with_run_and_class(
    written: tuple[Study, Path],
) -> None:
    study, results = written
    run = runs_of(study, results)[3]
    path = run.evaluation(Evaluation()) / "evaluation.json"
    told = json.loads(path.read_text())
    right = told["figures"]["classes"]["rain"]["AP"]
    told["figures"]["classes"]["rain"]["AP"] = right + 2e-9
    path.write_text(json.dumps(told))
    (said,) = audit(study, results, remake).differences
    assert said == (
        f"Run {run.key}: classes rain AP is recorded as {right + 2e-9}, {right} follows."
    )
    told["figures"]["classes"]["rain"]["AP"] = right + 5e-10
    path.write_text(json.dumps(told))
    assert audit(study, results, remake).differences == ()


def test_a_score_that_was_changed_is_noticed(written: tuple[Study, Path]) -> None:
    study, results = written
    run = runs_of(study, results)[2]
    arrays = run.scores(Evaluation())
    arrays["scores"][:, 0] *= -1
    np.savez(run.evaluation(Evaluation()) / "scores.npz", **arrays)
    said = audit(study, results, remake).differences
    assert any(one.startswith(f"Run {run.key}: classes warm AUC is recorded") for one in said)
    assert not any("rain" in one for one in said)


@pytest.mark.parametrize("what", ["parameters", "macs"])
def test_a_cost_that_does_not_follow_is_told(written: tuple[Study, Path], what: str) -> None:
    study, results = written
    run = runs_of(study, results)[0]
    stored = run.facts["cost"]
    change(run.folder / "run.json", cost=stored | {what: stored[what] + 1})
    (said,) = audit(study, results, remake).differences
    assert said.startswith(f"Run {run.key}: {stored[what] + 1:,} ")
    assert said.endswith(f"are recorded, {stored[what]:,} follow.")


def test_scores_that_cannot_be_used_are_told_and_nothing_is_made_of_them(
    written: tuple[Study, Path],
) -> None:
    study, results = written
    one, two, three, four = runs_of(study, results)[:4]
    file = "scores.npz"
    (one.evaluation(Evaluation()) / file).unlink()
    (two.evaluation(Evaluation()) / file).write_bytes(b"PK")
    arrays = three.scores(Evaluation())
    np.savez(three.evaluation(Evaluation()) / file, **arrays | {"scores": arrays["scores"][:, 1:]})
    arrays = four.scores(Evaluation())
    arrays["scores"][1, 1] = np.nan
    np.savez(four.evaluation(Evaluation()) / file, **arrays)
    said = audit(study, results, lambda *_: {}).differences
    assert len(said) == 4
    for run, words in ((one, "cannot be read"), (two, "cannot be read"),
                       (three, "its scores are (101, 4), its labels (101, 5)"),
                       (four, "are no numbers")):  # fmt: skip
        assert any(run.key in line and words in line for line in said)


def test_without_the_runs_the_records_beside_the_report_are_taken(
    written: tuple[Study, Path],
) -> None:
    study, results = written
    path = results / study.name / "records.zip"
    archive.pack(findings_of(study, results), results)
    shutil.rmtree(runs_of(study, results)[0].folder)
    found = audit(study, results, remake)
    assert (found.differences, found.records, found.runs) == ((), path, 4)
    assert f"in {path}" in str(found)
    shutil.rmtree(results / "runs")
    assert audit(study, results, remake) == found
    edit(results / study.name / "report.md", "of 4", "of 7")
    (told,) = audit(study, results, remake).differences
    assert "7 stands there, 4 follows." in told


def test_records_that_are_nowhere_are_said(written: tuple[Study, Path]) -> None:
    study, results = written
    gone = runs_of(study, results)[0]
    shutil.rmtree(gone.folder)
    with pytest.raises(MbtError, match=rf"records of 1 run of the report \({gone.key}\) are neit"):
        audit(study, results, remake)
    archive.pack(findings_of(study, results), results)  # of the others
    with pytest.raises(MbtError, match=gone.key):
        audit(study, results, remake)


def test_without_a_report_there_is_nothing_to_check(written: tuple[Study, Path]) -> None:
    study, results = written
    (results / study.name / "runs.csv").write_text("no\n")
    with pytest.raises(MbtError, match=r"runs\.csv cannot be read .* Make the report again"):
        audit(study, results, remake)
    (results / study.name / "report.md").unlink()
    with pytest.raises(MbtError, match=f"holds no report.* mbt-cli report {study.name}"):
        audit(study, results, remake)


def test_runs_finished_since_are_counted_and_change_nothing(written: tuple[Study, Path]) -> None:
    study, results = written
    record(study, study.cells[1], SEEDS, results)
    found = audit(study, results, remake)
    assert (found.differences, found.runs, found.newer) == ((), 4, 1)
    assert str(found).endswith("1 run has been finished since.")


def test_the_check_writes_nothing(written: tuple[Study, Path]) -> None:
    study, results = written
    before = {file: file.read_bytes() for file in results.rglob("*") if file.is_file()}
    audit(study, results, remake)
    assert {file: file.read_bytes() for file in results.rglob("*") if file.is_file()} == before


def test_a_record_that_is_older_than_groups_and_heads_follows_too(tmp_path: Path) -> None:
    study = study_of(few(), tmp_path)
    run = record(study, study.cells[0], 0, tmp_path)
    facts = json.loads((run.folder / "run.json").read_text())
    del facts["groups"], facts["heads"], facts["multi_label"]
    (run.folder / "run.json").write_text(json.dumps(facts))
    write(study, tmp_path)
    assert audit(study, tmp_path, remake).differences == ()


def test_heads_are_scored_as_heads(tmp_path: Path) -> None:
    study = study_of(few(), tmp_path, multi_label=False, groups={})
    labels = np.zeros_like(truth())
    rows = np.arange(len(labels))
    labels[rows, rows % 2] = labels[rows, 2 + rows % 3] = 1
    record(study, study.cells[0], 0, tmp_path, labels=labels, heads={"verb": 2, "noun": 3})
    write(study, tmp_path)
    assert audit(study, tmp_path, remake).differences == ()


def test_at_most_twenty_differences_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    told = tuple(f"line {i}" for i in range(23))
    lines = str(Audit(tmp_path, (), tmp_path, 1, 0, 1, told)).splitlines()
    assert lines == [*told[:20], "and 3 more."]
    assert str(Audit(tmp_path, (), tmp_path, 1, 0, 1, told[:20])).splitlines() == [*told[:20]]
