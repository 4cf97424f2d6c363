"""Metadata of every dataset, invented; and what is listed by them."""

from collections import Counter

from mbt_cli.data.datasets import listing
from mbt_cli.data.shelf import Shelf

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
