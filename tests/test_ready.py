"""Clips made ready: how many must be there, how many may go, arrays or files."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from mbt_cli.data import open_manifest
from mbt_cli.data.manifest import SPLITS, Entry, Manifest
from mbt_cli.dataset import Synthetic, Views
from mbt_cli.errors import MbtError
from mbt_cli.executors import Here
from mbt_cli.ready import enough, ready, spare


def manifest(train=(7, 7), validation=(3, 3), test=(5, 5), lost=""):
    """So many clips of each split, of so many expected ones."""
    counts = dict(zip(SPLITS, (train, validation, test), strict=True))
    entries = [
        Entry(f"{split}/{k}", Path("none"), split, (0,))
        for split, (there, _) in counts.items() for k in range(there)
    ]  # fmt: skip
    expected = {split: of for split, (_, of) in counts.items()}
    return Manifest(tuple(entries), ("a", "b"), False, "f", expected=expected, lost=lost)


class Screen:
    def __init__(self):
        self.lines = []

    def bar(self, title, total, things="clips"):
        self.lines.append(f"{title}: {total} {things}")
        return nullcontext(lambda _: None)

    def say(self, sentence):
        self.lines.append(sentence)


def test_all_clips_are_enough_and_none_may_go():
    enough(manifest(), {}, 1.0)
    assert spare(manifest(), 1.0) == {"train": 0, "validation": 0, "test": 0}


def test_a_split_without_clips_is_refused_however_few_would_do():
    gone = {f"test/{k}": "They are gone." for k in range(5)}
    for there, lost in ((manifest(test=(0, 5), lost="5 missing"), {}), (manifest(), gone)):
        with pytest.raises(MbtError, match="No clip of the test split can be read") as error:
            enough(there, lost, 0.0)
        why = "They are gone." if lost else "Of 5 expected ones there is none. Lost: 5 missing."
        assert why in str(error.value)


def test_only_the_splits_that_are_needed_are_looked_at():
    less = manifest(train=(0, 7), validation=(1, 3))
    enough(less, {}, 1.0, ["test"])
    with pytest.raises(MbtError, match="train"):
        enough(less, {}, 0.0)


def test_what_is_missing_and_what_cannot_be_read_count_alike():
    one = manifest(train=(90, 100), lost="10 missing (such as x)")
    enough(one, {}, 0.9)
    with pytest.raises(MbtError) as error:
        enough(one, {"train/3": "It is torn."}, 0.9)
    assert str(error.value) == (
        "1 of 98 clips cannot be read; the first, train/3: It is torn. The train split has 89 of"
        " 100 expected clips (89.0%). Lost: 10 missing (such as x). Mend or add clips, or do"
        " without them: --min-coverage 0.89."
    )
    enough(one, {"train/3": "It is torn."}, 0.89)


@pytest.mark.parametrize("expected", [3, 7, 10, 29, 100, 113, 997, 100_003])
def test_the_coverage_that_is_proposed_is_accepted_and_leaves_what_it_says(expected):
    """Of every share in hundredths: 0.55 * 100 is more than 55 in floating point."""
    for there in {max(1, expected * k // 100) for k in range(101)} - {expected}:
        some = Manifest(
            (Entry("a", Path("none"), "train", (0,)),) * there, ("a",), False, "f",
            expected={"train": expected},
        )  # fmt: skip
        with pytest.raises(MbtError) as error:
            enough(some, {}, 1.0, ["train"])
        share = float(str(error.value).rpartition("--min-coverage ")[2].rstrip("."))
        enough(some, {}, share, ["train"])
        may_go = spare(some, share)["train"]
        assert (there - may_go) >= share * expected - 1e-6 > there - may_go - 1
        if expected > 10_000:
            break


def test_so_many_may_go_as_leave_the_share_in_each_split_of_its_own():
    some = manifest(train=(10, 10), validation=(19, 20), test=(5, 5))
    assert spare(some, 0.9) == {"train": 1, "validation": 1, "test": 0}
    assert spare(some, 0.0) == {"train": 10, "validation": 19, "test": 5}
    assert spare(manifest(train=(3, 10)), 0.9)["train"] == 0
    assert spare(Manifest(some.entries, ("a",), False, "f"), 0.5)["train"] == 5


VIEWS = Views(span_s=0.5, frames=2, size=16, mel_bins=16)


@pytest.mark.parametrize(
    ("views", "how", "arrays"),
    [
        (VIEWS, {}, True),
        (VIEWS, {"crops": 2}, False),
        (Views(span_s=0.5, frames=2, size=16, mel_bins=16, crops=2), {}, False),
        (Views(span_s=0.5, frames=2, size=16, mel_bins=16, crops=2), {"crops": 1}, True),
        (Views(span_s=0.5, frames=2, size=16, mel_bins=16, windows="random"), {"crops": 1}, False),
        (VIEWS, {"cache_gb": 1e-9}, False),
    ],
)
def test_arrays_are_made_where_each_clip_shows_one_span(tmp_path, monkeypatch, views, how, arrays):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path))
    data = Synthetic(train=3, validation=2, test=2, views=views)
    clips, screen = open_manifest(data), Screen()
    source = ready(data, clips, Here(), screen, min_coverage=0.5, readers=5, **how)
    assert all(entry.path.exists() for entry in clips.entries)
    assert (source.folder is not None) == arrays
    assert source.readers == 5
    assert source.spare == {"train": 1, "validation": 1, "test": 1}
    assert any("--cache-gb 1e-09" in line for line in screen.lines) == ("cache_gb" in how)
    with source.opened() as opened:
        assert len(opened.places("test")) == 2


def test_what_cannot_be_read_is_named_and_left_out_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path))
    data = Synthetic(train=3, validation=2, test=2, views=VIEWS)
    clips, screen = open_manifest(data), Screen()
    clips.entries[1].path.parent.mkdir(parents=True)
    clips.entries[1].path.write_bytes(b"")
    with pytest.raises(MbtError, match=r"train split has 2 of 3 .*--min-coverage 0.66"):
        ready(data, clips, Here(), screen, min_coverage=1.0)
    ready(data, clips, Here(), screen, min_coverage=0.66)
    assert "1 of 7 clips cannot be read" in screen.lines[-1] and "left out" in screen.lines[-1]
    ready(data, clips, Here(), screen, min_coverage=1.0, splits=["test"])
