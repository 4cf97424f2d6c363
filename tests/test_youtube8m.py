"""YouTube-8M: what records hold, which clips come of them, and what is lost of damaged shards."""

import json
import pickle
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from rich.console import Console
from shards import (
    flipped,
    floats,
    integers,
    of_seconds,
    of_segments,
    of_video,
    record,
    shard,
    text,
    vectors,
)

from mbt_cli.census import account
from mbt_cli.data import cache, make_ready, one_by_one
from mbt_cli.data.clips import Wanted
from mbt_cli.data.example import example
from mbt_cli.data.fault import ClipError
from mbt_cli.data.features import dequantised, excerpt, identity, view
from mbt_cli.data.manifest import Entry, Manifest
from mbt_cli.data.records import Records
from mbt_cli.data.shard import Kind, Row, rows
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.snapshot import load
from mbt_cli.data.tfrecord import frames
from mbt_cli.data.youtube8m import names
from mbt_cli.dataset import FEATURES, Features, Views, YouTube8M
from mbt_cli.errors import MbtError
from mbt_cli.executors import Here, Local
from mbt_cli.intake import frozen_of, opened
from mbt_cli.ready import enough, ready
from mbt_cli.scan import scan
from mbt_cli.stream import Streamed
from mbt_cli.terminal import Screen

GOLDEN = Path(__file__).parent / "records"
VALUES = np.load(GOLDEN / "yt8m_values.npz")
MEANS = YouTube8M(level="video", classes=23, views=Features(form="mean"))
FRAMES = replace(MEANS, level="frame")
FORMS = ("mean", "mean_std", "segments", "segments_std")


class Quiet(Screen):
    """A screen whose lines can be read."""

    def __init__(self):
        super().__init__(Console(record=True, width=500, file=StringIO()))

    @property
    def lines(self):
        return self.console.export_text(clear=False)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "cache"))


def scanned(spec, root, metadata=None, executor=None, show=None):
    return scan(spec, root, metadata, leave_out=(), executor=executor or Here(),
                show=show or Quiet())  # fmt: skip


def told(seen):
    console = Console(record=True, width=400, file=StringIO())
    console.print(account(seen))
    return " ".join(console.export_text().split())


def golden(kind):
    return [example(one.data) for one in frames(GOLDEN / f"yt8m_{kind}.tfrecord")]


# What TensorFlow writes, and what it reads of it


@pytest.mark.parametrize(("kind", "many"), [("video", 3), ("frame", 3), ("segment", 2)])
def test_records_say_what_tensorflow_reads_of_them_bit_by_bit(kind, many):
    found = golden(kind)
    assert len(found) == many
    for i, one in enumerate(found):
        true = {name.split("/")[-1]: VALUES[name] for name in VALUES.files
                if name.startswith(f"{kind}/{i}/")}  # fmt: skip
        assert identity(one) == true["id"].item().decode()
        assert one.integers("labels") == true["labels"].tolist()
        for m, width in FEATURES.items():
            name = {"audio": "audio", "video": "rgb"}[m]
            if kind == "video":
                assert np.array_equal(one.floats(f"mean_{name}"), true[f"mean_{name}"])
                continue
            assert np.array_equal(one.vectors(name, width), true[name])
            mean, std = view(one.vectors(name, width), Features(form="mean_std")).T
            assert np.allclose(mean, true[f"{name}_mean"], atol=1e-6)
            assert np.allclose(std, true[f"{name}_std"], atol=1e-6)
        if kind != "video":
            for name in ("segment_labels", "segment_start_times"):
                assert one.integers(name) == true[name].tolist()
            assert np.array_equal(one.floats("segment_scores"), true["segment_scores"])


def test_bytes_stand_for_the_values_that_the_official_reader_gives_them():
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(dequantised(every), VALUES["dequantized"])
    assert np.allclose(dequantised(every), every * (4 / 255) + (4 / 512 - 2), atol=1e-6)


def test_the_clips_of_tensorflows_shards_are_the_segments_that_were_rated_true():
    found = [*rows(Kind("segment", 3862), GOLDEN / "yt8m_segment.tfrecord")]
    assert [(row.video, row.start_s, row.end_s, row.labels) for row in found] == [
        ("gg06", 0.0, 5.0, (11,)), ("gg06", 5.0, 10.0, ()), ("gg06", 10.0, 15.0, (11,)),
        ("hh07", 0.0, 5.0, (3861,)),
    ]  # fmt: skip


def field(number, data, spare=0):
    """A field of bytes on the wire, its length in so many bytes more than it needs."""
    length, said = len(data), b""
    while length > 0x7F:
        said, length = said + bytes([0x80 | (length & 0x7F)]), length >> 7
    said += bytes([0x80 | length]) + b"\x80" * (spare - 1) + b"\0" if spare else bytes([length])
    return bytes([number << 3 | 2]) + said + data


def test_numbers_that_are_not_packed_are_read_too():
    """Field 1 of wire type 5 for each, as version 2 of protobuf writes them unless told not to."""
    values = np.linspace(-2, 2, 1024, dtype=np.float32)
    each = b"".join(b"\x0d" + value.tobytes() for value in values)
    packed = field(1, values.tobytes())
    for written in (each, packed, packed[:0] + field(1, values[:7].tobytes()) + each[5 * 7 :]):
        entry = field(1, b"mean_rgb") + field(2, field(2, written))
        found = example(field(1, field(1, entry))).floats("mean_rgb")
        assert np.array_equal(found, values) and found.dtype == np.float32


def test_vectors_that_are_written_another_way_are_the_same_vectors():
    """A length may take more bytes than it needs."""
    for seconds in (1, 5):
        true = vectors(seconds)["audio"]
        said = example(of_seconds(seconds=seconds))
        assert np.array_equal(said.vectors("audio", 128), true)
        for spare in range(3):
            odd = b"".join(field(1, field(1, field(1, row.tobytes(), spare))) for row in true)
            assert (said.lists["audio"] == odd) == (not spare)
            assert np.array_equal(replace(said, lists={"audio": odd}).vectors("audio", 128), true)


# What the model is given of them


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seconds", [1, 3, 7, 16, 23, 300, 307])
def test_a_view_is_what_its_definition_says(form, seconds):
    stored = np.random.default_rng(seconds).integers(0, 256, (seconds, 11), np.uint8)
    views = Features(form=form, segments=5, longest_s=301)
    values = stored[:301].astype(float) * (4 / 255) + (4 / 512 - 2)
    n, many = len(values), 5 if form.startswith("segments") else 1
    parts = [[t for t in range(n) if int((t + 0.5) * many / n) == k] for k in range(many)]
    parts = [part or [int((k + 0.5) * n / many)] for k, part in enumerate(parts)]
    mean = np.stack([values[part].mean(0) for part in parts], 1)
    std = np.stack([values[part].std(0) for part in parts], 1)
    true = {
        "mean": mean, "mean_std": np.concatenate([mean, std], 1), "segments": mean,
        "segments_std": np.concatenate([mean, std]),
    }[form]  # fmt: skip
    assert np.allclose(view(stored, views), true, atol=2e-6)


def test_the_deviation_of_what_never_changes_is_nothing():
    assert (view(np.full((7, 3), 201, np.uint8), Features(form="mean_std"))[:, 1] == 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_an_excerpt_has_the_shape_and_form_that_its_settings_say(tmp_path, form):
    path = shard(tmp_path / "a.tfrecord", of_seconds(seconds=7))
    views = Features(form=form, segments=3)
    entry = Entry("aaaa", path, "train", (), 0.0, 7.0, "aaaa")
    found = excerpt(entry, views, FEATURES)
    assert {m: of.shape for m, of in found.items()} == views.shapes
    assert {str(of.dtype) for of in found.values()} == {"float16"}
    assert np.array_equal(found["video"],
                          view(vectors(7)["video"], views).astype(np.float16))  # fmt: skip


def test_a_segment_is_shown_alone(tmp_path):
    path = shard(tmp_path / "a.tfrecord", of_segments(rated=((5, 0, 1.0),), seconds=11))
    entry = Entry("aaaa_5", path, "train", (0,), 5.0, 10.0, "aaaa")
    found = excerpt(entry, Features(form="mean"), ["audio"])
    alone = view(vectors(11)["audio"][5:10], Features(form="mean"))
    assert [*found] == ["audio"] and np.array_equal(found["audio"], alone.astype(np.float16))


# Which clips there are, and what is lost


def test_a_scan_finds_every_video_with_its_labels_and_its_place(tmp_path):
    shard(tmp_path / "d" / "train0.tfrecord", of_video("aaaa", (3, 1, 3)), of_video("bbbb", (), 1))
    shard(tmp_path / "d" / "sub" / "validate0.tfrecord", of_video("cccc", (22,), 2))
    seen = scanned(replace(MEANS, validation=1e-9), tmp_path / "d")
    found = {entry.name: entry for entry in seen.manifest.entries}
    assert [(e.name, e.split, e.labels, e.path.name) for e in found.values()] == [
        ("cccc", "test", (22,), "validate0.tfrecord"), ("aaaa", "train", (1, 3), "train0.tfrecord"),
        ("bbbb", "train", (), "train0.tfrecord"),
    ]  # fmt: skip
    assert found["aaaa"].offset == found["cccc"].offset == 0 < found["bbbb"].offset
    assert seen.manifest.classes == tuple(f"class {k}" for k in range(23))
    assert seen.manifest.multi_label and seen.manifest.of_records
    assert seen.header["class_list"].startswith("youtube8m-23 (")
    said = told(seen)
    assert (
        "3 of 3 videos of youtube8m can be used, of 2 shards; classes" in said
        and " s " not in (said.split("classes")[0])
    )
    assert json.loads(json.dumps(seen.header)) == seen.header


def test_seconds_are_counted_where_records_tell_them(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_seconds("aaaa", seconds=7), of_seconds("bbbb", (), 5))
    seen = scanned(FRAMES, tmp_path)
    assert "2 of 2 videos" in told(seen) and "of 1 shard, 12 s in all" in told(seen)


def test_what_is_frozen_is_the_same_when_it_is_read_again(tmp_path):
    shard(tmp_path / "d" / "train0.tfrecord", of_seconds("aaaa", (1,)), of_seconds("bbbb", (2, 3)))
    seen = replace(scanned(FRAMES, tmp_path / "d"), name="mine")
    again = load(seen.save(tmp_path / "r"))
    assert again.manifest == seen.manifest and again.fingerprint == seen.fingerprint
    same = replace(FRAMES, vocabulary=3, views=Features(form="mean_std"))
    assert frozen_of(same, tmp_path / "d", tmp_path / "r")
    assert not frozen_of(replace(FRAMES, folds=2), tmp_path / "d", tmp_path / "r")


@pytest.fixture
def three(tmp_path):
    """Three shards of three videos."""
    for k in range(3):
        shard(tmp_path / "d" / f"train{k}.tfrecord",
              *(of_video(f"{3 * c}{k}", (k,), 3 * k + i) for i, c in enumerate("abc")))  # fmt: skip
    return tmp_path / "d"


def test_a_flipped_bit_a_torn_shard_an_empty_one_and_no_shard_at_all_are_counted_apart(three):
    """And the rest is used."""
    flipped(three / "train0.tfrecord", 4700 + 500)
    data = (three / "train1.tfrecord").read_bytes()
    (three / "train1.tfrecord").write_bytes(data[: len(data) - 17])
    flipped(three / "train2.tfrecord", 3)
    (three / "train3.tfrecord").touch()
    (three / "train4.tfrecord").write_text("no shard")
    (three / "train5.tfrecord").write_text("no shard at all")
    seen = scanned(MEANS, three)
    assert sorted(seen.used["name"]) == ["aaa0", "aaa1", "bbb1", "bbb2", "ccc0", "ccc2"]
    lost = seen.table[~seen.table["used"]].set_index("name")
    reasons = lost["reason"].to_dict()
    size = len(data) // 3
    assert reasons == {
        f"train0.tfrecord@{size}": "checksum", f"train1.tfrecord@{2 * size}": "torn",
        "train2.tfrecord@0": "torn", "train3.tfrecord@0": "empty", "train4.tfrecord@0": "torn",
        "train5.tfrecord@0": "no_tfrecord",
    }  # fmt: skip
    details = lost["detail"].to_dict()
    assert "the record 'bbb0' does not fit its checksum" in details[f"train0.tfrecord@{size}"]
    assert f"byte {2 * size:,}: the file ends within" in details[f"train1.tfrecord@{2 * size}"]
    assert f"{size - 17:,} bytes are lost" in details[f"train1.tfrecord@{2 * size}"]
    assert f"the next whole one is at byte {size:,}; {size:,} bytes" in details["train2.tfrecord@0"]
    assert f"3 torn (such as train1.tfrecord@{2 * size}: the file ends" in seen.manifest.lost
    assert "train3.tfrecord has no content" in seen.manifest.lost
    assert str(three) not in seen.manifest.lost
    assert sum(seen.manifest.expected.values()) == 12 and "6 of 12 videos" in told(seen)
    with pytest.raises(MbtError, match="--min-coverage 0"):
        enough(seen.manifest, {}, 0.99, ["train"])


def test_what_is_damaged_is_said_as_far_as_it_can_be_told(three):
    size = (three / "train0.tfrecord").stat().st_size // 3
    flipped(three / "train0.tfrecord", 12)  # the record's first tag, before its name
    flipped(three / "train1.tfrecord", 2 * size + 3)  # a header after which there is no other
    with (three / "train2.tfrecord").open("ab") as file:
        file.write(b"!")
    (three / "train3.tfrecord").write_text("no shard at all")
    details = [
        row.detail
        for path in sorted(three.iterdir())
        for row in rows(Kind("video", 23), path)
        if row.reason
    ]
    assert details == [
        f"{three}/train0.tfrecord, byte 0: the record does not fit its checksum.",
        f"{three}/train1.tfrecord, byte {2 * size:,}: the header that should begin here is damaged,"
        f" and the next whole one is not to be found; {size:,} bytes are lost.",
        f"{three}/train2.tfrecord, byte {3 * size:,}: the file ends within the record that begins"
        " here; 1 byte is lost.",
        f"{three}/train3.tfrecord has no valid header anywhere.",
    ]


@pytest.mark.parametrize(
    ("spec", "data", "found", "mend"),
    [
        (FRAMES, of_video(), "means over a video", "--set data.level=video --set data.views.form"),
        (replace(FRAMES, level="segment"), of_video(), "means over a video", "data.level=video"),
        (MEANS, of_seconds(), "every second of a video", "--set data.level=frame"),
        (MEANS, of_segments(), "every second of a video", "--set data.level=frame"),
        (replace(FRAMES, level="segment"), of_seconds(), "no segment of the record has labels",
         "--set data.level=frame"),
    ],
)  # fmt: skip
def test_a_shard_of_another_level_says_what_it_is_and_what_to_set(
    tmp_path, spec, data, found, mend
):
    shard(tmp_path / "train0.tfrecord", data)
    seen = scanned(spec, tmp_path)
    (row,) = seen.table.to_dict("records")
    assert row["reason"] == "wrong_kind" and not row["used"]
    assert found in row["detail"] and mend in row["detail"] and mend in told(seen)
    with pytest.raises(
        MbtError, match="No clip of youtube8m can be used: of 1 listed ones 1 wrong"
    ):
        opened(spec, tmp_path, tmp_path / "r", executor=Here(), show=Quiet())


def test_records_with_rated_segments_are_frame_level_records_too(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_segments(seconds=11))
    (entry,) = scanned(FRAMES, tmp_path).manifest.entries
    assert (entry.labels, entry.end_s) == ((0,), 11.0)


@pytest.mark.parametrize(
    ("label", "mend"),
    [(23, "3862."), (3861, "3862."), (3862, "4716."), (4715, "4716."), (4716, None), (-1, None)],
)
def test_a_class_out_of_range_is_named_and_the_rest_used(tmp_path, label, mend):
    shard(tmp_path / "train0.tfrecord", of_video("aaaa", (1, label)), of_video("bbbb", (22,), 1))
    seen = scanned(MEANS, tmp_path)
    assert [*seen.used["name"]] == ["bbbb"]
    (row,) = seen.table[~seen.table["used"]].to_dict("records")
    assert row["reason"] == "class_out_of_range" and row["group"] == "aaaa"
    assert f"has class {label}, and data.classes is 23" in row["detail"]
    assert row["detail"].partition("--set data.classes=")[2] == (mend or "")
    assert row["detail"] in told(seen)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff no message", "There is no SequenceExample in it"),
        (b"", "id has 0 values"),
        (of_video(id=None), "id has 0 values"),
        (of_video(id=text(b"a", b"b")), "id has 2 values"),
        (of_video(id=text(b"")), "id has 1 values"),
        (of_video(id=text(b"\xff")), "id is no text"),
        (of_video(id=floats([1])), "id has 0 values"),
        (of_video(mean_audio=None), "it has no mean_audio, only id, labels, mean_rgb"),
        (of_video(mean_audio=None, mean_rgb=None, mean_inc3=floats([1])),
         "it has no features: id, labels, mean_inc3"),
        (of_video(mean_rgb=floats(range(1023))), "mean_rgb has 1023 values, not 1024"),
        (of_video(mean_rgb=integers(*range(1024))), "mean_rgb has 0 values, not 1024"),
        (of_video(mean_audio=floats([*range(127), np.nan])), "mean_audio has values that are no"),
        (of_video(mean_audio=floats([*range(127), np.inf])), "mean_audio has values that are no"),
    ],
)  # fmt: skip
def test_what_a_video_level_record_lacks_is_said(tmp_path, data, why):
    shard(tmp_path / "train0.tfrecord", data, of_video("good", (), 1))
    seen = scanned(MEANS, tmp_path)
    assert [*seen.used["name"]] == ["good"]
    (row,) = seen.table[~seen.table["used"]].to_dict("records")
    assert row["reason"] == "malformed" and why in row["detail"]


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"rgb": [text(bytes(1024))] * 3}, "it has no audio, only id, rgb"),
        ({"rgb": [text(bytes(1024))] * 3, "audio": [text(bytes(128))] * 2}, "2 of audio and 3 of"),
        ({"rgb": [], "audio": []}, "0 of audio and 0 of rgb"),
        ({"rgb": [text(bytes(1024)), text(bytes(1023))], "audio": [text(bytes(128))] * 2},
         "rgb of second 1 has 1023 bytes, not 1024"),
        ({"rgb": [text(bytes(1024)), text()], "audio": [text(bytes(128))] * 2},
         "rgb of second 1 has no bytes"),
        ({"rgb": [text(bytes(1000), bytes(24))], "audio": [text(bytes(128))]},
         "rgb of second 0 has 1000, 24 bytes, not 1024"),
        ({"rgb": [text(bytes(1024))] * 2, "audio": [text(bytes(127)), text(bytes(129))]},
         "audio of second 0 has 127 bytes, not 128"),
        ({"rgb": [floats([1])], "audio": [text(bytes(128))]}, "rgb of second 0 has no bytes"),
    ],
)  # fmt: skip
def test_what_a_frame_level_record_lacks_is_said(tmp_path, lists, why):
    path = shard(tmp_path / "train0.tfrecord", record({"id": text(b"aaaa")}, lists))
    (row,) = rows(Kind("frame", 23), path)
    assert row.reason == "malformed" and why in row.detail and row.video == "aaaa"


@pytest.mark.parametrize(
    ("rated", "why"),
    [
        (((7, 0, 1.0),), "segment from 7 s is not within its 11 s"),
        (((-1, 0, 1.0),), "segment from -1 s"),
        (((0, 0, np.nan),), "it has scores that are no numbers."),
    ],
)
def test_what_a_segment_level_record_lacks_is_said(tmp_path, rated, why):
    path = shard(tmp_path / "train0.tfrecord", of_segments(rated=rated))
    (row,) = rows(Kind("segment", 23), path)
    assert row.reason == "malformed" and why in row.detail


def test_labels_of_segments_without_as_many_starts_and_scores_are_malformed(tmp_path):
    odd = {"segment_labels": integers(0, 3), "segment_scores": floats([1, 1, 1])}
    path = shard(tmp_path / "train0.tfrecord", of_segments(**odd))
    (row,) = rows(Kind("segment", 23), path)
    said = f"{path}, byte 0: it has 2 segment labels, 1 start times and 3 scores."
    assert row == Row(0, "aaaa", reason="malformed", detail=said)


def test_a_segment_has_the_labels_that_were_rated_at_least_half(tmp_path):
    rated = ((0, 1, 0.5), (0, 2, 0.4999), (5, 3, 1.0))
    path = shard(tmp_path / "train0.tfrecord", of_segments(rated=rated))
    assert [row.labels for row in rows(Kind("segment", 23), path)] == [(1,), (3,)]


def test_records_of_2017_call_their_id_otherwise(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_video(id=None, video_id=text(b"-0AB1cD2eF3")))
    assert [*scanned(MEANS, tmp_path).used["name"]] == ["-0AB1cD2eF3"]


def test_a_shard_that_is_gone_or_may_not_be_read_is_one_loss(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_video())
    (tmp_path / "train1.tfrecord").symlink_to(tmp_path / "nowhere")
    seen = scanned(MEANS, tmp_path)
    assert sorted(seen.table["reason"]) == ["", "missing"]
    said = f"{tmp_path}/train1.tfrecord cannot be read: No such file or directory."
    assert [*rows(Kind("video", 23), tmp_path / "train1.tfrecord")] == [
        Row(0, reason="missing", detail=said)
    ]


# Names, splits, classes


def test_clips_of_one_id_have_names_of_their_own_and_copies_are_taken_once(tmp_path):
    one, other, again = of_video("aaaa", (1,)), of_video("aaaa", (2,), 1), of_video("bbbb", (), 2)
    shard(tmp_path / "train0.tfrecord", one, again)
    shard(tmp_path / "train1.tfrecord", one, other)
    seen = scanned(MEANS, tmp_path)
    size = seen.table["offset"].max()
    assert sorted(seen.used["name"]) == ["aaaa", f"aaaa@train1.tfrecord:{size}", "bbbb"]
    assert [*seen.used["group"]] == ["aaaa", "bbbb", "aaaa"]
    notes = " ".join(seen.header["notes"])
    assert "1 record is there before, bit by bit" in notes
    assert "1 record has an id that another record has" in notes


def test_a_video_for_testing_is_not_learned_from(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_video("aaaa"), of_video("bbbb", (), 1))
    shard(tmp_path / "validate0.tfrecord", of_video("aaaa"))
    seen = scanned(MEANS, tmp_path)
    assert dict(zip(seen.used["name"], seen.used["split"], strict=True))["aaaa"] == "test"
    assert len(seen.used) == 2 and "1 training clip is of videos that" in seen.header["notes"][0]


def test_shards_without_published_labels_and_those_of_other_names_are_left_out_with_a_note(
    tmp_path,
):
    for name in ("train0", "test0", "test1", "mine"):
        shard(tmp_path / f"{name}.tfrecord", of_video(name))
    seen = scanned(MEANS, tmp_path)
    assert [*seen.used["name"]] == ["train0"]
    notes = " ".join(seen.header["notes"])
    assert "2 shards are named test*" in notes and "1 shard is named neither train* nor" in notes
    folds = scanned(replace(MEANS, folds=2, fold=1, validation=1e-9), tmp_path)
    assert dict(zip(folds.used["name"], folds.used["split"], strict=True)) == {
        "mine": "train", "train0": "test"}  # fmt: skip
    assert "2 shards are named test*" in folds.header["notes"][0]


def test_every_shard_is_for_testing_in_one_fold(tmp_path):
    for k in range(5):
        shard(tmp_path / f"validate{k}.tfrecord", of_video(f"{k}", (), k))
    tested = [[*scanned(replace(MEANS, folds=2, fold=k), tmp_path).used.query("split == 'test'")
               ["name"]] for k in range(2)]  # fmt: skip
    assert tested == [["0", "2", "4"], ["1", "3"]]
    assert "data.folds=6" in scanned(MEANS, tmp_path).header["notes"][0]
    with pytest.raises(MbtError, match="folds is 6, but .* has only 5 shards with labels"):
        scanned(replace(MEANS, folds=6), tmp_path)


def test_validation_takes_videos_by_their_names_alone(tmp_path):
    shard(tmp_path / "train0.tfrecord", *(of_video(f"v{k}", (), k) for k in range(41)))
    half = replace(MEANS, validation=0.5)
    first = scanned(half, tmp_path).used.set_index("name")["split"].to_dict()
    assert 10 < sum(split == "validation" for split in first.values()) < 31
    shard(tmp_path / "train1.tfrecord", of_video("more", (), 99))
    (tmp_path / "train0.tfrecord").rename(tmp_path / "train7.tfrecord")
    again = scanned(half, tmp_path).used.set_index("name")["split"].to_dict()
    assert {name: again[name] for name in first} == first
    assert (
        scanned(replace(half, split_seed=1), tmp_path).used.set_index("name")["split"].to_dict()
        != again
    )


def test_all_segments_of_a_video_are_of_one_split(tmp_path):
    rated = tuple((5 * k, 0, 1.0) for k in range(3))
    shard(tmp_path / "train0.tfrecord",
          *(of_segments(f"v{k}", rated, 17, k) for k in range(17)))  # fmt: skip
    used = scanned(replace(FRAMES, level="segment", validation=0.5), tmp_path).used
    assert len(used) == 51 and used.groupby("group")["split"].nunique().max() == 1
    assert {"v0_0", "v0_5", "v0_10"} <= {*used["name"]} and used["split"].nunique() == 2


def test_classes_have_the_names_of_the_vocabulary_told_apart(tmp_path):
    root = tmp_path / "d"
    shard(root / "train0.tfrecord", of_video())
    rows_ = ["Index,TrainVideoCount,Name", "0,9,Game", '1,8,"Tea, Earl Grey"', "2,7,", "3,6,Game"]
    (root / "vocabulary.csv").write_text("\n".join(rows_) + "\n")
    spec = replace(MEANS, classes=4)
    assert names(spec, Shelf(root)) == ("Game (0)", "Tea, Earl Grey", "class 2", "Game (3)")
    seen = scanned(spec, root)
    assert seen.manifest.classes[1] == "Tea, Earl Grey"
    (root / "vocabulary.csv").rename(tmp_path / "vocabulary.csv")
    unnamed = scanned(spec, root)
    assert unnamed.manifest.classes[1] == "class 1"
    assert unnamed.fingerprint == seen.fingerprint  # names change no run's key
    assert scanned(replace(spec, classes=5), root).fingerprint != seen.fingerprint
    with pytest.raises(MbtError, match="has 4 classes, but data.classes is 23.*data.classes to 4"):
        scanned(MEANS, root, tmp_path / "vocabulary.csv")


def test_another_label_another_value_or_another_split_is_another_fingerprint(tmp_path):
    found = []
    for labels, seed, name in (((1,), 0, "train0"), ((2,), 0, "train0"), ((1,), 1, "train0"),
                               ((1,), 0, "validate0")):  # fmt: skip
        root = tmp_path / f"{len(found)}"
        shard(root / f"{name}.tfrecord", of_video("aaaa", labels, seed))
        found.append(scanned(MEANS, root).fingerprint)
    assert len({*found}) == 4
    assert (
        scanned(MEANS, shutil.copytree(tmp_path / "0", tmp_path / "copy")).fingerprint == found[0]
    )


def test_a_first_video_without_labels_has_none_of_a_smaller_vocabulary_either(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_seconds("aaaa"), of_seconds("bbbb", (3, 22), seed=1))
    fewer = scanned(FRAMES, tmp_path).manifest.first(4)
    assert [entry.labels for entry in fewer.entries] == [(), (3,)]


def test_a_folder_without_shards_is_an_error(tmp_path):
    with pytest.raises(MbtError, match=r"No \*.tfrecord lies below"):
        scanned(MEANS, tmp_path)


def test_many_entries_in_a_few_arrays_are_the_rows_of_the_scan(tmp_path):
    shard(tmp_path / "train0.tfrecord", of_seconds("aäa", (1, 22)), of_seconds("b", (), 5, 1))
    shard(tmp_path / "validate0.tfrecord", of_segments("ccccc", seconds=11))
    seen = scanned(replace(FRAMES, validation=0.7), tmp_path)
    manifest = seen.manifest
    split = dict(zip(seen.used["name"], seen.used["split"], strict=True))
    size = int(seen.used["offset"].max())
    one, other = tmp_path / "train0.tfrecord", tmp_path / "validate0.tfrecord"
    true = (
        Entry("aäa", one, split["aäa"], (1, 22), 0.0, 7.0, "aäa"),
        Entry("b", one, split["b"], (), 0.0, 5.0, "b", size),
        Entry("ccccc", other, "test", (0,), 0.0, 11.0, "ccccc"),
    )
    entries = manifest.entries
    assert isinstance(entries, Records) and tuple(entries) == true == entries[:]
    assert entries[-1] == entries[np.int64(2)] == true[2] and entries[1:] == true[1:]
    assert [*entries.names] == [*entries.groups] == ["aäa", "b", "ccccc"]
    assert pickle.loads(pickle.dumps(entries)) == entries != scanned(FRAMES, tmp_path).manifest
    for past in (3, -4):
        with pytest.raises(IndexError):
            entries[past]
    clips, plain = (Streamed(replace(manifest, entries=of), FRAMES.views, Here(), {})
                    for of in (entries, true))  # fmt: skip
    for name in ("train", "validation", "test"):
        places = clips.places(name)
        assert np.array_equal(places, plain.places(name)) and len(places) == manifest.count(name)
        orders = [of.shuffled(places, np.random.default_rng(5)) for of in (clips, plain)]
        assert np.array_equal(*orders)
    assert np.array_equal(clips.labels(np.arange(3)), plain.labels(np.arange(3)))
    for classes in (1, 2, 23):
        fewer = manifest.first(classes)
        assert isinstance(fewer.entries, Records)
        assert fewer.entries[:] == replace(manifest, entries=true).first(classes).entries
    for of in (clips, plain):
        of.left_out = {"b": "why"}
    for name in ("train", "validation", "test"):
        assert np.array_equal(clips.places(name), plain.places(name))
        assert 1 not in clips.places(name)


def test_what_is_read_into_arrays_are_parts_of_one_shard_and_each_record_once():
    clips = [("abc"[shard], place) for shard, many in enumerate((300, 1, 257)) for place in
             range(many)]  # fmt: skip
    entries = tuple(Entry(f"{a}{i}", Path(a), "train", (), offset=i) for a, i in clips)
    manifest = Manifest(entries, ("class 0",), True, "f00d")
    todo = np.delete(np.arange(558), [0, 299])
    parts = cache._Parts(entries, cache._together(todo, manifest, MEANS.views))
    assert [len(part) for part in parts] == [256, 42, 1, 256, 1]
    assert all(len({entry.path for _, entry in part}) == 1 for part in parts)
    read = [place for part in parts for place in part]
    assert read == [(place, entries[place]) for place in todo] and parts[1:3] == [*parts][1:3]
    assert cache._together(todo[:0], manifest, MEANS.views) == []
    assert [len(part) for part in cache._together(todo, manifest, Views())] == [1] * 556


# The journal


def test_a_shard_is_read_once_and_again_when_it_changes_or_something_else_is_asked(three):
    def looked_at(spec):
        show = Quiet()
        scanned(spec, three, show=show)
        journal = next((three.parent / "cache" / "scans").glob("*.jsonl"))
        return len([line for line in journal.read_text().splitlines() if line])

    assert looked_at(MEANS) == 3
    assert looked_at(replace(MEANS, folds=3)) == 3
    shard(three / "train0.tfrecord", of_video("new0"))
    assert looked_at(MEANS) == 4
    assert looked_at(replace(MEANS, classes=29)) == 7
    assert looked_at(FRAMES) == 10


def test_a_scan_that_was_killed_goes_on_and_finds_the_same(three):
    whole = scanned(MEANS, three)
    journal = next((three.parent / "cache" / "scans").glob("*.jsonl"))
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0], lines[1][:97]]))
    (three / "train0.tfrecord").chmod(0)  # not read again
    again = scanned(MEANS, three)
    assert again.fingerprint == whole.fingerprint and again.table.equals(whole.table)


def test_workers_find_what_one_process_finds(three, tmp_path, monkeypatch):
    one = scanned(MEANS, three)
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "other"))
    with Local(2) as executor:
        assert scanned(MEANS, three, executor=executor).table.equals(one.table)


# For runs


def manifest_of_shards(folder, shards=19, each=7):
    entries = []
    for k in range(shards):
        written = [of_video(f"{k}-{i}", (k,), 100 * k + i) for i in range(each)]
        path, offset = shard(folder / f"train{k:02d}.tfrecord", *written), 0
        for i, data in enumerate(written):
            entries.append(Entry(f"{k}-{i}", path, "train", (k,), 0.0, 0.0, f"{k}-{i}", offset))
            offset += len(data) + 16
    return Manifest(tuple(entries), tuple(f"{k}" for k in range(23)), True, "f")


def wanted(places):
    return Wanted(places, {m: np.full(len(places), 0.5) for m in FEATURES})


def test_arrays_and_streams_by_any_number_of_readers_show_the_same(tmp_path):
    manifest = manifest_of_shards(tmp_path / "d")
    cached = make_ready(MEANS, manifest, one_by_one)
    assert not cached.left_out
    order = cached.shuffled(cached.places("train"), np.random.default_rng(0))
    asked = [wanted(part) for part in np.array_split(order, 11)]
    true = [*cached.batches(asked)]
    assert np.array_equal(
        true[0].views["audio"][0],
        excerpt(manifest.entries[order[0]], MEANS.views, FEATURES)["audio"],
    )
    for readers in (Here(), Local(1), Local(3)):
        with readers:
            streamed = Streamed(manifest, MEANS.views, readers, {})
            same = streamed.shuffled(streamed.places("train"), np.random.default_rng(0))
            assert np.array_equal(same, order)
            for one, other in zip(true, streamed.batches(asked), strict=True):
                assert np.array_equal(one.places, other.places)
                for m in FEATURES:
                    assert np.array_equal(one.views[m], other.views[m])
                    assert one.views[m].dtype == other.views[m].dtype


def test_an_epoch_mixes_records_of_a_few_shards_and_then_of_others(tmp_path):
    manifest = manifest_of_shards(tmp_path, shards=37, each=7)
    clips = Streamed(manifest, MEANS.views, Here(), {})
    places = np.flatnonzero(np.arange(37 * 7) // 7 % 2 == 0)  # of every other shard
    first, second = (clips.shuffled(places, np.random.default_rng(seed)) for seed in (0, 1))
    for order in (first, second):
        assert sorted(order.tolist()) == places.tolist()
        of = np.array([int(clips.manifest.entries[place].labels[0]) for place in order])
        parts = [set(of[56 * k : 56 * (k + 1)].tolist()) for k in range(3)]
        assert [len(part) for part in parts] == [8, 8, 3] and len(set.union(*parts)) == 19
        assert (np.diff(of[:56]) != 0).mean() > 0.7  # mixed, and not shard by shard
    assert not np.array_equal(first, second)


def test_clips_with_files_of_their_own_are_taken_in_the_order_they_always_were(tmp_path):
    entries = tuple(Entry(f"{k}", tmp_path / "one.mp4", "train", ()) for k in range(37))
    clips = Streamed(Manifest(entries, ("a",), True, "f"), MEANS.views, Here(), {})
    order = clips.shuffled(places := clips.places("train"), np.random.default_rng(3))
    assert np.array_equal(order, places[np.random.default_rng(3).permutation(37)])


def test_records_that_are_damaged_or_gone_after_the_scan_are_left_out_and_named(tmp_path):
    manifest = manifest_of_shards(tmp_path, shards=4, each=3)
    flipped(tmp_path / "train00.tfrecord", 4600)
    shard(tmp_path / "train01.tfrecord", *(of_video(f"x{k}", (), k) for k in range(3)))
    (tmp_path / "train02.tfrecord").unlink()
    data = (tmp_path / "train03.tfrecord").read_bytes()
    (tmp_path / "train03.tfrecord").write_bytes(data[:-1])
    lost = make_ready(MEANS, manifest, one_by_one).left_out
    assert [*lost] == ["0-0", "1-0", "1-1", "1-2", "2-0", "2-1", "2-2", "3-2"]
    assert "is damaged now" in lost["0-0"] and "is damaged now" in lost["3-2"]
    assert "here is the record 'x0' now, and not '1-0'" in lost["1-0"]
    assert "cannot be read: No such file" in lost["2-0"]


def test_why_a_record_cannot_be_read_any_more_has_a_reason_and_a_sentence(tmp_path):
    manifest = manifest_of_shards(tmp_path, shards=4, each=2)
    size = manifest.entries[1].offset
    whole = (tmp_path / "train03.tfrecord").read_bytes()
    flipped(tmp_path / "train00.tfrecord", 4600)
    shard(tmp_path / "train01.tfrecord", of_video("other", (), 0))
    shard(tmp_path / "train02.tfrecord", record({"id": integers(7)}))
    (tmp_path / "train03.tfrecord").unlink()
    (tmp_path / "train03.tfrecord").mkdir()
    found = []
    for entry in manifest.entries[::2]:
        with pytest.raises(ClipError) as told:
            excerpt(entry, MEANS.views, ("audio",))
        found.append((told.value.reason, str(told.value).replace(f"{tmp_path}/", "")))
    assert found == [
        ("checksum", "train00.tfrecord, byte 0: the record that was there is damaged now."),
        ("missing", "train01.tfrecord, byte 0: here is the record 'other' now, and not '1-0'."),
        ("malformed", "train02.tfrecord, byte 0: id has 0 values, and not one."),
        ("unreadable", "train03.tfrecord cannot be read: Is a directory."),
    ]
    (tmp_path / "train03.tfrecord").rmdir()
    (tmp_path / "train03.tfrecord").write_bytes(whole)
    last = manifest.entries[-1]
    assert last.offset == size and excerpt(last, MEANS.views, ("audio",))["audio"].shape == (128, 1)


def test_more_than_the_cache_takes_is_streamed(tmp_path):
    manifest = manifest_of_shards(tmp_path, shards=2, each=3)
    show = Quiet()
    source = ready(MEANS, manifest, Here(), show, min_coverage=1.0, cache_gb=1e-6, splits=["train"])
    assert source.folder is None and "more than --cache-gb" in show.lines
    with source.opened() as clips:
        (batch,) = clips.batches([wanted(clips.places("train"))])
        assert batch.views["video"].shape == (6, 1024, 1)


# Real shards


@pytest.fixture(scope="module")
def real():
    folder = SHARED / "data" / "yt8m_video_level"
    if not folder.is_dir():
        pytest.skip(f"needs the real shards in {folder}")
    return folder


def test_the_real_shards_are_accounted_for(real):
    spec = YouTube8M(level="video", folds=6, views=Features(form="mean"))
    seen = scanned(spec, real, SHARED / "data" / "metadata" / "yt8m")
    assert len(seen.used) == len(seen.table) == 1787 and seen.used["group"].is_unique
    assert seen.header["class_list"] == "youtube8m-3862 (official)"
    assert seen.header["classes"][:2] == ["Game", "Video game"]
    assert len({*seen.header["classes"]}) == 3862 and "class 120" in seen.header["classes"]
    labels = seen.used["labels"].map(len)
    assert labels.between(1, 19).all() and 2.8 < labels.mean() < 3.2
    assert "1,787 of 1,787 videos" in told(seen)


def test_whatever_is_done_to_a_real_shard_the_rest_of_it_is_used(real, tmp_path):
    source = (real / "validate0000.tfrecord").read_bytes()
    path, kind = tmp_path / "validate0000.tfrecord", Kind("video", 3862)
    path.write_bytes(source)
    whole = [*rows(kind, path)]
    places = [row.offset for row in whole]
    random = np.random.default_rng(1)
    for byte in random.integers(0, len(source), 13):
        path.write_bytes(source)
        flipped(path, int(byte), 5)
        found = [*rows(kind, path)]
        hit = max(place for place in places if place <= byte)
        assert [row for row in found if not row.reason] == [r for r in whole if r.offset != hit]
        assert [row.offset for row in found if row.reason] == [hit]
