"""The built-in world of features: what its documentation says of it is so."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mbt_cli.data import classes_of, feature_world, make_ready, one_by_one, open_manifest, rendered
from mbt_cli.data.feature_world import CLASSES, GROUPS, directions, happenings
from mbt_cli.data.features import dequantised
from mbt_cli.data.manifest import SPLITS
from mbt_cli.data.shard import Kind, rows
from mbt_cli.data.tfrecord import frames
from mbt_cli.dataset import FEATURES, Features, SyntheticFeatures
from mbt_cli.errors import MbtError

SMALL = SyntheticFeatures(train=289, validation=16, test=32)
N = 640


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MBT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def facts():
    return happenings(0, "train", N)


@pytest.fixture(scope="module")
def videos(facts):
    """The vectors of each video of a split, by modality."""
    found = {m: [] for m in FEATURES}
    for i in range(N):
        fact = {name: values[i] for name, values in facts.items()}
        random = np.random.default_rng([7, i])
        for m in FEATURES:
            of = feature_world.video(fact, m, 0, random)
            found[m].append(dequantised(feature_world.stored(of)))
    return found


def auc(scores, truth):
    truth = np.asarray(truth)
    wins = (scores[truth][:, None] > scores[~truth]).mean()
    return wins + 0.5 * (scores[truth][:, None] == scores[~truth]).mean()


def test_its_shards_are_frame_level_shards_like_any_other():
    manifest = open_manifest(SMALL)
    rendered(SMALL, manifest.entries, one_by_one)
    kind = Kind("frame", len(CLASSES))
    by_path = {}
    for entry in manifest.entries:
        by_path.setdefault(entry.path, []).append(entry)
    assert " ".join(path.stem for path in by_path) == "train0000 train0001 validation0000 test0000"
    for path, entries in by_path.items():
        found = [*rows(kind, path)]
        assert [(row.video, row.offset, row.labels, row.end_s) for row in found] == [
            (entry.name, entry.offset, entry.labels, entry.end_s) for entry in entries
        ]
        assert not any(row.reason for row in found)


def test_the_same_seed_writes_the_same_bytes_and_another_world_others(tmp_path):
    def written(spec, folder):
        entry = feature_world.manifest(spec, folder).entries[-1]
        entry.path.parent.mkdir(parents=True)
        feature_world.render(spec, entry)
        return entry.path.read_bytes()

    first = written(SMALL, tmp_path / "a")
    assert written(SMALL, tmp_path / "b") == first
    assert written(replace(SMALL, world=1), tmp_path / "c") != first


def test_its_fingerprint_says_which_world_of_which_size():
    found = {open_manifest(replace(SMALL, **{name: 48})).fingerprint
             for name in ("world", "train", "validation", "test")}  # fmt: skip
    assert len(found | {open_manifest(SMALL).fingerprint}) == 5
    views = Features(form="segments")
    assert (
        open_manifest(replace(SMALL, views=views)).fingerprint == open_manifest(SMALL).fingerprint
    )


def test_no_folder_can_be_given_for_it(tmp_path):
    with pytest.raises(
        MbtError, match="synthetic_features renders its own clips: leave out --data"
    ):
        open_manifest(SMALL, tmp_path)


def test_it_has_eighteen_classes_each_in_one_group():
    manifest = open_manifest(SMALL)
    assert manifest.classes == CLASSES == tuple(n for of in manifest.groups.values() for n in of)
    assert len({*CLASSES}) == classes_of(SMALL) == 18 and {*manifest.says} == {*GROUPS}
    assert manifest.multi_label and manifest.of_records


@pytest.mark.parametrize("split", SPLITS)
def test_facts_are_balanced_and_tell_nothing_of_each_other_where_they_should_not(split):
    facts = happenings(0, split, N)
    for name in CLASSES:
        assert facts[name].mean() == (0.25 if name == "in_time" else 0.5)
    for name in GROUPS["together"]:
        seen, heard = name.split("^")
        assert (facts[name] == (facts[seen] ^ facts[heard])).all()
        for one in (seen, heard):
            assert facts[name][facts[one]].mean() == 0.5
    assert (facts["in_time"] == (facts["cut"] == facts["bang"])).all()
    for name in ("cut", "bang"):
        assert [facts["in_time"][facts[name] == slot].mean() for slot in range(4)] == [0.25] * 4
        assert (facts[f"early_{name}"] == (facts[name] < 2)).all()
    both = facts["early_cut"] == facts["early_bang"]
    assert auc(both.astype(float), facts["in_time"]) == pytest.approx(0.83, abs=0.01)


def test_videos_have_eight_to_twenty_four_seconds(facts, videos):
    for m, width in FEATURES.items():
        assert [of.shape for of in videos[m]] == [(t, width) for t in facts["seconds"]]
    assert {*facts["seconds"].tolist()} == {8, 16, 24}
    assert max(abs(of).max() for of in videos["video"]) < 2.01


@pytest.mark.parametrize("modality", [*FEATURES])
def test_a_fact_is_where_its_group_says_and_nowhere_else(facts, videos, modality):
    """The score for each is along its own direction."""
    towards, shown = directions(0, modality), feature_world.SHOWN[modality]
    means = np.stack([of.mean(0) for of in videos[modality]])
    for name in shown:
        assert auc(means @ towards[name], facts[name]) > 0.99
    others = [name for name in CLASSES if name not in shown]
    for name in shown:
        for other in others:
            assert 0.4 < auc(means @ towards[name], facts[other]) < 0.6


@pytest.mark.parametrize(("modality", "event"), [("video", "cut"), ("audio", "bang")])
def test_when_something_happens_is_told_by_the_seconds_and_not_by_means(
    facts, videos, modality, event
):
    towards = directions(0, modality)["event"]
    along = [of @ towards for of in videos[modality]]
    slots = [int(np.argmax(one.reshape(4, -1).mean(1))) for one in along]
    assert (np.array(slots) == facts[event]).mean() > 0.99
    means = np.array([one.mean() for one in along])
    deviations = np.array([one.std() for one in along])
    for truth in (facts[f"early_{event}"], facts["in_time"]):
        assert 0.43 < auc(means, truth) < 0.57 and 0.43 < auc(deviations, truth) < 0.57


@pytest.mark.parametrize(("modality", "name"), [("video", "flicker"), ("audio", "tremble")])
def test_what_varies_is_told_by_deviations_and_not_by_means(facts, videos, modality, name):
    towards = directions(0, modality)["waver"]
    means = np.array([(of @ towards).mean() for of in videos[modality]])
    assert 0.43 < auc(means, facts[name]) < 0.57 and 0.43 < auc(abs(means), facts[name]) < 0.57
    spread = np.array([of.std(0) @ abs(towards) for of in videos[modality]])
    assert auc(spread, facts[name]) > 0.85


def test_cut_and_bang_coincide_where_both_are_seen_in_time(facts, videos):
    found = []
    for m in FEATURES:
        towards = directions(0, m)["event"]
        found.append([int(np.argmax((of @ towards).reshape(4, -1).mean(1))) for of in videos[m]])
    told = np.array(found[0]) == np.array(found[1])
    assert auc(told.astype(float), facts["in_time"]) > 0.99


def test_directions_are_at_right_angles():
    for m in FEATURES:
        of = np.stack([*directions(0, m).values()])
        assert np.allclose(of @ of.T, feature_world.STRENGTH[m] ** 2 * np.eye(len(of)), atol=1e-5)


def test_ridge_regression_finds_in_arrays_what_means_and_deviations_can_tell():
    spec = replace(SMALL, train=800, test=320, views=Features(form="mean_std"))
    manifest = open_manifest(spec)
    clips = make_ready(spec, manifest, one_by_one)
    shown = {}
    for split in ("train", "test"):
        places = clips.places(split)
        views = [clips.arrays[m][places].reshape(len(places), -1) for m in FEATURES]
        shown[split] = np.concatenate(views, 1).astype(np.float64), clips.labels(places)
    (x, y), (seen, truth) = shown["train"], shown["test"]
    mean, std = x.mean(0), x.std(0)
    x, seen = (x - mean) / std, (seen - mean) / std
    weights = x.T @ np.linalg.solve(x @ x.T + 300 * np.eye(len(x)), y - y.mean(0))
    scores = seen @ weights
    reached = {name: auc(scores[:, k], truth[:, k] > 0) for k, name in enumerate(CLASSES)}
    for group, names in GROUPS.items():
        for name in names:
            told = group in ("seen", "heard", "both", "varied")
            assert reached[name] > 0.85 if told else 0.35 < reached[name] < 0.65, name


def test_whole_shards_are_left_as_they_are_and_missing_ones_written():
    manifest = open_manifest(SMALL)
    rendered(SMALL, manifest.entries, one_by_one)
    paths = [*dict.fromkeys(entry.path for entry in manifest.entries)]
    before = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    rendered(SMALL, manifest.entries, one_by_one)
    after = [path.stat().st_mtime_ns for path in paths]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]
    assert all(a.offset < b.offset for a, b in pairwise(manifest.entries) if a.path == b.path)
    assert len([*frames(paths[1])]) == 39
