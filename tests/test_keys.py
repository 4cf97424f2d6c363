"""The model is proven: from here on a key never changes, and so no default does.

`keys.json` holds both as they were then. A new field has a default that leaves old results as they
are, and is added to the defaults there; nothing in the file is ever changed.
"""

import json
from pathlib import Path
from typing import get_args

import pytest

from mbt_cli import settings
from mbt_cli.architecture import AttendFusion
from mbt_cli.dataset import Data, GridCorpus
from mbt_cli.experiment import Evaluation, Experiment
from mbt_cli.recipes import recipe

PINNED = json.loads((Path(__file__).parent / "keys.json").read_text())
TODAY = {
    "synthetic": settings.flat(Experiment()),
    "grid_corpus": settings.flat(Experiment(data=GridCorpus())),
    "evaluation": settings.flat(Evaluation()),
    "attend_fusion": settings.flat(AttendFusion()),
    **{kind.dataset: settings.flat(kind()) for kind in get_args(Data)[2:]},
}


@pytest.mark.parametrize("pin", PINNED["keys"], ids=lambda pin: pin["key"])
def test_an_experiment_keeps_its_key(pin):
    experiment = recipe(pin["recipe"])
    for name, value in pin["settings"].items():
        experiment = experiment.at(name, value)
    assert experiment.key == pin["key"]


@pytest.mark.parametrize("setting", PINNED["evaluations"])
def test_an_evaluation_keeps_its_key(setting):
    how = Evaluation()
    if setting:
        how = how.at(*setting.split("="))
    assert how.key == PINNED["evaluations"][setting]


@pytest.mark.parametrize("kind", TODAY)
def test_a_default_keeps_its_value_and_every_field_is_pinned(kind):
    today = {name: settings.plain(value) for name, value in TODAY[kind].items()}
    assert today == PINNED["defaults"][kind]
