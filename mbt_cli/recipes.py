"""Base experiments for a dataset and a scale. Each opens with its source, cost, expected number."""

from mbt_cli.architecture import MBT
from mbt_cli.dataset import GridCorpus, Synthetic, Views
from mbt_cli.errors import UnknownName
from mbt_cli.experiment import Experiment, Training

# The built-in world: rendered clips whose answers are known. Runs anywhere, in seconds a run.
# Source: made for this tool; see mbt_cli/data/world.py.
# Cost: 1.5 MMACs a clip, about 8 CPU seconds a run.
# Expected: seen, heard, both at mAP 1.0 for every strategy; together at AUC 0.5 for late fusion
# and for a bottleneck in the last layer alone, at mAP 1.0 for all that exchange.
SYNTHETIC = Experiment(
    data=Synthetic(
        train=4032, validation=1008, test=1008,
        views=Views(span_s=1.0, frames=8, size=16, mel_bins=64, video_mean=100.0, video_std=40.0,
                    audio_mean=-2.0, audio_std=2.5),
    ),
    model=MBT(
        fusion_layer=2, depth=4, width=32, heads=2, mlp_ratio=2.0, tubelet=(2, 8, 8),
        patch=(12, 64), position_std=1.0, head_init="xavier",
    ),
    training=Training(
        epochs=5, batch_size=32, optimizer="adamw", learning_rate=2e-3, beta2=0.98,
        weight_decay=0.02, warmup_epochs=0.5,
    ),
)  # fmt: skip

# GRID corpus, a word of the sentence from the speaker's face and voice. Needs --data.
# Source: Cooke et al. 2006; the sizes here are this tool's own, for a CPU or a small GPU.
# Cost: 0.05 GMACs a clip; 1000 clips of one speaker take minutes an epoch on one CPU thread.
# Expected: no published number for fusion at this scale. Ridge regression on 800 clips of one
# speaker gives 0.75 for the command from sound and 0.47 from the mouth (four classes).
GRID_CORPUS = Experiment(
    data=GridCorpus(
        views=Views(span_s=3.0, frames=8, size=96, mel_bins=128, video_mean=110.0, video_std=60.0,
                    audio_mean=-4.0, audio_std=4.0),
    ),
    model=MBT(
        fusion_layer=2, depth=4, width=64, heads=4, mlp_ratio=4.0, tubelet=(2, 16, 16),
        patch=(10, 128), head_init="xavier",
    ),
    training=Training(
        epochs=30, batch_size=8, optimizer="adamw", learning_rate=1e-3, weight_decay=0.05,
        warmup_epochs=2.0,
    ),
)  # fmt: skip

RECIPES = {"synthetic": SYNTHETIC, "grid_corpus": GRID_CORPUS}


def recipe(name: str) -> Experiment:
    """The base experiment of this name. Raises UnknownName."""
    if name not in RECIPES:
        raise UnknownName("recipe", name, RECIPES)
    return RECIPES[name]
