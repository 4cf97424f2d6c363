"""How many clips a second does a scan look at? Against bare PyAV that decodes all of each.

A scan also reads the file for its hash, and looks at every picture and every sample. Clips a second
are of processor time; the sides take turns, and the median over rounds is taken.

    python benchmarks/scan.py    # half a minute; clips of VGGSound beside the checkout, or rendered
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av

from decode import CLIPS, RENDERED_S, ROUNDS, rendered
from mbt_cli.data.probe import probe


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scanning(Path(folder))


def scanning(folder: Path) -> None:
    """A scan's look at a file, against bare PyAV decoding all of it; no clip is left out."""
    files = sorted(CLIPS.glob("*.mp4")) or rendered(folder)
    sides: dict[str, Callable[[Path], object]] = {"probe": probe, "bare PyAV": decoded}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(ROUNDS + 1):
        for name, look in list(sides.items())[:: -1 if turn % 2 else 1]:
            began = time.process_time()
            for path in files:
                look(path)
            if turn:
                taken[name].append((time.process_time() - began) / len(files))
    mine, its = (1 / median(times) for times in taken.values())
    print(
        f"scan: {mine:.1f} clips/s of {RENDERED_S} s, bare PyAV decoding all of each {its:.1f}"
        f" clips/s, ratio {mine / its:.2f}"
    )


def decoded(path: Path) -> int:
    """Every picture and every chunk of sound."""
    with av.open(str(path)) as file:
        streams = file.streams.video[0], file.streams.audio[0]
        for stream in streams:
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        return sum(len(packet.decode()) for packet in file.demux(*streams))


if __name__ == "__main__":
    main()
