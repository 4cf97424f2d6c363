"""What people call the files of clips that were cut from YouTube videos."""

import re
from pathlib import Path

from mbt_cli.data.listing import Cut, Listed
from mbt_cli.data.shelf import Shelf
from mbt_cli.data.table import at

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")

FORMS: tuple[tuple[str, Cut], ...] = (
    ("{id}_{start:06d}", "clip"),  # VGGSound's archives
    ("{id}_{start:06d}_{end:06d}", "clip"),  # Kinetics' archives
    ("{id}_{start}", "clip"),
    ("{id}_{start}_{end}", "clip"),
    ("{id}_{start_s:.3f}", "clip"),  # AST's lists
    ("{id}_ {start_s:.3f}", "clip"),  # older downloaders, by AudioSet's ", "
    ("{id}_{start_s:.3f}_{end_s:.3f}", "clip"),
    ("{id}_{start_ms}_{end_ms}", "clip"),  # audioset-dl's family
    ("{id}", "either"),
)
"""Names without ending, and what is in such a file; the first that is there is taken."""

PREFIXES = ("", "Y")
"""PANNs' lists put a Y before each id."""


def checked(path: Path, line: int, video: str) -> str:
    """The id. Raises MbtError where it is none."""
    if VIDEO_ID.fullmatch(video) is None:
        raise at(path, line, f"'{video}' is no YouTube id (11 letters, digits, _ and -).")
    return video


def listed(
    shelf: Shelf, video: str, start_s: float, end_s: float, split: str, labels: tuple[int, ...]
) -> Listed:
    """The clip of these seconds of a video, with its file if there is one."""
    path, cut = file_of(shelf, video, start_s, end_s)
    name = f"{video}_{int(start_s) if start_s.is_integer() else start_s}"
    return Listed(name, split, labels, path, start_s, end_s, cut, video)


def file_of(shelf: Shelf, video: str, start_s: float, end_s: float) -> tuple[Path | None, Cut]:
    """The file of these seconds of a video, by whichever of its names, and what is in it."""
    if not shelf.holds(video):  # mostly so while a dataset is being downloaded
        return None, "clip"
    values: dict[str, object] = {
        "id": video, "start_s": start_s, "end_s": end_s,
        "start_ms": round(1000 * start_s), "end_ms": round(1000 * end_s),
    }  # fmt: skip
    if start_s.is_integer():
        values["start"] = int(start_s)
    if end_s.is_integer():
        values["end"] = int(end_s)
    for prefix in PREFIXES:
        for form, cut in FORMS:
            try:
                stem = prefix + form.format_map(values)
            except KeyError:  # a form for whole seconds, of a clip between them
                continue
            if (path := shelf.find(stem)) is not None:
                return path, cut
    return None, "clip"
