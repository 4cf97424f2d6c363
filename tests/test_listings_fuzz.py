"""Ten thousand damaged lists: each gives a listing, or one sentence with file and line."""

import random
import re

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
    OWN,
    STAT,
    VGG,
    VGG_TEST,
    audioset,
    epic,
    kinetics_lists,
    moments,
    put,
)

from mbt_cli.data.datasets import listing
from mbt_cli.data.shelf import Shelf
from mbt_cli.dataset import AudioSet, Csv, EpicKitchens, Kinetics, Moments, VGGSound
from mbt_cli.errors import MbtError

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
                r"\.csv, line \d+: .|has \d+ (labels?;|groups?) ", said
            ), said
            told += 1
        else:
            assert all(clip.labels for clip in found.clips)
            fine += 1
    assert told > 300
    assert fine > 10
