"""What does fusing features gain on real videos, fold by fold; does ridge regression do as well?

The grid attend_fusion on a few video-level shards of YouTube-8M, each fold of the shards once for
testing: every model of both modalities less the better of one (of its own kind where the grid has
it; better on validation), with Student's interval over the folds and how many folds have their own
interval, over their videos, above 0. Beside it ridge regression of the labels on the same features,
of the same training videos; its penalty is chosen on the same validation videos.

Folds share training videos: an interval over folds takes them as independent, and is a little
narrow (Bengio & Grandvalet 2004).

    python benchmarks/folds.py --data DIR    # 66 runs, 10 minutes on two cores; killed, it goes on
"""

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy.stats import t as student

from mbt_cli.contrasts import contrasts
from mbt_cli.data.cache import Cached, folder_of
from mbt_cli.data.clips import Clips
from mbt_cli.data.snapshot import frozen, load
from mbt_cli.findings import Findings, findings_of
from mbt_cli.study import studies
from mbt_cli.tagging import gap, pruned

REAL = Path(__file__).parents[2] / "shared" / "data" / "yt8m_video_level"
GRID, RECIPE, FOLDS = "attend_fusion", "youtube8m_small", 6
PENALTIES = (30.0, 100.0, 300.0, 1000.0)
MODALITIES = {"video": ("video",), "audio": ("audio",), "both": ("video", "audio")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=REAL, help="the folder with the shards")
    parser.add_argument("--results", type=Path, default=Path("results-folds"))
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    if not asked.data.is_dir():
        print(f"{asked.data} is no folder: give one with six or more video-level shards as --data.")
        return
    for fold in range(FOLDS):
        words = ["ablate", "--grid", GRID, "--recipe", RECIPE, "--set", f"data.fold={fold}",
                 "--data", str(asked.data), "--results", str(asked.results),
                 "--seeds", str(asked.seeds)]  # fmt: skip
        subprocess.run([sys.executable, "-m", "mbt_cli", *words], check=True, env=os.environ)
    found = [
        findings_of(study, asked.results)
        for study in studies(asked.results).values()
        if study.grid == GRID and study.recipe == RECIPE
    ]
    found.sort(key=lambda one: one.study.settings["data.fold"])
    models(found)
    ridge(asked.results, found)


def models(found: Sequence[Findings]) -> None:
    """Every model on every fold, and what it gains over one modality."""
    reached, gains, above = defaultdict(list), defaultdict(list), defaultdict(list)
    for one in found:
        for cell in one.cells:
            reached[cell.name].append(fmean(cell.test("GAP")))
        for pair in contrasts(one).alone:
            assert pair.difference is not None
            gains[pair.one.name].append(pair.difference.estimate)
            above[pair.one.name].append(pair.difference.low > 0)
    print(f"\n{'GAP on test':24}" + "".join(f"fold {k:<4}" for k in range(FOLDS)) + "mean")
    for name, values in reached.items():
        print(f"{name:24}" + "".join(f"{v:<9.3f}" for v in values) + f"{fmean(values):.3f}")
    print(f"\n{'over one modality':24}{'mean':9}{'95 % interval':20}folds above 0")
    for name, values in gains.items():
        half = student.ppf(0.975, len(values) - 1) * stdev(values) / sqrt(len(values))
        mean = fmean(values)
        ends = f"{mean - half:+.3f} to {mean + half:+.3f}"
        print(f"{name:24}{mean:<+9.3f}{ends:20}{sum(above[name])} of {len(values)}")


def ridge(results: Path, found: Sequence[Findings]) -> None:
    """The best model of each fold on validation, beside ridge regression."""
    scans = {seen.fingerprint: seen for seen in map(load, frozen(results))}
    rows = defaultdict(list)
    for one in found:
        manifest = scans[one.study.data.fingerprint].manifest
        clips = Cached(manifest, folder_of(manifest, one.study.cells[0].data.views))
        rows["best model (validation)"].append(fmean(one.best.test("GAP")))
        for name, modalities in MODALITIES.items():
            rows[f"ridge, {name}"].append(ridge_gap(clips, modalities))
    print(f"\n{'':24}" + "".join(f"fold {k:<4}" for k in range(FOLDS)) + "mean")
    for name, values in rows.items():
        print(f"{name:24}" + "".join(f"{v:<9.3f}" for v in values) + f"{fmean(values):.3f}")


def ridge_gap(clips: Cached, modalities: Sequence[str]) -> float:
    """GAP on test of the penalty that is best on validation."""
    x, y = features(clips, "train", modalities)
    checked, tested = (features(clips, split, modalities) for split in ("validation", "test"))
    mean, prior = x.mean(0), y.mean(0)
    centred = x - mean
    product, target = centred.T @ centred, centred.T @ (y - prior)
    scored = []
    for penalty in PENALTIES:
        weights = np.linalg.solve(product + penalty * np.eye(len(product)), target)
        of = [gap(pruned((some - mean) @ weights + prior, truth)) for some, truth in
              (checked, tested)]  # fmt: skip
        scored.append(of)
    return float(max(scored)[1] or 0.0)


def features(clips: Cached, split: str, modalities: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The means of the videos of a split, side by side, and their labels."""
    places = clips.places(split)
    each = [np.asarray(clips.arrays[m][places], np.float64)[..., 0] for m in modalities]
    return np.concatenate(each, 1), np.asarray(Clips.labels(clips, places), np.float64)


if __name__ == "__main__":
    main()
