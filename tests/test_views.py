"""What the model eats of a clip: geometry of pictures, time and pitch of log-mels."""

import warnings
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from conftest import SHARED
from torchaudio.compliance.kaldi import fbank

from mbt_cli.data.clip import read_clip
from mbt_cli.data.views import FORMS, RATE_HZ, audio_view, video_view
from mbt_cli.dataset import Views

STEPS = 97


def mel(frequency_hz: float) -> float:
    return 2595 * float(np.log10(1 + frequency_hz / 700))


def sine(frequency_hz: float, rate_hz: int, samples: int, amplitude: float = 1.0) -> np.ndarray:
    time_s = np.arange(samples) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def test_pictures_of_the_asked_size_are_copied_exactly_to_channels_first():
    frames = np.random.default_rng(2).integers(0, 256, (3, 17, 17, 3), np.uint8)
    view = video_view(frames, 17)
    assert view.shape == (3, 3, 17, 17) and view.is_contiguous()
    assert np.array_equal(view.numpy(), frames.transpose(3, 0, 1, 2))
    frames[:] = 0
    assert view.any(), "a copy, not a window onto the clip"


def test_pictures_as_high_as_asked_are_only_cropped_at_their_centre():
    frames = np.random.default_rng(3).integers(0, 256, (2, 11, 18, 3), np.uint8)
    view = video_view(frames, 11)
    assert np.array_equal(view.numpy(), frames[:, :, 3:14].transpose(3, 0, 1, 2))


@pytest.mark.parametrize(("height", "width"), [(97, 53), (53, 97), (13, 29), (7, 7)])
def test_the_centre_square_of_any_picture_is_what_is_seen(height, width):
    down, across = np.mgrid[:height, :width] + 0.5
    short = min(height, width)
    ramps = [127 + 120 * (down - height / 2) / short, 127 + 120 * (across - width / 2) / short]
    frames = np.stack([*ramps, np.full((height, width), 31)], -1).clip(0, 255).astype(np.uint8)
    view = video_view(frames[None], 19).numpy().astype(float)
    ramp = 127 + 120 * ((np.arange(19) + 0.5) / 19 - 0.5)
    inside = slice(2, -2)  # at its very edge an interpolation repeats the last pixel
    pixel = 120 / 19
    assert np.allclose(view[0, 0, inside, 9], ramp[inside], atol=pixel)
    assert np.allclose(view[1, 0, 9, inside], ramp[inside], atol=pixel)
    assert (view[2] == 31).all()


def test_a_fine_pattern_becomes_grey_not_moire():
    stripes = np.zeros((1, 96, 96, 3), np.uint8)
    stripes[:, :, ::2] = 254
    view = video_view(stripes, 19).float()
    assert (view - 127).abs().max() < 20


def test_read_only_frames_and_sound_are_welcome_and_unchanged():
    frames = np.full((1, 23, 29, 3), 7, np.uint8)
    sound = sine(440, RATE_HZ, 1600)
    frames.flags.writeable = sound.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (video_view(frames, 19) == 7).all()
        assert audio_view(sound, RATE_HZ, 32, 10).shape == (1, 10, 32)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("step", [0, 1, 41, 96])
def test_a_row_is_centred_in_the_middle_of_its_ten_milliseconds(rate_hz, step):
    """An impulse there is seen equally by the rows before and after, at any sampling rate."""
    at_s = (step + 0.5) / 100
    time_s = np.arange(rate_hz) / rate_hz - at_s
    impulse = (50 * np.sinc(3_000 * time_s) * np.exp(-((time_s / 0.002) ** 2))).astype(np.float32)
    energy = audio_view(impulse, rate_hz, 41, STEPS)[0].float().exp().sum(1)
    assert int(energy.argmax()) == step
    if 0 < step < STEPS - 1:
        assert float(energy[step - 1] / energy[step + 1]) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("mel_bins", [32, 40, 64, 80, 96, 128, 192, 256])
def test_every_mel_bin_answers_to_its_own_frequency(mel_bins):
    centres = np.arange(1, mel_bins + 1) / (mel_bins + 1) * mel(RATE_HZ / 2)
    for bin_ in (mel_bins // 2, mel_bins * 3 // 4, mel_bins - 2):
        frequency_hz = 700 * (10 ** (centres[bin_] / 2595) - 1)
        rows = audio_view(sine(frequency_hz, RATE_HZ, RATE_HZ), RATE_HZ, mel_bins, STEPS)[0]
        assert abs(int(rows[50].argmax()) - bin_) <= mel_bins // 128


def test_no_mel_bin_is_empty_at_any_number_of_them_and_nothing_warns():
    noise = np.random.default_rng(5).standard_normal(1600).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mel_bins in (*range(2, 131), 200, 256, 512):
            loudest = audio_view(noise, RATE_HZ, mel_bins, 10)[0].max(0).values
            assert loudest.min() > 0, f"of {mel_bins} bins one seems empty: ln(1e-3) = -6.9"


def test_the_value_of_a_row_is_the_log_of_the_filtered_power_of_its_window():
    """Against a plain discrete Fourier transform in float64 of one window."""
    sound = np.random.default_rng(7).standard_normal(RATE_HZ).astype(np.float32)
    view = audio_view(sound, RATE_HZ, 40, STEPS)[0, 31].float().numpy()
    n = np.arange(400)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * n / 400)
    middle = 31 * 160 + 80
    power = np.abs(np.fft.rfft(sound[middle - 200 : middle + 200] * window, 512)) ** 2
    frequencies_hz = np.arange(257) * RATE_HZ / 512
    edges_hz = 700 * (10 ** (np.linspace(0, mel(8000), 42) / 2595) - 1)
    rise = (frequencies_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    fall = (edges_hz[2:, None] - frequencies_hz) / np.diff(edges_hz)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall))
    assert np.allclose(view, np.log(filters @ power + 1e-3), atol=0.01)


def test_silence_is_the_log_of_a_thousandth_and_a_deafening_sound_stays_finite():
    silence = audio_view(np.zeros(RATE_HZ, np.float32), RATE_HZ, 128, STEPS)
    assert silence.dtype == torch.float16
    assert torch.allclose(silence.float(), torch.tensor(1e-3).log(), atol=0.01)
    assert audio_view(sine(997, 44_100, 44_100, 1e6), 44_100, 128, STEPS).isfinite().all()


def test_a_sound_that_is_too_short_ends_in_silence_and_a_longer_one_is_cut():
    noise = np.random.default_rng(11).standard_normal(2 * RATE_HZ).astype(np.float32)
    half = audio_view(noise[: RATE_HZ // 2], RATE_HZ, 37, STEPS)[0]
    full = audio_view(noise, RATE_HZ, 37, STEPS)[0]
    assert half.shape == full.shape == (STEPS, 37)
    assert torch.equal(half[:48], full[:48])
    assert (half[52:].float() < -6.8).all()


def test_the_same_sound_at_another_rate_is_the_same_view():
    views = [
        audio_view(sine(1_234, rate_hz, rate_hz), rate_hz, 64, STEPS)[0, 2:-2].float()
        for rate_hz in (RATE_HZ, 44_100, 48_000, 11_127)
    ]
    audible = views[0] > 0
    for view in views[1:]:
        assert (view - views[0])[audible].abs().max() < 0.05


def test_an_awkward_rate_costs_little_memory_and_no_drift():
    at_s = 0.955
    time_s = np.arange(44_101) / 44_101 - at_s
    impulse = (50 * np.sinc(3_000 * time_s) * np.exp(-((time_s / 0.002) ** 2))).astype(np.float32)
    energy = audio_view(impulse, 44_101, 41, STEPS)[0].float().exp().sum(1)
    assert int(energy.argmax()) == 95
    assert float(energy[94] / energy[96]) == pytest.approx(1, rel=0.02)


def as_ast_does(wave: np.ndarray, steps: int) -> torch.Tensor:
    """The lines of AST's `src/dataloader.py` that make a spectrogram of a waveform."""
    waveform = torch.from_numpy(wave)[None]
    waveform = waveform - waveform.mean()
    rows = fbank(waveform, htk_compat=True, sample_frequency=16_000, use_energy=False,
                 window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10)  # fmt: skip
    missing = steps - rows.shape[0]
    if missing > 0:
        return torch.nn.ZeroPad2d((0, 0, 0, missing))(rows)
    return rows[0:steps, :]


@pytest.mark.parametrize("steps", [71, 97, 98, 99, 100, 131])
def test_asts_form_is_what_asts_own_code_makes_rounded_to_float16(steps):
    rng = np.random.default_rng(13)
    for wave in (rng.standard_normal(RATE_HZ), 0.3 + 0.01 * rng.standard_normal(RATE_HZ)):
        wave = wave.astype(np.float32)
        view = audio_view(wave, RATE_HZ, 128, steps, "ast")
        assert view.shape == (1, steps, 128) and view.dtype == torch.float16
        assert torch.equal(view[0], as_ast_does(wave, steps).half())
        assert (view[0].float() - as_ast_does(wave, steps)).abs().max() <= 0.004


def test_asts_form_of_real_sound_at_16_khz_is_what_asts_own_code_makes():
    path = SHARED / "data" / "videos" / "nasa_13013.mp4"
    if not path.exists():
        pytest.skip(f"needs the real video {path}")
    clip = read_clip(path, start_s=1.0, span_s=7.0, frames=1, of=("audio",))
    assert clip.rate_hz == 16_000
    view = audio_view(clip.sound, clip.rate_hz, 128, 700, "ast")[0]
    assert torch.equal(view, as_ast_does(clip.sound, 700).half())
    assert (view[:698] != 0).all() and (view[698:] == 0).all()


def test_asts_form_is_made_of_the_sound_at_16_khz():
    low, high = (
        audio_view(sine(1_234, rate_hz, rate_hz), rate_hz, 128, 98, "ast")[0, 3:-3].float()
        for rate_hz in (RATE_HZ, 48_000)
    )
    audible = low > 0
    assert audible.any() and (low - high)[audible].abs().max() < 0.05


def test_asts_form_of_silence_is_finite_and_of_too_little_sound_is_zeros():
    assert audio_view(np.zeros(RATE_HZ, np.float32), RATE_HZ, 128, 98, "ast").max() < -15.9
    for samples, rows in ((0, 0), (399, 0), (400, 1), (559, 1), (560, 2)):
        sound = np.full(samples, 0.1, np.float32)
        view = audio_view(sound, RATE_HZ, 128, 7, "ast")[0]
        assert (view != 0).any(dim=1).sum() == rows
    loud = audio_view(sine(997, 44_100, 44_100, 1e6), 44_100, 128, STEPS, "ast")
    assert loud.isfinite().all()


def test_every_form_of_a_spectrogram_that_can_be_asked_for_is_there():
    assert set(FORMS) == set(get_args(get_type_hints(Views)["spectrogram"]))
    sound = sine(440, RATE_HZ, RATE_HZ)
    assert torch.equal(audio_view(sound, RATE_HZ, 31, 9), audio_view(sound, RATE_HZ, 31, 9, "mbt"))
