"""Records made in no time, and MLflow as its own client sees it: a store, or a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from mbt_cli.architecture import MBT
from mbt_cli.claim import claimed
from mbt_cli.cost import cost
from mbt_cli.dataset import Synthetic, Views
from mbt_cli.experiment import Evaluation, Experiment, Training
from mbt_cli.record import Record
from mbt_cli.runs import Run, run_folder
from mbt_cli.store import EXPERIMENT
from mbt_cli.study import Data, Study
from mbt_cli.tracking import Tracker

FIGURES = {
    "clips": 11, "mAP": 0.37, "AUC": 0.71, "d_prime": None, "top1": 0.53, "top5": float("nan"),
    "groups": {"both": {"mAP": 0.23, "AUC": None}, "sound: loud!": {"mAP": 0.19, "AUC": 0.61}},
    "classes": {"dog": {"AP": 0.5, "AUC": 0.5}}, "left_out": ["cat"],
}  # fmt: skip
MEANS = {name: value for name, value in FIGURES.items() if name not in ("classes", "left_out")}


def experiment(seed: int = 0, fusion: str = "bottleneck") -> Experiment:
    return Experiment(
        data=Synthetic(train=31, views=Views(span_s=0.32, frames=2, size=32, mel_bins=16)),
        model=MBT(fusion=fusion, fusion_layer=1, depth=3, width=24, heads=2),
        training=Training(seed=seed, epochs=5),
    ).canonical()


def study(grid: str = "fusion_layer", *cells: Experiment, x: str = "model.fusion_layer") -> Study:
    data = Data("synthetic", "", ("dog", "cat"), {}, {}, multi_label=True, clips={"train": 31})
    return Study(
        name=f"{grid}-synthetic", grid=grid, source=grid, recipe="synthetic", settings={},
        question="Where?\n\nFor the tests.", x=x, by="model.fusion",
        cells=cells or (experiment(),), data=data,
    )  # fmt: skip


def begun(results: Path, what: Experiment, *, epochs: int = 0) -> Record:
    """A record of some epochs, each of 2 rows of loss and one of validation."""
    price = cost(what, 2)
    record = Record(run_folder(results, what.key))
    record.begin(what, {"cost": {"parameters": price.parameters, "macs": price.macs}})
    for epoch in range(1, epochs + 1):
        add_epoch(record, epoch)
    return record


def add_epoch(record: Record, epoch: int) -> None:
    for step in (7 * epoch - 3, 7 * epoch):
        record.row({"step": step, "epoch": epoch, "loss": 1 / step, "learning_rate": step / 97})
    validation = {**MEANS, "mAP": epoch / 13}
    record.row({"step": 7 * epoch, "epoch": epoch, "validation": validation})


def done(results: Path, what: Experiment, best: float = 0.37) -> Record:
    record = begun(results, what, epochs=5)
    scores = np.zeros((1, 2), np.float32)
    record.evaluated(Evaluation(), {**FIGURES, "mAP": best}, scores, np.eye(1, 2), ["a"])
    record.finish(seconds=1.0, epoch=3, validation=MEANS)
    return record


def follow(results: Path, *runs: Run, of: Study | None = None) -> Tracker:
    """What an ablate does: follow, and leave."""
    with Tracker(results, of or study()) as tracker:
        for run in runs:
            tracker.follow(run)
    assert tracker.problem is None and not tracker.failed
    return tracker


def follow_held(results: Path, *runs: Run) -> None:
    """The same while somebody works on these runs."""
    with ExitStack() as claims:
        for run in runs:
            claims.enter_context(claimed(run.folder))
        follow(results, *runs)


class Seen:
    """What stands in MLflow, read by MLflow's own client."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @cached_property
    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    @property
    def place(self) -> str:
        return self.client.get_experiment_by_name(EXPERIMENT).experiment_id

    def all(self, name: str, tag: str = "key"):
        return self.having(f"tags.{tag} = '{name}'")

    def having(self, what: str):
        """The runs of which this is true."""
        return list(self.client.search_runs([self.place], what))

    def one(self, name: str, tag: str = "key"):
        (run,) = self.all(name, tag)
        return run

    def history(self, key: str, metric: str) -> list[tuple[int, float]]:
        points = self.client.get_metric_history(self.one(key).info.run_id, metric)
        return sorted((point.step, point.value) for point in points)

    def whole(self) -> dict:
        """Everything by value, but for MLflow's own names."""
        found = {}
        for run in self.client.search_runs([self.place]):
            tags = {n: v for n, v in run.data.tags.items() if n != "results"}
            histories = {
                name: sorted(
                    (point.timestamp, point.step, point.value)
                    for point in self.client.get_metric_history(run.info.run_id, name)
                )
                for name in run.data.metrics
            }
            times = run.info.start_time, run.info.end_time
            artifacts = {one.path: one.file_size for one in self.artifacts(run)}
            mark = tags.get("key") or tags["summary"]
            assert mark not in found, "a run stands there twice"
            found[mark] = (run.info.status, times, run.data.params, tags, histories, artifacts)
        return found

    def artifacts(self, run):
        return self.client.list_artifacts(run.info.run_id)


def check_says(seen: Seen, run: Run) -> None:
    """MLflow says what the record of a finished run says, read from it by other means."""
    one, rows, figures = seen.one(run.key), run.curve(), run.figures(Evaluation())
    assert (one.info.status, run.state) == ("FINISHED", "finished")
    assert one.data.metrics["test/mAP"] == figures["mAP"]
    assert one.data.params["training.seed"] == str(run.experiment.training.seed)
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    assert seen.history(run.key, "loss") == losses and losses
    checks = [(row["step"], row["validation"]["mAP"]) for row in rows if "validation" in row]
    assert seen.history(run.key, "validation/mAP") == checks and checks


def check_whole(seen: Seen, record: Record) -> None:
    """MLflow says everything of a record of `done`, by value."""
    run = seen.one(record.key)
    assert run.info.status == "FINISHED"
    assert run.info.start_time <= run.info.end_time
    params = run.data.params
    assert set(params) == set(experiment().flat())
    assert params["model.fusion"] == "bottleneck" and params["model.tubelet"] == "1,16,16"
    assert params["data.fingerprint"] == "" and params["data.views.span_s"] == "0.32"
    metrics, price = run.data.metrics, record.cost
    assert (metrics["parameters"], metrics["gmacs"]) == (price.parameters, price.macs / 1e9)
    assert metrics["gflops"] == 2 * metrics["gmacs"]
    assert {n: v for n, v in metrics.items() if n.startswith("test/")} == {
        "test/clips": 11, "test/mAP": 0.37, "test/AUC": 0.71, "test/top1": 0.53,
        "test/both/mAP": 0.23, "test/sound_ loud_/mAP": 0.19, "test/sound_ loud_/AUC": 0.61,
    }  # fmt: skip
    steps = [step for epoch in range(1, 6) for step in (7 * epoch - 3, 7 * epoch)]
    assert seen.history(record.key, "loss") == [(step, 1 / step) for step in steps]
    assert seen.history(record.key, "learning_rate") == [(step, step / 97) for step in steps]
    by_epoch = [(7 * epoch, epoch / 13) for epoch in range(1, 6)]
    assert seen.history(record.key, "validation/mAP") == by_epoch
    assert seen.history(record.key, "validation/both/mAP") == [(s, 0.23) for s, _ in by_epoch]
    assert not {"validation/d_prime", "validation/top5", "step", "epoch", "time_s"} & set(metrics)
    for total in ("gmacs", "test/mAP"):
        assert len(seen.history(record.key, total)) == 1
    moment = seen.client.get_metric_history(run.info.run_id, "loss")[0].timestamp
    assert moment == round(1000 * record.curve()[0]["time_s"])


class Server:
    """A real MLflow server of one worker, on a port of its own."""

    def __init__(self, store: Path, artifacts: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.uri, self._port, self._log = f"http://127.0.0.1:{port}", port, log
        self._words = ["server", "--port", str(port), "--workers", "1", "--backend-store-uri"]
        self._words += [f"sqlite:///{store}", "--artifacts-destination", str(artifacts)]

    def start(self) -> None:
        """Returns once it answers."""
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *self._words], stdout=log, stderr=log,
                env=environment, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, 60)

    def kill(self) -> None:
        """No last word is said."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with socket.socket() as here:
            return here.connect_ex(("127.0.0.1", self._port)) == 0


@contextmanager
def served(store: Path, artifacts: Path, log: Path) -> Iterator[Server]:
    server = Server(store, artifacts, log)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def wait_for(what: Callable[[], object], span_s: float = 5) -> None:
    end = time.monotonic() + span_s
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
