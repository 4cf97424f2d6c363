import pytest

from mbt_cli.architecture import MBT
from mbt_cli.cost import COSTS, cost, mbt_cost, overhead
from mbt_cli.dataset import Synthetic, Views
from mbt_cli.experiment import Experiment
from mbt_cli.model.count import counted
from mbt_cli.recipes import RECIPES, recipe
from mbt_cli.wiring import FUSIONS

CLASSES = 13
SMALL = Experiment(
    data=Synthetic(views=Views(span_s=0.23, frames=5, size=19, mel_bins=17)),
    model=MBT(depth=3, width=22, heads=11, mlp_ratio=1.5, tubelet=(2, 5, 7), patch=(11, 5),
              bottlenecks=3, fusion_layer=1),
)  # fmt: skip


@pytest.mark.parametrize("fusion", [*FUSIONS, "each <- each; fsn <- all fsn", "video <- audio"])
@pytest.mark.parametrize(
    ("fusion_layer", "share"), [(0, False), (0, True), (2, False), (2, True), (3, False)]
)
def test_the_closed_form_is_what_torch_counts(fusion, fusion_layer, share):
    experiment = SMALL.at("model.fusion", fusion).at("model.fusion_layer", fusion_layer)
    experiment = experiment.at("model.share_weights", share)
    assert counted(experiment, CLASSES) == cost(experiment, CLASSES)


@pytest.mark.parametrize("readout", ["cls", "mean_joint", "mean_each"])
@pytest.mark.parametrize("modalities", ["audio", "video", "audio,video"])
@pytest.mark.parametrize("bottlenecks", [0, 1, 5])
def test_it_is_for_every_readout_modality_and_bottleneck(readout, modalities, bottlenecks):
    experiment = SMALL.at("model.readout", readout).at("model.modalities", modalities)
    experiment = experiment.at("model.bottlenecks", bottlenecks)
    assert counted(experiment, CLASSES) == cost(experiment, CLASSES)


@pytest.mark.parametrize("name", RECIPES)
def test_it_is_for_every_recipe(name):
    assert counted(recipe(name), CLASSES) == cost(recipe(name), CLASSES)


def test_every_family_has_a_formula():
    assert set(COSTS) == {"mbt"}


PAPER = MBT(
    width=768, depth=12, heads=12, fusion_layer=8, bottlenecks=5, tubelet=(2, 16, 16),
    patch=(16, 16),
)  # fmt: skip
"""Fig. 3: t = 4 s, 784 video and 200 audio tokens, 5 bottleneck tokens in the official code."""
SHAPES = {"audio": (3, 400, 128), "video": (3, 8, 224, 224)}


@pytest.mark.parametrize(
    ("fusion_layer", "published"), [(0, 98.39), (4, 98.05), (8, 97.70), (10, 97.53), (12, 97.36)]
)
def test_the_papers_gflops_are_our_gmacs_within_one_percent(fusion_layer, published):
    from dataclasses import replace

    model = replace(PAPER, fusion_layer=fusion_layer).canonical()
    assert mbt_cost(model, SHAPES, 527).gmacs == pytest.approx(published, rel=0.01)


def test_parameters_are_those_of_the_official_tree():
    # vitb_param_tree: rgb 32 x 224 x 224 in 2 x 16 x 16 tubelets, spectrogram 800 x 128, 3 channels
    shapes = {"audio": (3, 800, 128), "video": (3, 32, 224, 224)}
    assert mbt_cost(PAPER, shapes, 527).parameters == 175_009_295


def test_a_gflop_is_half_a_gmac():
    price = cost(SMALL, CLASSES)
    assert price.gflops == 2 * price.gmacs == 2 * price.macs / 1e9


def test_overhead_is_over_late_fusion_of_the_same_model():
    late = cost(SMALL.at("model.fusion", "late"), CLASSES).macs
    assert overhead(SMALL.at("model.fusion", "late"), CLASSES) == 0
    assert overhead(SMALL, CLASSES) == cost(SMALL, CLASSES).macs / late - 1 > 0
