"""How well do compact fusion models tag videos by their features, and what do they cost?

The fully connected baselines (FC of sound alone, of pictures alone, early and late; residual, FCRN;
residual with gates, FCRGN), attention on one modality, and Attend-Fusion with early, late and
hybrid fusion, all at the recipe's widths: 11 cells. Where records have the features of every
second, MBT's strategies join, with the segments of a video as tokens: 4 more. At the paper's widths
so does fully connected late fusion of its stated 341 M parameters. The paper (Awan et al. 2024,
YouTube-8M) has F1 75.64 % for Attend-Fusion with 72 M parameters and 75.96 % for that; its tables
were not to be had: the layers are reconstructions to these totals.
"""

from collections.abc import Iterator
from dataclasses import replace

from mbt_cli.architecture import MBT, AttendFusion
from mbt_cli.architecture.attend_fusion import PRESETS
from mbt_cli.dataset import Features
from mbt_cli.experiment import Experiment
from mbt_cli.grid import Grid


def cells(base: Experiment) -> Iterator[Experiment]:
    """Fully connected networks, attention, MBT."""
    assert isinstance(base.model, AttendFusion)
    plain = base.at("model.attention_layers", 0).at("model.block", "plain")
    late = plain.at("model.fusion", "late")
    assert isinstance(late.model, AttendFusion)
    for modality in base.model.modalities:
        yield late.at("model.modalities", modality)
    yield plain.at("model.fusion", "early")
    yield late
    for block in ("residual", "gated"):
        yield late.at("model.block", block)
    for modality in base.model.modalities:
        yield base.at("model.fusion", "late").at("model.modalities", modality)
    for fusion in ("early", "late", "hybrid"):
        yield base.at("model.fusion", fusion)
    if base.model.widths == AttendFusion().widths:
        wide = PRESETS["fc_late_341m"].model
        yield replace(
            late, model=replace(late.model, widths=wide.widths, fused_widths=wide.fused_widths)
        )
    if isinstance(views := base.data.views, Features) and views.needs_frames:
        yield from _mbt(base)


def _mbt(base: Experiment) -> Iterator[Experiment]:
    """Half as wide as the encoders, four layers; the segments of a video are its tokens."""
    assert isinstance(base.model, AttendFusion)
    model = MBT(
        width=4 * max(1, base.model.widths[-1] // 8), heads=4, depth=4, fusion_layer=2,
        position_std=0.5, head_init="xavier", head_bias=base.model.head_bias,
    )  # fmt: skip
    tokens = replace(base, model=model).at("data.views.form", "segments")
    for fusion in ("late", "cross_attention", "self_attention", "bottleneck"):
        yield tokens.at("model.fusion", fusion)


GRID = Grid(cells, x="model", by="network", family="attend_fusion")
