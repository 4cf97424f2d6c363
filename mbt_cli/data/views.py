"""What the model eats of a clip.

Axes: t frames, h w pixels, s samples or the side of a square picture, steps of 10 ms, mel bins.
Sources: "mbt" log-mels by what the MBT paper says (Nagrani et al. 2021, sec. 4.2: 25 ms Hamming
window, 10 ms hop, 128 bins at 16 kHz), with neither dither, pre-emphasis nor removal of the mean,
and an HTK filter bank from 0 Hz; "ast" log-mels by the code of AST (Gong et al. 2021,
`src/dataloader.py`), which calls Kaldi's filter bank.
"""

import functools
import itertools
import warnings
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32, UInt8
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchaudio.compliance.kaldi import fbank
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import Resample

RATE_HZ = 16_000
_HOP = RATE_HZ // 100
_WINDOW = RATE_HZ // 40
_SILENCE = 1e-3  # added to the power, whose peak for a sine of amplitude 1 is about 1e4


def video_view(
    frames: UInt8[np.ndarray, "t h w 3"], size: int
) -> UInt8[Tensor, "3 t {size} {size}"]:
    """The centre square of each picture, its short side resized to `size` px.

    Bilinear, antialiased; pictures of that size already are copied exactly.
    """
    pictures = torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
    height, width = pictures.shape[-2:]
    short = min(height, width)
    if short != size:
        sides = [round(side * size / short) for side in (height, width)]
        pictures = interpolate(pictures, sides, mode="bilinear", antialias=True)
    top, left = ((side - size) // 2 for side in pictures.shape[-2:])
    square = pictures[..., top : top + size, left : left + size]
    return square.permute(1, 0, 2, 3).contiguous()


def audio_view(
    sound: Float32[np.ndarray, " s"],
    rate_hz: int,
    mel_bins: int,
    steps: int,
    form: Literal["mbt", "ast"] = "mbt",
) -> Float16[Tensor, "1 {steps} {mel_bins}"]:
    """Log-mel spectrogram of the sound at 16 kHz, time-major, before normalising.

    float16 rounds values within 16 of zero, as of all sound that peaks below 30, by up to 0.004.
    """
    wave = torch.from_numpy(np.require(sound, requirements=["C", "W"]))
    wave = _resampler(rate_hz)(wave)
    return FORMS[form](wave, mel_bins, steps).half()[None]


def _mbt(
    wave: Float32[Tensor, " s"], mel_bins: int, steps: int
) -> Float32[Tensor, "{steps} {mel_bins}"]:
    """ln(power + 1e-3), 0-8000 Hz.

    Row k is centred at (k + 0.5) * 10 ms of the sound (a periodic Hamming window, whose peak falls
    on a sample). Before and after `wave` is silence; what lies beyond the last row is left out.
    """
    filters = _filters(mel_bins)
    n_fft = 2 * (len(filters) - 1)
    before = (n_fft - _HOP) // 2
    wave = pad(wave, (before, (steps - 1) * _HOP + n_fft - before - len(wave)))
    spectrum = torch.stft(wave, n_fft, _HOP, _WINDOW, _window(), center=False, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log(power.T @ filters + _SILENCE)


def _ast(
    wave: Float32[Tensor, " s"], mel_bins: int, steps: int
) -> Float32[Tensor, "{steps} {mel_bins}"]:
    """ln(power) of Kaldi's filter bank, 20-8000 Hz, of the sound less its mean.

    Row k begins at k * 10 ms, 25 ms long. As in AST, no row goes beyond the sound's end; rows that
    are missing are zeros, which is no silence (that would be -15.9), and those too many are cut.
    """
    if len(wave) < _WINDOW:
        return torch.zeros(steps, mel_bins)
    rows = fbank(
        (wave - wave.mean())[None],
        htk_compat=True,
        sample_frequency=RATE_HZ,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=mel_bins,
        dither=0.0,
        frame_shift=10,
    )[:steps]
    return pad(rows, (0, 0, 0, steps - len(rows)))


FORMS = {"mbt": _mbt, "ast": _ast}
"""How sound becomes log-mels, by the names of `Views.spectrogram`."""


@functools.cache
def _window() -> Float[Tensor, " window"]:
    return torch.hamming_window(_WINDOW, periodic=True)


@functools.cache
def _resampler(rate_hz: int) -> Resample:
    """To RATE_HZ by the smallest ratio that is right to 1 us a second.

    All common rates are met exactly; of 44,101 Hz the exact kernel would fill 3 GB.
    """
    exact = Fraction(rate_hz, RATE_HZ)
    ratios = (exact.limit_denominator(2**bits) for bits in itertools.count())
    ratio = next(ratio for ratio in ratios if abs(ratio / exact - 1) < 1e-6)
    return Resample(ratio.numerator, ratio.denominator)


@functools.cache
def _filters(mel_bins: int) -> Float[Tensor, "frequencies mel"]:
    """For the shortest FFT of 512 points or more that gives every filter a frequency."""
    n_fft = 512
    while True:
        with warnings.catch_warnings():  # torchaudio only warns of empty filters
            warnings.simplefilter("ignore", UserWarning)
            filters: Tensor = melscale_fbanks(
                n_fft // 2 + 1, 0.0, RATE_HZ / 2, mel_bins, RATE_HZ, norm=None, mel_scale="htk"
            )
        if (filters > 0).any(dim=0).all():
            return filters
        n_fft *= 2
