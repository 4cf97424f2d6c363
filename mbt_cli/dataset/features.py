"""Datasets of feature vectors: which videos a run learns from. Frozen values, no torch."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mbt_cli.dataset.views import Features
from mbt_cli.errors import MbtError
from mbt_cli.settings import above, at_least, below


@dataclass(frozen=True, kw_only=True)
class YouTube8M:
    """YouTube-8M (Abu-El-Haija et al. 2016): features of videos, several classes each, in TFRecord
    shards. Shards train* are learned from and shards validate* are the test videos, for the labels
    of shards test* were never published; or folds of the shards there are."""

    dataset: ClassVar[str] = "youtube8m"
    level: Literal["frame", "video", "segment"] = "frame"
    """What a record holds: features of every second; only their means; or those of every second,
    with labels of some segments of 5 s (2019), each of which is then a clip."""
    classes: int = 3862
    """Of the labels in the records: 3862 since 2018, 4716 in 2017."""
    vocabulary: int = 0
    """Only the first so many classes are learned and asked (the most frequent come first); 0: all.
    A video without any of them is a video without labels."""
    folds: int = 0
    """The shards in so many parts, one of them for testing, the others to learn from and to choose
    by; 0: as the names of the shards say."""
    fold: int = 0
    """The part that is for testing, from 0."""
    validation: float = 0.05
    """Share of the training videos by which the best epoch, the best cell and thresholds are
    chosen, by their names and `split_seed`."""
    split_seed: int = 0
    """Another one takes other videos for validation. No seed of a run: it moves the data."""
    views: Features = field(default_factory=Features)
    fingerprint: str = ""
    """Which videos exactly. Filled in when the data is opened; no setting."""

    def check(self) -> None:
        at_least("data", self, classes=2, vocabulary=0, folds=0, fold=0, split_seed=0)
        above("data", self, validation=0)
        below("data", self, validation=1)
        if self.vocabulary > self.classes:
            raise MbtError(
                f"data.vocabulary is {self.vocabulary}, but data.classes is {self.classes}: ask for"
                " no more classes than there are."
            )
        if self.folds == 1 or (self.fold and self.fold >= self.folds):
            raise MbtError(
                f"data.fold is {self.fold} of data.folds={self.folds}: give 2 folds or more, and"
                " one of them, from 0."
            )
        if self.level == "video" and self.views.needs_frames:
            raise MbtError(
                f"data.views.form={self.views.form} needs the features of every second, but"
                " video-level records hold their means: set data.views.form=mean, or data.level to"
                " frame."
            )
        self.views.check()


@dataclass(frozen=True, kw_only=True)
class SyntheticFeatures:
    """The built-in world of features: records of YouTube-8M's frame-level form, with known answers
    (`mbt_cli/data/feature_world.py`)."""

    dataset: ClassVar[str] = "synthetic_features"
    world: int = 0
    """Seed of the world. Another world has other videos of the same kind."""
    train: int = 4000
    """Videos to learn from."""
    validation: int = 1000
    """Videos by which the best epoch, the best cell and thresholds are chosen."""
    test: int = 1000
    """Videos looked at once, at the end of a run."""
    vocabulary: int = 0
    """Only the first so many classes are learned and asked; 0: all."""
    views: Features = field(default_factory=Features)
    fingerprint: str = ""
    """Which videos exactly. Filled in when the data is opened; no setting."""

    def check(self) -> None:
        at_least("data", self, world=0, train=1, validation=1, test=1, vocabulary=0)
        self.views.check()
