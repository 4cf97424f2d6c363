"""What the model is given of a clip, or of a video's features: frozen values, no torch."""

from dataclasses import dataclass
from typing import Literal

from mbt_cli.settings import above, at_least

FEATURES = {"audio": 128, "video": 1024}
"""Values of a feature vector of each modality in YouTube-8M."""


class _Scaled:
    """What is normalised before the model is given it."""

    audio_mean: float
    audio_std: float
    video_mean: float
    video_std: float

    @property
    def scale(self) -> dict[str, tuple[float, float]]:
        """What is subtracted from each modality's view, and what it is then divided by."""
        return {
            "audio": (self.audio_mean, self.audio_std),
            "video": (self.video_mean, self.video_std),
        }


@dataclass(frozen=True, kw_only=True)
class Views(_Scaled):
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
    def dtypes(self) -> dict[str, str]:
        """Of each modality's views, as they are kept and sent: they are normalised later."""
        return {"audio": "float16", "video": "uint8"}

    def check(self) -> None:
        at_least("data.views", self, frames=1, size=1, mel_bins=1, crops=1)
        above("data.views", self, span_s=0, video_std=0, audio_std=0)


@dataclass(frozen=True, kw_only=True)
class Features(_Scaled):
    """What the model is given of a video whose features were extracted: vectors, one a second."""

    form: Literal["mean", "mean_std", "segments", "segments_std"] = "mean_std"
    """The mean over the video (MF); beside it the standard deviation (MF+STD); the mean over each
    of `segments` equal parts of the video; or that with the deviation in each part, in one vector
    twice as long. All but the first need frame-level records."""
    segments: int = 16
    """Equal parts of the video: a second belongs to the part in which its middle lies. A video of
    fewer seconds shows some of them in several parts."""
    longest_s: int = 300
    """Seconds that are looked at, from the first (the official reader takes 300)."""
    video_mean: float = 0.0
    """Subtracted from visual features, which lie in [-2, 2]."""
    video_std: float = 1.0
    """Then they are divided by this."""
    audio_mean: float = 0.0
    """Subtracted from features of sound, which lie in [-2, 2]."""
    audio_std: float = 1.0
    """Then they are divided by this."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape (c, n) of each modality's vectors: n of c values."""
        twice = 2 if self.form == "segments_std" else 1
        many = {"mean": 1, "mean_std": 2}.get(self.form, self.segments)
        return {m: (twice * width, many) for m, width in FEATURES.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        """Of each modality's features, as they are kept and sent."""
        return {"audio": "float16", "video": "float16"}

    @property
    def windows(self) -> Literal["one"]:
        """All of a video is looked at."""
        return "one"

    @property
    def crops(self) -> int:
        """And it is looked at once."""
        return 1

    @property
    def span_s(self) -> float:
        """No span of a file is read: a record is."""
        return 0.0

    @property
    def needs_frames(self) -> bool:
        """Whether this cannot be told from means alone."""
        return self.form != "mean"

    def check(self) -> None:
        at_least("data.views", self, segments=1, longest_s=1)
        above("data.views", self, video_std=0, audio_std=0)
