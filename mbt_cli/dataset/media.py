"""Datasets of clips with pictures and sound: which a run learns from. Frozen values, no torch.

Each dataset has a kind of its own, tagged by `dataset`; how its clips are found is in `data/`.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mbt_cli.dataset.views import Views
from mbt_cli.settings import above, at_least, below


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The built-in world: rendered videos with known answers (`mbt_cli/data/world.py`)."""

    dataset: ClassVar[str] = "synthetic"
    world: int = 0
    """Seed of the world. Another world has other clips of the same kind."""
    train: int = 4000
    """Clips to learn from."""
    validation: int = 1000
    """Clips by which the best epoch, and the best cell, are chosen."""
    test: int = 1000
    """Clips looked at once, at the end of a run."""
    views: Views = field(default_factory=Views)
    fingerprint: str = ""
    """Which clips exactly. Filled in when the data is opened; no setting."""

    def check(self) -> None:
        at_least("data", self, world=0, train=1, validation=1, test=1)
        self.views.check()


@dataclass(frozen=True, kw_only=True)
class GridCorpus:
    """GRID, audio-visual sentences of a fixed grammar (Cooke et al. 2006): folders of .mpg."""

    dataset: ClassVar[str] = "grid_corpus"
    target: Literal["command", "colour", "preposition", "letter", "digit", "adverb"] = "command"
    """Which word of the sentence is the class."""
    views: Views = field(default_factory=Views)
    fingerprint: str = ""
    """Which clips exactly. Filled in when the data is opened; no setting."""

    def check(self) -> None:
        self.views.check()


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """What all datasets have whose clips are promised by metadata and looked for in a folder."""

    validation: float = 0.05
    """Share of the training videos by which the best epoch, and the best cell, are chosen: all
    clips of a video, chosen by its name and `split_seed`. Without an official validation split."""
    split_seed: int = 0
    """Another one takes other videos for validation. No seed of a run: it moves the data."""
    views: Views = field(default_factory=Views)
    fingerprint: str = ""
    """Which clips exactly. Filled in when the data is opened; no setting."""

    def check(self) -> None:
        at_least("data", self, split_seed=0)
        above("data", self, validation=0)
        below("data", self, validation=1)
        self.views.check()


@dataclass(frozen=True, kw_only=True)
class AudioSet(_Listed):
    """AudioSet (Gemmeke et al. 2017): 10 s of YouTube, 527 classes, several a clip. Test clips are
    those of its eval segments."""

    dataset: ClassVar[str] = "audioset"
    train: Literal["balanced", "500k", "full"] = "balanced"
    """Training segments: the balanced ones (the paper's mini-AudioSet); of the unbalanced ones at
    most `cap` a class, taken greedily (a subset of this tool's own, not the paper's AS-500K, whose
    list was never published); or balanced and unbalanced ones all."""
    cap: int = 200_000
    """Of 500k: a clip is taken unless one of its classes has so many already (paper, app. A)."""
    subset_seed: int = 0
    """Of 500k: the order in which clips are offered."""

    def check(self) -> None:
        super().check()
        at_least("data", self, cap=1, subset_seed=0)


@dataclass(frozen=True, kw_only=True)
class VGGSound(_Listed):
    """VGGSound (Chen et al. 2020): 10 s of YouTube, 309 classes, one a clip."""

    dataset: ClassVar[str] = "vggsound"


@dataclass(frozen=True, kw_only=True)
class EpicKitchens(_Listed):
    """Epic-Kitchens-100 (Damen et al. 2022): segments of egocentric videos. Its validation
    segments are the test clips, for those of its test set have no labels."""

    dataset: ClassVar[str] = "epic_kitchens"
    target: Literal["verb", "noun", "action"] = "action"
    """The class: one of 97 verbs, of 300 nouns, or both, by a head of the classifier for each; an
    action is right where both are, and ranked by the product of their probabilities."""


@dataclass(frozen=True, kw_only=True)
class Kinetics(_Listed):
    """Kinetics-400 (Kay et al. 2017), or the classes of it that a list names: 10 s of YouTube, one
    class a clip. Its validation clips are the test clips, as in the paper."""

    dataset: ClassVar[str] = "kinetics"
    classes: Literal["all", "sounds"] = "all"
    """All, or those that are seen and heard ("Kinetics-Sounds", Arandjelovic and Zisserman 2017).
    The paper's list of 36 was never printed: this one is the first publication's, as far as its
    names are still in Kinetics-400, or one of your own in `kinetics_sounds.txt`."""


@dataclass(frozen=True, kw_only=True)
class Moments(_Listed):
    """Moments in Time (Monfort et al. 2019): 3 s, one class a clip. Its validation clips are the
    test clips, as in the paper."""

    dataset: ClassVar[str] = "moments"


@dataclass(frozen=True, kw_only=True)
class Folder(_Listed):
    """Your own clips, sorted into folders: `<class>/clip.mp4`, or `<split>/<class>/clip.mp4` with
    splits train, validation (or val) and test. Split by each clip's name where folders do not."""

    dataset: ClassVar[str] = "folder"
    validation: float = 0.2
    """Share of each class's clips (at least one) by which the best epoch and cell are chosen."""
    test: float = 0.2
    """Share of each class's clips (at least one) looked at once, at the end of a run."""

    def check(self) -> None:
        super().check()
        above("data", self, test=0)
        below("data", self, test=1)


@dataclass(frozen=True, kw_only=True)
class Csv(_Listed):
    """Your own clips by a csv file with a header: `path`, `labels`, and where they are needed
    `start`, `end` (seconds), `split` (train, validation, test) and `group`."""

    dataset: ClassVar[str] = "csv"
    multi_label: bool = False
    """Whether a clip may have several labels, separated by `|`."""
    validation: float = 0.2
    """Share of the groups by which the best epoch and cell are chosen, without a split column."""
    test: float = 0.2
    """Share of the groups looked at once, at the end of a run, without a split column."""

    def check(self) -> None:
        super().check()
        above("data", self, test=0)
        below("data", self, test=1)
