"""Which clips a dataset's metadata promise, and which file each may be. No torch, no media.

What of that is really there, and decodes, a scan says (`scan.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from mbt_cli.data.manifest import fingerprint

Cut = Literal["clip", "whole", "either"]
"""What a file holds: the clip alone; the whole video it was cut from; by its name either of them,
which its duration tells."""


@dataclass(frozen=True)
class Listed:
    """One clip that the metadata promise."""

    name: str
    """Unique in the listing: mostly the video's id, `_`, and the start in whole seconds."""
    split: str
    labels: tuple[int, ...]
    """Places in `Listing.classes`, rising."""
    path: Path | None
    """The file; None where none of its usual names was found."""
    start_s: float = 0.0
    """Of the clip, in the video that it was cut from."""
    end_s: float | None = None
    """The same; None where the clip ends with its file."""
    cut: Cut = "clip"
    group: str = ""
    """What it was cut from (a video, a participant): clips of one group are not independent."""


@dataclass(frozen=True)
class Listing:
    """A dataset by its metadata."""

    clips: tuple[Listed, ...]
    classes: tuple[str, ...]
    class_list: str
    """The name of the list of classes with its version, as `class_list` gives it."""
    multi_label: bool
    tagging: bool = False
    """As in `Manifest`."""
    heads: Mapping[str, int] = field(default_factory=dict)
    """The same."""
    official: Mapping[str, int] = field(default_factory=dict)
    """Clips of each split in the dataset's official metadata, where that is known; the official
    training clips count as `train`, before any are taken from them for validation."""
    notes: tuple[str, ...] = ()
    """Sentences on what the metadata hold that a user should know: repeated clips, clips that are
    in train and test, a list of classes that is not the official one."""


def class_list(name: str, classes: Sequence[str], official: str = "") -> str:
    """What a list of classes is called: `vggsound-309 (official)`, else its name, its length and
    eight hex digits for its words. `official` is these digits of the official list."""
    digits = fingerprint(classes)[:8]
    return f"{name}-{len(classes)} ({'official' if digits == official else digits})"


def carved(group: str, share: float, seed: int) -> bool:
    """Whether the training clips of a group (a video) are taken for validation: the same for all
    its clips, everywhere, whatever other clips there are."""
    sum_ = blake2b(f"{seed} {group}".encode(), digest_size=8).digest()
    return int.from_bytes(sum_, "big") < share * 2**64
