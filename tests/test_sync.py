"""MLflow as a view that can be rebuilt: whatever was lost or killed, it comes to say the same."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import PAIR, TINY, Command
from mlflow_seen import (
    Seen,
    Server,
    add_epoch,
    begun,
    check_says,
    check_whole,
    done,
    experiment,
    follow,
    follow_held,
    served,
    study,
    wait_for,
)

from mbt_cli import tracking
from mbt_cli.claim import claimed
from mbt_cli.files import write
from mbt_cli.runs import Run, finished, recorded
from mbt_cli.store import PAGE, Store, Untold, reaching
from mbt_cli.study import Study


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that MLflow knows, with no run in it: making one takes seconds."""
    results = tmp_path_factory.mktemp("blank") / "results"
    (results / "runs").mkdir(parents=True)
    with reaching(results):
        Store(results)
    (results / "runs" / "identity").unlink()
    return results


@pytest.fixture
def results(blank: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(blank, tmp_path / "results"))


@pytest.fixture
def seen(results: Path) -> Seen:
    return Seen(f"sqlite:///{results}/mlflow.db")


def sync(results: Path, *reports: Study) -> int:
    """How many entries were sent."""
    return tracking.sync(results, list(recorded(results)), reports, lambda _: None).sent


def written(results: Path, of: Study, text: str = "The answer.") -> Study:
    """A report that somebody wrote."""
    of.save(results)
    (results / of.name / "report.md").write_text(text)
    (results / of.name / "mAP.png").write_bytes(b"drawn")
    return of


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that writes, from now on, by the real client."""
    from mlflow import MlflowClient

    sent: list[str] = []

    def watched(name: str):
        real = getattr(MlflowClient, name)

        def told(self, *words, **named):
            sent.append(f"{name} {Path(words[1]).name}" if name == "log_artifact" else name)
            return real(self, *words, **named)

        monkeypatch.setattr(MlflowClient, name, told)

    for name in ("create_run", "delete_run", "set_terminated", "log_batch"):
        watched(name)
    watched("log_artifact")
    return sent


def test_a_store_thrown_away_is_rebuilt_and_says_the_same_by_value(
    results: Path, seen: Seen, blank: Path
):
    other = study("widths", experiment(), experiment(fusion="late"), x="model.width")
    for one in (study(), other):
        one.save(results)
    records = [done(results, experiment(seed)) for seed in (0, 1)]
    records += [done(results, experiment(fusion="late")), failed := begun(results, experiment(2))]
    failed.fail(RuntimeError("no memory"))
    begun(results, experiment(3), epochs=2)  # and killed
    follow(results, *records[:2], failed)
    follow(results, records[0], records[2], of=other)
    sync(results, written(results, study()))
    before = seen.whole()
    assert len(before) == 6
    statuses = sorted(status for status, *_ in before.values())
    assert statuses == ["FAILED", "FINISHED", "FINISHED", "FINISHED", "FINISHED", "KILLED"]
    shutil.copy(blank / "mlflow.db", results / "mlflow.db")
    assert sync(results, study()) == 6
    assert Seen(f"{seen.uri}?new").whole() == before


def test_a_second_sync_sends_nothing_however_many_pages_mlflow_gives(
    results: Path, monkeypatch: pytest.MonkeyPatch
):
    assert PAGE <= 50_000, "MLflow's limit"
    monkeypatch.setattr("mbt_cli.store.PAGE", 2)
    for seed in range(5):
        done(results, experiment(seed))
    begun(results, experiment(5), epochs=1)
    page = written(results, study())
    assert sync(results, page) == 7
    sent = watch(monkeypatch)
    searched = count_searches(monkeypatch)
    assert sync(results, page) == 0
    assert sent == []
    assert len(searched) == 4 + 1, "7 in pages of 2, and one for what is running"


def count_searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from mlflow import MlflowClient

    found, real = [], MlflowClient.search_runs

    def search_runs(self, *words, **named):
        found.append(1)
        return real(self, *words, **named)

    monkeypatch.setattr(MlflowClient, "search_runs", search_runs)
    return found


def test_what_grid_tags_and_names_say_does_not_depend_on_who_told_last(results: Path, seen: Seen):
    what = experiment()
    wider = replace(study("widths", x="model.width"), name="widths-synthetic-epochs=5")
    again = replace(wider, name="widths-synthetic")
    for one in (study(), wider, again):
        one.save(results)
    record = done(results, what)
    follow(results, record, of=wider)
    tags = seen.one(record.key).data.tags
    assert tags["mlflow.runName"] == "bottleneck L_f=1 width=24 seed 0"
    assert tags["grid.fusion_layer"] == "fusion_layer-synthetic"
    assert tags["grid.widths"] == "widths-synthetic, widths-synthetic-epochs=5"
    follow(results, record)
    assert sync(results) == 0
    assert seen.one(record.key).data.tags == tags


def test_another_studys_damaged_file_keeps_no_ablate_from_telling(results: Path, seen: Seen):
    (results / "broken").mkdir()
    (results / "broken" / "study.json").write_text("{")
    follow(results, record := done(results, experiment()))
    check_says(seen, record)


def test_a_run_left_running_is_closed_when_nobody_works_on_it(results: Path, seen: Seen):
    all_four = [begun(results, experiment(seed), epochs=1) for seed in range(4)]
    left, gone, busy, anew = all_four
    follow_held(results, *all_four)
    assert {seen.one(one.key).info.status for one in all_four} == {"RUNNING"}
    gone.remove()
    with claimed(busy.folder), claimed(anew.folder):
        shutil.rmtree(anew.folder)  # somebody is about to begin it anew
        follow(results, done(results, experiment(4)))
        assert {seen.one(one.key).info.status for one in (busy, anew)} == {"RUNNING"}
    for one in (left, gone):
        run = seen.one(one.key).info
        assert run.status == "KILLED" and run.end_time >= run.start_time
    last = round(1000 * left.curve()[-1]["time_s"])
    assert last <= seen.one(left.key).info.end_time <= last + 1000
    assert sync(results) == 1
    assert {seen.one(one.key).info.status for one in (busy, anew)} == {"KILLED"}


def test_a_run_that_ended_while_mlflow_was_not_told_ends_there_with_any_next_command(
    results: Path, seen: Seen
):
    record = begun(results, experiment(), epochs=1)
    follow_held(results, record)
    record.fail(RuntimeError("no memory"))
    follow(results, done(results, experiment(1)))
    assert seen.one(record.key).info.status == "FAILED"


def test_a_killed_run_that_goes_on_stays_one_mlflow_run_and_no_row_is_doubled(
    results: Path, seen: Seen
):
    record = begun(results, experiment(), epochs=3)
    sync(results)
    before = seen.one(record.key).info
    assert before.status == "KILLED"
    rows = (record.folder / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (record.folder / "metrics.jsonl").write_bytes(b"".join(rows[:6]))  # back to its checkpoint
    follow_held(results, record)
    assert seen.one(record.key).info.status == "RUNNING"
    assert len(seen.history(record.key, "loss")) == 6
    for epoch in (3, 4):
        add_epoch(record, epoch)
    follow_held(results, record)
    assert seen.one(record.key).info.run_id == before.run_id
    assert [step for step, _ in seen.history(record.key, "loss")] == [4, 7, 11, 14, 18, 21, 25, 28]
    record.fail(RuntimeError("no memory"))
    follow(results, record)
    after = seen.one(record.key).info
    assert (after.run_id, after.status) == (before.run_id, "FAILED")
    assert after.end_time > before.end_time - 1000


@pytest.mark.parametrize("left", ["fewer", "others"])
def test_rows_that_are_no_longer_true_are_not_kept(results: Path, seen: Seen, left: str):
    record = begun(results, experiment(), epochs=2)
    sync(results)
    before = seen.one(record.key).info.run_id
    path = record.folder / "metrics.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:3]))
    if left == "others":
        record.row({"step": 11, "epoch": 2, "loss": 0.7, "learning_rate": 0.1})
        for epoch in (2, 3):
            add_epoch(record, epoch)
    sync(results)
    assert seen.one(record.key).info.run_id != before
    losses = [(row["step"], row["loss"]) for row in record.curve() if "loss" in row]
    assert seen.history(record.key, "loss") == sorted(losses)


def test_what_an_older_version_told_is_taken_over(results: Path, seen: Seen):
    record = done(results, experiment())
    sync(results)
    old = seen.one(record.key)
    seen.client.delete_tag(old.info.run_id, "results")
    seen.client.set_tag(old.info.run_id, "rows", str(len(record.curve())))
    assert sync(results) == 1
    check_says(seen, record)
    assert seen.one(record.key).info.run_id == old.info.run_id
    assert "results" in seen.one(record.key).data.tags


def test_doubles_that_two_commands_made_at_once_become_one(results: Path, seen: Seen):
    record = done(results, experiment())
    sync(results)
    one = seen.one(record.key)
    tags = {name: text for name, text in one.data.tags.items() if name != "rows"}
    seen.client.create_run(seen.place, one.info.start_time, tags)
    assert len(seen.all(record.key)) == 2
    sync(results)
    check_says(seen, record)


def test_results_folders_that_share_a_server_leave_each_others_runs_alone(
    results: Path, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", seen.uri)
    theirs = tmp_path / "theirs"
    again, only = (begun(theirs, experiment(seed), epochs=1) for seed in (0, 1))
    same = done(results, experiment(2)).folder
    copy = Run(Path(shutil.copytree(same, theirs / "runs" / same.name)))
    follow_held(theirs, again, only, copy)
    done(results, experiment())
    assert sync(results) == 2 and sync(results) == 0
    assert statuses(seen, again.key) == ["FINISHED", "RUNNING"]
    assert statuses(seen, only.key) == ["RUNNING"]
    assert statuses(seen, copy.key) == ["FINISHED", "FINISHED"]
    assert sync(theirs) == 2
    assert statuses(seen, again.key) == ["FINISHED", "KILLED"]


def statuses(seen: Seen, key: str) -> list[str]:
    return sorted(run.info.status for run in seen.all(key))


def test_a_results_folder_that_moves_takes_its_mlflow_with_it(results: Path, tmp_path: Path):
    done(results, experiment())
    sync(results, page := written(results, study()))
    moved = results.rename(tmp_path / "new place")
    forget_places()
    assert sync(moved, page) == 0
    seen = Seen(f"sqlite:///{moved}/mlflow.db")
    assert {one.path for one in seen.artifacts(seen.one(page.name, "summary"))} == {
        "mAP.png", "report.md", "study.json",
    }  # fmt: skip
    written(moved, page, "Another answer.")
    assert sync(moved, page) == 1
    assert not results.exists()
    run = seen.one(page.name, "summary").info
    assert run.artifact_uri.startswith((moved / "mlflow-artifacts").as_uri())
    path = seen.client.download_artifacts(run.run_id, "report.md", tmp_path)
    assert Path(path).read_text() == "Another answer."


def test_a_folder_whose_identity_was_never_written_out_gets_one(results: Path, seen: Seen):
    (results / "runs" / "identity").touch()
    record = done(results, experiment())
    assert (sync(results), sync(results)) == (1, 0)
    known = (results / "runs" / "identity").read_text()
    assert len(known) == 12 and seen.one(record.key).data.tags["results"] == known


def forget_places() -> None:
    """What a process remembers of where MLflow's artifacts are; a command's sees one place only."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()


def test_a_report_stands_in_mlflow_with_its_chosen_cell_and_its_files(results: Path, seen: Seen):
    late = experiment(fusion="late")
    of = written(results, study("fusion_layer", experiment(), late))
    done(results, experiment(), 0.5)
    done(results, experiment(1), 0.75)
    done(results, late, 0.9)
    sync(results, of)
    run = seen.one(of.name, "summary")
    assert run.info.run_name == "report fusion_layer-synthetic" and run.info.status == "FINISHED"
    tags = run.data.tags
    assert tags["grid.fusion_layer"] == of.name
    assert (tags["grid"], tags["recipe"], tags["question"]) == (of.grid, "synthetic", "Where?")
    assert "test clips it reaches mAP 0.625" in tags["mlflow.note.content"]
    assert tags["chosen"] == "bottleneck at L_f = 1"
    assert run.data.params["model.fusion"] == "bottleneck"
    assert "training.seed" not in run.data.params
    metrics = run.data.metrics
    assert (metrics["cells"], metrics["runs"]) == (2, 3)
    assert metrics["chosen/validation/mAP"] == pytest.approx(0.37)
    assert metrics["chosen/test/mAP"] == 0.625
    assert metrics["chosen/test/mAP spread"] == pytest.approx(0.125 * 2**0.5)
    assert not [name for name in metrics if name.startswith("test/")], "no run, though it is one"


def test_a_report_is_replaced_in_place_and_only_changed_files_are_sent(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    done(results, experiment())
    sync(results, of := written(results, study()))
    first = seen.one(of.name, "summary").info.run_id
    sent = watch(monkeypatch)
    sync(results, written(results, of, "Another answer."))
    assert sent == ["log_artifact report.md", "log_batch"]
    late = done(results, experiment(1), 0.75)
    status = late.status | {"written": "2066-01-01T00:00:00+00:00"}
    write(late.folder / "status.json", status)
    sync(results, of)
    run = seen.one(of.name, "summary")
    assert run.info.run_id == first and run.data.metrics["runs"] == 2
    assert run.info.end_time > run.info.start_time


@pytest.mark.parametrize("change", ["file gone", "run gone", "other cell"])
def test_a_report_that_mlflow_cannot_mend_is_begun_anew(results: Path, seen: Seen, change: str):
    late = experiment(fusion="late")
    of = written(results, study("fusion_layer", experiment(), late))
    done(results, experiment(), 0.5)
    second = done(results, experiment(1), 0.75)
    sync(results, of)
    first = seen.one(of.name, "summary").info.run_id
    if change == "file gone":
        (results / of.name / "mAP.png").unlink()
    elif change == "run gone":
        second.remove()
    else:
        best = done(results, late)
        validation = best.status["validation"] | {"mAP": 0.99}
        write(best.folder / "status.json", best.status | {"validation": validation})
    sync(results, of)
    run = seen.one(of.name, "summary")
    assert run.info.run_id != first
    files = {one.path for one in seen.artifacts(run)}
    assert ("mAP.png" in files) == (change != "file gone")
    assert run.data.metrics["runs"] == {"file gone": 2, "run gone": 1, "other cell": 3}[change]
    assert run.data.params["model.fusion"] == ("late" if change == "other cell" else "bottleneck")


@dataclass(frozen=True)
class Asked:
    """A grid that was killed, and run again while its server went away and came back."""

    results: Path
    server: Server
    killed: list[tuple[str, int]]
    """What MLflow had of the run in which the first command was killed: status and rows of loss,
    before and after a sync."""
    key: str
    """Of that run."""
    said: str
    """By the second command."""
    code: int


@pytest.fixture(scope="module")
def asked(mbt: Command, blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    place = tmp_path_factory.mktemp("asked")
    results = place / "results"
    (place / "pair.py").write_text(PAIR)
    shutil.copy(blank / "mlflow.db", place / "server.db")
    words = ["ablate", "--grid", place / "pair.py", *TINY[:-2], "--set", "training.epochs=40",
             "--checkpoint-s", 0, "--seeds", 2, "--workers", 1, "--results", results]  # fmt: skip

    def ablate() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mbt_cli", *map(str, words)], text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {"MBT_CACHE": str(mbt.cache), "MLFLOW_TRACKING_URI": server.uri},
        )  # fmt: skip

    with served(place / "server.db", place / "artifacts", place / "log") as server:
        seen = Seen(server.uri)
        with ablate() as first:
            wait_for(lambda: first.poll() is not None or seen.having("status = 'RUNNING'"), 60)
            os.killpg(first.pid, signal.SIGKILL)
        (left,) = seen.having("status = 'RUNNING'")
        key, killed = left.data.tags["key"], []
        killed.append((left.info.status, len(seen.history(key, "loss"))))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", server.uri)
            sync(results)
        killed.append((seen.one(key).info.status, len(seen.history(key, "loss"))))
        before = len(finished(results))
        with ablate() as second:
            ended = lambda: second.poll() is not None  # noqa: E731
            wait_for(lambda: ended() or len(seen.having("metrics.`test/mAP` > -1")) > before, 60)
            server.kill()
            assert not ended(), "the server was lost too late to see anything"
            before = len(finished(results))
            wait_for(lambda: ended() or len(finished(results)) > before, 60)
            server.start()
            said, _ = second.communicate(timeout=60)
        yield Asked(results, server, killed, key, said, second.returncode)


def test_a_server_killed_and_started_again_during_a_grid_costs_nothing(
    asked: Asked, here, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", asked.server.uri)
    assert len(finished(asked.results)) == 4
    assert asked.code == 0 or (asked.code == 1 and "then run mbt-cli sync" in asked.said), asked
    told = here("sync", "--results", asked.results)
    assert told.returncode == 0, told
    for run in recorded(asked.results):
        check_says(Seen(asked.server.uri), run)
    again = here("sync", "pair", "--results", asked.results)
    assert f"{asked.server.uri} holds 4 runs and 0 reports: 4 were there already, 0 were sent." in (
        again.stdout
    )
    if asked.code == 0:
        assert "4 were there already" in told.stdout, "what the command itself had told"
    assert not (asked.results / "mlflow.db").exists()


def test_a_real_server_is_told_the_same_without_a_word(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_URI", asked.server.uri)
    record = done(tmp_path, experiment())
    follow(tmp_path, record)
    follow(tmp_path, record, of=study("modalities"))
    assert capfd.readouterr() == ("", "")
    seen = Seen(asked.server.uri)
    check_whole(seen, record)
    assert {"grid.fusion_layer", "grid.modalities"} <= set(seen.one(record.key).data.tags)
    assert not (tmp_path / "mlflow.db").exists()


def test_an_ablate_killed_is_running_in_mlflow_until_sync_and_then_goes_on_to_its_end(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", asked.server.uri)
    sync(asked.results)
    (status, rows), (then, all_rows) = asked.killed
    assert (status, then) == ("RUNNING", "KILLED")
    run = Run(asked.results / "runs" / asked.key)
    steps = [row["step"] for row in run.curve() if "loss" in row]
    assert rows <= all_rows <= len(steps) and all_rows
    assert steps == sorted(set(steps))
    seen = Seen(asked.server.uri)
    check_says(seen, run)  # of one MLflow run: that one, or where the kill fell amid rows a new one


def test_mbt_cli_report_and_sync_put_the_report_on_the_server_once(
    asked: Asked, here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", asked.server.uri)
    sync(asked.results)  # what was killed is told to the end
    told = here("report", "--results", asked.results)
    assert (told.returncode, told.stderr) == (0, "")
    sync_said = here("sync", "--results", asked.results).stdout
    assert "4 runs and 1 report: 5 were there already" in sync_said
    assert here("report", "--results", asked.results).stdout == told.stdout
    seen = Seen(asked.server.uri)
    (name,) = (folder.parent.name for folder in asked.results.glob("*/report.md"))
    run = seen.one(name, "summary")
    files = {file.name for file in (asked.results / name).iterdir()}
    assert {one.path for one in seen.artifacts(run)} == files
    assert {"report.md", "runs.csv", "mAP.png", "mAP.svg", "study.json"} <= files
    page = seen.client.download_artifacts(run.info.run_id, "report.md", tmp_path)
    assert Path(page).read_text() == (asked.results / name / "report.md").read_text()


def test_a_report_is_written_and_that_mlflow_is_down_is_a_line(
    asked: Asked, here, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    told = here("report", "--results", asked.results)
    assert (told.returncode, told.stderr) == (0, "")
    assert "report.md" in told.stdout and "secret" not in told.stdout
    last = told.stdout.splitlines()[-1]
    assert last.startswith("MLflow at http://***@127.0.0.1:9 did not take all ([Errno 111]")
    assert "nothing is lost" in last and last.endswith("then run mbt-cli sync.")


def test_where_nothing_is_logged_a_report_makes_no_store(asked: Asked, mbt: Command):
    told = mbt("report", "--results", asked.results, PYTHONPROFILEIMPORTTIME="1")
    assert told.returncode == 0 and not (asked.results / "mlflow.db").exists()
    assert " mlflow\n" not in told.stderr and " pandas\n" in told.stderr


def test_a_sync_that_cannot_be_is_one_sentence(
    here, results: Path, monkeypatch: pytest.MonkeyPatch
):
    told = here("sync", "--results", results)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (f"mbt-cli: {results} holds no run yet: make some with mbt-cli ablate.\n")
    study("modalities", experiment(fusion="late")).save(results)
    done(results, experiment())
    told = here("sync", "modalities", "--results", results)
    assert told.returncode == 1 and "holds no run of modalities-synthetic yet" in told.stderr
    told = here("sync", "fusion", "--results", results)
    assert told.returncode == 1 and "No study in" in told.stderr
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    told = here("sync", "--results", results)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert "Connection refused" in told.stderr and "secret" not in told.stderr
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    told = here("sync", "--results", results)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert "pip install mlflow, then mbt-cli sync" in told.stderr


def test_sync_of_one_study_tells_its_runs_alone_and_all_their_grids(
    here, results: Path, seen: Seen
):
    other = study("modalities", experiment(), experiment(fusion="late"))
    for one in (study(), other):
        one.save(results)
    records = [done(results, experiment(seed)) for seed in (0, 1)]
    late = done(results, experiment(fusion="late"))
    told = here("sync", "fusion_layer", "--results", results).stdout
    assert "holds 2 runs and 0 reports: 0 were there already, 2 were sent." in told
    assert seen.all(late.key) == []
    for record in records:
        assert {"grid.fusion_layer", "grid.modalities"} <= set(seen.one(record.key).data.tags)
    told = here("sync", "--results", results).stdout
    assert "holds 3 runs and 0 reports: 2 were there already, 1 were sent." in told


def test_a_server_that_goes_away_in_mid_sync_keeps_what_it_was_told(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for seed in range(3):
        done(results, experiment(seed))
    real, left = MlflowClient.create_run, [1, 1]

    def lost(self, *words, **named):
        if not left:
            raise MlflowException("gone for a while")
        left.pop()
        return real(self, *words, **named)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", lost)
        with pytest.raises(Untold, match="gone for a while"):
            sync(results)
    assert sync(results) == 1
    for run in recorded(results):
        check_says(seen, run)
