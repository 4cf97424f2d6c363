"""A span of a video as a trained model takes it in: from file and run to pictures, film, numbers.

t pictures, h w pixels, mel bins.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mbt_cli import canvas, film, overlay, poster
from mbt_cli.data.clip import Clip, ClipError, read_clip
from mbt_cli.data.views import audio_view, video_view
from mbt_cli.dataset import Views
from mbt_cli.easel import Heard, Words
from mbt_cli.errors import MbtError
from mbt_cli.files import part_of, sweep, writing
from mbt_cli.model import build
from mbt_cli.model.embed import Embed
from mbt_cli.model.mbt import MBT, predict
from mbt_cli.rollout import Rollout, rollout
from mbt_cli.runs import Run
from mbt_cli.scoring import autocast
from mbt_cli.spread import spread

CERTAIN = 0.5
"""Where a clip may have several labels, those with such a score are the answer."""
SHEET_PX = 400
"""The short side of a picture on the contact sheet is at most this."""


@dataclass(frozen=True)
class Look:
    """What a run says of one span of a video, and where that came from."""

    run: Run
    video: Path
    start_s: float
    clip: Clip
    """The pictures that the model was given, as the file has them, and the sound."""
    spectrogram: Float32[np.ndarray, "t mel"]
    scores: dict[str, float]
    """Of every label, the best first: sigmoid, or softmax where a clip has one label."""
    rollout: Rollout
    heat: dict[str, Float32[np.ndarray, "..."]]
    """By modality, at each place of its view: in times the mean over its patches; NaN for none."""
    truth: tuple[str, ...] | None = None
    """The true labels, where they are known."""

    @property
    def span_s(self) -> float:
        return self.run.experiment.data.views.span_s

    @property
    def answer(self) -> dict[str, float]:
        """The best five labels, all others that are certain where there may be several, and all
        true ones."""
        several = self.run.facts["multi_label"]
        return {
            name: score
            for place, (name, score) in enumerate(self.scores.items())
            if place < 5 or (several and score >= CERTAIN) or name in (self.truth or ())
        }

    @property
    def span(self) -> str:
        return f"{self.start_s:.2f} to {self.start_s + self.span_s:.2f} s"

    @property
    def words(self) -> Words:
        labels = [f"{name} {score:.2f}" for name, score in self.answer.items()]
        while len(", ".join(labels)) > 84 and len(labels) > 1:
            labels.pop()
        source = f"{_cut(self.video.name, 40)}, {self.span}; run {self.run.key}: "
        return Words(_cut(", ".join(labels), 84), source + _cut(self.run.experiment.title, 44))

    @property
    def heard(self) -> Heard:
        return Heard(self.spectrogram, self.heat.get("audio"), self.start_s, self.span_s)

    def record(self) -> dict[str, Any]:
        """As plain values for JSON. Heat is each patch's share of the whole answer."""
        told = asdict(self.rollout)
        heat = {m: found.tolist() for m, found in self.rollout.heat.items()}
        return {
            "video": str(self.video), "start_s": self.start_s, "span_s": self.span_s,
            "run": self.run.key, "experiment": self.run.experiment.title,
            "scores": self.scores, "truth": self.truth, **told, "heat": heat,
        }  # fmt: skip


def look(
    run: Run, video: Path, *, start_s: float = 0.0, device: str = "cpu",
    truth: tuple[str, ...] | None = None,
) -> Look:  # fmt: skip
    """Shows a finished run the span of a video that begins at `start_s`.

    Raises MbtError where the file cannot give that span, or the run lacks its weights.
    """
    if not (isfinite(start_s) and start_s >= 0):
        raise MbtError(f"--start-s is a time in the video in seconds, from 0 up, not {start_s}.")
    experiment, views = run.experiment, run.experiment.data.views
    classes, model = run.facts["classes"], experiment.model
    if not isinstance(views, Views):
        raise MbtError(
            f"Run {run.key} was trained on features, taken from videos before, and cannot look at"
            " a video: leave the video out, or give a run of a dataset of clips."
        )
    weights = run.weights()
    clip = _given(video, start_s, views)
    seen = {
        "audio": audio_view(
            clip.sound, clip.rate_hz, views.mel_bins, views.steps, views.spectrogram
        ),
        "video": video_view(clip.frames, views.size),
    }
    network = build(model, views.shapes, len(classes))
    assert isinstance(network, MBT)  # no other family takes clips
    network.load_state_dict(weights)
    network.to(device).eval()
    inputs = {}
    for m in model.modalities:
        mean, std = views.scale[m]
        inputs[m] = (seen[m][None].to(device).float() - mean) / std
    with autocast(experiment.training, device):
        logits, found = rollout(network, inputs)
    (answer,) = predict(logits).float().cpu()
    scores = _probabilities(answer, run)
    ranked = sorted(zip(classes, scores.tolist(), strict=True), key=lambda one: -one[1])
    heat = {
        m: spread(cast("Embed", network.embed[m]), one / one.mean(), views.shapes[m][1:]).numpy()
        for m, one in found.heat.items()
    }
    spectrogram = seen["audio"][0].float().numpy()
    return Look(run, video, start_s, clip, spectrogram, dict(ranked), found, heat, truth)


def _probabilities(answer: Tensor, run: Run) -> Tensor:
    """Of logits (c,): each on its own where a clip may have several labels, else in each head."""
    if run.facts["multi_label"]:
        return answer.sigmoid()
    sizes = [*run.facts.get("heads", {}).values()] or [len(answer)]
    return torch.cat([head.softmax(0) for head in answer.split(sizes)])


def _given(video: Path, start_s: float, views: Views) -> Clip:
    """What the model is given of a video, with what it asks of one where there is not that much."""
    try:
        return read_clip(video, start_s=start_s, span_s=views.span_s, frames=views.frames)
    except ClipError as error:
        if not video.is_file() or not video.stat().st_size:
            raise
        raise MbtError(
            f"{error} This run looks at {views.span_s:g} s of pictures with sound, from --start-s"
            " on."
        ) from error


def folder_of(one: Look, results: Path) -> Path:
    """Where the files of a look belong."""
    begin = f"-{one.start_s:g}s" if one.start_s else ""
    return results / "rollouts" / f"{one.video.stem}-{one.run.key}{begin}"


def write(
    one: Look, folder: Path, advance: Callable[[int], None], pictures: int, rate: Fraction
) -> list[Path]:
    """Every file of a look, each there whole or not at all. Raises Unwritable."""
    makes: dict[str, Callable[[Path], None]] = {}
    if "video" in one.heat:
        makes["frames.png"] = lambda part: poster.save(lambda: _frames_page(one), part)
    makes["spectrogram.png"] = lambda part: poster.save(
        lambda: poster.spectrogram_page(one.heard, one.words), part
    )
    makes["rollout.mp4"] = lambda part: film.write_film(
        part, _moving(one, pictures, advance), rate, one.clip.sound, one.clip.rate_hz
    )
    makes["rollout.json"] = lambda part: _json(part, one.record())
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        for name, make in makes.items():
            make(part := part_of(folder / name))
            part.replace(folder / name)
    return [folder / name for name in makes]


def film_of(video: Path, span_s: float) -> tuple[int, Fraction]:
    """How many pictures a film of that span has, and how many of them are in a second."""
    pictures = max(1, round(span_s * film.picture_rate(video)))
    return pictures, Fraction(pictures / span_s).limit_denominator(1001)


def _moving(
    one: Look, pictures: int, advance: Callable[[int], None]
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The pictures of the film, one after the other."""
    height, width = one.clip.frames.shape[1:3]
    heat = one.heat.get("video")
    room = canvas.WIDTH // 2 - 16 if heat is not None else canvas.WIDTH - 32
    scale = min(room / width, canvas.PICTURE_HEIGHT / height)
    short = max(2, round(min(height, width) * scale))
    clip = read_clip(
        one.video, start_s=one.start_s, span_s=one.span_s, frames=pictures, short_side=short
    )
    warmth = overlay.scale_of(heat) if heat is not None else None
    size = clip.frames.shape[1:3]
    page = canvas.canvas(size, warmth, one.heard, one.words)
    for turn, picture in enumerate(clip.frames):
        moment = (turn + 0.5) / pictures
        shown = page.still.copy()
        page.put(shown, page.plain, picture)
        if heat is not None and warmth is not None and page.warm is not None:
            now = overlay.placed(overlay.at_time(heat, moment), *size)
            page.put(shown, page.warm, overlay.lit(picture, now, warmth))
        page.mark(shown, moment)
        advance(1)
        yield shown


def _frames_page(one: Look) -> Any:
    frames = one.clip.frames
    times_s = [one.start_s + (k + 0.5) * one.span_s / len(frames) for k in range(len(frames))]
    return poster.frames_page(_small(frames), one.heat["video"], times_s, one.words)


def _small(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "t h2 w2 3"]:
    """The pictures, no larger than a sheet needs."""
    height, width = frames.shape[1:3]
    scale = SHEET_PX / min(height, width)
    if scale >= 1:
        return frames
    sides = [round(height * scale), round(width * scale)]
    small = [
        interpolate(torch.from_numpy(one).permute(2, 0, 1)[None], sides, mode="bilinear",
                    antialias=True)[0].permute(1, 2, 0).numpy()
        for one in frames
    ]  # fmt: skip
    return np.stack(small)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 2].rstrip(', ')} …"


def _json(part: Path, value: Any) -> None:
    part.write_text(json.dumps(value, indent=1) + "\n")
