"""One run from its first record to its last, on clips that are decoded when they are needed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rendered import noise, render

from mbt_cli.cost import cost
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.errors import MbtError
from mbt_cli.executors import Here, Local
from mbt_cli.experiment import Evaluation
from mbt_cli.job import Job, execute
from mbt_cli.recipes import recipe
from mbt_cli.runs import FINISHED, Run
from mbt_cli.source import Source

SPLITS = ("train",) * 7 + ("validation",) * 3 + ("test",) * 3
FIELDS = {
    "data.views.span_s": 0.64, "data.views.frames": 2, "data.views.size": 32,
    "data.views.windows": "asynchronous", "data.views.crops": 3, "model.depth": 2,
    "model.fusion_layer": 1, "model.width": 16, "model.heads": 2, "training.batch_size": 2,
    "model.stochastic_depth": 0.5, "training.epochs": 3, "training.learning_rate": 0.001,
    "training.mixup": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Clips of 1 s to 3 s; 7 are learned from, 3 batches an epoch."""
    folder, entries = tmp_path_factory.mktemp("clips"), []
    for k, split in enumerate(SPLITS):
        pictures = 25 + 50 * k // 12
        path = render(folder / f"{k}.mp4", times_s=tuple(np.arange(pictures) / 25),
                      sound=noise(pictures / 25, 16_000, seed=k), rate_hz=16_000)  # fmt: skip
        entries.append(Entry(f"clip{k}", path, split, (k % 2,), 0.0, pictures / 25))
    return Manifest(tuple(entries), ("even", "odd"), multi_label=False, fingerprint="f")


@pytest.fixture
def job(manifest, tmp_path):
    experiment = recipe("folder")
    for name, value in FIELDS.items():
        experiment = experiment.at(name, value)
    experiment = replace(experiment, data=replace(experiment.data, fingerprint="f"))
    source = Source(manifest, experiment.data.views, None, 0)
    return Job(experiment, cost(experiment, 2), source, tmp_path / "run", "cpu", 1, 0.0, "best")


def silent(_):
    pass


def killed_at(step):
    """Ends a run, as a signal does, when it tells of this step."""

    def emit(row):
        if row["step"] == step:
            raise KeyboardInterrupt

    return emit


def found(folder):
    """The weights and the scores of a finished run, and its rows but for their times."""
    run = Run(folder)
    assert run.state == FINISHED
    rows = [{name: v for name, v in row.items() if name != "time_s"} for row in run.curve()]
    return run.weights() | {
        n: torch.as_tensor(v)
        for n, v in run.scores(Evaluation()).items()
        if n not in ("names", "groups")
    }, rows


def test_without_readers_the_runs_own_process_decodes(job):
    for readers, kind in ((0, Here), (2, Local)):
        with replace(job.source, readers=readers).opened() as clips:
            assert isinstance(clips.executor, kind)


@pytest.mark.parametrize("readers", [0, 1, 3])
def test_a_run_on_random_windows_is_the_same_bit_by_bit_after_a_kill_with_any_readers(
    job, tmp_path, readers
):
    """Killed amid the first epoch, at its end, and amid the last."""
    torch.set_num_threads(1)
    execute(job, silent)
    whole, told = found(job.record)
    broken = replace(job, record=tmp_path / "broken", source=replace(job.source, readers=readers))
    for step in (2, 3, 8):
        with pytest.raises(KeyboardInterrupt):
            execute(broken, killed_at(step))
        assert Run(broken.record).state != FINISHED
    execute(broken, silent)
    again, rows = found(broken.record)
    assert rows == told and len(rows) == 9 + 3
    assert whole.keys() == again.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name


def test_clips_that_were_lost_before_a_kill_are_in_the_record_after_it(job, manifest, tmp_path):
    """Each split has one that is gone: that of the training clips is lost in the first epoch, and
    after the kill there is but a batch of the last one, without it."""
    gone = {1: "train", 8: "validation", 11: "test"}
    entries = [
        replace(entry, path=tmp_path / "gone.mp4") if k in gone else entry
        for k, entry in enumerate(manifest.entries)
    ]
    source = replace(job.source, manifest=replace(manifest, entries=tuple(entries)))
    with pytest.raises(MbtError, match="cannot be read any more, clip"):
        execute(replace(job, source=source), silent)
    source = replace(source, spare={"train": 1, "validation": 1, "test": 1})
    job = replace(job, source=source, record=tmp_path / "spared")
    rows = []
    with pytest.raises(KeyboardInterrupt):
        execute(job, lambda row: rows.append(row) or killed_at(9)(row))
    lost_at = [row for row in rows if "lost" in row]
    first = next(row for row in rows if "validation" in row)
    assert rows.index(lost_at[1]) < rows.index(first)
    assert [set(row["lost"]) for row in lost_at] == [{"clip1"}, {"clip8"}]
    execute(job, silent)
    run = Run(job.record)
    assert set(run.status["lost"]) == set(run.unread) == {"clip1", "clip8", "clip11"}
    assert run.scores(Evaluation())["names"].tolist() == ["clip10", "clip12"]


def test_a_batch_of_which_nothing_can_be_read_is_one_sentence(job, manifest, tmp_path):
    gone = [
        replace(e, path=tmp_path / "gone.mp4") if e.split == "train" else e
        for e in manifest.entries
    ]
    source = replace(
        job.source, manifest=replace(manifest, entries=tuple(gone)), spare={"train": 7}
    )
    with pytest.raises(MbtError, match=r"No clip of a whole batch.*gone.mp4 does not exist"):
        execute(replace(job, source=source), silent)
    assert "whole batch" in Run(job.record).trouble
