"""An mp4 of pictures and sound that every player takes: H.264 and AAC, through PyAV.

h w pixels, s samples.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, AudioResampler, VideoFrame, VideoStream
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, UInt8

MOST_HZ = 30
"""Pictures a second in a film; a rate that is a little more, as webcams have, stays."""
AAC_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""The sampling rates there are in AAC (ISO/IEC 14496-3)."""
H264 = {"preset": "veryfast", "crf": "20"}
_CHUNK = 1024  # samples in an AAC frame


def picture_rate(path: Path) -> Fraction:
    """Pictures a second that suit a film of this file: its own, halved (or less) above MOST_HZ,
    a multiple where few come, as players and cursors like."""
    with av.open(f"file:{path}") as file:
        stream = file.streams.best("video")
        found = stream.average_rate if isinstance(stream, VideoStream) else None
    return suited(found or Fraction(25))


def suited(rate: Fraction) -> Fraction:
    """The multiple or part of a picture rate that is nearest below MOST_HZ."""
    most = Fraction(MOST_HZ * 21, 20)
    return rate * (most // rate) if rate <= most else rate / -(-rate // most)


def write_film(
    path: Path, pictures: Iterable[UInt8[np.ndarray, "h w 3"]], rate: Fraction,
    sound: Float32[np.ndarray, " s"], rate_hz: int,
) -> None:  # fmt: skip
    """Pictures of one even size at so many a second, and mono sound; what is above 1 is clipped.

    Sound keeps its rate where AAC has it, else takes the next one that AAC has above it.
    """
    film_hz = min((hz for hz in AAC_HZ if hz >= rate_hz), default=AAC_HZ[0])
    scaler = VideoReformatter()
    with av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"}) as mp4:
        video = mp4.add_stream("libx264", rate=rate, options=H264)
        audio = mp4.add_stream("aac", rate=film_hz, layout="mono")
        audio.bit_rate = min(128_000, 4 * film_hz)
        heard = _chunks(sound.clip(-1, 1), rate_hz, film_hz)
        sounded = 0
        for turn, picture in enumerate(pictures):
            if turn == 0:
                video.height, video.width = picture.shape[:2]
                video.pix_fmt, video.thread_count = "yuv420p", 1
            frame = VideoFrame.from_ndarray(picture, format="rgb24")
            mp4.mux(video.encode(scaler.reformat(frame, format="yuv420p", threads=1)))
            while sounded * rate < turn * film_hz and (chunk := next(heard, None)):
                sounded += chunk.samples
                mp4.mux(audio.encode(chunk))
        mp4.mux(video.encode())
        for chunk in heard:
            mp4.mux(audio.encode(chunk))
        mp4.mux(audio.encode())


def _chunks(sound: Float32[np.ndarray, " s"], rate_hz: int, film_hz: int) -> Iterator[AudioFrame]:
    """The sound in frames of AAC's size, at the film's rate."""
    resampler = AudioResampler("fltp", "mono", film_hz, frame_size=_CHUNK)
    whole = AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), format="fltp", layout="mono")
    whole.sample_rate, whole.pts = rate_hz, 0
    whole.time_base = Fraction(1, rate_hz)
    yield from resampler.resample(whole)
    yield from resampler.resample(None)
