"""The datasets whose clips metadata promise, or folders: one function each that lists them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mbt_cli.data import (
    audioset,
    csv_file,
    epic_kitchens,
    folder,
    grid_corpus,
    kinetics,
    moments,
    vggsound,
)
from mbt_cli.data.listing import Listing
from mbt_cli.data.shelf import Shelf
from mbt_cli.dataset import (
    AudioSet,
    Data,
    EpicKitchens,
    GridCorpus,
    Kinetics,
    Moments,
    VGGSound,
    YouTube8M,
)
from mbt_cli.words import count

LISTINGS: dict[str, Callable[[Any, Shelf], Listing]] = {
    "audioset": audioset.listing,
    "vggsound": vggsound.listing,
    "epic_kitchens": epic_kitchens.listing,
    "kinetics": kinetics.listing,
    "moments": moments.listing,
    "grid_corpus": grid_corpus.listing,
    "folder": folder.listing,
    "csv": csv_file.listing,
}
"""By the tag of the settings."""


def listing(spec: Data, shelf: Shelf) -> Listing:
    """The clips of a dataset that lies on a shelf, with a note where folders could not be read.

    Raises MbtError.
    """
    found = LISTINGS[spec.dataset](spec, shelf)
    if not shelf.unreadable:
        return found
    note = f"{count(len(shelf.unreadable), 'folder')} cannot be looked into: {shelf.unreadable[0]}."
    return replace(found, notes=(*found.notes, note))


def classes_of(spec: Data) -> int | None:
    """How many classes a dataset has, where that is known without its files."""
    match spec:
        case AudioSet():
            return audioset.CLASSES
        case VGGSound():
            return vggsound.CLASSES
        case EpicKitchens():
            return epic_kitchens.CLASSES[spec.target]
        case Kinetics(classes="all"):
            return kinetics.CLASSES
        case Moments():
            return moments.CLASSES
        case YouTube8M():
            return spec.classes
        case GridCorpus():
            return len(grid_corpus.WORDS[spec.target])
        case _:
            return None
