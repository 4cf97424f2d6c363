"""Which clips a run learns from, and what the model is shown of them: frozen values, no torch.

Each dataset has a kind of its own, tagged by `dataset`; how its clips are found is in `data/`.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mbt_cli.settings import above, at_least, below


@dataclass(frozen=True, kw_only=True)
class Views:
    """What the model is given of a clip: a span of pictures and of log-mel spectrogram."""

    span_s: float = 8.0
    """How much of the clip is looked at and listened to, in seconds."""
    frames: int = 8
    """Pictures, at a uniform stride over the span."""
    size: int = 224
    """Height and width of a picture in pixels, after resizing the short side and centre crop."""
    mel_bins: int = 128
    """Bins of the log-mel spectrogram (16 kHz, 25 ms Hamming window, 10 ms hop)."""
    video_mean: float = 127.5
    """Subtracted from pixels of 0 to 255."""
    video_std: float = 127.5
    """Then they are divided by this: the paper's code maps pixels to [-1, 1]."""
    audio_mean: float = 0.0
    """Subtracted from log-mel values."""
    audio_std: float = 1.0
    """Then they are divided by this."""
    spectrogram: Literal["mbt", "ast"] = "mbt"
    """How sound becomes log-mels: this tool's form of MBT's, or as for AST (Gong et al. 2021) by
    Kaldi's filter bank, which AST's weights need."""
    windows: Literal["one", "random", "asynchronous"] = "one"
    """Which span of a longer clip is learned from: always the one in its middle; another one at
    each epoch; another one for each modality (the paper compares these two, sec. 4.2)."""
    crops: int = 1
    """Spans of a test clip, uniformly spaced, whose logits are averaged (the paper has 4)."""

    @property
    def steps(self) -> int:
        """Rows of the spectrogram, one every 10 ms."""
        return round(100 * self.span_s)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape (c, *space) of each modality's view of one clip."""
        return {
            "audio": (1, self.steps, self.mel_bins),
            "video": (3, self.frames, self.size, self.size),
        }

    @property
    def scale(self) -> dict[str, tuple[float, float]]:
        """What is subtracted from each modality's view, and what it is then divided by."""
        return {
            "audio": (self.audio_mean, self.audio_std),
            "video": (self.video_mean, self.video_std),
        }

    def check(self) -> None:
        at_least("data.views", self, frames=1, size=1, mel_bins=1, crops=1)
        above("data.views", self, span_s=0, video_std=0, audio_std=0)


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


Data = (
    Synthetic | GridCorpus | AudioSet | VGGSound | EpicKitchens | Kinetics | Moments | Folder | Csv
)
