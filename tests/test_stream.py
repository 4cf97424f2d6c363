"""Clips decoded when they are needed: which, in what order, and what happens to those that go."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from rendered import barcode, noise, numbers, render

from mbt_cli.data.clips import Wanted
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Views
from mbt_cli.errors import MbtError
from mbt_cli.executors import Here, Local
from mbt_cli.experiment import Evaluation
from mbt_cli.feed import crops, normalised, windows
from mbt_cli.model import build
from mbt_cli.model.mbt import predict
from mbt_cli.recipes import recipe
from mbt_cli.scoring import evaluate
from mbt_cli.stream import Streamed, ahead

VIEWS = Views(span_s=1.0, frames=2, size=64, mel_bins=16, windows="random", crops=3)
BOTH = ("audio", "video")
LENGTHS_S = (3.0, 2.0, 1.0, 0.4, 3.0)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    entries = []
    for k, length_s in enumerate(LENGTHS_S):
        times = tuple(np.arange(round(25 * length_s)) / 25)
        path = render(folder / f"{k}.mp4", times_s=times, sound=noise(length_s, 16_000, seed=k),
                      rate_hz=16_000)  # fmt: skip
        split = "test" if k == 4 else "train"
        entries.append(Entry(f"clip{k}", path, split, (k % 2,), 0.0, length_s))
    return Manifest(tuple(entries), ("even", "odd"), multi_label=False, fingerprint="f")


def wanted(*places, **at):
    shares = {m: np.array(at.get(m, [0.5] * len(places)), float) for m in BOTH}
    return Wanted(np.array(places), shares)


@pytest.fixture(scope="module")
def readers():
    with Local(2) as executor:
        yield executor


def pictures(batch):
    return [numbers(np.moveaxis(clip, 0, -1)) for clip in batch.views["video"]]


def test_a_share_of_the_room_says_where_the_span_begins(manifest):
    clips = Streamed(manifest, VIEWS, Here(), {})
    ask = wanted(0, 0, 0, 1, 2, video=[0, 0.5, 1, 1, 0.7], audio=[0, 0.5, 1, 1, 0.7])
    (batch,) = clips.batches([ask])
    # 2 of 25 pictures a second, at 0.25 s and 0.75 s of the span: 3 s give room for 2 s, 1 s none
    assert pictures(batch) == [[6, 18], [31, 43], [56, 68], [31, 43], [6, 18]]


def test_a_clip_that_begins_amid_its_file_is_shown_from_there(manifest):
    """From 0.8 s to 2.8 s of 3 s."""
    part = replace(manifest.entries[0], start_s=0.8, end_s=2.8)
    clips = Streamed(replace(manifest, entries=(part,)), VIEWS, Here(), {})
    (batch,) = clips.batches([wanted(0, 0, 0, video=[0, 0.5, 1], audio=[0, 0.5, 1])])
    assert pictures(batch) == [[26, 38], [38, 51], [51, 63]]


def test_a_clip_that_is_shorter_than_the_span_is_shown_again_and_again(manifest):
    (batch,) = Streamed(manifest, VIEWS, Here(), {}).batches([wanted(3)])
    assert pictures(batch) == [[6, 8]]  # 0.75 s is 0.35 s of 0.4 s
    (rows,) = batch.views["audio"][0].astype(np.float32)
    assert np.abs(rows[8:38] - rows[48:78]).max() < 0.5 < np.abs(rows[8:38] - rows[28:58]).max()


def test_sound_and_pictures_may_be_asked_of_different_places(manifest):
    ask = wanted(0, 0, video=[0, 1], audio=[1, 0])
    (batch,) = Streamed(manifest, VIEWS, Here(), {}).batches([ask])
    (same,) = Streamed(manifest, VIEWS, Here(), {}).batches(
        [wanted(0, 0, video=[0, 1], audio=[0, 1])]
    )
    assert pictures(batch) == pictures(same) == [[6, 18], [56, 68]]
    np.testing.assert_array_equal(batch.views["audio"], same.views["audio"][::-1])


def test_one_modality_is_read_alone(manifest):
    ask = Wanted(np.array([1]), {"audio": np.array([0.5])})
    (batch,) = Streamed(manifest, VIEWS, Here(), {}).batches([ask])
    assert set(batch.views) == {"audio"}


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_come_in_their_order_with_any_number_of_readers(manifest, workers):
    random = np.random.default_rng(0)
    turns = ((0, 1, 2), (3, 0), (2,), (1, 1, 0, 3), (0, 2, 3))
    asks = [wanted(*places, video=random.random(len(places))) for places in turns]
    here = list(Streamed(manifest, VIEWS, Here(), {}).batches(asks))
    with Local(workers) as executor:
        there = list(Streamed(manifest, VIEWS, executor, {}).batches(asks))
    for one, other in zip(here, there, strict=True):
        assert one.places.tolist() == other.places.tolist()
        for m in BOTH:
            np.testing.assert_array_equal(one.views[m], other.views[m])


def test_a_clip_that_vanishes_is_left_out_and_named_where_that_is_allowed(manifest, tmp_path):
    gone = Entry("gone", tmp_path / "gone.mp4", "train", (0,), 0.0, 1.0)
    more = Manifest((*manifest.entries, gone), manifest.classes, multi_label=False, fingerprint="f")
    clips = Streamed(more, VIEWS, Here(), {"train": 1})
    first, second = clips.batches([wanted(0, 5, 1), wanted(5, 2)])
    assert (first.places.tolist(), second.places.tolist()) == ([0, 1], [2])
    assert pictures(first)[1] == [18, 31]
    assert set(clips.lost) == {"gone"} and "does not exist" in clips.lost["gone"]
    with pytest.raises(MbtError, match=r"gone: .*does not exist.*--retry-failed"):
        list(Streamed(more, VIEWS, Here(), {"test": 9}).batches([wanted(0, 5, 1)]))
    (none,) = Streamed(more, VIEWS, Here(), {"train": 1}).batches([wanted(5)])
    assert len(none.places) == 0 and none.views == {}


def test_an_error_of_a_reader_reaches_who_learns(manifest, readers, tmp_path):
    gone = Entry("gone", tmp_path / "gone.mp4", "train", (0,), 0.0, 1.0)
    more = Manifest((*manifest.entries, gone), manifest.classes, multi_label=False, fingerprint="f")
    batches = Streamed(more, VIEWS, readers, {}).batches([wanted(0), wanted(5)])
    assert next(batches).places.tolist() == [0]
    with pytest.raises(MbtError, match="gone"):
        next(batches)


def test_whoever_has_enough_leaves_nothing_running(manifest, readers):
    batches = Streamed(manifest, VIEWS, readers, {}).batches([wanted(0)] * 50)
    before = threading.active_count()
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before
    (again,) = Streamed(manifest, VIEWS, readers, {}).batches([wanted(1)])
    assert again.places.tolist() == [1]


class Watched(Streamed):
    """Counts the clips that were asked for."""

    taken = 0

    def _asks(self, one):
        for ask in super()._asks(one):
            self.taken += 1
            yield ask


def test_whoever_has_enough_does_not_wait_for_a_batch_to_be_complete(manifest, readers):
    clips = Watched(manifest, VIEWS, readers, {})
    batches = clips.batches([wanted(1), wanted(*[0] * 30_000)])
    next(batches)
    batches.close()
    assert clips.taken < 30_000


def test_each_split_has_clips_to_spare_of_its_own(manifest, tmp_path):
    gone = [Entry(f"gone{k}", tmp_path / "gone", split, (0,)) for k, split in
            enumerate(("train", "test", "train"))]  # fmt: skip
    more = replace(manifest, entries=(*manifest.entries, *gone))
    clips = Streamed(more, VIEWS, Here(), {"train": 1, "test": 1})
    for _ in range(2):  # a clip is lost once, however often it is asked for
        list(clips.batches([wanted(0, 5), wanted(1, 6), wanted(5)]))
    assert set(clips.lost) == {"gone0", "gone1"}
    with pytest.raises(MbtError, match="gone2"):
        list(clips.batches([wanted(0, 7)]))
    later = Streamed(more, VIEWS, Here(), {"train": 1, "test": 1})
    later.lost = {"gone0": "before the run went on"}
    with pytest.raises(MbtError, match="gone2"):
        list(later.batches([wanted(0, 6, 7)]))


READING = """
import sys
import numpy as np
from contextlib import closing
from pathlib import Path
from mbt_cli.data.clips import Wanted
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.dataset import Views
from mbt_cli.errors import MbtError
from mbt_cli.source import Source

def main(path, last):
    entries = (Entry("clip", Path(path), "train", (0,), 0.0, 3.0),
               Entry("last", Path(last), "test", (0,)))
    views = Views(span_s=1.0, frames=2, size=64, mel_bins=16, windows="random")
    source = Source(Manifest(entries, ("a", "b"), False, "f"), views, None, 2)
    at = lambda n: {m: np.full(n, 0.5) for m in ("audio", "video")}
    with source.opened() as clips:
        wanted = [Wanted(np.array([0]), at(1)), Wanted(np.array([0, 1]), at(2))]
        wanted += [Wanted(np.full(9, 0), at(9))] * 900
        with closing(clips.batches(wanted)) as batches:
            for batch in batches:
                print("read", flush=True)

if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except MbtError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
"""
"""A program that reads the first of two clips again and again, the other one once."""


def reading(folder, first, last):
    (folder / "reading.py").write_text(READING)
    words = [sys.executable, folder / "reading.py", first, last]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def below(pid):
    """The processes that a process has begun."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
        int(one) for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)
        for one in (task / "children").read_text().split()
    ]  # fmt: skip


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_ends_after_an_error_of_its_readers(manifest, tmp_path):
    """What they had begun is left behind, and still nobody waits for them."""
    program = reading(tmp_path, manifest.entries[0].path, tmp_path / "gone.mp4")
    said, why = program.communicate(timeout=60)
    assert program.returncode == 1 and said == "read\n" and "last: " in why, why


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_reader_outlives_who_it_reads_for(manifest, tmp_path, how):
    path = manifest.entries[0].path
    program = reading(tmp_path, path, path)
    for _ in range(3):
        assert program.stdout.readline() == "read\n"
    readers = below(program.pid)
    assert len(readers) >= 2
    os.kill(program.pid, how)
    program.communicate(timeout=30)
    until = time.monotonic() + 20
    while any(map(running, readers)):
        assert time.monotonic() < until, "a reader outlived its program"
        time.sleep(0.05)


def test_few_clips_wait_for_one_that_is_slow(manifest, readers, monkeypatch):
    """Of two readers one has a clip of 500 large pictures."""
    monkeypatch.setattr("mbt_cli.stream.WAITING", 16)
    slow = replace(manifest.entries[0], path=manifest.entries[0].path.with_name("slow.mp4"))
    render(slow.path, times_s=tuple(np.arange(500) / 25), size=(512, 512),
           sound=noise(20.0, 16_000), rate_hz=16_000)  # fmt: skip
    more = replace(manifest, entries=(*manifest.entries, replace(slow, end_s=20.0)))
    views = replace(VIEWS, frames=500, span_s=20.0)
    clips = Watched(more, views, readers, {})
    batches = clips.batches([wanted(5), *[wanted(3)] * 5000])
    next(batches)
    batches.close()
    assert clips.taken <= 16 + 3 * 8
    assert len(list(clips.batches([wanted(3)] * 60))) == 60  # what was used is no more in the way


def test_things_are_made_a_little_ahead_and_no_farther():
    made = []

    def things():
        for k in range(100):
            made.append(k)
            yield k

    some = ahead(things(), 3)
    assert list(islice(some, 2)) == [0, 1]
    some.close()
    assert len(made) <= 2 + 3 + 2


def test_windows_are_drawn_by_seed_and_step_and_are_the_same_for_both_unless_asynchronous():
    one, random, apart = (
        Views(windows=kind) for kind in ("one", "random", "asynchronous")
    )  # fmt: skip
    assert (windows(one, BOTH, 5, 0, 0)["audio"] == 0.5).all()
    drawn = windows(random, BOTH, 5, 0, 3)
    np.testing.assert_array_equal(drawn["audio"], drawn["video"])
    assert len(set(drawn["audio"])) == 5 and drawn["audio"].min() >= 0 and drawn["audio"].max() <= 1
    np.testing.assert_array_equal(drawn["audio"], windows(random, BOTH, 5, 0, 3)["audio"])
    for other in (windows(random, BOTH, 5, 1, 3), windows(random, BOTH, 5, 0, 4)):
        assert not np.array_equal(drawn["audio"], other["audio"])
    both = windows(apart, BOTH, 5, 0, 3)
    assert not np.array_equal(both["audio"], both["video"])


def test_crops_lie_uniformly_from_the_start_to_the_end_and_one_in_the_middle():
    assert crops(1) == [0.5]
    assert crops(4) == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_scores_of_a_clip_are_the_mean_over_its_crops(manifest):
    base = recipe("folder").at("model.depth", 2).at("model.patch", "10,16")
    experiment = replace(base, data=replace(base.data, views=VIEWS))
    torch.manual_seed(0)
    model = build(experiment.model, VIEWS.shapes, 2).eval()
    clips = Streamed(manifest, VIEWS, Here(), {})

    def logits(share):
        (batch,) = clips.batches([wanted(4, video=[share], audio=[share])])
        with torch.inference_mode():
            return predict(model(normalised(batch.views, VIEWS, "cpu"))).numpy()

    for many, shares in ((0, (0, 0.5, 1)), (1, (0.5,)), (2, (0, 1))):
        done = evaluate(model, experiment, clips, Evaluation(crops=many))
        mean = np.mean([logits(share) for share in shares], axis=0)
        np.testing.assert_allclose(done.scores, mean, rtol=1e-4, atol=1e-5)
        assert done.places.tolist() == [4] and done.figures["clips"] == 1


def test_a_test_clip_that_vanishes_is_not_scored(manifest, tmp_path):
    gone = Entry("gone", tmp_path / "gone.mp4", "test", (0,), 0.0, 1.0)
    more = Manifest((gone, *manifest.entries), manifest.classes, multi_label=False, fingerprint="f")
    base = recipe("folder").at("model.patch", "10,16")
    experiment = replace(base, data=replace(base.data, views=VIEWS))
    model = build(experiment.model, VIEWS.shapes, 2)
    done = evaluate(model, experiment, Streamed(more, VIEWS, Here(), {"test": 1}), Evaluation())
    assert done.places.tolist() == [5] and len(done.scores) == 1


def test_a_barcode_is_read_as_it_was_written():
    assert numbers(np.stack([barcode(k) for k in (0, 1, 77, 4099)])) == [0, 1, 77, 4099]
