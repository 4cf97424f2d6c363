"""How many clips a second come off the disk, and how near is that to the least there is to do?

A clip: 4 s at a random start, 8 pictures and mono sound. All sides take turns on the same files
and the same starts, one thread each. Clips a second are of processor time, not by the clock: on a
machine that others use too, a ratio by the clock is of who was waiting. The median over rounds is
taken. First the files as they are, then the same files prepared by `transcode`.

    bare PyAV    seeks to the key frame before, decodes both streams to the span's end, converts
                 the same 8 pictures; no time stamps are looked into, nothing is checked
    torchcodec   the 8 pictures by their times, and the span's samples; where it imports

    python benchmarks/decode.py    # a minute; clips of VGGSound beside the checkout, or rendered
"""

import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median

import av
import numpy as np
from av import AudioResampler, VideoFrame
from av.video.reformatter import VideoReformatter

from mbt_cli.data.clip import read_clip
from mbt_cli.data.transcode import transcode

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "vggsound_clips"
SPAN_S, FRAMES = 4.0, 8
STARTS, ROUNDS = 4, 7
RENDERED_S, RENDERED = 10, 4

Read = Callable[[Path, float], object]
"""One clip of a file, from a second on."""


def ours(path: Path, start_s: float) -> object:
    return read_clip(path, start_s=start_s, span_s=SPAN_S, frames=FRAMES)


def bare(path: Path, start_s: float) -> object:
    """The least that PyAV must do."""
    moments = [start_s + (k + 0.5) * SPAN_S / FRAMES for k in range(FRAMES)]
    pictures, sound, last, mixer = [], [], None, AudioResampler("fltp", "mono")
    with av.open(str(path)) as file:
        video, *_ = streams = file.streams.video[0], file.streams.audio[0]
        for stream in streams:
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        file.seek(int(start_s / video.time_base), stream=video)
        ended = set()
        for packet in file.demux(*streams):
            for frame in packet.decode() if packet.stream.type not in ended else ():
                if frame.time > start_s + SPAN_S:
                    ended.add(packet.stream.type)
                elif not isinstance(frame, VideoFrame):
                    sound += [part.to_ndarray() for part in mixer.resample(frame)]
                else:
                    while last and len(pictures) < FRAMES and moments[len(pictures)] < frame.time:
                        pictures.append(
                            SCALER.reformat(last, format="rgb24", threads=1).to_ndarray()
                        )
                    last = frame
            if len(ended) == 2:
                break
    while last and len(pictures) < FRAMES:
        pictures.append(SCALER.reformat(last, format="rgb24", threads=1).to_ndarray())
    return np.stack(pictures), np.concatenate(sound, 1)


SCALER = VideoReformatter()


def torchcodec(path: Path, start_s: float) -> object:
    from torchcodec.decoders import AudioDecoder, VideoDecoder

    moments = [start_s + (k + 0.5) * SPAN_S / FRAMES for k in range(FRAMES)]
    video = VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode="approximate")
    audio = AudioDecoder(str(path), num_channels=1)
    heard = audio.get_samples_played_in_range(start_s, start_s + SPAN_S)
    return video.get_frames_played_at(moments).data, heard.data


def why_not(read: Read, path: Path) -> str:
    """The first line of what is wrong where a side does not run at all here; else nothing."""
    try:
        read(path, 0.0)
    except (ImportError, RuntimeError, OSError) as error:
        return str(error).strip().splitlines()[0]
    return ""


def rendered(folder: Path) -> list[Path]:
    """Files like those of VGGSound: 480x360, 30 pictures a second, a key frame in 8 s, AAC."""
    made = []
    rng = np.random.default_rng(0)
    for k in range(RENDERED):
        made.append(folder / f"rendered{k}.mp4")
        with av.open(str(made[-1]), "w") as file:
            video, audio = file.add_stream("libx264", 30), file.add_stream("aac", 44_100)
            video.width, video.height, video.pix_fmt = 480, 360, "yuv420p"
            still = rng.integers(0, 255, (45, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            for turn in range(30 * RENDERED_S):
                frame = VideoFrame.from_ndarray(np.roll(still, turn * 4, 1), format="rgb24")
                file.mux(video.encode(frame))
            noise = rng.normal(0, 0.1, (2, 44_100 * RENDERED_S)).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
            heard.sample_rate = 44_100
            file.mux([*video.encode(None), *audio.encode(heard), *audio.encode(None)])
    return made


def seconds(read: Read, paths: list[Path], starts: np.ndarray) -> float:
    """Of processor time for one clip, on average."""
    began = time.process_time()
    for path, start_s in product(paths, starts):
        read(path, float(start_s))
    return (time.process_time() - began) / len(paths) / len(starts)


def rates(sides: dict[str, tuple[Read, list[Path]]]) -> dict[str, float]:
    """Clips a second of each side; rounds begin with another side each."""
    rng = np.random.default_rng(0)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(ROUNDS + 1):
        starts = rng.uniform(0, RENDERED_S - SPAN_S - 0.2, STARTS)
        for name in rng.permutation(list(sides)):
            spent = seconds(*sides[name], starts)
            if turn:  # the first round warms the disk
                taken[name].append(spent)
    return {name: 1 / median(times) for name, times in taken.items()}


def prepare(paths: list[Path], folder: Path) -> list[Path]:
    """The files prepared; says what that took."""
    made, began = [folder / f"{path.stem}.prepared.mp4" for path in paths], time.process_time()
    for old, new in zip(paths, made, strict=True):
        transcode(old, new)
    spent = time.process_time() - began
    sizes = [sum(path.stat().st_size for path in all_) / 1e6 for all_ in (paths, made)]
    print(
        f"transcode: {len(paths) * RENDERED_S / spent:.0f} s of video a second;"
        f" {sizes[0]:.1f} MB became {sizes[1]:.1f} MB, ratio {sizes[1] / sizes[0]:.2f}"
    )
    return made


def windows(folder: Path) -> None:
    """Random windows: read_clip, bare PyAV and torchcodec, of original and of prepared files."""
    originals = sorted(CLIPS.glob("*.mp4")) or rendered(folder)
    print(f"{len(originals)} files of {originals[0].parent.name}, {RENDERED_S} s each")
    files = {"original": originals, "prepared": prepare(originals, folder)}
    reads: dict[str, Read] = {"read_clip": ours, "bare PyAV": bare}
    if why := why_not(torchcodec, originals[0]):
        print(f"torchcodec is left out: {why}")
    else:
        reads["torchcodec"] = torchcodec
    sides = {f"{r} {kind}": (reads[r], files[kind]) for r, kind in product(reads, files)}
    found = rates(sides)
    for kind, rival in product(files, [name for name in reads if name != "read_clip"]):
        mine, its = found[f"read_clip {kind}"], found[f"{rival} {kind}"]
        print(
            f"{kind} files: read_clip {mine:.1f} clips/s, {rival} {its:.1f} clips/s,"
            f" ratio {mine / its:.2f}"
        )
    before, after = (found[f"read_clip {kind}"] for kind in files)
    print(
        f"read_clip: {after:.1f} clips/s prepared, {before:.1f} original,"
        f" ratio {after / before:.2f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        windows(Path(folder))


if __name__ == "__main__":
    main()
