"""The record of a run: whole or not at all, and read back as it was written."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from mbt_cli.claim import claimed
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Evaluation
from mbt_cli.recipes import recipe
from mbt_cli.record import KEEP, Record, writable
from mbt_cli.runs import (
    FAILED,
    FINISHED,
    RUNNING,
    Run,
    finished,
    recorded,
    run_folder,
    run_of,
)

BASE = recipe("synthetic")
FACTS = {"cost": {"parameters": 7, "macs": 11}, "code": "c0de"}


def record(results, seed=0, done=True):
    experiment = BASE.at("training.seed", seed)
    run = Record(run_folder(results, experiment.key))
    run.begin(experiment, FACTS)
    run.row({"step": 1, "epoch": 1, "loss": 0.5})
    run.best({"head.weight": torch.ones(2, 3)})
    scores, labels = np.float32([[0.1, -2], [3, 4]]), np.float32([[1, 0], [0, 1]])
    run.evaluated(Evaluation(), {"mAP": 0.25}, scores, labels, ["a", "b"])
    if done:
        run.finish(seconds=1.5, epoch=1, validation={"mAP": 0.5})
    return Run(run.folder)


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    run = record(tmp_path)
    assert run.experiment == BASE
    assert run.key == BASE.key == run.folder.name
    assert (run.cost.parameters, run.cost.macs) == (7, 11)
    assert run.state == FINISHED
    assert run.status["seconds"] == 1.5 and run.status["validation"] == {"mAP": 0.5}
    assert [row["loss"] for row in run.curve()] == [0.5]
    assert run.figures(Evaluation()) == {"mAP": 0.25}
    assert run.figures(Evaluation(split="validation")) is None
    arrays = run.scores(Evaluation())
    assert arrays["scores"].tolist() == np.float32([[0.1, -2], [3, 4]]).tolist()
    assert arrays["labels"].tolist() == [[1, 0], [0, 1]]
    assert arrays["names"].tolist() == ["a", "b"]
    assert torch.equal(run.weights()["head.weight"], torch.ones(2, 3))
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_is_finished_only_when_it_says_so(tmp_path):
    done, begun = record(tmp_path), record(tmp_path, seed=1, done=False)
    assert begun.state == RUNNING
    assert list(finished(tmp_path)) == [done.key]
    assert {run.key for run in recorded(tmp_path)} == {done.key, begun.key}


def test_a_record_begun_anew_has_nothing_of_the_one_before(tmp_path):
    run = record(tmp_path)
    Record(run.folder).begin(BASE, FACTS)
    again = Run(run.folder)
    assert again.state == RUNNING
    assert again.curve() == []
    assert again.figures(Evaluation()) is None
    assert not (run.folder / "weights.safetensors").exists()


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
    run = record(tmp_path)
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert [row["step"] for row in run.curve()] == [1]


def test_an_error_of_the_users_is_kept_as_a_sentence_and_a_bug_with_its_traceback(tmp_path):
    for error, traced in ((MbtError("Too fast."), False), (ZeroDivisionError("by 0"), True)):
        run = record(tmp_path, done=False)
        Record(run.folder).fail(error)
        status = Run(run.folder).status
        assert status["state"] == FAILED
        assert status["error"] == str(error)
        assert Run(run.folder).trouble == (run.folder / "error.txt").read_text()
        assert Run(run.folder).trouble.startswith(f"{error}\n")
        assert ("ZeroDivisionError" in Run(run.folder).trouble) == traced


def test_a_status_keeps_when_the_run_started(tmp_path):
    run = record(tmp_path, done=False)
    started = json.loads((run.folder / "status.json").read_text())["started"]
    Record(run.folder).finish(seconds=1.0, epoch=1, validation={})
    assert Run(run.folder).status["started"] == started


def test_a_run_is_found_by_the_beginning_of_its_key(tmp_path):
    runs = [record(tmp_path, seed) for seed in range(3)]
    assert run_of(tmp_path, runs[1].key[:7]).key == runs[1].key
    with pytest.raises(MbtError, match="3 runs have keys that begin with ''"):
        run_of(tmp_path, "")
    with pytest.raises(MbtError, match="No finished run"):
        run_of(tmp_path, "xyz")
    with pytest.raises(MbtError, match="holds no finished run yet"):
        run_of(tmp_path / "empty", "")


def test_a_damaged_record_is_one_sentence(tmp_path):
    run = record(tmp_path)
    (run.folder / "status.json").write_text("{")
    with pytest.raises(MbtError, match=r"status.json is damaged .* Remove"):
        _ = Run(run.folder).state


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    writable(tmp_path / "new")
    assert not list((tmp_path / "new" / "runs").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(MbtError, match="--results or MBT_RESULTS"):
        writable(tmp_path / "file")


STATE = {"progress": {"rows": 1, "weights": {"head.weight": torch.zeros(2, 3)}}, "model": {}}


def left(results, rows=3):
    """A run that was killed after its checkpoint."""
    run = Record(record(results, done=False).folder)
    run.checkpoint(STATE)
    for step in range(2, 1 + rows):
        run.row({"step": step, "epoch": 1, "loss": 0.25})
    return run


def test_a_killed_run_is_left_as_at_its_checkpoint(tmp_path):
    run = left(tmp_path)
    state = run.resume(**FACTS)
    assert state["progress"]["rows"] == 1
    assert [row["step"] for row in Run(run.folder).curve()] == [1]
    assert not Run(run.folder).weights()["head.weight"].any()
    assert Run(run.folder).state == RUNNING


def test_a_run_of_other_code_begins_anew(tmp_path):
    run = left(tmp_path)
    assert run.resume(**FACTS | {"code": "0ther"}) is None
    assert len(Run(run.folder).curve()) == 3


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "other"])
def test_a_checkpoint_that_cannot_be_read_is_none(tmp_path, damage):
    run = left(tmp_path)
    path = run.folder / "checkpoint.pt"
    whole = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": b"text"}[damage])
    assert run.resume(**FACTS) is None


def test_a_failed_run_goes_on_too_and_is_no_failure_any_more(tmp_path):
    run = left(tmp_path)
    started = Run(run.folder).status["started"]
    run.fail(MbtError("no"))
    assert run.resume(**FACTS)["progress"]["rows"] == 1
    again = Run(run.folder)
    assert (again.state, again.trouble, again.status["started"]) == (RUNNING, "", started)
    assert not (run.folder / "error.txt").exists()


def test_a_finished_run_begins_anew(tmp_path):
    run = left(tmp_path)
    run.finish("all")
    assert run.resume(**FACTS) is None
    nothing = Record(run_folder(tmp_path / "none", "0"))
    assert nothing.resume(**FACTS) is None


@pytest.mark.parametrize("keep", KEEP)
def test_a_finished_run_keeps_what_it_was_told_to_even_where_a_kill_left_more(tmp_path, keep):
    run = left(tmp_path)
    files = {"weights.safetensors", "checkpoint.pt"}
    kept = {"none": set(), "best": {"weights.safetensors"}, "all": files}[keep]
    run.finish(keep)
    assert files & set(run.files()) == kept
    for name in (*files, "status.json.7.part", f"evaluations/{Evaluation().key}/scores.npz.7.part"):
        if not (run.folder / name).exists() and name not in kept:
            (run.folder / name).write_bytes(b"left by a kill")
    with claimed(run.folder):
        before = run.files()
        Record(run.folder).tidy()
        assert run.files() == before  # somebody works on it
    (grave := run.folder.with_name(f"{run.key}.claim.t.buried")).touch()
    Record(run.folder).tidy()
    assert files & set(run.files()) == kept and not grave.exists()
    grave.touch()  # and nothing else
    Record(run.folder).tidy()
    assert not grave.exists()
    assert not list(run.folder.rglob("*.part"))
    if keep == "none":
        with pytest.raises(MbtError, match=f"has no weights any more.*runs remove {run.key}"):
            Run(run.folder).weights()


def test_a_run_that_is_not_finished_keeps_its_checkpoint(tmp_path):
    (run := left(tmp_path)).tidy()
    assert (run.folder / "checkpoint.pt").exists()


@pytest.mark.parametrize("how", ["begin", "remove"])
def test_a_record_whose_removal_was_cut_short_is_gone(tmp_path, monkeypatch, how):
    run = Record(record(tmp_path).folder)

    def killed(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        run.remove() if how == "remove" else run.begin(BASE, FACTS)
    assert not list(recorded(tmp_path))
    assert Record(run.folder).resume(**FACTS) is None


def test_a_record_amid_its_removal_is_no_record_and_the_next_one_clears_it_away(tmp_path):
    run = record(tmp_path)
    half = run.folder.rename(run.folder.with_name(f".removed-{run.key}-7"))
    (half / "run.json").unlink()
    assert not list(recorded(tmp_path))
    Record(run.folder).begin(BASE, FACTS)
    assert not half.exists()
    assert [run.key for run in recorded(tmp_path)] == [run.key]


FULL = """
import resource, sys, torch
from pathlib import Path
import numpy as np
from mbt_cli.errors import Unwritable
from mbt_cli.experiment import Evaluation
from mbt_cli.record import Record
from mbt_cli.study import Study
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
record = Record(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
large, wide = {"progress": torch.ones(9973)}, np.ones((97, 97), np.float32)
for write in (
    lambda: record.checkpoint(large),
    lambda: record.best(large),
    lambda: record.evaluated(Evaluation(), {}, wide, wide, ["a"] * 97),
    lambda: record.row({"text": "x" * 30_000}),
    lambda: record.fail(ValueError("x" * 30_000)),
):
    try:
        write()
    except Unwritable as error:
        print(error)
"""


def test_a_disk_that_takes_no_more_is_one_sentence_and_what_was_written_stays(tmp_path):
    """The limit of file sizes stands for the disk: the system refuses the write just so."""
    run = left(tmp_path)
    before = {name: (run.folder / name).read_bytes() for name in run.files()}
    said = subprocess.run([sys.executable, "-c", FULL, run.folder], capture_output=True, text=True)
    assert said.stderr == ""
    lines = said.stdout.splitlines()
    names = ("checkpoint.pt", "weights.safetensors", "scores.npz", "metrics.jsonl", "error.txt")
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert f"{name} cannot be written (File too large). What is finished is kept" in line
    after = {name: (run.folder / name).read_bytes() for name in run.files()}
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} <= {"metrics.jsonl"}
    assert [row["step"] for row in Run(run.folder).curve()] == [1, 2, 3][: len(run.curve())]
