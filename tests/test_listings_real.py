"""The real metadata are listed as they are, and the real clips are found."""

import pytest
from conftest import SHARED
from listed import RARE, by_name, clips, listed, splits, words

from mbt_cli.data import kinetics
from mbt_cli.data.datasets import classes_of, listing
from mbt_cli.data.shelf import Shelf
from mbt_cli.dataset import AudioSet, EpicKitchens, Kinetics, Moments, VGGSound
from mbt_cli.errors import MbtError


@pytest.fixture(scope="module")
def shared():
    folder = SHARED / "data"
    if not (folder / "metadata").is_dir():
        pytest.skip(f"needs the real metadata in {folder}")
    return folder


def found_in(found):
    return {c.path.name: words(found, c.name) for c in found.clips if c.path}


def test_real_vggsound_is_listed_and_its_clips_are_found(shared):
    found = listed(VGGSound(), shared)
    assert found.class_list == "vggsound-309 (official)"
    assert splits(found) == {"test": 3157}
    assert found_in(found) == {
        "0nib7bMm8BA_15000_25000.mp4": ["canary calling"],
        "1aDnyPubxdY_118000_128000.mp4": ["baby crying"],
        "54bz5yqN2IA_4000_14000.mp4": ["playing double bass"],
        "6zlMP_kQ_-w_30000_40000.mp4": ["playing harp"],
        "M1pPtg6a_g8_000230.mp4": ["playing piano"],
        "MnEZwnRuQR8_000030.mp4": ["firing cannon"],
        "nLKEdmVu3FY_000040.mp4": ["orchestra"],
    }
    assert {clip.cut for clip in found.clips if clip.path} == {"clip"}


def test_a_real_list_of_vggsound_with_a_header_is_read(shared, tmp_path):
    table = shared / "metadata/vggsound/visualsound_4col.excerpt.csv"
    (tmp_path / "vggsound.csv").write_bytes(table.read_bytes())
    (tmp_path / "stat.csv").write_bytes((shared / "metadata/vggsound/stat.csv").read_bytes())
    found = listed(VGGSound(), tmp_path)
    assert len(found.clips) == 4000
    assert found.class_list == "vggsound-309 (official)"
    assert words(found, "0nib7bMm8BA_15") == ["canary calling"]


def test_real_audioset_is_listed_and_its_clips_are_found(shared):
    found = listed(AudioSet(validation=RARE), shared)
    assert found.class_list == "audioset-527 (official)"
    assert splits(found) == {"train": 3294, "test": 2330}
    assert found_in(found)["00W1lcxW-WU_40.000.mp4"] == ["Whistle"]
    # Clips of VGGSound are of the same videos, and of the same seconds.
    assert found_in(found)["6zlMP_kQ_-w_30000_40000.mp4"] == ["Pizzicato", "Harp"]
    assert len(found_in(found)) == 5
    assert sum(clip.end_s - clip.start_s < 10 for clip in found.clips) == 345 + 361
    assert sum("," in name for name in found.classes) == 75


def test_a_real_copy_of_audioset_that_a_spreadsheet_has_damaged_is_refused(shared, tmp_path):
    real = shared / "metadata/audioset"
    for name in ("class_labels_indices.csv", "eval_segments.excerpt.csv"):
        (tmp_path / name).write_bytes((real / name).read_bytes())
    damaged = (real / "damaged_by_spreadsheet.excerpt.csv").read_bytes()
    (tmp_path / "balanced_train_segments.csv").write_bytes(damaged)
    with pytest.raises(MbtError, match="balanced_train_segments.csv, line 2: .*'#NAME\\?'"):
        listing(AudioSet(), Shelf(tmp_path))
    lines = damaged.splitlines(keepends=True)
    kept = b"".join(line for line in lines if not line.startswith(b"#NAME"))
    (tmp_path / "balanced_train_segments.csv").write_bytes(kept)
    with pytest.raises(MbtError, match="line 2: the labels have lost their quotes"):
        listing(AudioSet(), Shelf(tmp_path))


@pytest.mark.parametrize(("target", "classes"), [("verb", 78), ("noun", 211), ("action", 289)])
def test_real_epic_kitchens_is_listed(shared, target, classes):
    found = listed(EpicKitchens(target=target), shared)
    assert (
        found.class_list
        == f"epic_kitchens_{target}-{classes_of(EpicKitchens(target=target))} (official)"
    )
    assert splits(found) == {"test": 2569}
    assert len({place for clip in found.clips for place in clip.labels}) <= classes
    odd = by_name(found)["P29_05_563"]
    assert odd.end_s > odd.start_s
    assert max(c.end_s - c.start_s for c in found.clips) < 148
    frame = by_name(found)["P01_11_10"]
    assert (frame.start_s, frame.end_s) == (49.15, 50.95)


def test_real_kinetics_and_its_sounds_are_listed(shared):
    found = listed(Kinetics(), shared)
    assert found.class_list == "kinetics-400 (official)"
    assert splits(found) == {"test": 995}
    assert set(kinetics.SOUNDS) < set(found.classes)
    few = listed(Kinetics(classes="sounds"), shared)
    assert splits(few) == {"test": 77}
    assert len({clip.labels for clip in few.clips}) == 31


def test_the_real_classes_of_moments_are_the_official_ones(shared, tmp_path):
    table = shared / "metadata/moments/category_momentsv2.txt"
    (tmp_path / table.name).write_bytes(table.read_bytes())
    found = listed(
        Moments(), clips(tmp_path, "training/clapping/a.mp4", "validation/yawning/b.mp4")
    )
    assert found.class_list == "moments-305 (official)"
    assert [words(found, c.name) for c in found.clips] == [["clapping"], ["yawning"]]
