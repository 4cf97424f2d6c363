"""What the model is shown of one clip: the views of a span of it, wherever that lies."""

from collections.abc import Mapping

import numpy as np

from mbt_cli.data.clip import read_clip
from mbt_cli.data.manifest import Entry
from mbt_cli.data.media import BOTH
from mbt_cli.data.views import audio_view, video_view
from mbt_cli.dataset import Views


def excerpt(
    entry: Entry, views: Views, at: Mapping[str, float], short_side: int | None = None
) -> dict[str, np.ndarray]:
    """The view (c, *space) of each modality of `at`, from the span that begins at that share, from
    0 to 1, of the room there is for it: 0.5 is the span in the middle of the clip.

    A clip that is shorter than the span is shown again and again; one whose end is not known is
    shown from its start. Raises ClipError.
    """
    found = {}
    for share in dict.fromkeys(at.values()):
        of = tuple(m for m in BOTH if at.get(m) == share)
        clip = read_clip(
            entry.path, start_s=_start_s(entry, views, share), span_s=views.span_s,
            frames=views.frames, lasts_s=_length_s(entry), of=of, short_side=short_side,
        )  # fmt: skip
        if "audio" in of:
            form = views.spectrogram
            heard = audio_view(clip.sound, clip.rate_hz, views.mel_bins, views.steps, form)
            found["audio"] = heard.numpy()
        if "video" in of:
            found["video"] = video_view(clip.frames, views.size).numpy()
    return found


def _length_s(entry: Entry) -> float | None:
    return None if entry.end_s is None else entry.end_s - entry.start_s


def _start_s(entry: Entry, views: Views, share: float) -> float:
    room_s = (_length_s(entry) or 0.0) - views.span_s
    return entry.start_s + max(0.0, share * room_s)
