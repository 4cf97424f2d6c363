"""Whether the statistics of a report keep their word: simulated grids whose truth is known.

Each grid has late fusion and six cells, n seeds, 160 test clips of 80 videos, two classes. Seeds
move how far positives stand above negatives; clips are hard or easy for a cell, and the two clips
of a video alike. The ratio is that of the spread of a difference over seeds to its spread over
clips. In the world `none` all cells are equal; in `half` three are better than the others, by two
to four standard errors. All goes through the code that a report uses: scores, mAP, draws of videos,
intervals, corrections; the cell that is compared with the others is the best on validation clips.

    python benchmarks/coverage.py                            100 grids each, two minutes
    python benchmarks/coverage.py --grids 2000 --write       the table in benchmarks/coverage.md
    python benchmarks/coverage.py --rivals                   other intervals, in a normal model
"""

import argparse
import gc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import beta, norm, t

from mbt_cli.metrics import average_precision
from mbt_cli.resample import drawn, replicates
from mbt_cli.statistics import LEVEL, Sample, corrected, difference
from mbt_cli.task import Task

CELLS, CLIPS, CLASSES, PREVALENCE, DRAWS = 7, 160, 2, 0.4, 200
LIFT, EASE, NOISE = 1.5, 0.8, 0.25
"""How far positives stand above negatives; the spreads of what all seeds of a cell find easy in a
video, and of what each run makes of each clip."""
TASK = Task(("a", "b"), multi_label=True)
SEEDS, RATIOS, WORLDS = (3, 5, 10), (0.3, 1.0, 3.0), ("none", "half")
BETTER = (4, 5, 6)
HEAD = (
    "| seeds | ratio | world | coverage | of the chosen | any false, late | any false, chosen"
    " | false share, late | false share, chosen | found |"
)


@dataclass(frozen=True)
class Setting:
    n: int
    ratio: float
    world: str


@dataclass(frozen=True)
class Seen:
    """Of one grid."""

    estimates: list[float]
    halves: list[float]
    chosen: int
    false: dict[str, bool]
    """Whether Holm finds a difference that is none, by what the cells are compared with."""
    share: dict[str, float]
    """The share of false ones among what Benjamini and Hochberg find."""
    found: float
    """The share of the true differences from late fusion that Holm finds."""


def simulated(
    rng: np.random.Generator, n: int, moves: float, lifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Test scores (cells, n, clips, classes), validation mAP (cells, n), labels, videos."""
    seeds = moves * rng.standard_normal((CELLS, n, 1, 1))
    parts = []
    for _ in ("validation", "test"):
        labels = rng.random((CLIPS, CLASSES)) < PREVALENCE
        ease = EASE * rng.standard_normal((CELLS, 1, CLIPS // 2, CLASSES)).repeat(2, axis=2)
        shared = rng.standard_normal((1, 1, CLIPS, CLASSES))
        noise = NOISE * rng.standard_normal((CELLS, n, CLIPS, CLASSES))
        lift = lifts[:, None, None, None] + seeds
        parts.append((shared + ease + noise + labels * lift, labels))
    (other, truth), (scores, labels) = parts
    validation = np.array([[_mean_ap(one, truth) for one in cell] for cell in other])
    return scores, validation, labels, [f"video {i // 2}" for i in range(CLIPS)]


def samples(scores: np.ndarray, labels: np.ndarray, videos: list[str]) -> list[Sample]:
    weights, n = [*drawn(videos, DRAWS)], scores.shape[1]
    found = []
    for place, cell in enumerate(scores):
        draws = np.stack([replicates(one, labels, weights, TASK) for one in cell])
        values = np.array([_mean_ap(one, labels) for one in cell])
        found.append(Sample(str(place), tuple(range(n)), values, draws, "clips", CLIPS // 2))
    return found


def seen(rng: np.random.Generator, setting: Setting, moves: float, lifts: np.ndarray) -> Seen:
    scores, validation, labels, videos = simulated(rng, setting.n, moves, lifts)
    cells, best = samples(scores, labels, videos), int(validation.mean(1).argmax())
    against = [difference(cell, cells[0]) for cell in cells[1:]]
    pairs = CELLS * (CELLS - 1) // 2
    families = {
        "late": ([(place, 0) for place in range(1, CELLS)], against, CELLS - 1),
        "chosen": (
            [(best, place) for place in range(CELLS) if place != best],
            [difference(cells[best], cell) for cell in cells if cell is not cells[best]],
            pairs,
        ),
    }
    false, share, found = {}, {}, 0.0
    for name, (who, of, many) in families.items():
        null = np.array([lifts[a] == lifts[b] for a, b in who])
        ps = [one.p or 0.0 for one in of]
        holm = np.array(corrected(ps, "holm", many)) < LEVEL
        bh = np.array(corrected(ps, "fdr_bh", many)) < LEVEL
        false[name] = bool((holm & null).any())
        share[name] = float((bh & null).sum() / max(bh.sum(), 1))
        if name == "late" and not null.all():
            found = float(holm[~null].mean())
    halves = [one.errors.half() for one in against]
    return Seen([one.estimate for one in against], halves, best, false, share, found)


def spreads(lifts: np.ndarray, moves: float, grids: int = 200) -> tuple[float, float]:
    """Of a difference: over clips, and over seeds (of one seed)."""
    over_clips, over_seeds = [], []
    for turn in range(grids):
        rng = np.random.default_rng([9, turn])
        scores, _, labels, _ = simulated(rng, 8, moves, lifts)
        values = np.array([[_mean_ap(one, labels) for one in cell] for cell in scores[:2]])
        each = values[1] - values[0]
        over_clips.append(each.mean())
        over_seeds.append(each.var(ddof=1))
    seeds = np.mean(over_seeds)
    return float(np.sqrt(max(np.var(over_clips, ddof=1) - seeds / 8, 1e-9))), float(np.sqrt(seeds))


@cache
def moves_of(ratio: float) -> float:
    """How far seeds move the lift for this ratio."""
    low, high = 0.0, 1.0
    for _ in range(10):
        clips, seeds = spreads(np.full(CELLS, LIFT), (low + high) / 2)
        low, high = ((low + high) / 2, high) if seeds / clips < ratio else (low, (low + high) / 2)
    return low


def lifts_of(setting: Setting) -> np.ndarray:
    """How far positives stand above negatives in each cell."""
    flat = np.full(CELLS, LIFT)
    if setting.world == "half":
        clips, seeds = spreads(flat, moves_of(setting.ratio))
        slope = (_level(LIFT + 0.2) - _level(LIFT - 0.2)) / 0.4
        error = np.hypot(clips, seeds / np.sqrt(setting.n))
        flat[list(BETTER)] += np.array([2.0, 3.0, 4.0]) * error / slope
    return flat


def _level(lift: float) -> float:
    rng = np.random.default_rng(5)
    labels = rng.random(200_000) < PREVALENCE
    spread = np.sqrt(1 + EASE**2 + NOISE**2)
    return average_precision(spread * rng.standard_normal(200_000) + labels * lift, labels) or 0.0


def _mean_ap(scores: np.ndarray, labels: np.ndarray) -> float:
    weights = np.ones((len(scores), 1), np.float32)
    return float(replicates(scores, labels, [weights], TASK)[0])


def work(task: tuple[Setting, float, np.ndarray, range]) -> list[Seen]:
    setting, moves, lifts, turns = task
    gc.freeze()  # statsmodels collects garbage at each correction
    kind = [setting.n, round(10 * setting.ratio), WORLDS.index(setting.world)]
    return [seen(np.random.default_rng([*kind, turn]), setting, moves, lifts) for turn in turns]


def rows(grids: int, processes: int) -> Iterator[str]:
    with ProcessPoolExecutor(processes) as pool:
        for setting in map(Setting, *zip(*product(SEEDS, RATIOS, WORLDS), strict=True)):
            moves, lifts = moves_of(setting.ratio), lifts_of(setting)
            parts = [range(i, grids, 4 * processes) for i in range(4 * processes)]
            tasks = [(setting, moves, lifts, part) for part in parts]
            yield row(setting, lifts, [one for many in pool.map(work, tasks) for one in many])


def row(setting: Setting, lifts: np.ndarray, grids: list[Seen]) -> str:
    estimates = np.array([grid.estimates for grid in grids])
    halves = np.array([grid.halves for grid in grids])
    # of cells that differ the truth is the mean of all grids; of equal ones it is 0
    truth = np.where(lifts[1:] == lifts[0], 0.0, estimates.mean(0))
    covers = np.abs(estimates - truth) <= halves
    chosen = [covers[i, grid.chosen - 1] for i, grid in enumerate(grids) if grid.chosen]
    any_false = [_share([grid.false[name] for grid in grids]) for name in ("late", "chosen")]
    shares = [_mean([grid.share[name] for grid in grids]) for name in ("late", "chosen")]
    found = f"{np.mean([g.found for g in grids]):.2f}" if setting.world == "half" else ""
    texts = [setting.n, setting.ratio, setting.world, f"{covers.mean():.3f}"]
    texts += [f"{np.mean(chosen):.3f}", *any_false, *shares, found]
    return f"| {' | '.join(map(str, texts))} |"


def _share(values: list[bool]) -> str:
    """With its upper 95 % bound (Clopper-Pearson)."""
    many, all_ = sum(values), len(values)
    return f"{many / all_:.3f} (≤ {beta.ppf(0.95, many + 1, all_ - many):.3f})"


def _mean(values: list[float]) -> str:
    """With its upper 95 % bound (normal)."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} (≤ {np.mean(values) + 1.645 * error:.3f})"


def rivals(draws: int = 400_000) -> Iterator[str]:
    """How often three kinds of intervals miss a difference of seeds and clips that are normal, over
    how often they say: at 95 %, and as the first of 12 tests by Holm."""
    yield "| seeds | ratio | level | ours | Satterthwaite | bootstrap of seeds and clips |"
    yield "| --: | --: | --: | --: | --: | --: |"
    rng = np.random.default_rng(0)
    for n, ratio, level in product(SEEDS, RATIOS, (LEVEL, LEVEL / 12)):
        seeds = ratio**2 * rng.chisquare(n - 1, draws) / (n - 1) / n  # squared errors
        off = np.abs(rng.standard_normal(draws)) * np.sqrt(1 + ratio**2 / n)
        z = norm.isf(level / 2)
        freedom = (seeds + 1) ** 2 / (seeds**2 / (n - 1))
        halves = (
            np.hypot(t.isf(level / 2, n - 1) * np.sqrt(seeds), z),
            t.isf(level / 2, freedom) * np.sqrt(seeds + 1),
            z * np.sqrt((n - 1) / n * seeds + 1),
        )
        missed = (f"{(off > half).mean() / level:.2f}" for half in halves)
        yield f"| {n} | {ratio} | {level:.3f} | {' | '.join(missed)} |"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--grids", type=int, default=100)
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--write", action="store_true")
    asked.add_argument("--rivals", action="store_true")
    how = asked.parse_args()
    if how.rivals:
        print(*rivals(), sep="\n")
        return
    lines = [HEAD, "| --: | --: | --- " + "| --: " * 7 + "|"]
    print(*lines, sep="\n")
    for line in rows(how.grids, how.processes):
        print(line, flush=True)
        lines.append(line)
    if how.write:
        page = Path(__file__).with_suffix(".md")
        before = page.read_text().partition(HEAD[:20])[0] if page.exists() else ""
        page.write_text(before + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
