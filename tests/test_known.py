"""The built-in world has a known answer, and training finds it."""

import numpy as np
import pytest

from mbt_cli.experiment import Evaluation
from mbt_cli.runs import finished

KNOWN = '''"""Who can tell what?"""

from mbt_cli.grid import Grid


def cells(base):
    late = base.at("model.fusion", "late")
    return [late.at("model.modalities", m) for m in ("audio", "video")] + [
        late, base.at("model.fusion_layer", 1), base.at("model.fusion_layer", 3)
    ]


GRID = Grid(cells, x="model.fusion_layer", by="model.modalities")
'''


@pytest.fixture(scope="module")
def known(mbt, tmp_path_factory, logged):
    """Results of a smaller world and fewer runs than `make demo`."""
    results = tmp_path_factory.mktemp("known")
    (results / "known.py").write_text(KNOWN)
    settings = ("data.train=1536", "data.validation=48", "data.test=480", "training.epochs=9")
    words = [word for setting in settings for word in ("--set", setting)]
    words += ["--grid", results / "known.py", "--seeds", 1, "--results", results]
    done = mbt("ablate", *words, MLFLOW_TRACKING_URI=logged)
    assert done.returncode == 0, done.stderr
    return results


def test_the_known_answer(known):
    """Who can exchange solves `together`; nobody else does."""
    told = {"audio": ("heard", "both"), "video": ("seen", "both")}
    runs = finished(known).values()
    assert len(runs) == 5
    for run in runs:
        model, groups = run.experiment.model, run.figures(Evaluation())["groups"]
        alone = model.modalities[0] if len(model.modalities) == 1 else ""
        for group in told.get(alone, ("seen", "heard", "both")):
            assert groups[group]["mAP"] > 0.9, (run.experiment.title, group)
        if alone:
            (other,) = {"seen", "heard"} - set(told[alone])
            assert abs(groups[other]["AUC"] - 0.5) < 0.06
        if (model.fusion, model.fusion_layer) == ("bottleneck", 1):
            assert groups["together"]["AUC"] > 0.9
        else:
            assert abs(groups["together"]["AUC"] - 0.5) < 0.06
            assert abs(groups["in_time"]["AUC"] - 0.5) < 0.09


@pytest.mark.usefixtures("known")
def test_the_size_of_a_file_does_not_tell_what_both_modalities_are_needed_for(mbt):
    from sklearn.neighbors import KNeighborsRegressor

    from mbt_cli.data import world
    from mbt_cli.metrics import auc

    folder = mbt.cache / "synthetic" / f"world0-v{world.VERSION}" / "test-480"
    sizes = np.array([[file.stat().st_size] for file in sorted(folder.glob("*.mp4"))])
    assert len(sizes) == 480
    facts = world.happenings(0, "test", 480)
    for group in ("together", "in_time"):
        areas = []
        for name in world.GROUPS[group]:
            half = KNeighborsRegressor(25).fit(sizes[:240], facts[name][:240])
            areas.append(auc(half.predict(sizes[240:]), facts[name][240:].astype(float)))
        assert abs(np.mean(areas) - 0.5) < 0.09, group
