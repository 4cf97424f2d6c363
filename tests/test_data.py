"""Manifests and the cache of decoded views, over real files."""

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mbt_cli import data
from mbt_cli.data import cache, grid_corpus
from mbt_cli.data.cache import Cached
from mbt_cli.dataset import GridCorpus, Synthetic, Views
from mbt_cli.errors import MbtError

VIEWS = Views(span_s=1.0, frames=4, size=16, mel_bins=32)
SPEC = Synthetic(train=5, validation=3, test=2, views=VIEWS)


def work(title, function, jobs, total):
    """Here, and counting."""
    for job in jobs:
        yield function(job, lambda _: None)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MBT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def ready(root):
    manifest = data.open_manifest(SPEC, None)
    return manifest, data.make_ready(SPEC, manifest, work)


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
        assert cached.names(split) == [e.name for e in entries]
        for row, entry in zip(cached.labels(split), entries, strict=True):
            assert tuple(np.flatnonzero(row)) == entry.labels


def test_what_was_rendered_and_read_is_not_done_again(ready):
    manifest, _ = ready

    def never(title, function, jobs, total):
        raise AssertionError(title)

    data.make_ready(SPEC, manifest, never)


def test_a_fill_that_was_cut_short_is_taken_up_where_it_was(root, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 2)
    manifest = data.open_manifest(SPEC, None)
    read = []

    def cut_short(title, function, jobs, total):
        for job in jobs:
            if title == "Reading clips":
                read.append(len(job.entries))
                if len(read) == 3:
                    raise KeyboardInterrupt
            yield function(job, lambda _: None)

    with pytest.raises(KeyboardInterrupt):
        data.make_ready(SPEC, manifest, cut_short)
    cached = data.make_ready(SPEC, manifest, cut_short)
    assert read == [2, 2, 2, 2, 2, 2]
    whole = cached.arrays["audio"][:].copy()
    shutil.rmtree(cached.folder)
    assert np.array_equal(data.make_ready(SPEC, manifest, work).arrays["audio"], whole)


def test_what_a_kill_left_of_files_is_removed_by_the_next_fill(root):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    manifest = data.open_manifest(SPEC, None)
    views, clips = cache.folder_of(manifest, VIEWS), manifest.entries[0].path.parent
    left = [folder / f"x.{socket.gethostname()}.{dead.pid}.part" for folder in (views, clips)]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    data.make_ready(SPEC, manifest, work)
    assert not any(path.exists() for path in left)


def test_a_clip_that_cannot_be_decoded_is_named_and_left_out(root):
    manifest = data.open_manifest(SPEC, None)
    data.make_ready(SPEC, manifest, work)
    shutil.rmtree(cache.root() / "views")
    broken, empty = manifest.entries[1], manifest.entries[9]
    broken.path.write_bytes(broken.path.read_bytes()[:700])
    empty.path.write_bytes(b"")
    cached = data.make_ready(SPEC, manifest, work)
    assert set(cached.left_out) == {broken.name, empty.name}
    assert "empty" in cached.left_out[empty.name]
    assert broken.name not in cached.names("train")
    assert len(cached.labels("train")) == 4
    assert len(cached.labels("test")) == 1
    empty.path.unlink()
    mended = data.make_ready(SPEC, manifest, work)
    assert set(mended.left_out) == {broken.name}
    assert len(mended.labels("test")) == 2


def test_a_split_without_a_clip_that_decodes_is_one_sentence(root):
    manifest = data.open_manifest(SPEC, None)
    data.make_ready(SPEC, manifest, work)
    shutil.rmtree(cache.root() / "views")
    for entry in manifest.entries:
        if entry.split == "test":
            entry.path.write_bytes(b"no video")
    with pytest.raises(MbtError, match="No clip of the test split can be read") as caught:
        data.make_ready(SPEC, manifest, work)
    assert "00000.mp4" in str(caught.value)


def test_other_views_are_other_arrays_and_normalising_is_none_of_the_caches_business(root):
    manifest = data.open_manifest(SPEC, None)
    folder = cache.folder_of(manifest, VIEWS)
    assert cache.folder_of(manifest, replace(VIEWS, size=17)) != folder
    assert cache.folder_of(manifest, replace(VIEWS, audio_mean=5.0)) == folder
    other = data.open_manifest(replace(SPEC, world=1), None)
    assert cache.folder_of(other, VIEWS) != folder


def test_the_built_in_world_takes_no_folder(root):
    with pytest.raises(MbtError, match="leave out --data"):
        data.open_manifest(SPEC, root)


def corpus(folder, stems):
    for stem in stems:
        (folder / "s1").mkdir(exist_ok=True, parents=True)
        (folder / "s1" / f"{stem}.mpg").write_bytes(stem.encode())
    return folder


STEMS = [f"{c}{colour}af{digit}n" for c in "blps" for colour in "bg" for digit in "123"]


def test_a_file_name_spells_the_labels(tmp_path):
    folder = corpus(tmp_path, [*STEMS, "readme", "bbaf0n", "bbaw1n"])
    for target in ("command", "colour"):
        classes = grid_corpus.WORDS[target]
        manifest = grid_corpus.manifest(GridCorpus(target=target), folder)
        assert len(manifest.entries) == len(STEMS)
        assert manifest.classes == tuple(classes.values())
        place = list(grid_corpus.WORDS).index(target)
        for entry in manifest.entries:
            said = classes[entry.path.stem[place]]
            assert [manifest.classes[k] for k in entry.labels] == [said]
    assert not manifest.multi_label


def test_the_split_is_within_each_class_and_the_same_everywhere(tmp_path):
    one = grid_corpus.manifest(GridCorpus(), corpus(tmp_path / "a", STEMS))
    other = grid_corpus.manifest(GridCorpus(), corpus(tmp_path / "b", reversed(STEMS)))
    assert one.fingerprint == other.fingerprint
    assert [e.split for e in one.entries] == [e.split for e in other.entries]
    for label in range(4):
        splits = [e.split for e in one.entries if e.labels == (label,)]
        assert sorted(splits) == ["test", "train", "train", "train", "train", "validation"]


def test_a_clip_more_is_another_set_of_clips(tmp_path):
    one = grid_corpus.manifest(GridCorpus(), corpus(tmp_path, STEMS))
    more = grid_corpus.manifest(GridCorpus(), corpus(tmp_path, ["bbaf9n"]))
    other = grid_corpus.manifest(GridCorpus(target="colour"), tmp_path)
    assert len({m.fingerprint for m in (one, more, other)}) == 3


@pytest.mark.parametrize(
    ("stems", "sentence"),
    [([], "no file named like 'bbaf2n.mpg'"), (STEMS[:1], "at least 3 are needed")],
)
def test_a_folder_without_clips_enough_is_one_sentence(tmp_path, stems, sentence):
    with pytest.raises(MbtError, match=sentence):
        grid_corpus.manifest(GridCorpus(), corpus(tmp_path, stems))


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    with pytest.raises(MbtError, match="needs --data"):
        data.open_manifest(GridCorpus(), None)
    with pytest.raises(MbtError, match="is no folder"):
        data.open_manifest(GridCorpus(), tmp_path / "nowhere")


def test_real_clips_of_the_corpus_are_read(root, grid_clips):
    spec = GridCorpus(views=Views(span_s=3.0, frames=4, size=24, mel_bins=40))
    manifest = data.open_manifest(spec, grid_clips)
    assert len(manifest.entries) == 32
    cached = data.make_ready(spec, manifest, work)
    assert not cached.left_out
    assert cached.arrays["video"].std() > 20
    labels = np.concatenate([cached.labels(s) for s in ("train", "validation", "test")])
    assert labels.sum(0).tolist() == [8] * 4
    assert json.loads((cached.folder / "ready.json").read_text()) == {"left_out": {}}
    assert isinstance(cached, Cached)
