"""The GRID corpus: sentences such as "bin blue at f two now", spoken to a camera.

Cooke et al. 2006, JASA 120(5). 34 speakers, 1000 sentences of 3 s each, MPEG-1 at 25 frames/s
(360x288) with stereo sound; the file name spells the sentence, one character a word: `bbaf2n.mpg`.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mbt_cli.data.listing import Listed, Listing, class_list
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.splits import shares
from mbt_cli.dataset import GridCorpus
from mbt_cli.errors import MbtError
from mbt_cli.words import count

WORDS = {
    "command": {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    "colour": {"b": "blue", "g": "green", "r": "red", "w": "white"},
    "preposition": {"a": "at", "b": "by", "i": "in", "w": "with"},
    "letter": {c: c for c in "abcdefghijklmnopqrstuvxyz"},
    "digit": {"z": "zero"} | {c: c for c in "123456789"},
    "adverb": {"a": "again", "n": "now", "p": "please", "s": "soon"},
}
"""The grammar, in the order of the words: each character of a name, and the word it stands for."""

VALIDATION, TEST = 0.2, 0.2
"""Shares of the clips of each class; GRID has no official split."""


def listing(spec: GridCorpus, shelf: Shelf) -> Listing:
    """All clips on the shelf; a clip's group is its speaker, by its folder.

    The split is made within each class from a hash of the names, so it is the same everywhere.

    Raises MbtError where there are none, or too few of a class.
    """
    names = [name for name in shelf.media if name.endswith(".mpg")]
    clips = tuple(
        Listed(name, split, (label,), shelf.root / name, group=(shelf.root / name).parent.name)
        for name, split, label in _split(spec, shelf.root, names)
    )
    classes = tuple(WORDS[spec.target].values())
    return Listing(clips, classes, class_list(f"grid_corpus_{spec.target}", classes), False)


def _split(spec: GridCorpus, root: Path, names: Iterable[str]) -> list[tuple[str, str, int]]:
    """Name below the root, split and label of each clip, sorted by name."""
    by_class: dict[int, list[str]] = defaultdict(list)
    words = WORDS[spec.target]
    place = list(WORDS).index(spec.target)
    for name in names:
        if spelled(stem := PurePosixPath(name).stem):
            by_class[list(words).index(stem[place])].append(name)
    if not by_class:
        raise MbtError(
            f"No clip of the GRID corpus lies below {root}: found no file named like 'bbaf2n.mpg'."
        )
    clips = []
    for label, found in sorted(by_class.items()):
        if len(found) < 3:
            raise MbtError(
                f"{root} has {count(len(found), 'clip')} of {spec.target}"
                f" '{list(words.values())[label]}'; at least 3 are needed, one for each"
                " of train, validation and test."
            )
        split = shares(found, VALIDATION, TEST)
        clips += [(name, split[name], label) for name in found]
    return sorted(clips)


def spelled(stem: str) -> bool:
    """Whether a file's name is a sentence of the grammar."""
    return len(stem) == len(WORDS) and all(
        character in words for character, words in zip(stem, WORDS.values(), strict=True)
    )
