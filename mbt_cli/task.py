"""What is asked of a clip: which classes it may have, and by which figure answers are judged."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

FEW = 64
"""Classes up to which every score is kept, and every class has its AUC."""


@dataclass(frozen=True)
class Task:
    """The same for all runs on a dataset, and kept in the record of each."""

    classes: Sequence[str]
    multi_label: bool
    """Whether a clip may have several classes, or has one (of each head)."""
    tagging: bool = False
    """Whether the several are found among many, as in YouTube-8M: judged by GAP, not by mAP."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Named sets of classes that a report gives figures for; no class is in two."""
    heads: Mapping[str, int] = field(default_factory=dict)
    """Where a clip has one class of each of several kinds, how many classes each kind has, in the
    order in which they stand in `classes`."""

    @property
    def primary(self) -> str:
        """The figure by which epochs and cells are chosen: GAP where clips are tagged, mAP where a
        clip has several classes, accuracy where it has one."""
        if self.tagging:
            return "GAP"
        return "mAP" if self.multi_label else "top1"

    @property
    def wide(self) -> bool:
        """Whether of each clip only the top classes are kept (`tagging.Pruned`)."""
        return self.tagging and len(self.classes) > FEW

    def record(self) -> dict[str, Any]:
        """As plain values for JSON."""
        told = asdict(self)
        groups = {name: list(of) for name, of in self.groups.items()}
        return told | {"classes": list(self.classes), "groups": groups}
