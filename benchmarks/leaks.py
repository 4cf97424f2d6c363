"""What cannot tell, must not: the built-in world probed by file size, clip length and seed numbers.

A gradient-boosted tree on each of these alone, fitted on half of the test clips and scored on the
other, must be at chance (AUC 0.5 +- 0.05) for the groups `together` and `in_time`. What one
modality alone can tell is the grid `modalities`: mbt-cli ablate --grid modalities.

    mbt-cli ablate --grid fusion_layer      # renders the clips
    python benchmarks/leaks.py
"""

import av
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from mbt_cli.data import open_manifest
from mbt_cli.data.world import CLASSES, GROUPS
from mbt_cli.errors import MbtError
from mbt_cli.recipes import recipe

CHANCE, BAND = 0.5, 0.05


def main() -> None:
    manifest = open_manifest(recipe("synthetic").data)
    entries = [entry for entry in manifest.entries if entry.split != "train"]
    if not entries[-1].path.exists():
        raise MbtError("Nothing is rendered yet: run mbt-cli ablate --grid fusion_layer first.")
    truth = np.zeros((len(entries), len(CLASSES)), bool)
    for row, entry in zip(truth, entries, strict=True):
        row[list(entry.labels)] = True
    known: dict[str, list[list[float]]] = {"file size": [], "clip length": [], "stream sizes": []}
    for entry in entries:
        known["file size"].append([entry.path.stat().st_size])
        with av.open(entry.path) as file:
            known["clip length"].append([float(file.duration), *map(length, file.streams)])
            sizes = [0, 0]
            for packet in file.demux():
                sizes[packet.stream_index] += packet.size
            known["stream sizes"].append([float(size) for size in sizes])
    worst = 0.0
    print(f"{len(entries)} clips; mean AUC of the classes of a group, 5-fold")
    for what, values in known.items():
        x = np.array(values, float)
        areas = {}
        for group, names in GROUPS.items():
            each = []
            for name in names:
                model = HistGradientBoostingClassifier(random_state=0)
                y = truth[:, CLASSES.index(name)]
                scores = cross_val_predict(model, x, y, cv=5, method="predict_proba")[:, 1]
                each.append(roc_auc_score(y, scores))
            areas[group] = float(np.mean(each))
        print(f"{what:<14}" + "  ".join(f"{group} {area:.3f}" for group, area in areas.items()))
        if what != "stream sizes":  # both streams together may tell what both modalities tell
            off = (abs(areas[group] - CHANCE) for group in ("together", "in_time"))
            worst = max(worst, *off)
    print(f"farthest from chance on together and in_time, over the band: {worst / BAND:.2f}")


def length(stream: av.stream.Stream) -> float:
    return float(stream.duration or 0)


if __name__ == "__main__":
    main()
