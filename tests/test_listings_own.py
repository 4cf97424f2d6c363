"""Clips of one's own, sorted into folders or in a csv file, and GRID's; how all are split."""

from collections import Counter
from pathlib import Path

import pytest
from listed import (
    COMMENTS,
    K400,
    OWN,
    STAT,
    VERBS,
    VGG,
    VGG_TEST,
    audioset,
    by_name,
    clips,
    epic,
    kinetics_lists,
    listed,
    moments,
    put,
    splits,
)

from mbt_cli.data.datasets import LISTINGS, classes_of, listing
from mbt_cli.data.listing import Listed, carved
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import settled, shares
from mbt_cli.dataset import (
    AudioSet,
    Csv,
    EpicKitchens,
    Folder,
    GridCorpus,
    Kinetics,
    Moments,
    Synthetic,
    VGGSound,
)
from mbt_cli.errors import MbtError

# Folders


def test_folders_are_classes_and_what_lies_deeper_is_of_the_top_one(tmp_path):
    names = [
        f"{label}/{deep}{k}.mp4"
        for label in ("cat", "train")
        for deep in ("", "d/e/")
        for k in range(5)
    ]
    clips(tmp_path, *names, ".hidden/x.mp4", "cat/.x.mp4", "loose.mp4", "empty/readme.txt")
    found = listed(Folder(), tmp_path)
    assert found.classes == ("cat", "train")
    assert sorted(by_name(found)) == sorted(names)
    assert all(found.classes[c.labels[0]] == c.name.split("/")[0] for c in found.clips)
    assert splits(found) == {"train": 12, "validation": 4, "test": 4}
    for label in (0, 1):
        assert Counter(c.split for c in found.clips if c.labels == (label,))["validation"] == 2
    assert found.notes == ("1 clip lies in no class's folder, left out: loose.mp4.",)
    assert by_name(found)["cat/d/e/0.mp4"].path == tmp_path / "cat/d/e/0.mp4"
    other = listed(Folder(split_seed=1), tmp_path)
    assert [c.split for c in other.clips] != [c.split for c in found.clips]


def test_folders_of_splits_are_taken_as_they_are(tmp_path):
    clips(tmp_path, "train/cat/a.mp4", "train/dog/x/b.mp4", "val/cat/c.mp4", "test/dog/d.mp4")
    found = listed(Folder(), tmp_path)
    assert {c.name: (c.split, found.classes[c.labels[0]]) for c in found.clips} == {
        "train/cat/a.mp4": ("train", "cat"), "train/dog/x/b.mp4": ("train", "dog"),
        "val/cat/c.mp4": ("validation", "cat"), "test/dog/d.mp4": ("test", "dog"),
    }  # fmt: skip


def test_without_a_folder_for_validation_a_share_of_each_class_is_taken(tmp_path):
    names = [f"train/{label}/{k}.mp4" for label in ("cat", "dog") for k in range(5)]
    found = listed(Folder(), clips(tmp_path, *names, "test/cat/t.mp4"))
    assert splits(found) == {"train": 8, "validation": 2, "test": 1}
    assert {c.labels for c in found.clips if c.split == "validation"} == {(0,), (1,)}


@pytest.mark.parametrize(
    ("names", "spec", "why"),
    [
        (["cat/1.mp4", "cat/2.mp4", "dog/1.mp4"], Folder(), r"2 clips of 'cat'; at least 3"),
        (
            ["train/cat/1.mp4", "train/dog/1.mp4", "test/dog/2.mp4"],
            Folder(),
            "1 clip of 'cat'; at least 2",
        ),
        (
            ["train/cat/1.mp4", "val/dog/1.mp4"],
            Folder(),
            "of train and validation, but none of test",
        ),
        (["test/cat/1.mp4", "test/dog/1.mp4"], Folder(), "of test, but none of train"),
        (["cat/1.mp4", "cat/2.mp4", "cat/3.mp4"], Folder(), "has 1 folder of clips"),
        (["1.mp4"], Folder(), "has 0 folders of clips"),
        (
            [f"{c}/{k}.mp4" for c in "ab" for k in range(4)],
            Folder(validation=0.5, test=0.5),
            "leave none",
        ),
    ],
)
def test_too_few_clips_in_folders_are_one_sentence(tmp_path, names, spec, why):
    with pytest.raises(MbtError, match=why):
        listing(spec, Shelf(clips(tmp_path, *names)))


def test_a_name_that_is_no_text_is_one_sentence(tmp_path):
    clips(tmp_path, *[f"{c}/{k}.mp4" for c in "ab" for k in range(3)])
    try:
        Path(f"{tmp_path}/a/\udcff.mp4").touch()
    except OSError:
        pytest.skip("this file system takes text alone")
    with pytest.raises(MbtError, match=r"\\udcff.mp4' is no UTF-8 text"):
        listing(Folder(), Shelf(tmp_path))


# A csv file of one's own


def test_a_csv_of_ones_own_says_all_there_is_to_say(tmp_path):
    clips(put(tmp_path, clips="\ufeff" + OWN, other="a,b\n1,2\n"), "a/x.mp4", "y.mkv")
    found = listed(Csv(), tmp_path)
    assert found.classes == ("cat", "dog")
    one, two, three = found.clips
    assert (one.name, one.split, one.labels, one.group) == ("a/x.mp4_1.5_3", "train", (1,), "s1")
    assert (one.path, one.start_s, one.end_s, one.cut) == (tmp_path / "a/x.mp4", 1.5, 3, "whole")
    assert (two.name, two.split, two.start_s, two.end_s, two.cut) == (
        "y.mkv",
        "validation",
        0,
        None,
        "clip",
    )
    assert (three.split, three.path, three.end_s, three.cut) == ("test", None, 2, "whole")
    given = put(tmp_path / "elsewhere", mine=OWN.replace("dog", "cow"))
    assert listed(Csv(), tmp_path, given / "mine.csv").classes == ("cat", "cow")


def test_a_folder_and_a_name_too_long_are_no_file(tmp_path):
    long = "x" * 300
    put(tmp_path, clips=f"path,labels\na.avi,dog\nb.avi,cat\n{long}.avi,cat\nc,dog\n")
    for name in ("a.avi", "c"):
        (tmp_path / name).mkdir()
    clips(tmp_path, "b.avi")
    found = by_name(listed(Csv(), tmp_path))
    assert [name for name, clip in found.items() if clip.path] == ["b.avi"]


def test_several_labels_are_separated_by_a_bar_where_there_may_be_several(tmp_path):
    put(tmp_path, clips="path,labels\n" + "".join(f"{k}.mp4,dog|cat|dog\n" for k in range(5)))
    found = listed(Csv(multi_label=True), tmp_path)
    assert found.classes == ("cat", "dog") and found.multi_label
    assert {clip.labels for clip in found.clips} == {(0, 1)}
    with pytest.raises(MbtError, match="has 1 label;"):
        listing(Csv(), Shelf(tmp_path))


def test_without_a_split_column_whole_groups_are_split(tmp_path):
    rows = "".join(f"{k}.mp4,{'ab'[k % 2]},g{k // 4}\n" for k in range(40))
    found = listed(Csv(), put(tmp_path, clips="path,labels,group\n" + rows))
    assert splits(found) == {"train": 24, "validation": 8, "test": 8}
    assert len({(c.group, c.split) for c in found.clips}) == 10
    other = listed(Csv(split_seed=1), tmp_path)
    assert [c.split for c in other.clips] != [c.split for c in found.clips]


def test_without_validation_in_the_split_column_groups_of_training_are_taken(tmp_path):
    rows = "".join(
        f"{k}.mp4,{'ab'[k % 2]},{'test' if k > 30 else 'train'},g{k // 2}\n" for k in range(40)
    )
    found = listed(Csv(), put(tmp_path, clips="path,labels,split,group\n" + rows))
    assert splits(found)["test"] == 9
    assert len({c.group for c in found.clips if c.split == "validation"}) == 3  # of 16
    assert {c.group for c in found.clips if c.split == "validation"}.isdisjoint(
        c.group for c in found.clips if c.split == "train")  # fmt: skip


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("../../etc/passwd,dog,,,train,", "no file below"),
        ("/etc/passwd,dog,,,train,", "no file below"),
        ("a/../..,dog,,,train,", "no file below"),
        (".,dog,,,train,", "no file below"),
        ("../data-2/x.mp4,dog,,,train,", "no file below"),
        (",dog,,,train,", "no file below"),
        ("q.mp4,dog,,,dev,", "'dev' is no split"),
        ("q.mp4,dog,,,,", "split is empty"),
        ("q.mp4,,,,train,", "label is empty"),
        ("q.mp4,dog,3,2,train,", "not after it starts"),
        ("q.mp4,dog,x,,train,", "'x' is no time"),
        ("q.mp4,dog,,0,train,", "not after it starts"),
        ("q.mp4,dog", "the row has 2 fields"),
        ("y.mkv,dog,,,train,", "other labels"),
    ],
)
def test_a_wrong_row_of_ones_own_csv_is_one_sentence(tmp_path, row, why):
    with pytest.raises(MbtError, match=f"clips.csv, line 5: .*{why}"):
        listing(Csv(), Shelf(put(tmp_path / "data", clips=OWN + row)))


def test_an_absolute_path_below_the_root_is_that_file(tmp_path):
    clips(put(tmp_path, clips=f"{OWN}{tmp_path}/a/../q.mp4,dog,,,train,\n"), "q.mp4")
    assert by_name(listed(Csv(), tmp_path))["q.mp4"].path == tmp_path / "q.mp4"


def test_which_csv_is_meant_must_be_plain(tmp_path):
    with pytest.raises(MbtError, match="found none. Give it with --metadata"):
        listing(Csv(), Shelf(put(tmp_path, other="a,b\n")))
    with pytest.raises(MbtError, match=r"found .*one.csv, .*two.csv"):
        listing(Csv(), Shelf(put(tmp_path, one=OWN, two=OWN)))


def test_too_few_groups_are_one_sentence(tmp_path):
    root = put(tmp_path, clips="path,labels\na.mp4,dog\nb.mp4,cat\n")
    with pytest.raises(MbtError, match="2 groups of clips, of which data.validation=0.2"):
        listing(Csv(), Shelf(root))


# GRID, and what all have


def test_grid_is_split_as_ever_and_a_clips_group_is_its_speaker(tmp_path):
    stems = [f"{c}{colour}af{digit}n" for c in "blps" for colour in "bg" for digit in "123"]
    clips(
        tmp_path,
        *[f"s{1 + k % 2}/{stem}.mpg" for k, stem in enumerate(stems)],
        "s1/readme.mpg",
        "s1/bbaf2n.mp4",
    )
    kept = {
        "command": ("bgaf2n pbaf1n sbaf3n lgaf3n", "lgaf2n bgaf1n pgaf1n sgaf3n"),
        "colour": ("lgaf2n pbaf1n sbaf3n lgaf3n", "bbaf1n bgaf2n pbaf3n sgaf3n"),
    }
    for target, (validation, test) in kept.items():
        found = listed(GridCorpus(target=target), tmp_path)
        split = {c.path.stem: c.split for c in found.clips}
        assert {name for name in split if split[name] == "validation"} == {*validation.split()}
        assert {name for name in split if split[name] == "test"} == {*test.split()}
        assert set(split) == set(stems)
        words = {"command": "blps", "colour": "bgrw"}[target]
        place = {"command": 0, "colour": 1}[target]
        assert all(c.labels == (words.index(c.path.stem[place]),) for c in found.clips)
        assert {c.group for c in found.clips} == {"s1", "s2"}
        assert all(c.path.parent.name == c.group for c in found.clips)
    with pytest.raises(MbtError, match="no file named like 'bbaf2n.mpg'"):
        listing(GridCorpus(), Shelf(clips(tmp_path / "none", "x.mpg")))


def test_how_many_classes_there_are_is_known_without_files_where_it_can_be():
    known = {
        AudioSet(): 527, VGGSound(): 309, EpicKitchens(): 397, EpicKitchens(target="verb"): 97,
        EpicKitchens(target="noun"): 300, Kinetics(): 400, Moments(): 305, GridCorpus(): 4,
        Kinetics(classes="sounds"): None, Folder(): None, Csv(): None, Synthetic(): None,
    }  # fmt: skip
    for spec, classes in known.items():
        assert classes_of(spec) == classes
    assert {spec.dataset for spec in known} - {"synthetic"} == LISTINGS.keys()


def test_a_folder_that_could_not_be_read_is_a_note(tmp_path):
    shelf = Shelf(audioset(tmp_path))
    shelf.unreadable = ("lost+found",)
    assert listing(AudioSet(), shelf).notes == ("1 folder cannot be looked into: lost+found.",)


def test_all_training_clips_of_a_carved_video_are_for_validation_and_no_test_clip_is():
    clips = [
        Listed(f"v{v}_{n}", "test" if n == 3 else "train", (0,), None, group=f"v{v}")
        for v in range(200) for n in range(4)
    ]  # fmt: skip
    kept, _ = settled(clips, 0.25, 7)
    for clip in kept:
        taken = "validation" if carved(clip.group, 0.25, 7) else "train"
        assert clip.split == ("test" if clip.name.endswith("_3") else taken)
    assert 0.15 < Counter(c.split for c in kept)["validation"] / 600 < 0.35


def test_shares_have_at_least_one_of_each():
    assert sorted(shares("abc", 0.01, 0.01).values()) == ["test", "train", "validation"]
    assert Counter(shares("abcdefghij", 0.3, 0.2).values()) == {
        "train": 5,
        "validation": 3,
        "test": 2,
    }
    assert shares("cba", 0.3, 0.3, "1 ") == shares("abc", 0.3, 0.3, "1 ")


# Which tables were used

EPIC_TABLES = ["EPIC_100_noun_classes.csv", "EPIC_100_train.csv", "EPIC_100_validation.csv",
               "EPIC_100_verb_classes.csv"]  # fmt: skip
MORE = {"unbalanced_train_segments": COMMENTS + 'UUUUUUUUUU1, 1.000, 11.000, "/m/a0"\n'}
SUNG = {"kinetics_sounds.txt": "singing\n", "test": K400.format("test")}
NAMES = {"moments_categories.txt": "clapping,0\nadult+singing,1\n", "category_momentsv2.txt": ""}


USED = [
    (AudioSet(), lambda root: audioset(root, **MORE),
     ["balanced_train_segments.csv", "class_labels_indices.csv", "eval_segments.csv"]),
    (AudioSet(train="500k"), lambda root: audioset(root, **MORE),
     ["class_labels_indices.csv", "eval_segments.csv", "unbalanced_train_segments.csv"]),
    (AudioSet(train="full"), lambda root: audioset(root, **MORE),
     ["balanced_train_segments.csv", "class_labels_indices.csv", "eval_segments.csv",
      "unbalanced_train_segments.csv"]),
    (VGGSound(), lambda root: put(root, vggsound=VGG, test=VGG_TEST, stat=STAT),
     ["stat.csv", "vggsound.csv"]),
    (VGGSound(), lambda root: put(root, **{"train": "1088_IOM,NEU\n", "test.v2.csv": VGG_TEST}),
     ["test.v2.csv"]),
    (EpicKitchens(), lambda root: epic(root, EPIC_100_tail_verbs=VERBS), EPIC_TABLES),
    (EpicKitchens(target="verb"), epic, EPIC_TABLES),
    (Kinetics(), lambda root: kinetics_lists(root, **SUNG), ["train.csv", "val.csv"]),
    (Kinetics(classes="sounds"), lambda root: kinetics_lists(root, **SUNG),
     ["kinetics_sounds.txt", "train.csv", "val.csv"]),
    (Moments(), lambda root: moments(root, **NAMES),
     ["moments_categories.txt", "trainingSet.csv", "validationSet.csv"]),
    (Moments(), lambda root: put(clips(root, "training/yawning/a.mp4"), **NAMES | {
        "moments_categories.txt": "yawning"}), ["moments_categories.txt"]),
    (Csv(), lambda root: put(root, mine=OWN, other="a,b\n"), ["mine.csv"]),
    (Folder(), lambda root: put(clips(root, *(f"{c}/{k}.mp4" for c in "ab" for k in "123")),
                                clips=OWN), []),
    (GridCorpus(), lambda root: put(clips(root, *(
        f"s1/{c}{colour}af{k}n.mpg" for c in "blps" for colour in "bg" for k in "123"
    )), clips=OWN), []),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "make", "used"), USED)
def test_the_tables_that_were_really_used_are_known(tmp_path, spec, make, used):
    shelf = Shelf(make(tmp_path))
    assert listing(spec, shelf).clips
    assert sorted(shelf.taken) == [tmp_path / name for name in used]


def test_every_dataset_is_asked_which_tables_it_uses():
    assert {spec.dataset for spec, *_ in USED} == LISTINGS.keys()


def test_a_csv_that_is_given_is_the_one_that_was_used(tmp_path):
    shelf = Shelf(tmp_path, put(tmp_path / "data", one=OWN, two=OWN) / "two.csv")
    assert listing(Csv(), shelf).clips
    assert shelf.taken == [tmp_path / "data/two.csv"]
