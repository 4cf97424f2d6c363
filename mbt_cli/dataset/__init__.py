"""Which clips a run learns from, and what the model is shown of them: frozen values, no torch."""

from mbt_cli.dataset.features import SyntheticFeatures, YouTube8M
from mbt_cli.dataset.media import (
    AudioSet,
    Csv,
    EpicKitchens,
    Folder,
    GridCorpus,
    Kinetics,
    Moments,
    Synthetic,
    VGGSound,
)
from mbt_cli.dataset.views import FEATURES, Features, Views

__all__ = [
    "FEATURES", "AudioSet", "Csv", "Data", "EpicKitchens", "Features", "Folder", "GridCorpus",
    "Kinetics", "Moments", "Rendered", "Synthetic", "SyntheticFeatures", "VGGSound",
    "Viewed", "Views", "YouTube8M",
]  # fmt: skip

Viewed = Views | Features
"""What the model is given of a clip."""
Rendered = Synthetic | SyntheticFeatures
"""Datasets that this tool makes itself."""
Data = (
    Synthetic | GridCorpus | AudioSet | VGGSound | EpicKitchens | Kinetics | Moments | Folder | Csv
    | YouTube8M | SyntheticFeatures
)  # fmt: skip
