"""Each published dataset's clips are listed as its metadata have them; damage is refused."""

import random
import re
from collections import Counter

import pytest
from listed import (
    BALANCED,
    COMMENTS,
    EPIC,
    EPIC_HEAD,
    K400,
    MIDS,
    MOMENTS,
    NOUNS,
    RARE,
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
    words,
)

from mbt_cli.data import kinetics
from mbt_cli.data.audioset import capped
from mbt_cli.data.datasets import listing
from mbt_cli.data.listing import carved
from mbt_cli.data.shelf import Shelf
from mbt_cli.dataset import AudioSet, EpicKitchens, Kinetics, Moments, VGGSound
from mbt_cli.errors import MbtError

# AudioSet


def test_audiosets_rows_are_read_with_the_names_of_their_labels(tmp_path):
    clips(audioset(tmp_path), "a/-AAAAAAAAA1_30.000.mp4", "YEEEEEEEEEE1.mkv")
    found = listed(AudioSet(validation=RARE), tmp_path)
    assert found.multi_label
    assert found.classes == ("Hum", "Buzz, low", "Click")
    assert words(found, "-AAAAAAAAA1_30") == ["Hum", "Click"]
    one, two, three = found.clips
    assert (one.split, one.start_s, one.end_s, one.group) == ("train", 30, 40, "-AAAAAAAAA1")
    assert (one.path, one.cut) == (tmp_path / "a/-AAAAAAAAA1_30.000.mp4", "clip")
    assert (two.name, two.start_s, two.end_s, two.path) == ("AAAAAAAA_-2_0", 0, 7, None)
    assert (three.split, three.path, three.cut) == ("test", tmp_path / "YEEEEEEEEEE1.mkv", "either")
    assert found.official == {"train": 22160, "test": 20371}
    assert found.notes == ()
    assert re.fullmatch(r"audioset-3 \([0-9a-f]{8}\)", found.class_list)


def test_each_training_list_of_audioset_is_of_its_own_files(tmp_path):
    more = 'UUUUUUUUUU1, 1.000, 11.000, "/m/a0"\n'
    audioset(tmp_path, unbalanced_train_segments=COMMENTS + more)
    for train, names, official in (
        ("balanced", {"-AAAAAAAAA1_30", "AAAAAAAA_-2_0"}, 22_160),
        ("500k", {"UUUUUUUUUU1_1"}, None),
        ("full", {"-AAAAAAAAA1_30", "AAAAAAAA_-2_0", "UUUUUUUUUU1_1"}, 2_063_949),
    ):
        found = listed(AudioSet(train=train, validation=RARE), tmp_path)
        assert {clip.name for clip in found.clips} - {"EEEEEEEEEE1_10"} == names
        assert found.official.get("train") == official
        assert found.official["test"] == 20_371


def test_a_video_of_eval_is_left_out_of_training_wherever_it_starts(tmp_path):
    both = 'EEEEEEEEEE1, 90.000, 100.000, "/m/b_1"\n'
    found = listed(AudioSet(), audioset(tmp_path, balanced_train_segments=BALANCED + both))
    assert len(found.clips) == 3
    assert found.notes == ("1 training clip is listed for testing too: left out of training.",)


def test_a_capped_subset_depends_on_seed_and_ids_alone():
    rng = random.Random(3)
    offered = [
        (f"{i:011d}", 0.0, 10.0, tuple(sorted(rng.sample(range(5), rng.randint(1, 3)))))
        for i in range(300)
    ]
    taken = capped(offered, 20, 0)
    counts = Counter(label for *_, labels in taken for label in labels)
    assert max(counts.values()) == 20
    left = set(offered) - set(taken)
    assert left and all(any(counts[label] == 20 for label in labels) for *_, labels in left)
    mixed = rng.sample(offered, len(offered))
    assert set(capped(mixed, 20, 0)) == set(taken)
    assert set(capped(offered, 20, 1)) != set(taken)
    assert capped(offered, 300, 0) == offered


def test_the_cap_is_the_settings(tmp_path):
    many = "".join(f'UUUUUUUUU{i:02d}, 1.000, 11.000, "/m/a0"\n' for i in range(30))
    audioset(tmp_path, unbalanced_train_segments=many)
    sets = [
        {c.name for c in listed(AudioSet(train="500k", cap=7, subset_seed=seed), tmp_path).clips}
        for seed in (0, 0, 1)
    ]
    assert [len(names) for names in sets] == [8, 8, 8]
    assert sets[0] == sets[1] != sets[2]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("#NAME?,30,40,  /m/a0,/t/dd9 ,,,", "spreadsheet has put '#NAME\\?'"),
        ('#NAME?, 30.000, 40.000, "/m/a0"', "spreadsheet has put"),
        ("#REF!,30,40,/m/a0", "spreadsheet has put"),
        ("AAAAAAAAAA3,30,40,/m/a0,/t/dd9", "lost their quotes"),
        ("AAAAAAAAAA3,30,40,/m/a0,,,", "empty columns follow"),
        ("AAAAAAAAAA3,30,40", "3 fields, not 4"),
        ("AAAAAAAAAA3, 30.000, 40.000, \"/m/zz\"", "'/m/zz' is no label"),
        ("AAAAAAAAAA3, 30.000, 40.000, \"\"", "'' is no label"),
        ('AAAAAAAAAA3,30,40,"""/m/a0,/t/dd9"""', "is no label"),
        ("AAAAAAAAAA3, 30.000, 30.000, \"/m/a0\"", "not after it starts"),
        ("AAAAAAAAAA3, x, 40.000, \"/m/a0\"", "'x' is no time"),
        ("AAAAAAAAAA3, 30.000, nan, \"/m/a0\"", "'nan' is no time"),
        ("../AAAAAAAA, 30.000, 40.000, \"/m/a0\"", "is no YouTube id"),
        ("/etc/passwd, 30.000, 40.000, \"/m/a0\"", "is no YouTube id"),
        ("AAAAAAAAAA, 30.000, 40.000, \"/m/a0\"", "is no YouTube id"),
        ("AAAAAAAAAAé, 30.000, 40.000, \"/m/a0\"", "is no YouTube id"),
    ],
)  # fmt: skip
def test_a_damaged_copy_of_audioset_is_refused_with_the_reason_and_the_line(tmp_path, row, why):
    for name in ("balanced_train_segments", "eval_segments"):
        root = audioset(tmp_path / name, **{name: COMMENTS + BALANCED + row + "\n"})
        with pytest.raises(MbtError, match=f"{name}.csv, line 6: .*{why}"):
            listing(AudioSet(), Shelf(root))


def test_labels_padded_with_spaces_are_still_these_labels(tmp_path):
    row = 'AAAAAAAAAA3, 30.000, 40.000, " /m/a0, /t/dd9 "\n'
    found = listed(AudioSet(validation=RARE), audioset(tmp_path, balanced_train_segments=row))
    assert words(found, "AAAAAAAAAA3_30") == ["Hum", "Click"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("4,/m/c,X", "index '4'"),
        ("3,/m/a0,X", "'/m/a0'"),
        ("3,/m/c,Hum", "'Hum'"),
        ("3,c,X", "'c'"),
    ],
)
def test_a_list_of_classes_out_of_order_is_refused(tmp_path, row, why):
    root = audioset(tmp_path, class_labels_indices=MIDS + row)
    with pytest.raises(MbtError, match=f"class_labels_indices.csv, line 5: .*{why}"):
        listing(AudioSet(), Shelf(root))


# VGGSound


def test_vggsounds_rows_are_read_whether_in_one_file_or_two(tmp_path):
    clips(tmp_path / "one", "VVVVVVVVVV2_120000_130000.mp4", "VVVVVVVVVV2_000004.mp4")
    one = listed(
        VGGSound(validation=RARE), put(tmp_path / "one", vggsound=VGG, **{"stat.csv": STAT})
    )
    assert one.classes == ("buzz, low", "click", "hum")
    assert words(one, "VVVVVVVVVV2_4") == ["buzz, low"]
    assert splits(one) == {"train": 2, "test": 1}
    last = by_name(one)["VVVVVVVVVV2_120"]
    assert (last.start_s, last.end_s, last.split, last.group) == (120, 130, "test", "VVVVVVVVVV2")
    assert last.path == tmp_path / "one/VVVVVVVVVV2_120000_130000.mp4"
    assert one.official == {"train": 183_730, "test": 15_446}
    assert not one.multi_label
    train = "VVVVVVVVVV3_000000.mp4,click\r\n"
    two = put(tmp_path / "two", train=train, test=VGG_TEST, stat=STAT)
    assert splits(listed(VGGSound(validation=RARE), two)) == {"train": 1, "test": 2}
    (two / "train.csv").unlink()
    half = listed(VGGSound(), two)
    assert splits(half) == {"test": 2}
    assert half.notes == ("There is no train.csv, so none of its clips.",)


def test_a_header_that_somebody_gave_vggsound_is_no_clip(tmp_path):
    found = listed(
        VGGSound(), put(tmp_path, vggsound="filename,start,desc,split\r\n" + VGG, stat=STAT)
    )
    assert len(found.clips) == 3


def test_without_stat_csv_the_classes_are_the_labels_and_that_is_said(tmp_path):
    found = listed(VGGSound(), put(tmp_path, vggsound=VGG.replace("click", "hum")))
    assert found.classes == ("buzz, low", "hum")
    assert "not VGGSound's 309" in found.notes[0]


def test_other_datasets_tables_of_the_same_names_are_passed_over(tmp_path):
    put(tmp_path / "vgg", test=VGG_TEST, stat=STAT)
    put(
        tmp_path / "crema",
        train="1088_IOM_NEU_XX,NEU\r\n",
        test="1_A_B_C,NEU\n",
        stat="\ufeffNEU\r\nHAP\r\n",
    )
    kinetics_lists(tmp_path / "kinetics")
    found = listed(VGGSound(), tmp_path)
    assert splits(found) == {"test": 2}
    assert len(found.classes) == 3
    assert len(listed(Kinetics(), tmp_path).clips) == 6


def test_a_clip_that_is_listed_twice_is_taken_once_with_its_first_label(tmp_path):
    again = "VVVVVVVVVV2,4,hum,train\r\n-VVVVVVVVV1,30,hum,train\r\n"
    found = listed(VGGSound(validation=RARE), put(tmp_path, vggsound=VGG + again, stat=STAT))
    assert words(found, "VVVVVVVVVV2_4") == ["buzz, low"]
    assert len(found.clips) == 3
    assert found.notes[0].startswith("2 rows have clips that are listed before")
    assert found.notes[1].startswith("1 row has other labels than before: the first")


def test_a_clip_for_training_and_for_testing_is_for_testing(tmp_path):
    again = "VVVVVVVVVV2,120,hum,train\r\n"
    found = listed(VGGSound(), put(tmp_path, vggsound=again + VGG, stat=STAT))
    assert by_name(found)["VVVVVVVVVV2_120"].split == "test"
    assert words(found, "VVVVVVVVVV2_120") == ["click"]
    assert found.notes == (
        "1 training clip is listed for testing too: left out of training.",
        "1 video has clips for training and others for testing.",
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("VVVVVVVVVV4,30,humm,train", "'humm' is no class .* Did you mean 'hum'"),
        ("VVVVVVVVVV4,30,hum,val", "'val' is no split"),
        ("VVVVVVVVVV4,x,hum,train", "'x' is no start"),
        ("VVVVVVVVVV4,²,hum,train", "'²' is no start"),
        ("VVVVVVVVVV4,-1,hum,train", "'-1' is no start"),
        ("VVVVVVVVVV4,30,buzz, low,train", "5 fields"),
        ("a/../../etc,30,hum,train", "is no YouTube id"),
        ("VVVVVVVVVV44,30,hum,train", "is no YouTube id"),
        ("filename,start,desc,split", "'start' is no start"),
        ("#NAME?,30,hum,train", "is no YouTube id"),
    ],
)
def test_a_wrong_row_of_vggsound_is_one_sentence(tmp_path, row, why):
    root = put(tmp_path, vggsound=VGG + row, stat=STAT)
    with pytest.raises(MbtError, match=f"vggsound.csv, line 4: .*{why}"):
        listing(VGGSound(), Shelf(root))


@pytest.mark.parametrize(
    "name", ["VVVVVVVVVV4_30.mp4", "VVVVVVVVVV4_000030", "../VVVVVVVV_000030.mp4"]
)
def test_a_wrong_name_in_vggsounds_test_list_is_one_sentence(tmp_path, name):
    root = put(tmp_path, test=f"{VGG_TEST}{name},hum", stat=STAT)
    with pytest.raises(MbtError, match="test.csv, line 3: .* is no name like"):
        listing(VGGSound(), Shelf(root))


# Epic-Kitchens


def test_an_epic_segment_goes_by_its_times_and_its_video(tmp_path):
    clips(epic(tmp_path), "P07/videos/P07_103.MP4", "P07_03_0.mp4")
    found = listed(EpicKitchens(validation=RARE), tmp_path)
    assert found.heads == {"verb": 2, "noun": 3}
    assert found.classes == ("verb: take", "verb: put", "noun: tap", "noun: pan:lid", "noun: pot")
    one, two, *tests = found.clips
    assert (one.name, one.start_s, one.end_s, one.labels) == ("P07_03_0", 60.5, 62.75, (1, 3))
    assert (one.path, one.cut, one.group) == (None, "whole", "P07")
    assert (two.start_s, two.end_s, two.labels) == (3600, 3600.25, (0, 4))
    assert two.path == tmp_path / "P07/videos/P07_103.MP4"
    assert [clip.split for clip in tests] == ["test", "test"]
    assert found.official == {"train": 67_217, "test": 9_668}
    assert found.notes == ()


@pytest.mark.parametrize(
    ("target", "labels", "classes"), [("verb", [(1,), (0,)], 2), ("noun", [(1,), (2,)], 3)]
)
def test_a_target_of_one_kind_has_one_label_and_no_heads(tmp_path, target, labels, classes):
    found = listed(EpicKitchens(target=target), epic(tmp_path))
    assert [clip.labels for clip in found.clips[:2]] == labels
    assert len(found.classes) == classes
    assert not found.heads


def test_epic_validation_is_carved_by_video_not_by_participant(tmp_path):
    rows = "".join(
        f"P07_{v:02d}_{n},P07,P07_{v:02d},,00:00:01.00,00:00:02.00,1,1,x,x,0,x,0,[],[]\n"
        for v in range(1, 41) for n in range(3)
    )  # fmt: skip
    found = listed(
        EpicKitchens(validation=0.3, split_seed=5), epic(tmp_path, EPIC_100_train=EPIC_HEAD + rows)
    )
    train = [clip for clip in found.clips if clip.group == "P07"]
    for clip in train:
        video = clip.name.rsplit("_", 1)[0]
        assert clip.split == ("validation" if carved(video, 0.3, 5) else "train")
    assert {3 * 5 <= splits(found)["validation"] <= 3 * 20, len(train) == 120} == {True}


def test_the_adaptation_challenges_lists_are_not_the_training_list(tmp_path):
    root = epic(tmp_path, EPIC_100_uda_source_train=EPIC_HEAD + EPIC.replace("P07", "P11"))
    (root / "EPIC_100_train.csv").unlink()
    found = listed(EpicKitchens(), root)
    assert splits(found) == {"test": 2}
    assert found.notes == ("There is no EPIC_100_train.csv, so none of its clips.",)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("01:00:00.25", "00:59:59.00", "not after it starts"),
        ("01:00:00.25", "01:00:00.00", "not after it starts"),
        ("01:00:00.25", "3601", "'3601' is no time"),
        ("take,0", "take,2", "'2' is no verb class of .*csv \\(0 to 1\\)"),
        ("pot,2", "pot,3", "'3' is no noun class"),
        ("pot,2", "pot,-1", "'-1' is no noun class"),
        ("P07_103,", "../P07_103,", "not as in"),
        ("P07_103_12", "P07_104_12", "not as in"),
        ("P07_103_12,P07", "P07_103_12,P08", "not as in"),
        ('"take pot, tap"', "take pot, tap", "the row has 16 fields"),
    ],
)
@pytest.mark.parametrize("target", ["verb", "noun", "action"])
def test_a_wrong_row_of_epic_is_one_sentence(tmp_path, old, new, why, target):
    assert old in EPIC
    root = epic(tmp_path, EPIC_100_train=EPIC_HEAD + EPIC.replace(old, new, 1))
    with pytest.raises(MbtError, match=f"EPIC_100_train.csv, line 3: .*{why}"):
        listing(EpicKitchens(target=target), Shelf(root))


# Kinetics


def test_kinetics_is_read_from_its_lists_by_any_of_their_names(tmp_path):
    for k, (train, val) in enumerate([
        ("train", "val"), ("train", "validate"), ("kinetics-400_train", "kinetics-400_val"),
        ("kinetics_400_train", "kinetics_400_val.excerpt"),
    ]):  # fmt: skip
        root = put(tmp_path / str(k), **{
            f"{train}.csv": K400.format("train").replace("KK", "TT"),
            f"{val}.csv": K400.format("validate" if val == "validate" else "val"),
        })  # fmt: skip
        clips(root, "singing/TTTTTTTTTT2_000115_000125.mp4")
        found = listed(Kinetics(validation=RARE), root)
        assert splits(found) == {"train": 3, "test": 3}
        assert found.classes == ("humming songs", "singing", "tap dancing")
        assert words(found, "TTTTTTTTTT2_115") == ["tap dancing"]
        clip = by_name(found)["TTTTTTTTTT2_115"]
        assert clip.path == root / "singing/TTTTTTTTTT2_000115_000125.mp4"
        assert (clip.end_s, clip.cut, clip.group) == (125, "clip", "TTTTTTTTTT2")
        assert found.official == {}
        assert found.notes == ("The clips are of 3 classes, not of Kinetics' 400.",)


def test_kinetics_is_read_from_its_folders_without_lists(tmp_path):
    clips(tmp_path, "k/train/tap_dancing/TTTTTTTTTT2_000115_000125.mp4",
          "k/train/singing/abcdefghijklm.mp4",
          "k/val/singing/KKKKKKKKKK3.webm", "k/test/KKKKKKKKKK4.mp4", "z.mp4")  # fmt: skip
    found = listed(Kinetics(validation=RARE), tmp_path)
    assert splits(found) == {"train": 2, "test": 1}
    assert found.classes == ("singing", "tap dancing")
    clip = by_name(found)["k/train/tap_dancing/TTTTTTTTTT2_000115_000125.mp4"]
    assert (clip.group, clip.labels, clip.start_s, clip.end_s) == ("TTTTTTTTTT2", (1,), 0, None)
    assert by_name(found)["k/train/singing/abcdefghijklm.mp4"].group == "abcdefghijklm"


def test_kinetics_sounds_is_the_first_publications_list_and_says_what_it_is_not(tmp_path):
    found = listed(Kinetics(classes="sounds", validation=RARE), kinetics_lists(tmp_path))
    assert len(found.classes) == 31
    assert found.classes == tuple(sorted(kinetics.SOUNDS))
    assert {found.classes[c.labels[0]] for c in found.clips} == {"singing", "tap dancing"}
    assert len(found.clips) == 4
    assert found.class_list.startswith("kinetics_sounds-31 (")
    assert "not the paper's list of 36 classes" in found.notes[0]


def test_kinetics_sounds_may_be_a_list_of_your_own(tmp_path):
    root = kinetics_lists(tmp_path, **{"kinetics_sounds.txt": "singing\nhumming songs\n"})
    found = listed(Kinetics(classes="sounds"), root)
    assert found.classes == ("humming songs", "singing")
    assert found.class_list.startswith("kinetics_sounds-2 (")
    for text, why in (
        ("singing\nsining\n", "line 2: .*'sining'"),
        ("singing\nsinging", "line 2: .*twice"),
        ("\n", "line 1: there are no"),
    ):
        put(root, **{"kinetics_sounds.txt": text})
        with pytest.raises(MbtError, match=f"kinetics_sounds.txt, {why}"):
            listing(Kinetics(classes="sounds"), Shelf(root))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("singing,KKKKKKKKKK4,10,0,val,0", "not after it starts"),
        ("singing,KKKKKKKKKK4,0,10,train,0", "split 'train'"),
        (",KKKKKKKKKK4,0,10,val,0", "label is empty"),
        ("singing,a/b,0,10,val,0", "no YouTube id"),
        ("singing,KKKKKKKKKK4,0,10,val", "5 fields"),
    ],
)
def test_a_wrong_row_of_kinetics_is_one_sentence(tmp_path, row, why):
    root = kinetics_lists(tmp_path, val=K400.format("val") + row)
    with pytest.raises(MbtError, match=f"val.csv, line 5: .*{why}"):
        listing(Kinetics(), Shelf(root))


# Moments in Time


def test_moments_is_read_from_its_lists(tmp_path):
    for k, (name, text) in enumerate([
        ("moments_categories.txt", "clapping,0\nadult+singing,1\nfilling,2\n"),
        ("category_momentsv2.txt", "clapping\nadult+singing\nfilling"),
    ]):  # fmt: skip
        root = moments(tmp_path / str(k), **{name: text})
        clips(root, "training/clapping/yt-tAAAAA_1.mp4", "training/aaa/yt-tAAAAA_1.mp4",
              "flat/fl-vBBB_22.mp4")  # fmt: skip
        found = listed(Moments(validation=RARE), root)
        assert found.classes == ("clapping", "adult+singing", "filling")
        clip = by_name(found)["clapping/yt-tAAAAA_1.mp4"]
        assert clip.path == root / "training/clapping/yt-tAAAAA_1.mp4"
        assert (clip.group, clip.split, clip.labels) == ("yt-tAAAAA", "train", (0,))
        assert by_name(found)["adult+singing/fl-vBBB_22.mp4"].path == root / "flat/fl-vBBB_22.mp4"
        assert splits(found) == {"train": 2, "test": 2}
        assert found.notes == ()


def test_moments_is_read_from_its_folders_without_lists(tmp_path):
    clips(tmp_path, "training/clapping/a.mp4", "training/adult+singing/b_2.mp4",
          "validation/clapping/c.mp4")  # fmt: skip
    found = listed(Moments(validation=RARE), tmp_path)
    assert splits(found) == {"train": 2, "test": 1}
    assert found.classes == ("adult+singing", "clapping")
    assert "There is no moments_categories.txt: the clips' labels make 2 classes" in found.notes[0]
    put(tmp_path, **{"moments_categories.txt": "clapping,0\n"})
    with pytest.raises(MbtError, match=r"b_2.mp4: 'adult\+singing' is no class of"):
        listing(Moments(), Shelf(tmp_path))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("../../etc/x.mp4,clapping", "is no name like"),
        ("/x.mp4,clapping", "is no name like"),
        ("../x.mp4,clapping", "is no name like"),
        ("clapping\\x.mp4,clapping", "is no name like"),
        ("clapping/x.mp4", "no class after"),
        ("clapping/x.mp4,claping", "'claping' is no class"),
    ],
)
def test_a_wrong_row_of_moments_is_one_sentence(tmp_path, row, why):
    root = moments(tmp_path, trainingSet=MOMENTS.format("t") + row,
                   **{"moments_categories.txt": "clapping,0\nadult+singing,1\n"})  # fmt: skip
    with pytest.raises(MbtError, match=f"trainingSet.csv, line 3: .*{why}"):
        listing(Moments(), Shelf(root))


@pytest.mark.parametrize("text", ["a,0\nb,2\n", "a\na\n", "a,0\n,1\n", "a\nb,1,2\n"])
def test_a_wrong_list_of_moments_classes_is_one_sentence(tmp_path, text):
    root = moments(tmp_path, **{"moments_categories.txt": text})
    with pytest.raises(MbtError, match="moments_categories.txt, line 2: "):
        listing(Moments(), Shelf(root))


# None of them


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (AudioSet(), "No class_labels_indices.csv lies below .* AudioSet's download page"),
        (VGGSound(), "No vggsound.csv or train.csv or test.csv lies below"),
        (EpicKitchens(), "No EPIC_100_verb_classes.csv lies below"),
        (Kinetics(), "No train.csv or val.csv or validate.csv lies below"),
        (Moments(), "No trainingSet.csv or validationSet.csv lies below"),
    ],
)
def test_metadata_that_are_not_there_are_one_sentence(tmp_path, spec, why):
    with pytest.raises(MbtError, match=why):
        listing(spec, Shelf(clips(tmp_path, "x.mp4")))


def test_lists_that_are_not_there_are_named_where_the_classes_are(tmp_path):
    put(
        tmp_path,
        class_labels_indices=MIDS,
        EPIC_100_verb_classes=VERBS,
        EPIC_100_noun_classes=NOUNS,
    )
    with pytest.raises(MbtError, match="No balanced_train_segments.csv or eval_segments.csv lies"):
        listing(AudioSet(), Shelf(tmp_path))
    with pytest.raises(MbtError, match="No EPIC_100_train.csv or EPIC_100_validation.csv lies"):
        listing(EpicKitchens(), Shelf(tmp_path))
