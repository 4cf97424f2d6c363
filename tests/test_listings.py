"""Each dataset's clips are listed as its metadata have them, and damaged metadata are refused."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from conftest import SHARED

from mbt_cli.data import grid_corpus, kinetics
from mbt_cli.data.audioset import capped
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

# Invented: no row of these is of the real metadata.
MIDS = 'index,mid,display_name\n0,/m/a0,"Hum"\n1,/m/b_1,"Buzz, low"\n2,/t/dd9,"Click"\n'
COMMENTS = "# Segments csv\n# num_ytids=2, num_segs=2, num_labels=3, num_p=4\n# YTID, start\n"
BALANCED = '-AAAAAAAAA1, 30.000, 40.000, "/t/dd9,/m/a0"\nAAAAAAAA_-2, 0.000, 7.000, "/m/b_1"\n'
EVAL = 'EEEEEEEEEE1, 10.000, 20.000, "/m/a0"\n'
STAT = 'hum,3,things\r\n"buzz, low",2,things\r\nclick,1,things'
VGG = (
    '-VVVVVVVVV1,30,hum,train\r\nVVVVVVVVVV2,4,"buzz, low",train\r\nVVVVVVVVVV2,120,click,test\r\n'
)
VGG_TEST = '-VVVVVVVVV1_000030.mp4,hum\r\nVVVVVVVVVV2_000120.mp4,"buzz, low"\r\n'
VERBS = "id,key,instances,category\r\n0,take,\"['take', 'get']\",x\r\n1,put,['put'],x"
NOUNS = "id,key,instances,category\r\n0,tap,['tap'],x\r\n1,pan:lid,['lid'],x\r\n2,pot,['pot'],x"
EPIC_HEAD = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
    "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)
EPIC = (
    "P07_03_0,P07,P07_03,,00:01:00.50,00:01:02.75,9,9,put lid,put,1,lid,1,['lid'],[1]\n"
    'P07_103_12,P07,P07_103,01:00:00.000,01:00:00.00,01:00:00.25,9,9,"take pot, tap",take,0,pot,2,'
    "\"['pot', 'tap']\",\"[2, 0]\"\n"
)
K400 = (
    "label,youtube_id,time_start,time_end,split,is_cc\n"
    '"humming songs",-KKKKKKKKK1,5,15,{0},0\n"tap dancing",KKKKKKKKKK2,115,125,{0},0\n'
    "singing,KKKKKKKKKK3,0,10,{0},1\n"
)
MOMENTS = (
    "clapping/yt-{0}AAAAA_1.mp4,clapping,3,1\nadult+singing/fl-{0}BBB_22.mp4,adult+singing,1,0\n"
)
OWN = (
    "path,labels,start,end,split,group\na/x.mp4,dog,1.5,3,train,s1\ny.mkv,cat,,,val,s2\n"
    "z.mov,cat,,2,test,s3\n"
)


def put(root, **files):
    root.mkdir(exist_ok=True, parents=True)
    for name, text in files.items():
        file = root / f"{name}.csv" if not (root / name).suffix else root / name
        file.write_bytes(text.encode())
    return root


def clips(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def audioset(root, **changed):
    return put(root, **{
        "class_labels_indices": MIDS, "balanced_train_segments": COMMENTS + BALANCED,
        "eval_segments": COMMENTS + EVAL,
    } | changed)  # fmt: skip


def epic(root, **changed):
    return put(root, **{
        "EPIC_100_verb_classes": VERBS, "EPIC_100_noun_classes": NOUNS,
        "EPIC_100_train": EPIC_HEAD + EPIC,
        "EPIC_100_validation": EPIC_HEAD + EPIC.replace("P07", "P09"),
    } | changed)  # fmt: skip


def kinetics_lists(root, **changed):
    return put(root, **{"train": K400.format("train").replace("KK", "TT"),
                        "val": K400.format("val")} | changed)  # fmt: skip


def moments(root, **changed):
    return put(root, **{"trainingSet": MOMENTS.format("t"), "validationSet": MOMENTS.format("v"),
                        } | changed)  # fmt: skip


def listed(spec, root, metadata=None):
    found = listing(spec, Shelf(root, metadata))
    assert len({clip.name for clip in found.clips}) == len(found.clips)
    for clip in found.clips:
        assert clip.labels == tuple(sorted(set(clip.labels)))
        assert clip.labels and clip.labels[-1] < len(found.classes)
        assert clip.split in ("train", "validation", "test")
    assert len(set(found.classes)) == len(found.classes)
    return found


def by_name(found):
    return {clip.name: clip for clip in found.clips}


def words(found, name):
    return [found.classes[place] for place in by_name(found)[name].labels]


def splits(found):
    return Counter(clip.split for clip in found.clips)


RARE = 1e-12
"""A share so small that no video is carved."""


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
        "1 videos have clips for training and others for testing.",
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
        ('"take pot, tap"', "take pot, tap", "there are 16 fields"),
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
    assert "not the paper's list of 36" in found.notes[0]


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
    assert "There is no moments_categories.txt: the classes are the 2 labels" in found.notes[0]
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
    assert found.notes == ("1 clips lie in no class's folder, and are left out: loose.mp4.",)
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
        (["cat/1.mp4", "cat/2.mp4", "dog/1.mp4"], Folder(), r"\d clip\(s\) of 'cat'; at least 3"),
        (
            ["train/cat/1.mp4", "train/dog/1.mp4", "test/dog/2.mp4"],
            Folder(),
            "of 'cat'; at least 2",
        ),
        (
            ["train/cat/1.mp4", "val/dog/1.mp4"],
            Folder(),
            "of train and validation, but none of test",
        ),
        (["test/cat/1.mp4", "test/dog/1.mp4"], Folder(), "of test, but none of train"),
        (["cat/1.mp4", "cat/2.mp4", "cat/3.mp4"], Folder(), "has 1 folders of clips"),
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


def test_several_labels_are_separated_by_a_bar_where_there_may_be_several(tmp_path):
    put(tmp_path, clips="path,labels\n" + "".join(f"{k}.mp4,dog|cat|dog\n" for k in range(5)))
    found = listed(Csv(multi_label=True), tmp_path)
    assert found.classes == ("cat", "dog") and found.multi_label
    assert {clip.labels for clip in found.clips} == {(0, 1)}
    with pytest.raises(MbtError, match="has 1 labels"):
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
        ("q.mp4,dog", "there are 2 fields"),
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
    for target in ("command", "colour"):
        spec = GridCorpus(target=target)
        found, manifest = listed(spec, tmp_path), grid_corpus.manifest(spec, tmp_path)
        assert [(c.name, c.path, c.split, c.labels) for c in found.clips] == [
            (e.name, e.path, e.split, e.labels) for e in manifest.entries
        ]
        assert found.classes == manifest.classes
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


def test_a_folder_that_could_not_be_read_is_a_note(tmp_path):
    shelf = Shelf(audioset(tmp_path))
    shelf.unreadable = ("lost+found",)
    assert listing(AudioSet(), shelf).notes == ("1 folders cannot be looked into: lost+found.",)


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


# The real metadata


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


# Ten thousand damaged lines


READERS = {
    "balanced_train_segments.csv": (AudioSet(), audioset, COMMENTS + BALANCED),
    "class_labels_indices.csv": (AudioSet(), audioset, MIDS),
    "vggsound.csv": (VGGSound(), lambda root: put(root, vggsound=VGG, stat=STAT), VGG),
    "test.csv": (VGGSound(), lambda root: put(root, test=VGG_TEST, stat=STAT), VGG_TEST),
    "stat.csv": (VGGSound(), lambda root: put(root, test=VGG_TEST, stat=STAT), STAT),
    "EPIC_100_train.csv": (EpicKitchens(), epic, EPIC_HEAD + EPIC),
    "EPIC_100_noun_classes.csv": (EpicKitchens(), epic, NOUNS),
    "val.csv": (Kinetics(), kinetics_lists, K400.format("val")),
    "trainingSet.csv": (Moments(), moments, MOMENTS.format("t")),
    "clips.csv": (Csv(), lambda root: put(root, clips=OWN), OWN),
}
PIECES = [
    '"', ",", "\n", "\r", "\0", "\ufeff", "é", "#NAME?", "../", "/etc/x", "-1", "nan", "1e400", "",
    "9" * 30, " ", "'", "[", "\\", "²", "\x1c", "\u2028", "|", "x" * 300,
]  # fmt: skip


def mangled(text, rng):
    """The bytes of a text with a few characters cut out, doubled or put in."""
    data = text.encode()
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(data) + 1)
        j = min(len(data), i + rng.choice((0, 0, 1, 2, 11, 40)))
        piece = rng.choice(PIECES).encode() if rng.random() < 0.9 else bytes([rng.randrange(256)])
        data = data[:i] + rng.choice((piece, data[i:j] * 2)) + data[j:]
    return data


@pytest.mark.parametrize("name", READERS)
def test_a_thousand_damaged_copies_give_a_listing_or_one_sentence_with_file_and_line(
    tmp_path, name
):
    spec, make, text = READERS[name]
    shelf = Shelf(make(tmp_path))
    rng, told, fine = random.Random(name), 0, 0
    for _ in range(1000):
        (tmp_path / name).write_bytes(mangled(text, rng))
        try:
            found = listing(spec, shelf)
        except MbtError as why:
            said = str(why)
            assert name in said
            no_such_table = said.startswith(("No ", "One csv file with the columns"))
            assert no_such_table or re.search(
                r"\.csv, line \d+: .|has \d+ (labels|groups)", said
            ), said
            told += 1
        else:
            assert all(clip.labels for clip in found.clips)
            fine += 1
    assert told > 300
    assert fine > 10
