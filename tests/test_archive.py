"""Records beside a report: a results folder comes out of them that says the same."""

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from scored import CLIPS, few, names, record, study_of

from mbt_cli import archive
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.findings import Findings, findings_of
from mbt_cli.ledger import runs_table
from mbt_cli.record import Record
from mbt_cli.runs import FAILED, Run, finished, run_folder


def filled(results: Path, seeds: int = 2) -> Findings:
    study = study_of(few(), results)
    for cell in study.cells:
        for seed in range(seeds):
            record(study, cell, seed, results)
    return findings_of(study, results)


def packed(found: Findings, results: Path) -> Path:
    assert archive.pack(found, results) == ""
    return results / found.study.name / "records.zip"


def test_what_comes_out_is_what_went_in_without_weights(tmp_path: Path) -> None:
    found = filled(tmp_path)
    run = found.runs[0]
    how = Evaluation(fusion="late")
    Record(run.folder).evaluated(how, {"mAP": 0.25}, np.ones((2, 3)), np.ones((2, 3)), ["a", "b"])
    Record(run.folder).best({})
    assert (run.folder / "weights.safetensors").exists()
    with archive.unpacked(packed(found, tmp_path)) as out:
        again = findings_of(found.study, out)
        assert again.runs[0].folder.parents[1] == out
        assert runs_table(again).equals(runs_table(found))
        assert again.runs[0].curve() == run.curve()
        assert again.runs[0].figures(how) == {"mAP": 0.25}
        for one, other in zip(again.runs, found.runs, strict=True):
            mine, theirs = one.scores(Evaluation()), other.scores(Evaluation())
            assert mine.keys() == theirs.keys() == {"scores", "labels", "names", "groups"}
            for name, values in theirs.items():
                assert mine[name].dtype == values.dtype
                assert (mine[name] == values).all()
        files = {file.name for file in out.rglob("*") if file.is_file()}
        assert files == {"run.json", "status.json", "metrics.jsonl", "evaluation.json",
                         "scores.npz"}  # fmt: skip
        assert len([*out.rglob("scores.npz")]) == len(found.runs)
    assert not out.exists()


def test_groups_of_clips_are_kept_where_they_say_more_than_names(tmp_path: Path) -> None:
    study = study_of(few(), tmp_path)
    groups = [f"video {i // 3}" for i in range(CLIPS)]
    record(study, study.cells[0], 0, tmp_path, groups=groups)
    with archive.unpacked(packed(findings_of(study, tmp_path), tmp_path)) as out:
        (run,) = finished(out).values()
        assert run.scores(Evaluation())["groups"].tolist() == groups


def test_clips_that_are_their_own_groups_are_packed_once(tmp_path: Path) -> None:
    path = packed(filled(tmp_path, seeds=1), tmp_path)
    with archive.unpacked(path) as out:
        for file in out.rglob("scores.npz"):
            with np.load(file) as arrays:
                assert set(arrays) == {"scores", "labels", "names"}


def test_an_older_record_without_groups_has_each_clip_alone(tmp_path: Path) -> None:
    study = study_of(few(), tmp_path)
    run = record(study, study.cells[0], 0, tmp_path)
    arrays = run.scores(Evaluation())
    del arrays["groups"]
    np.savez(run.evaluation(Evaluation()) / "scores.npz", **arrays)
    assert run.scores(Evaluation())["groups"].tolist() == names()
    with archive.unpacked(packed(findings_of(study, tmp_path), tmp_path)) as out:
        (again,) = finished(out).values()
        assert again.scores(Evaluation())["groups"].tolist() == names()


def test_the_same_records_are_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    found = filled(tmp_path / "here")
    one = packed(found, tmp_path / "here")
    shutil.copytree(tmp_path / "here" / "runs", tmp_path / "there" / "runs")
    for run in finished(tmp_path / "there").values():
        Record(run.folder).drawn(Evaluation(), "digest", np.ones(3))
    (tmp_path / "there" / found.study.name).mkdir()
    other = packed(findings_of(found.study, tmp_path / "there"), tmp_path / "there")
    with archive.unpacked(one) as out:
        (out / found.study.name).mkdir()
        third = packed(findings_of(found.study, out), out).read_bytes()
    assert one.read_bytes() == other.read_bytes() == third


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    found = filled(tmp_path)
    path = packed(found, tmp_path)
    with ZipFile(path) as old:
        inside = {entry.filename: old.read(entry) for entry in old.infolist()}
    with ZipFile(path, "w") as other:  # as another version of zlib might pack it
        for name, content in inside.items():
            other.writestr(name, content)
    before = path.read_bytes()
    packed(found, tmp_path)
    assert path.read_bytes() == before
    record(found.study, found.study.cells[0], 2, tmp_path)
    packed(findings_of(found.study, tmp_path), tmp_path)
    assert path.read_bytes() != before
    assert len(archive.keys(path)) == 7


def test_a_damaged_archive_is_packed_again(tmp_path: Path) -> None:
    found = filled(tmp_path)
    path = packed(found, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + bytes(40) + whole[1040:])
    packed(found, tmp_path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [slice(0, 700), slice(0, 0), slice(300, None)])
def test_a_damaged_archive_is_one_sentence(tmp_path: Path, cut: slice) -> None:
    path = packed(filled(tmp_path), tmp_path)
    path.write_bytes(path.read_bytes()[cut])
    with (
        pytest.raises(MbtError, match=r"records\.zip is damaged \(.*\)\. .* mbt-cli report"),
        archive.unpacked(path),
    ):
        pass


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = packed(filled(tmp_path), tmp_path)
    whole = bytearray(path.read_bytes())
    whole[2000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(MbtError, match="is damaged"), archive.unpacked(path):
        pass


def test_what_is_too_large_is_not_packed_and_says_so(tmp_path: Path) -> None:
    found = filled(tmp_path)
    path = packed(found, tmp_path)
    record(found.study, found.study.cells[0], 2, tmp_path)
    found = findings_of(found.study, tmp_path)
    said = archive.pack(found, tmp_path, most_bytes=2000)
    assert said.startswith(f"The records are not packed into {path}")
    assert not path.exists()  # what was packed before is not what the report says now
    assert not [*path.parent.glob("*.part")]


def test_runs_that_failed_and_runs_of_single_modalities_are_packed_too(tmp_path: Path) -> None:
    found = filled(tmp_path)
    study = found.study
    other = study_of(few("other"), tmp_path)
    best = found.best.experiment
    late = best.at("model.fusion", "late")
    lent = [record(other, late.at("model.modalities", name), seed, tmp_path).key
            for name in ("audio", "video") for seed in (0, 1)]  # fmt: skip
    alien = record(other, best.at("model.width", 64), 0, tmp_path).key
    failed = Record(run_folder(tmp_path, study.cells[0].at("training.seed", 5).key))
    failed.begin(study.cells[0].at("training.seed", 5), {})
    failed.fail(MbtError("No room."))
    path = packed(findings_of(study, tmp_path), tmp_path)
    keys = {run.key for run in found.runs} | {*lent, failed.key}
    assert archive.keys(path) == keys
    assert alien not in keys
    with archive.unpacked(path) as out:
        assert Run(run_folder(out, failed.key)).state == FAILED


def test_a_run_whose_scores_are_damaged_is_named(tmp_path: Path) -> None:
    found = filled(tmp_path)
    run = found.runs[1]
    (run.evaluation(Evaluation()) / "scores.npz").write_bytes(b"no scores")
    with pytest.raises(MbtError, match=f"scores of run {run.key} cannot be read"):
        archive.pack(found, tmp_path)


def test_a_copy_leaves_the_records_as_they_are(tmp_path: Path) -> None:
    found = filled(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with archive.copied(found.runs[:2]) as copy:
        assert sorted(finished(copy)) == sorted(run.key for run in found.runs[:2])
        for file in copy.rglob("*.json"):
            file.write_text(json.dumps({}))
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
