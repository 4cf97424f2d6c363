"""MLflow as a view: what the records say arrives there once, and trouble is one sentence."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from mlflow_seen import (
    FIGURES,
    Seen,
    add_epoch,
    begun,
    check_whole,
    done,
    experiment,
    follow,
    follow_held,
    study,
    wait_for,
)

from mbt_cli.claim import claimed
from mbt_cli.experiment import Evaluation
from mbt_cli.files import part_of, write
from mbt_cli.runs import Run, run_folder
from mbt_cli.tracking import Tracker

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One results folder and store for all; every test has seeds of its own."""
    return tmp_path_factory.mktemp("a place") / "results"


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def seen(results: Path) -> Seen:
    return Seen(f"sqlite:///{results}/mlflow.db")


def test_all_that_a_finished_record_says_arrives(results: Path, seen: Seen):
    record = done(results, experiment())
    follow(results, record)
    run = seen.one(record.key)
    check_whole(seen, record)
    assert run.info.run_name == "bottleneck L_f=1 seed 0"
    assert run.data.tags["grid.fusion_layer"] == "fusion_layer-synthetic"
    assert (results / "mlflow.db").exists()
    assert not Path("mlruns").exists()
    assert run.info.artifact_uri.startswith((results / "mlflow-artifacts").as_uri())


def test_syncing_again_doubles_nothing(results: Path, seen: Seen):
    record = done(results, experiment(seed=2))
    follow(results, record, record)
    before = seen.one(record.key)
    follow(results, record)
    code = "follow(Path(sys.argv[1]), Run(Path(sys.argv[2])))"
    assert elsewhere(code, results, record.folder, cwd=results) == ("", "")
    assert seen.one(record.key).to_dictionary() == before.to_dictionary()
    check_whole(seen, record)


def elsewhere(code: str, *words: Path, cwd: Path | None = None) -> tuple[str, str]:
    """What code says, and complains of, in a fresh process where all names of this file are."""
    head = (
        f"import sys; sys.path.append({str(Path(__file__).parent)!r}); from {Path(__file__).stem}"
    )
    told = [sys.executable, "-c", f"{head} import *\n{code}", *map(str, words)]
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("MLFLOW", "PYTEST", "CI"))}
    done = subprocess.run(told, env=kept, check=True, capture_output=True, text=True, cwd=cwd)
    return done.stdout, done.stderr


def test_a_running_record_grows_and_no_row_is_sent_twice(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    record = begun(results, experiment(seed=3), epochs=2)
    follow_held(results, Run(record.folder))
    run = seen.one(record.key)
    assert (run.info.status, run.info.end_time) == ("RUNNING", None)
    assert len(seen.history(record.key, "validation/mAP")) == 2
    sent = watch_batches(monkeypatch)
    add_epoch(record, 3)
    follow(results, Run(record.folder))
    steps = {metric.step for batch in sent for metric in batch}
    assert steps == {18, 21}
    assert len(seen.history(record.key, "loss")) == 6


def test_rows_sent_before_a_kill_and_measured_again_after_it_are_there_once(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    """The kill fell between the rows and the tag that counts them."""
    from mlflow import MlflowClient

    record, real = begun(results, experiment(seed=30), epochs=2), MlflowClient.log_batch

    def log_batch(self, run_id, metrics=(), params=(), tags=(), **named):
        real(self, run_id, metrics, params, (), **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", log_batch)
        with pytest.raises(KeyboardInterrupt), Tracker(results, study()) as tracker:
            tracker.follow(Run(record.folder))
    assert len(seen.history(record.key, "loss")) == 4
    rows = record.folder / "metrics.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:3]))
    time.sleep(0.005)
    add_epoch(record, 2)
    follow_held(results, Run(record.folder))
    assert len(seen.history(record.key, "loss")) == 4
    assert len(seen.history(record.key, "validation/mAP")) == 2


def test_a_database_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mlflow.store.db import utils

    file, real, seen_there = tmp_path / "mlflow.db", utils._upgrade_db, []

    def upgrade(engine):
        seen_there.append(file.exists())
        real(engine)

    monkeypatch.setattr(utils, "_upgrade_db", upgrade)
    with sqlite3.connect(part_of(file)) as half:  # of a killed process that had our number
        half.execute("create table experiments (x)")
    half.close()
    record = begun(tmp_path, experiment())
    follow_held(tmp_path, Run(record.folder))
    assert seen_there == [False] and Seen(f"sqlite:///{file}").one(record.key)
    assert not list(tmp_path.glob("*.part*"))


def watch_batches(monkeypatch: pytest.MonkeyPatch) -> list[list]:
    """The metrics of every batch sent from now on, by the real client."""
    from mlflow import MlflowClient

    sent, real = [], MlflowClient.log_batch

    def log_batch(self, run_id, metrics=(), *rest, **named):
        sent.append(list(metrics))
        return real(self, run_id, metrics, *rest, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    return sent


def test_a_long_curve_goes_in_batches_that_mlflow_takes(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    record = begun(results, experiment(seed=4))
    for step in range(1, 1202):
        record.row({"step": step, "epoch": 1, "loss": 0.5, "learning_rate": 0.1})
    sent = watch_batches(monkeypatch)
    follow(results, Run(record.folder))
    assert [len(batch) for batch in sent] == [800, 800, 800, 5]
    assert len(seen.history(record.key, "loss")) == 1201


def test_a_run_of_two_grids_is_one_with_two_tags(results: Path, seen: Seen):
    record = done(results, experiment(seed=5))
    follow(results, record)
    follow(results, record, of=study("mine = a+b"))
    tags = seen.one(record.key).data.tags
    assert tags["grid.fusion_layer"] == "fusion_layer-synthetic"
    assert tags["grid.mine _ a_b"] == "mine = a+b-synthetic"


def test_a_failed_run_is_failed_and_says_why_at_any_length(results: Path, seen: Seen):
    record = begun(results, experiment(seed=6), epochs=1)
    record.fail(RuntimeError("the loss is nan " * 1000))
    follow(results, Run(record.folder))
    follow(results, Run(record.folder))
    run = seen.one(record.key)
    assert run.info.status == "FAILED" and run.info.end_time
    assert run.data.tags["error"].startswith("the loss is nan")
    assert len(seen.history(record.key, "loss")) == 2


@pytest.mark.parametrize("same_second", [False, True])
def test_a_record_begun_anew_replaces_what_mlflow_had(results: Path, seen: Seen, same_second: bool):
    what = experiment(seed=7 + same_second)
    record = begun(results, what, epochs=4)
    record.evaluated(Evaluation(), FIGURES, np.zeros((1, 2), np.float32), np.eye(1, 2), ["a"])
    if not same_second:
        write(record.folder / "status.json", {"started": "2023-05-07T11:13:17+00:00"})
    record.fail(RuntimeError("no memory"))
    follow(results, Run(record.folder))
    old = seen.one(record.key).info.run_id
    started = Run(record.folder).status["started"]
    record = begun(results, what, epochs=1 if same_second else 5)
    if same_second:
        write(record.folder / "status.json", record.status | {"started": started})
    follow_held(results, Run(record.folder))
    run = seen.one(record.key)
    assert run.info.run_id != old and run.info.status == "RUNNING"
    assert "error" not in run.data.tags and "test/mAP" not in run.data.metrics
    assert len(seen.history(record.key, "loss")) == (2 if same_second else 10)


def test_following_holds_nothing_up_and_a_run_is_told_of_now_and_then_and_when_it_ends(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    from mlflow import MlflowClient

    record = begun(results, experiment(seed=9), epochs=1)
    sent, real, followed = watch_batches(monkeypatch), MlflowClient.log_batch, Event()

    def log_batch(self, *told, **named):
        if followed.wait(60):
            real(self, *told, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    with claimed(record.folder), Tracker(results, study()) as tracker:
        tracker.follow(record)
        followed.set()
        wait_for(lambda: sent)
        for epoch in range(2, 6):
            add_epoch(record, epoch)
            tracker.follow(record)
            time.sleep(0.1)
        assert len(seen.history(record.key, "loss")) == 2
        record.evaluated(Evaluation(), FIGURES, np.zeros((1, 2), np.float32), np.eye(1, 2), ["a"])
        record.finish()
        tracker.follow(record)
        wait_for(lambda: seen.one(record.key).info.status == "FINISHED")
    check_whole(seen, record)


def test_a_run_that_goes_on_is_told_of_at_the_end_of_the_block(results: Path, seen: Seen):
    record = begun(results, experiment(seed=10), epochs=1)
    with Tracker(results, study()) as tracker:
        tracker.follow(Run(record.folder))
        time.sleep(0.5)
        add_epoch(record, 2)
        tracker.follow(Run(record.folder))
    assert len(seen.history(record.key, "loss")) == 4


def test_a_run_whose_worker_died_is_closed_at_the_end_of_the_block(results: Path, seen: Seen):
    record = begun(results, experiment(seed=19), epochs=1)
    with Tracker(results, study()) as tracker:
        with claimed(record.folder):
            tracker.follow(record)
            wait_for(lambda: any("rows" in run.data.tags for run in seen.all(record.key)), 20)
        assert seen.one(record.key).info.status == "RUNNING"
    assert seen.one(record.key).info.status == "KILLED"


def test_a_worker_that_died_before_its_record_began_is_passed_over(results: Path, seen: Seen):
    follow(results, Run(run_folder(results, "0123456789")), record := done(results, experiment(11)))
    assert seen.all("0123456789") == []
    assert seen.one(record.key)


def test_an_experiment_thrown_away_in_mlflow_comes_back(results: Path, seen: Seen):
    seen.client.delete_experiment(seen.place)
    follow(results, record := done(results, experiment(seed=12)))
    check_whole(seen, record)


def test_an_error_in_the_block_passes_through_at_once_though_mlflow_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(KeyboardInterrupt), Tracker(tmp_path, study()) as tracker:  # noqa: PT012
            tracker.follow(done(tmp_path, experiment()))
            time.sleep(0.5)
            raise KeyboardInterrupt
        assert not tracker._served.done()


def test_after_an_error_what_was_not_told_yet_is_left_untold(results: Path, seen: Seen):
    records = [done(results, experiment(seed)) for seed in range(20, 30)]
    with pytest.raises(ValueError, match="of mine"), Tracker(results, study()) as tracker:  # noqa: PT012
        for record in records:
            tracker.follow(record)
        raise ValueError("of mine")
    tracker._served.result(timeout=5)
    assert seen.all(records[-1].key) == []


def test_where_nothing_is_followed_mlflow_is_not_even_opened(tmp_path: Path):
    follow(tmp_path)
    assert list(tmp_path.iterdir()) == []


TELL = (
    "with Tracker(Path(sys.argv[1]), study()) as tracker:\n"
    "    tracker.follow(Run(Path(sys.argv[2])))\n"
    "print(tracker.failed, tracker.problem)\n"
)


def test_a_server_or_store_out_of_order_is_one_sentence_and_soon_and_all_else_is_silence(
    tmp_path: Path,
):
    places = [tmp_path / name for name in ("server", "garbage", "folder")]
    records = [done(place, experiment()) for place in places]
    (tmp_path / "garbage" / "mlflow.db").write_text("no database at all " * 100)
    (tmp_path / "folder" / "mlflow.db").mkdir()
    code = (
        "os.environ['MLFLOW_TRACKING_URI'] = 'http://me:secret@127.0.0.1:9'\n" + TELL
        + "del os.environ['MLFLOW_TRACKING_URI']\nsys.argv[1:3] = sys.argv[3:5]\n" + TELL
        + "sys.argv[1:3] = sys.argv[5:7]\n" + TELL
    )  # fmt: skip
    began = time.perf_counter()
    words = [
        word for pair in zip(places, records, strict=True) for word in (pair[0], pair[1].folder)
    ]
    said, errors = elsewhere(code, *words)
    assert time.perf_counter() - began < 15
    assert errors == ""
    server, garbage, folder = said.splitlines()
    assert server.startswith("True MLflow at http://***@127.0.0.1:9 did not take all")
    assert "Connection refused" in server and "secret" not in server
    assert str(places[0] / "runs") in server and "MLFLOW_TRACKING_URI" in server
    assert garbage.startswith("True") and "not a database" in garbage
    assert folder.startswith("True") and "unable to open" in folder


@pytest.mark.parametrize("uri", ["postgresql://u:pw@127.0.0.1:9/x", "nonsense://x", "./mlruns"])
def test_a_store_mlflow_cannot_use_is_a_failure_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    with Tracker(tmp_path, study()) as tracker:
        tracker.follow(done(tmp_path, experiment()))
    assert tracker.failed and uri.rpartition("@")[2] in str(tracker.problem)


def test_a_server_lost_and_found_again_gets_all_at_the_end(
    results: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    records = [done(results, experiment(seed)) for seed in (14, 15, 16)]
    follow(results, records[0])
    real = MlflowClient.search_runs

    tries = []

    def lost(*_, **__):
        tries.append(1)
        raise MlflowException("gone for a while")

    with Tracker(results, study()) as tracker:
        tracker.follow(records[0])
        wait_for(lambda: tracker._teller)
        time.sleep(0.2)
        monkeypatch.setattr(MlflowClient, "search_runs", lost)
        for record in records[1:]:
            tracker.follow(record)
        wait_for(lambda: tracker.failed and tracker._news.empty())
        time.sleep(0.1)
        assert len(tries) == 1, "once lost, MLflow is left in peace until the end"
        monkeypatch.setattr(MlflowClient, "search_runs", real)
    assert tracker.problem is None and not tracker.failed
    for record in records:
        check_whole(seen, record)


def test_without_mlflow_the_sentence_says_what_to_install_and_nothing_failed(tmp_path: Path):
    record = done(tmp_path, experiment())
    said, errors = elsewhere("sys.modules['mlflow'] = None\n" + TELL, tmp_path, record.folder)
    assert errors == ""
    assert said.startswith("False MLflow is not used")
    assert "pip install mlflow" in said and str(tmp_path / "runs") in said
