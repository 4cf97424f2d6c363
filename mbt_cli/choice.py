"""What is looked at where it is not said in full: the best run of a kind, a clip by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mbt_cli.architecture import MBT
from mbt_cli.data import one_by_one, open_manifest, rendered
from mbt_cli.data.manifest import Manifest
from mbt_cli.data.snapshot import frozen, header_of, load
from mbt_cli.dataset import Features, Rendered, Views
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.runs import Run, finished, run_of


@dataclass(frozen=True)
class Kind:
    """Runs among which the best is chosen."""

    plural: str
    """What is said of them after "runs"."""
    noun: str
    grid: str
    """What `ablate` is to be asked for to make some."""
    instead: str
    """What to do with other runs."""
    among: Callable[[Run], bool]


OF_CLIPS = Kind(
    "with bottleneck tokens", "bottleneck run", "fusion_layer",
    "any other run is looked at with --run KEY",
    lambda run: (
        isinstance(run.experiment.data.views, Views) and run.experiment.model.canonical().bottleneck
    ),
)  # fmt: skip
OF_FEATURES = Kind(
    "with attention between features", "run on features", 
    "attend_fusion --recipe synthetic_features", "a run of clips takes the name of a video",
    lambda run: isinstance(run.experiment.data.views, Features) and not blind(run.experiment),
)  # fmt: skip


def chosen(results: Path, key: str | None, kind: Kind = OF_CLIPS) -> tuple[Run, str]:
    """The run of this key (or of its beginning), else the best one of a kind; and why this one.

    Best is by the run's own validation: mAP, or accuracy where a clip has one label. Runs on other
    clips cannot be compared: those on the clips of the newest one are.

    Raises MbtError, with the command that makes one where there is none.
    """
    if key is not None:
        run = run_of(results, key)
        if "multi_label" not in run.facts:
            raise MbtError(
                f"Run {run.key} is of a version that did not record whether a clip may have several"
                " labels: do it again with mbt-cli ablate --rerun-stale."
            )
        return run, "as asked"
    found = [run for run in finished(results).values() if kind.among(run)]
    if not found:
        raise MbtError(
            f"{results} holds no finished run {kind.plural} yet: mbt-cli ablate --grid {kind.grid}"
            f" makes some; {kind.instead}."
        )
    if not (usable := [run for run in found if _usable(run)]):
        raise MbtError(
            f"{len(found)} {kind.noun}(s) in {results} lack their weights or are of a version"
            f" that recorded less: do them again with mbt-cli ablate --grid {kind.grid}"
            " --rerun-stale."
        )
    newest = max(usable, key=lambda run: (run.status["written"], run.key))
    rivals = [run for run in usable if _clips(run) == _clips(newest)]
    best = max(rivals, key=lambda run: (_reached(run), run.key))
    measure = best.task.primary
    data = best.experiment.data.dataset
    which = f"the best of {len(rivals)} on {data}" if len(rivals) > 1 else f"the only one on {data}"
    why = f"{which} {kind.plural}, by validation {measure} {_reached(best):.3f}"
    if others := len(usable) - len(rivals):
        why += f"; {others} on other clips cannot be compared (--run KEY)"
    return best, why


def blind(experiment: Experiment) -> str:
    """Why the attention of a model of features has nothing to show, and what to do; empty where it
    has something."""
    views, model = experiment.data.views, experiment.model.canonical()
    if isinstance(model, MBT) or not isinstance(views, Features):
        return ""
    if not any(map(model.attends, model.streams)):
        return "has no attention: name a run of Attend-Fusion or of MBT with --run."
    alone = "one vector attends to itself alone, and there is nothing to see. Train with"
    if model.tokens == "one":
        return f"has model.tokens=one: {alone} --set model.tokens=vectors."
    if model.tokens == "chunks" and model.chunks == 1:
        return f"has model.chunks=1: {alone} more chunks, or with --set model.tokens=vectors."
    if model.tokens == "vectors" and views.form == "mean":
        return f"is shown the mean of each video: {alone} --set data.views.form=segments."
    return ""


def clip_of(run: Run, video: Path, results: Path) -> tuple[Path, tuple[str, ...] | None]:
    """A video file, of which no labels are known; or a clip of the run's own dataset by its name
    (`test/00002`), with its true labels. What is not there any more of the built-in world is
    rendered again."""
    if video.exists() or (manifest := _manifest(run, results)) is None:
        return video, None
    spec = run.experiment.data
    for entry in manifest.entries:
        if entry.name == video.as_posix():
            if isinstance(spec, Rendered):
                rendered(spec, [entry], one_by_one)
            return entry.path, tuple(manifest.classes[label] for label in entry.labels)
    return video, None


def _manifest(run: Run, results: Path) -> Manifest | None:
    """The clips that a run was trained on, where they are still known."""
    spec = run.experiment.data
    if isinstance(spec, Rendered):
        return open_manifest(spec)
    for path in frozen(results):
        if header_of(path)["fingerprint"] == spec.fingerprint:
            return load(path).manifest
    return None


def _usable(run: Run) -> bool:
    return "multi_label" in run.facts and (run.folder / "weights.safetensors").exists()


def _clips(run: Run) -> tuple[object, ...]:
    """What two runs must share for one figure to rank them."""
    data = run.experiment.data
    return data.dataset, data.fingerprint, run.task.primary, tuple(run.facts["classes"])


def _reached(run: Run) -> float:
    return float(run.status["validation"][run.task.primary])
