"""A look at a video: the pages' arithmetic, the film, the command from end to end."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import SHARED, TINY, Command

from mbt_cli import film, look, overlay
from mbt_cli.canvas import CURSOR
from mbt_cli.canvas import WIDTH as FILM_WIDTH
from mbt_cli.choice import chosen
from mbt_cli.data.clip import read_clip
from mbt_cli.data.views import audio_view, video_view
from mbt_cli.data.world import CLASSES as WORLD
from mbt_cli.data.world import encode, happenings
from mbt_cli.dataset import Synthetic, Views
from mbt_cli.easel import Heard, bin_of
from mbt_cli.errors import MbtError
from mbt_cli.experiment import Experiment
from mbt_cli.overlay import Scale
from mbt_cli.record import Record
from mbt_cli.runs import Run, run_folder

NAN = np.nan
RNG = np.random.default_rng(0)
CLASSES = ["dog barking", "sea waves", "water burbling"]


def recorded(
    results: Path, reached: float = 0.5, *, multi_label: bool = True, weights: bool = True,
    written: str = "2026-01-01", views: Views | None = None, fingerprint: str = "", **model,
) -> Run:  # fmt: skip
    """A finished run with random weights."""
    from mbt_cli.model import build

    if views is None:
        views = Views(span_s=1.0, frames=5, size=17, mel_bins=23)
    fields = {"depth": 3, "width": 14, "heads": 7, "mlp_ratio": 1.0, "tubelet": (2, 7, 5),
              "patch": (19, 11), "fusion_layer": 1, "head_init": "xavier"}  # fmt: skip
    one = Experiment(data=Synthetic(views=views, fingerprint=fingerprint))
    for name, value in (fields | model).items():
        one = one.at(f"model.{name}", value)
    one = one.canonical()
    record = Record(run_folder(results, one.key))
    facts = {"cost": {"parameters": 1, "macs": 1}, "classes": CLASSES, "left_out": {}, "code": ""}
    record.begin(one, facts | {"multi_label": multi_label})
    if weights:
        torch.manual_seed(0)
        record.best(build(one.model, views.shapes, len(CLASSES)).state_dict())
    record.finish(seconds=1.0, epoch=1, validation={"mAP": reached, "top1": 1 - reached})
    status = json.loads((record.folder / "status.json").read_text())
    (record.folder / "status.json").write_text(json.dumps(status | {"written": written}))
    return Run(record.folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of the built-in world's kind: noise seen, and clicks heard."""
    path = tmp_path_factory.mktemp("clips") / "a clip.mp4"
    frames = RNG.integers(0, 255, (8, 64, 64, 3)).astype(np.uint8)
    encode(frames, clicks(16_000), path)
    return path


def clicks(rate_hz: int, seconds: float = 1.0) -> np.ndarray:
    """Noise in bursts that nothing but itself resembles."""
    n = round(rate_hz * seconds)
    loud = np.repeat(RNG.uniform(0, 0.5, 50), n // 50 + 1)[:n]
    return (loud * RNG.standard_normal(n)).clip(-1, 1).astype(np.float32)


def made(run: Run, video: Path, folder: Path, **how) -> list[Path]:
    one = look.look(run, video, **how)
    return look.write(one, folder, lambda _: None, *look.film_of(video, one.span_s))


# Heat over pictures


@pytest.mark.parametrize(("height", "width"), [(29, 53), (53, 29), (17, 17), (34, 51), (11, 13)])
def test_heat_lies_on_the_very_square_that_the_model_is_given(height, width):
    """The view of a picture that shows its own heat is that heat again."""
    heat = np.repeat(np.repeat(RNG.permutation(4).reshape(2, 2), 9, 0)[:17], 9, 1)[:, :17]
    over = overlay.placed(heat.astype(np.float32), height, width)
    picture = np.repeat(np.nan_to_num(80 * over, nan=255)[..., None], 3, 2).astype(np.uint8)
    seen = video_view(picture[None], 17)[0, 0].numpy() / 80
    inner = np.s_[3:6, 3:6], np.s_[3:6, 12:14], np.s_[12:14, 3:6], np.s_[12:14, 12:14]
    for corner in inner:  # away from the patches' edges, which resizing mixes
        assert np.abs(seen[corner] - heat[corner]).max() < 0.05
    covered = np.isfinite(over)
    assert covered.sum() == pytest.approx(min(height, width) ** 2, rel=0.13)
    rows, columns = covered.any(1), covered.any(0)
    for seen_sides in (rows, columns):
        before, after = seen_sides.argmax(), seen_sides[::-1].argmax()
        assert abs(int(before) - int(after)) <= 1 + max(height, width) // 17


def test_colours_go_from_the_least_heat_to_the_most_and_even_heat_looks_even():
    scale = overlay.scale_of(np.array([[0.5, NAN, 2.0]], np.float32))
    assert scale == Scale(0.5, 2.0)
    ends = scale.colours(np.array([[0.5, 2.0, 9.0, -1.0]], np.float32))[0]
    np.testing.assert_array_equal(ends[0], ends[3])
    np.testing.assert_array_equal(ends[1], ends[2])
    assert ends[1].sum() > ends[0].sum() + 100
    even = overlay.scale_of(np.full((3, 3), 1.001, np.float32))
    assert even == Scale(0.95, 1.05)


def test_what_the_model_was_not_given_is_darkened_and_the_rest_keeps_its_grey():
    picture = np.array([[[200, 100, 50], [200, 100, 50], [0, 0, 0]]], np.uint8)
    shown = overlay.lit(picture, np.array([[NAN, 1.0, 1.0]], np.float32), Scale(1.0, 3.0))
    np.testing.assert_array_equal(shown[0, 0], [80, 40, 20])
    grey = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    brighter = shown[0, 1].astype(int) - shown[0, 2]
    np.testing.assert_allclose(brighter, grey * (1 - overlay.STRENGTH), atol=1)


def test_a_colour_bar_is_in_the_colours_of_the_picture():
    scale = Scale(0.5, 2.0)
    bar = overlay.ramp(scale, 101, 2)
    grey = np.full((1, 1, 3), 128, np.uint8)
    middle = overlay.lit(grey, np.array([[1.25]], np.float32), scale)
    np.testing.assert_array_equal(bar[1, 50], middle[0, 0])


def test_heat_moves_in_straight_lines_from_picture_to_picture_that_was_given():
    heat = np.array([1, NAN, 3, 7, NAN], np.float32)[:, None, None]
    moments = [0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 1.0]
    found = [float(overlay.at_time(heat, moment)[0, 0]) for moment in moments]
    assert found == pytest.approx([1, 1, 2, 3, 5, 7, 7])


def test_a_spectrogram_is_drawn_with_time_to_the_right_and_pitch_upwards():
    values = np.zeros((7, 3), np.float32)
    values[5, 0] = 9.0  # late, low
    picture = overlay.grey(values)
    assert picture.shape == (3, 7, 3)
    assert picture[2, 5, 0] == 255 and picture.sum() == 3 * 255


def test_heat_of_a_spectrogram_lies_where_its_patch_is_drawn():
    heat = np.ones((7, 3), np.float32)
    heat[5, 0] = 2.0  # late, low
    picture = Heard(np.zeros((7, 3), np.float32), heat, 0.0, 0.07).picture
    differs = (picture != picture[0, 0]).any(2)
    assert np.argwhere(differs).tolist() == [[2, 5]]


@pytest.mark.parametrize("hz", [250, 1000, 4000])
def test_a_tone_lies_at_its_frequency_on_the_axis(hz):
    sound = np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000).astype(np.float32)
    loudest = int(audio_view(sound, 16_000, 64, 50)[0, 25].argmax())
    assert abs(bin_of(hz, 64) - (loudest + 0.5)) < 0.6


# The film


RATES = {"8": "24", "10": "30", "24": "24", "60": "30", "50": "25", "1": "31", "981/50": "981/50",
         "45000/1499": "45000/1499", "120000/1001": "30000/1001"}  # fmt: skip


@pytest.mark.parametrize(("rate", "film_rate"), RATES.items())
def test_a_film_has_about_as_many_pictures_a_second_as_players_like(rate, film_rate):
    assert film.suited(Fraction(rate)) == Fraction(film_rate)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 10_007, 192_000])
def test_a_film_reads_back_with_its_pictures_and_its_sound_in_time(tmp_path, rate_hz):
    path, sound = tmp_path / "film.mp4", clicks(rate_hz, 1.5)
    pictures = [np.full((54, 72, 3), 20 * k, np.uint8) for k in range(12)]
    film.write_film(path, iter(pictures), Fraction(8), 1.5 * sound, rate_hz)
    with av.open(path) as mp4:
        (video,), (audio,) = mp4.streams.video, mp4.streams.audio
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p"
        assert (video.width, video.height, video.average_rate) == (72, 54, 8)
        assert audio.rate == {10_007: 11_025, 192_000: 96_000}.get(rate_hz, rate_hz)
        assert float(audio.duration * audio.time_base) > 1.499, "to its very end"
        frames = [frame.to_ndarray(format="rgb24").mean() for frame in mp4.decode(video)]
    np.testing.assert_allclose(frames, [20 * k for k in range(12)], atol=3)
    assert path.read_bytes().find(b"moov") < path.read_bytes().find(b"mdat")

    clip = read_clip(path, start_s=0.0, span_s=1.5, frames=12)
    heard = np.abs(clip.sound)
    at = np.linspace(0, len(sound) - 1, len(heard))
    played = np.interp(at, np.arange(len(sound)), np.abs(sound))
    step = max(1, clip.rate_hz // 1000)  # in milliseconds
    heard, played = (
        one[: len(one) // step * step].reshape(-1, step).mean(1) for one in (heard, played)
    )
    lags = range(-40, 41)
    fit = [np.corrcoef(np.roll(played, lag)[50:-50], heard[50:-50])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(fit))]) <= 1 and max(fit) > 0.8


def test_pictures_scaled_as_they_come_are_the_same_pictures_smaller(clip):
    whole = read_clip(clip, start_s=0.0, span_s=1.0, frames=5)
    small = read_clip(clip, start_s=0.0, span_s=1.0, frames=5, short_side=31)
    assert whole.frames.shape == (5, 64, 64, 3) and small.frames.shape == (5, 31, 31, 3)
    np.testing.assert_array_equal(whole.sound, small.sound)
    means = [one.frames.mean((1, 2)) for one in (whole, small)]
    np.testing.assert_allclose(*means, atol=2)


# A look


def test_a_look_shows_the_model_what_training_shows_it(tmp_path, clip):
    """Scores are those of the views that the cache holds, normalised, and no label is lost."""
    from mbt_cli.model import build
    from mbt_cli.model.mbt import predict

    views = Views(span_s=1.0, frames=5, size=17, mel_bins=23, video_mean=90.0, video_std=31.0,
                  audio_mean=-3.0, audio_std=2.0)  # fmt: skip
    run = recorded(tmp_path, views=views)
    one = look.look(run, clip)
    seen = read_clip(clip, start_s=0.0, span_s=1.0, frames=5)
    model = build(run.experiment.model, views.shapes, 3)
    model.load_state_dict(run.weights())
    with torch.inference_mode():
        logits = predict(model.eval()({
            "audio": (audio_view(seen.sound, seen.rate_hz, 23, 100)[None].float() + 3) / 2,
            "video": (video_view(seen.frames, 17)[None].float() - 90) / 31,
        }))  # fmt: skip
    expected = dict(zip(CLASSES, logits[0].sigmoid().tolist(), strict=True))
    assert one.scores == pytest.approx(expected)
    assert list(one.scores.values()) == sorted(expected.values(), reverse=True)
    for m, space in (("audio", (100, 23)), ("video", (5, 17, 17))):
        assert one.heat[m].shape == space
        assert np.nanmean(one.heat[m]) == pytest.approx(1, abs=1e-3)
    assert np.isnan(one.heat["video"][4]).all(), "a tubelet is two pictures long"
    alone = look.look(recorded(tmp_path, multi_label=False), clip)
    assert sum(alone.scores.values()) == pytest.approx(1)


def test_nothing_is_dropped_as_in_training(tmp_path, clip):
    run = recorded(tmp_path, stochastic_depth=0.9)
    assert len({tuple(look.look(run, clip).scores.values()) for _ in range(3)}) == 1


def test_an_answer_is_all_certain_labels_and_five_at_least(tmp_path, clip):
    scores = {name: 0.9 - 0.11 * k for k, name in enumerate("abcdefgh")}
    sure = dict.fromkeys("abcdefgh", 0.5)
    for multi_label, given, expected in (
        (True, scores, "abcde"), (True, sure, "abcdefgh"), (False, sure, "abcde")
    ):  # fmt: skip
        one = look.look(recorded(tmp_path, multi_label=multi_label), clip)
        assert "".join(replace(one, scores=given).answer) == expected


def test_a_page_says_whole_labels_and_cuts_what_is_too_long(tmp_path, clip):
    one = look.look(recorded(tmp_path), clip)
    long = {f"label number {k}": 0.5 for k in range(9)} | {"x": 0.5}
    said = replace(one, scores=long).words.title
    assert len(said) <= 84 and said.endswith("0.50")
    assert replace(one, scores={99 * "y": 0.5}).words.title == 82 * "y" + " …"
    assert replace(one, video=Path(f"{99 * 'z'}.mp4")).words.source.startswith(
        38 * "z" + " …, 0.00"
    )


def test_every_file_is_there_and_says_what_was_found(tmp_path, clip):
    run = recorded(tmp_path)
    one = look.look(run, clip)
    files = made(run, clip, tmp_path / "out")
    assert [path.name for path in files] == [
        "frames.png", "spectrogram.png", "rollout.mp4", "rollout.json"
    ]  # fmt: skip
    assert sorted((tmp_path / "out").iterdir()) == sorted(files), "no part is left"
    told = json.loads(files[-1].read_text())
    assert told["run"] == run.key and told["span_s"] == 1.0 and told["scores"] == one.scores
    assert np.shape(told["heat"]["video"]) == (2, 2, 3) and np.shape(told["heat"]["audio"]) == (
        5,
        2,
    )
    assert [len(crossing["through"]) for crossing in told["crossings"]] == [4, 4]
    heat = sum(np.sum(heat) for heat in told["heat"].values())
    mine = sum(
        told["weights"][output] * (1 - shares["learned"])
        for output, shares in told["shares"].items()
    )
    assert heat == pytest.approx(mine, abs=1e-5)


def test_the_film_shows_the_video_beside_its_heat_over_a_cursor_that_moves(tmp_path, clip):
    run = recorded(tmp_path)
    *_, path, _ = made(run, clip, tmp_path / "out")
    with av.open(path) as mp4:
        (video,) = mp4.streams.video
        assert video.average_rate == 24
        frames = [frame.to_ndarray(format="rgb24") for frame in mp4.decode(video)]
    assert len(frames) == 24 and frames[0].shape[1] == FILM_WIDTH
    film_clip = read_clip(clip, start_s=0.0, span_s=1.0, frames=24, short_side=320)
    heat = look.look(run, clip).heat["video"]
    for turn, k in enumerate((0, 9, 23)):
        plain = frames[k][80:400, 20:340].astype(int)
        assert np.abs(plain - film_clip.frames[k]).mean() < 12
        errors = [
            np.abs(frames[k][80:400, 380:700].astype(int) - overlay.lit(
                film_clip.frames[k],
                overlay.placed(overlay.at_time(heat, (moment + 0.5) / 24), 320, 320),
                overlay.scale_of(heat),
            )).mean()
            for moment in (0, 9, 23)
        ]  # fmt: skip
        assert int(np.argmin(errors)) == turn and min(errors) < 12
    cursors = []
    for frame in frames:
        near = (np.abs(frame.astype(int) - CURSOR).sum(2) < 150).sum(0)
        cursors.append(int(near.argmax()))
        assert near.max() > 80
    steps = np.diff(cursors)
    assert (steps > 0).all() and cursors[-1] - cursors[0] > 0.9 * 23 / 24 * 600


def test_a_film_is_of_the_span_that_was_looked_at(tmp_path):
    """Silence, then noise: from half a second on, the film is loud at once."""
    path = tmp_path / "half.mp4"
    sound = np.concatenate([np.zeros(8000, np.float32), clicks(16_000, 1.5)])
    encode(RNG.integers(0, 255, (16, 64, 64, 3)).astype(np.uint8), sound, path)
    *_, film_path, told = made(recorded(tmp_path), path, tmp_path / "out", start_s=0.5)
    shown = read_clip(film_path, start_s=0.0, span_s=1.0, frames=24)
    there = read_clip(path, start_s=0.5, span_s=1.0, frames=24, short_side=320)
    assert np.abs(shown.frames[0, 80:400, 20:340].astype(int) - there.frames[0]).mean() < 12
    heard = shown.sound
    assert np.abs(heard[400:2000]).mean() > 0.3 * np.abs(heard).mean()
    assert json.loads(told.read_text())["start_s"] == 0.5


@pytest.mark.parametrize("alone", ["audio", "video"])
def test_a_model_of_one_modality_shows_what_there_is(tmp_path, clip, alone):
    run = recorded(tmp_path, modalities=(alone,), fusion="late")
    files = made(run, clip, tmp_path / "out")
    assert ("frames.png" in [path.name for path in files]) == (alone == "video")
    assert list(json.loads(files[-1].read_text())["heat"]) == [alone]
    film_clip = read_clip(files[-2], start_s=0.0, span_s=1.0, frames=1)
    assert film_clip.frames.shape[2] == FILM_WIDTH


def test_pictures_of_every_shape_fit_into_the_film(tmp_path):
    run = recorded(tmp_path)
    for height, width in ((36, 120), (120, 36), (50, 38)):
        path = tmp_path / f"{height}.mp4"
        pictures = [np.zeros((height, width, 3), np.uint8)] * 25
        film.write_film(path, pictures, Fraction(25), clicks(16_000), 16_000)
        *_, film_path, _ = made(run, path, tmp_path / "out")
        with av.open(film_path) as mp4:
            (video,) = mp4.streams.video
            assert video.width == FILM_WIDTH and video.height % 2 == 0 and video.height < 660


# Which run


def test_the_best_bottleneck_run_is_chosen_among_those_on_the_newest_clips(tmp_path):
    with pytest.raises(MbtError, match="ablate --grid fusion_layer"):
        chosen(tmp_path, None)
    recorded(tmp_path, 0.99, fusion="late")
    recorded(tmp_path, 0.98, fusion="self_attention")
    recorded(tmp_path, 0.97, fusion_layer=3)  # that is late fusion
    with pytest.raises(MbtError, match="no finished run with bottleneck tokens"):
        chosen(tmp_path, None)
    recorded(tmp_path, 0.96, weights=False)
    with pytest.raises(MbtError, match="1 bottleneck run.* lack their weights .*--rerun-stale"):
        chosen(tmp_path, None)
    one = recorded(tmp_path, 0.5, bottlenecks=3, written="2026-02-02")
    run, why = chosen(tmp_path, None)
    assert run.key == one.key and why.startswith("the only one on synthetic")
    best = recorded(tmp_path, 0.625, fusion="bottleneck_video_first")
    recorded(tmp_path, 0.9, fingerprint="other clips", written="2025-12-31")
    run, why = chosen(tmp_path, None)
    assert run.key == best.key
    assert why == (
        "the best of 2 on synthetic with bottleneck tokens, by validation mAP 0.625; 1 on other"
        " clips cannot be compared (--run KEY)"
    )


def test_where_a_clip_has_one_label_accuracy_chooses(tmp_path):
    best = recorded(tmp_path, 0.25, multi_label=False, bottlenecks=2)
    recorded(tmp_path, 0.5, multi_label=False, bottlenecks=3)
    run, why = chosen(tmp_path, None)
    assert run.key == best.key and "top1 0.750" in why


def test_a_run_may_be_named_whatever_it_is_and_old_records_are_refused(tmp_path):
    late = recorded(tmp_path, fusion="late")
    assert chosen(tmp_path, late.key[:5]) == (late, "as asked")
    old = recorded(tmp_path)
    facts = json.loads((old.folder / "run.json").read_text())
    del facts["multi_label"]
    (old.folder / "run.json").write_text(json.dumps(facts))
    for key in (old.key, None):
        with pytest.raises(MbtError, match="--rerun-stale"):
            chosen(tmp_path, key)


# The command


def test_the_command_on_a_clip_of_the_built_in_world(
    mbt: Command, here, logged, tmp_path, monkeypatch
):
    monkeypatch.setenv("MBT_CACHE", str(mbt.cache))
    results = ("--results", tmp_path)
    grid = tmp_path / "one.py"
    grid.write_text(GRID)
    trained = mbt("ablate", "--grid", grid, *results, *TINY, "--seeds", 1,
                  MLFLOW_TRACKING_URI=logged)  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    clip = next((mbt.cache / "synthetic").rglob("test-24/00003.mp4"))
    done = here("attention-rollout", clip, *results)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "the only one on synthetic with bottleneck tokens, by validation mAP" in said
    for words in ("00003.mp4, 0.00 to 1.00 s", "audio patches video patches learned tokens",
                  "audio -> video", "video -> audio", "token 4 directly"):  # fmt: skip
        assert words in said
    (folder,) = (tmp_path / "rollouts").iterdir()
    assert folder.name == f"00003-{said.split()[1].removesuffix(':')}"
    for name in ("frames.png", "spectrogram.png", "rollout.mp4", "rollout.json"):
        assert f"{folder.name}/{name}" in said and (folder / name).stat().st_size > 999
    before = json.loads((folder / "rollout.json").read_text())
    clip.unlink()
    again = here("attention-rollout", "test/00003", "--out", tmp_path / "named", *results)
    assert again.returncode == 0, again.stderr
    assert clip.exists(), "it is rendered again"
    named = json.loads((tmp_path / "named" / "rollout.json").read_text())
    facts = happenings(0, "test", 24)
    assert set(named["truth"]) == {name for name in WORLD if facts[name][3]}
    assert named | {"truth": None} == before
    rows = [line.split() for line in again.stdout.splitlines() if line.endswith(("yes", "no"))]
    assert {name: true == "yes" for name, _, true in rows} == {
        name: name in named["truth"] for name, _, _ in rows
    }
    assert set(named["truth"]) <= {name for name, _, _ in rows} and "label score truth" in " ".join(
        again.stdout.split()
    )


GRID = '''"""How does one bottleneck run do?

For the tests.
"""

from mbt_cli.grid import Grid


def cells(base):
    return [base.at("model.fusion", "bottleneck")]


GRID = Grid(cells, x="model.fusion_layer", by="model.fusion")
'''


def test_what_a_user_can_mend_is_one_sentence(here, tmp_path, clip):
    run = recorded(tmp_path / "results")
    files = {
        "missing": (tmp_path / "none.mp4", "does not exist"),
        "folder": (tmp_path, "is no file"),
        "empty": (tmp_path / "empty.mp4", "is empty"),
        "cut": (tmp_path / "cut.mp4", "cannot be decoded"),
        "silent": (tmp_path / "silent.mp4", "has no sound stream"),
        "blind": (tmp_path / "blind.mp4", "has no video stream"),
    }
    files["empty"][0].touch()
    files["cut"][0].write_bytes(clip.read_bytes()[:999])
    for name, kind in (("silent", "video"), ("blind", "audio")):
        _only(kind, clip, files[name][0])
    results = ("--results", tmp_path / "results")
    for path, sentence in files.values():
        _one_sentence(here("attention-rollout", path, *results), sentence)
    too_late = here("attention-rollout", clip, "--start-s", 0.75, *results)
    _one_sentence(too_late, "before the end of the asked span 0.75-1.75 s")
    assert "This run looks at 1 s of pictures with sound, from --start-s on." in too_late.stderr
    for start_s in (-1, "nan", "inf"):
        asked = here("attention-rollout", clip, f"--start-s={start_s}", *results)
        _one_sentence(asked, "is a time in the video in seconds")
    blocked = here("attention-rollout", clip, "--out", clip / "x", *results)
    _refused(blocked, "cannot be written (Not a directory)")
    (run.folder / "weights.safetensors").unlink()
    _one_sentence(here("attention-rollout", clip, "--run", run.key, *results), "has no weights")
    _one_sentence(here("attention-rollout", clip, *results), "lack their weights")
    shutil.rmtree(run.folder)
    _one_sentence(here("attention-rollout", clip, *results), "mbt-cli ablate --grid fusion_layer")


def _one_sentence(done, sentence: str) -> None:
    assert done.stdout.count("\n") <= 1, "the run, at most"
    _refused(done, sentence)


def _refused(done, sentence: str) -> None:
    assert done.returncode == 1
    said = done.stderr.strip()
    assert said.startswith("mbt-cli: ") and sentence in said and len(said.splitlines()) == 1


def _only(kind: str, source: Path, path: Path) -> None:
    """One stream of a file, in a file of its own."""
    with av.open(source) as whole, av.open(path, "w") as part:
        stream = whole.streams.best(kind)
        copy = part.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                part.mux(packet)


@pytest.mark.parametrize(
    "name",
    ["videos/realshort.mp4", "videos/big_buck_bunny_432_433.webm", "videos/mmaction2_test.avi",
     "videos/flipping_a_pancake.mkv", "vggsound_clips/54bz5yqN2IA_4000_14000.mp4"],
)  # fmt: skip
def test_real_videos_of_every_container_are_looked_at(tmp_path, name):
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"needs {path}")
    files = made(recorded(tmp_path), path, tmp_path / "out")
    found = read_clip(files[-2], start_s=0.0, span_s=1.0, frames=3)
    assert found.frames.shape[2] == FILM_WIDTH and len(found.sound) == found.rate_hz
