"""Our numbers against those of the official implementation (google-research/scenic, projects/mbt,
commit 4a38d47), computed with it on random weights: a line for each file of a folder.

    make golden DIR=FOLDER

A file holds a model with its inputs and everything it computed of them (`cases.py`), or one piece
of training (`pieces.py`). Every number of a file is compared; one that we have no counterpart of
fails. Allowed differences: 1e-5 for tokens and logits in float32, 1e-10 in float64, 5e-6 of a
loss, 2e-6 of the norm of all gradients.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conformance import cases, pieces
from conformance.check import Check


@dataclass(frozen=True)
class Found:
    """What became of one file."""

    name: str
    worst: dict[str, Check]
    """The largest difference of each kind of number."""
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and all(check.passed for check in self.worst.values())

    @property
    def line(self) -> str:
        said = self.problem or "  ".join(map(str, self.worst.values()))
        return f"{self.name:<28} {'pass' if self.passed else 'FAIL'}  {said}"


def compare(path: Path) -> Found:
    """Every number of one file. An error of ours is a failure of that file, and no more."""
    worst: dict[str, Check] = {}
    try:
        for check in comparison_of(path)(path):
            if check.what not in worst or worst[check.what].share < check.share:
                worst[check.what] = check
    except Exception as error:  # noqa: BLE001  # whatever it is, the other files are still compared
        return Found(path.stem, worst, f"{type(error).__name__}: {error}")
    return Found(path.stem, worst, "" if worst else "nothing in it could be compared")


def comparison_of(path: Path) -> Callable[[Path], Iterator[Check]]:
    """By the beginning of a file's name; what has no other name is a model."""
    for beginning, comparison in pieces.PIECES.items():
        if path.stem.startswith(beginning):
            return comparison
    return cases.compare


def files(folder: Path) -> list[Path]:
    """All that a folder holds to be compared; manifest.json is their list."""
    found = sorted([*folder.glob("*.npz"), *folder.glob("*.json")])
    return [path for path in found if path.stem != "manifest"]
