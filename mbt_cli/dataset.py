"""Which clips a run learns from, and what the model is shown of them: frozen values, no torch.

Each dataset has a kind of its own, tagged by `dataset`; how its clips are found is in `data/`.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mbt_cli.settings import above, at_least


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
        at_least("data.views", self, frames=1, size=1, mel_bins=1)
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


Data = Synthetic | GridCorpus
