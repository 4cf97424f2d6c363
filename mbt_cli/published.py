"""Published numbers, each with its source and the setting under which it can be met.

Most are of Nagrani et al. 2021, Attention Bottlenecks for Multimodal Fusion (NeurIPS 2021; arXiv
2107.00135v3). They lie in `published.csv`: a row a number as it was printed, in percent, and in
`settings` the fields of an experiment that could meet it, where one can (`4|5`: either).

Here in full is Fig. 3 (right): the cost of bottleneck fusion and of vanilla cross-attention over
the fusion layer L_f. The numbers are those its axis gives, read from the vector paths of the PDF.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mbt_cli.architecture import MBT
from mbt_cli.cost import mbt_as_published
from mbt_cli.dataset import Data

SOURCE = "Nagrani et al. 2021, Fig. 3 (right), met under these conventions"
LAYERS = (0, 2, 4, 6, 8, 10, 12)
"""L_f, of 12 layers; 12 is late fusion."""
PRINTED = {
    "bottleneck": (98.39, 98.22, 98.05, 97.88, 97.70, 97.53, 97.36),
    "cross_attention": (205.48, 187.46, 169.44, 151.42, 133.40, 115.38, 97.36),
}
"""What the axis calls GFLOPs, at each L_f."""

MODEL = MBT(
    depth=12, width=768, heads=12, mlp_ratio=4.0, bottlenecks=5, tubelet=(2, 16, 16),
    patch=(16, 16), readout="cls",
)  # fmt: skip
SHAPES = {"audio": (3, 400, 128), "video": (3, 8, 224, 224)}
"""The official code repeats the spectrogram to three channels."""
CLASSES = 527

CONVENTIONS = (
    "MBT of width 768, 12 layers, 12 heads and 527 classes; one clip, one view, forward pass.",
    "Video: 8 frames of 224 x 224 in tubelets of 2 x 16 x 16, 784 tokens and a CLS token"
    " (sec. 4.2 speaks of 1568).",
    "Audio: 4 s of spectrogram, 400 x 128 in three channels, in patches of 16 x 16, 200 tokens and"
    " a CLS token.",
    "5 bottleneck tokens: the paper says 4, and the official code adds one with CLS tokens.",
    "Cross-attention in the official form: each encoder runs over the tokens of both modalities,"
    " and the rows of the other one are thrown away.",
    "The figure's axis says GFLOPs, but its unit is 10⁹ multiply-accumulates (GMACs). Ours are of"
    " matrix products alone, without norms, softmax and GELU: about 0.5 %.",
)
"""Under which ours meet the printed numbers."""


READ = {
    "T": "printed in the text or a table",
    "V": "read from the vector lines of a figure, to about 0.02 of its unit",
    "C": "told by the README of the official code",
}
"""Where a number of `published.csv` was read, by its mark."""
TRAINED = "Published models start from ImageNet-21k weights (50 epochs of SGD, batches of 64)."
"""What no setting of an experiment says."""

CONFLICTS = {
    ("audioset", "balanced"): (
        "The paper's own numbers on mini-AudioSet disagree: at t = 4 s, Fig. 3 (left) has"
        " bottleneck fusion at up to 42.44 mAP (L_f = 8), and Table 6 has MBT at 40.32.",
        "Vanilla cross-attention at L_f = 0 is at 38.49 mAP in Fig. 3 (left) and at 39.02 in Fig."
        " 7: the same experiment, run again.",
        "MBT with ViT-B is at 43.9 mAP in Table 1 and at 43.3 in Tables 5 and 10.",
        "Sound alone and pictures alone are at 31.3 and 27.7 mAP in Table 1, and at 30.9 and 27.0"
        " in the official code's model zoo.",
    ),
    ("audioset", "500k"): (
        "The paper's own numbers on AS-500K disagree: Table 1 has 41.5 (sound), 31.3 (pictures) and"
        " 49.6 mAP (both), Fig. 5 has 44.3, 32.3 and 52.1, and the official code's model zoo has"
        " 44.0, 33.9 and 52.3.",
        "The list of AS-500K was never published: no published number is of the clips here.",
    ),
}
"""Where the sources contradict each other, by dataset and train set."""


@dataclass(frozen=True)
class Result:
    """A row of `published.csv`: a number as somebody printed it."""

    paper: str
    where: str
    """The table or figure of it."""
    model: str
    train_set: str
    dataset: str
    modalities: str
    metric: str
    value: float
    std: float | None
    """Over the runs of the paper (three)."""
    mark: str
    """Where it was read: a key of `READ`."""
    note: str
    settings: Mapping[str, str]
    """Fields of an experiment that could meet it; {} where none can."""

    @property
    def source(self) -> str:
        return f"{self.paper}, {self.where}"

    @property
    def measure(self) -> str:
        """What a study calls its metric; an action of Epic-Kitchens is the class."""
        return self.metric.removeprefix("action_")

    @property
    def scale(self) -> float:
        """From its unit to ours: shares are printed in percent."""
        return 1.0 if self.metric in ("GMACs", "params") else 0.01


@cache
def results() -> tuple[Result, ...]:
    """Every row of `published.csv`."""
    with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Result(
            value=float(row.pop("value")),
            std=float(std) if (std := row.pop("std")) else None,
            settings=dict(pair.split("=") for pair in row.pop("settings").split()),
            **row,
        )
        for row in rows
    )


def conflicts(data: Data) -> tuple[str, ...]:
    """Where sources contradict each other on these clips: sentences with both."""
    return CONFLICTS.get((data.dataset, str(getattr(data, "train", ""))), ())


@dataclass(frozen=True)
class Point:
    """A point of the figure beside our formula's."""

    fusion: str
    fusion_layer: int
    printed_gflops: float
    """As the figure has it: "GFLOPs" that are GMACs."""
    gmacs: float
    """Ours, as published."""

    @property
    def deviation(self) -> float:
        """Ours over the printed number, as a fraction: -0.01 is 1 % less."""
        return self.gmacs / self.printed_gflops - 1

    def row(self) -> dict[str, Any]:
        """As plain values under the names of columns."""
        return {**asdict(self), "deviation": self.deviation}


def figure3() -> list[Point]:
    """The 14 points of Fig. 3 (right)."""
    return [
        Point(fusion, layer, printed, _gmacs(fusion, layer))
        for fusion, curve in PRINTED.items()
        for layer, printed in zip(LAYERS, curve, strict=True)
    ]


def farthest(points: Sequence[Point]) -> Point:
    """The point that deviates most; of equals the first."""
    return max(points, key=lambda point: abs(point.deviation))


def _gmacs(fusion: str, layer: int) -> float:
    model = replace(MODEL, fusion=fusion, fusion_layer=layer).canonical()
    return mbt_as_published(model, SHAPES, CLASSES) / 1e9
