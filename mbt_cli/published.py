"""Published numbers, each with its source and the setting under which it can be met.

Fig. 3 (right) of Nagrani et al. 2021, Attention Bottlenecks for Multimodal Fusion (NeurIPS 2021):
the cost of bottleneck fusion and of vanilla cross-attention over the fusion layer L_f. The numbers
are those its axis gives, read from the vector paths of the PDF.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mbt_cli.architecture import MBT
from mbt_cli.cost import mbt_as_published

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
