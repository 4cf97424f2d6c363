"""Manifests and the cache of decoded views, over real files."""

import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mbt_cli import data
from mbt_cli.data import cache
from mbt_cli.data.clips import Wanted
from mbt_cli.dataset import Synthetic, Views
from mbt_cli.errors import MbtError

VIEWS = Views(span_s=1.0, frames=4, size=16, mel_bins=32)
SPEC = Synthetic(train=5, validation=3, test=2, views=VIEWS)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def ready(root):
    manifest = data.open_manifest(SPEC)
    return manifest, data.make_ready(SPEC, manifest, data.one_by_one)


def test_views_have_the_shapes_that_the_settings_say(ready):
    _, cached = ready
    for modality, shape in VIEWS.shapes.items():
        assert cached.arrays[modality].shape == (10, *shape)
        assert cached.arrays[modality].any(axis=(1, 2)).all()
    assert [len(cached.places(s)) for s in ("train", "validation", "test")] == [5, 3, 2]


def test_labels_and_names_follow_the_order_of_the_clips(ready):
    manifest, cached = ready
    for split in ("train", "test"):
        entries = [e for e in manifest.entries if e.split == split]
        assert cached.names(cached.places(split)) == [e.name for e in entries]
        for row, entry in zip(cached.labels(cached.places(split)), entries, strict=True):
            assert tuple(np.flatnonzero(row)) == entry.labels


def test_a_batch_has_the_clips_in_the_order_they_were_asked_for(ready):
    _, cached = ready
    places = np.array([4, 0, 7, 2])
    (batch,) = cached.batches([Wanted(places, {"audio": np.full(4, 0.5)})])
    assert batch.places.tolist() == [4, 0, 7, 2] and set(batch.views) == {"audio"}
    for row, place in enumerate(places):
        np.testing.assert_array_equal(batch.views["audio"][row], cached.arrays["audio"][place])


def test_what_was_rendered_and_read_is_not_done_again(ready):
    manifest, _ = ready

    def never(title, function, shared, things, noun):
        raise AssertionError(title)

    data.make_ready(SPEC, manifest, never)


def test_a_fill_that_was_cut_short_is_taken_up_where_it_was(root):
    manifest = data.open_manifest(SPEC)
    read = []

    def cut_short(title, function, shared, things, noun):
        for found in data.one_by_one(title, function, shared, things):
            if title == "Reading clips":
                read.append(found)
                if len(read) == 3:
                    raise KeyboardInterrupt
            yield found

    with pytest.raises(KeyboardInterrupt):
        data.make_ready(SPEC, manifest, cut_short)
    cached = data.make_ready(SPEC, manifest, cut_short)
    assert len(read) == 3 + 7
    whole = cached.arrays["audio"][:].copy()
    shutil.rmtree(cached.folder)
    again = data.make_ready(SPEC, manifest, data.one_by_one)
    assert np.array_equal(again.arrays["audio"], whole)


def test_what_a_kill_left_of_files_is_removed_by_the_next_fill(root):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    manifest = data.open_manifest(SPEC)
    views, clips = cache.folder_of(manifest, VIEWS), manifest.entries[0].path.parent
    left = [folder / f"x.{socket.gethostname()}.{dead.pid}.part" for folder in (views, clips)]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    data.make_ready(SPEC, manifest, data.one_by_one)
    assert not any(path.exists() for path in left)


def test_a_clip_that_cannot_be_decoded_is_named_and_left_out(root):
    manifest = data.open_manifest(SPEC)
    data.make_ready(SPEC, manifest, data.one_by_one)
    shutil.rmtree(cache.root() / "views")
    broken, empty = manifest.entries[1], manifest.entries[9]
    broken.path.write_bytes(broken.path.read_bytes()[:700])
    empty.path.write_bytes(b"")
    cached = data.make_ready(SPEC, manifest, data.one_by_one)
    assert set(cached.left_out) == {broken.name, empty.name}
    assert "empty" in cached.left_out[empty.name]
    assert broken.name not in cached.names(cached.places("train"))
    assert len(cached.labels(cached.places("train"))) == 4
    assert len(cached.labels(cached.places("test"))) == 1
    empty.path.unlink()
    mended = data.make_ready(SPEC, manifest, data.one_by_one)
    assert set(mended.left_out) == {broken.name}
    assert len(mended.labels(mended.places("test"))) == 2


def test_other_views_are_other_arrays_and_normalising_is_none_of_the_caches_business(root):
    manifest = data.open_manifest(SPEC)
    folder = cache.folder_of(manifest, VIEWS)
    assert cache.folder_of(manifest, replace(VIEWS, size=17)) != folder
    assert cache.folder_of(manifest, replace(VIEWS, audio_mean=5.0)) == folder
    other = data.open_manifest(replace(SPEC, world=1), None)
    assert cache.folder_of(other, VIEWS) != folder


def test_the_built_in_world_takes_no_folder(root):
    with pytest.raises(MbtError, match="leave out --data"):
        data.open_manifest(SPEC, root)
