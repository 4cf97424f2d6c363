"""What an evaluation shows in place of a clip's own views: a mean view, another clip's view, sound
that is heard at another time.

n clips of a split, b clips of a batch, t rows of a spectrogram, one every 10 ms.
"""

from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from mbt_cli.data.clips import MIDDLE, Batch, Clips, Wanted
from mbt_cli.data.manifest import Manifest
from mbt_cli.data.views import RATE_HZ, audio_view
from mbt_cli.dataset import Viewed, Views
from mbt_cli.errors import MbtError
from mbt_cli.experiment import HOP_MS, Evaluation
from mbt_cli.feed import spans

BATCH = 128
"""Clips that are read at a time."""
SEED = 0
"""By which every clip gets another one as its partner."""
ROWS_HZ = 1000 / HOP_MS


class Origin(NamedTuple):
    """Where a view is taken from."""

    partner: bool = False
    """Another clip, in place of the clip itself."""
    shift_ms: int = 0


OWN = Origin()


def origins(how: Evaluation, modalities: Sequence[str]) -> dict[str, Origin]:
    """Of each modality's view."""
    return {m: Origin(m == how.shuffled, how.shift_ms if m == "audio" else 0) for m in modalities}


class Disguises:
    """What several evaluations show of the clips of a split, all of it read once."""

    def __init__(
        self, data: Clips, views: Viewed, modalities: Sequence[str], hows: Sequence[Evaluation]
    ) -> None:
        """Raises MbtError where a single clip has no other one, nothing can be averaged, or sound
        is shifted that has no spectrogram."""
        if any(how.shift_ms for how in hows) and not isinstance(views, Views):
            raise MbtError(
                "shift_ms moves the sound by rows of its spectrogram, but this run was trained on"
                " features, which have none: leave it out."
            )
        if any(how.crops > 1 for how in hows) and not isinstance(views, Views):
            raise MbtError(
                "crops takes several spans of a clip, but this run was trained on features, and"
                " all of a video's are looked at: leave it out."
            )
        self.data, self.views, self.modalities = data, views, tuple(modalities)
        self.places = data.places(hows[0].split)
        needs: dict[Origin, dict[str, None]] = {OWN: dict.fromkeys(modalities)}
        for how in hows:
            for m, origin in origins(how, modalities).items():
                needs.setdefault(origin, {})[m] = None
        self.needs = {origin: tuple(names) for origin, names in needs.items()}
        """Which modalities are read from where; everything of the clips themselves."""
        averaged = {m for how in hows for m in how.averaged}
        self.means = mean_views(data, sorted(averaged)) if averaged else {}
        """(*view) of each, before it is normalised."""
        self.partner, self.whose = self.places, {}
        if any(origin.partner for origin in needs):
            self.partner = self.places[partners(data.groups(self.places))]
            self.whose = dict(zip(self.partner.tolist(), self.places.tolist(), strict=True))

    def wanted(self, rows: slice, share: float) -> list[Wanted]:
        """What is read for some clips of the split, from every origin."""
        found = []
        for origin, names in self.needs.items():
            places = (self.partner if origin.partner else self.places)[rows]
            at, _ = self.moved(places, share, origin.shift_ms)
            found.append(Wanted(places, spans(names, len(places), share) | (
                {"audio": at} if origin.shift_ms else {})))  # fmt: skip
        return found

    def shown(
        self, how: Evaluation, share: float, batches: Sequence[Batch]
    ) -> tuple[Int64[np.ndarray, " b"], dict[str, np.ndarray]]:
        """The clips of which all was read that an evaluation shows, and their views before they
        are normalised, those of averaged modalities as they are; `batches` are what was `wanted`.
        """
        read, taken = dict(zip(self.needs, batches, strict=True)), origins(how, self.modalities)
        places = read[OWN].places
        owners = {origin: self._owners(origin, read[origin]) for origin in {*taken.values()}}
        for mine in owners.values():
            places = places[np.isin(places, mine)]
        views = {}
        for m, origin in taken.items() if len(places) else ():
            view, rows = read[origin].views[m], np.isin(owners[origin], places)
            views[m] = view if rows.all() else view[rows]
            if origin.shift_ms:
                _, late = self.moved(read[origin].places[rows], share, origin.shift_ms)
                views[m] = delayed(views[m], late, self.silence)
        return places, views

    def moved(
        self, places: Int64[np.ndarray, " b"], share: float, shift_ms: int
    ) -> tuple[Float[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        """Where in each clip sound is read that is heard so much later than the picture at
        `share`; by how many rows it is to be delayed besides, where the clip does not reach so
        far."""
        room_s = self.room_s[places]
        wanted_s = share * room_s - shift_ms / 1000
        start_s = wanted_s.clip(0, room_s)
        at = np.divide(start_s, room_s, out=np.full(len(places), share), where=room_s > 0)
        return at, np.rint(ROWS_HZ * (start_s - wanted_s)).astype(np.int64)

    @cached_property
    def room_s(self) -> Float[np.ndarray, " n"]:
        """By how much each clip of the manifest is longer than what is shown of it."""
        return room_s(self.data.manifest, self.views)

    @cached_property
    def silence(self) -> Float[np.ndarray, "1 t mel"]:
        """The view of no sound at all."""
        views = self.views
        assert isinstance(views, Views)  # of features no sound is delayed
        nothing = np.zeros(round(views.span_s * RATE_HZ), np.float32)
        return audio_view(nothing, RATE_HZ, views.mel_bins, views.steps, views.spectrogram).numpy()

    def _owners(self, origin: Origin, batch: Batch) -> Int64[np.ndarray, " b"]:
        """The clips for which views were read."""
        if not origin.partner:
            return batch.places
        return np.array([self.whose[place] for place in batch.places.tolist()], dtype=np.int64)


def room_s(manifest: Manifest, views: Viewed) -> Float[np.ndarray, " n"]:
    """By how much each clip is longer than what is shown of it; 0 where its end is not known."""
    lengths = [e.start_s if e.end_s is None else e.end_s for e in manifest.entries]
    starts = [e.start_s for e in manifest.entries]
    room = np.array(lengths, float) - np.array(starts, float) - views.span_s
    return room.round(6).clip(0)


def partners(groups: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """For each clip the row of another, each of them once: by `SEED`, of another group where no
    group holds more than half of the clips.

    The clips of a group stand together in a drawn order, and each takes the one that is as many
    clips on as the largest group holds. Raises MbtError for a single clip.
    """
    if (n := len(groups)) < 2:
        raise MbtError("shuffled takes views from another clip of the split, and there is none.")
    random = np.random.default_rng(SEED)
    names, of, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    order = np.lexsort((random.permutation(n), random.permutation(len(names))[of]))
    found = np.empty(n, np.int64)
    found[order] = np.roll(order, -min(int(sizes.max()), n // 2))
    return found


def mean_views(data: Clips, modalities: Sequence[str]) -> dict[str, Float[np.ndarray, "..."]]:
    """Each modality's mean view (*view) over the validation clips, of the span in their middle.

    Raises MbtError where none can be read.
    """
    places, seen = data.places("validation"), 0
    sums: dict[str, np.ndarray] = {}
    parts = [places[start : start + BATCH] for start in range(0, len(places), BATCH)]
    wanted = [Wanted(part, spans(tuple(modalities), len(part), MIDDLE)) for part in parts]
    with closing(data.batches(wanted)) as batches:
        for batch in batches:
            seen += len(batch.places)
            for m, view in batch.views.items():
                sums[m] = sums.get(m, 0) + view.sum(0, dtype=np.float64)
    if not seen:
        raise MbtError(
            "averaged shows the mean view over the validation clips, and none of these can be"
            " read: give clips with a validation split."
        )
    return {m: (total / seen).astype(np.float32) for m, total in sums.items()}


def delayed(
    sound: Float[np.ndarray, "b 1 t mel"], rows: Int64[np.ndarray, " b"],
    silence: Float[np.ndarray, "1 t mel"],
) -> Float[np.ndarray, "b 1 t mel"]:  # fmt: skip
    """Each spectrogram so many rows later (earlier where negative), with silence where nothing is
    left. Rows at the end that the view of silence pads stay padded."""
    filled = int((silence[0] == silence[0, 0]).all(-1).sum())
    found = np.broadcast_to(silence, sound.shape).copy()
    for late in np.unique(rows):
        mine, first, last = rows == late, max(0, late), max(0, -late)
        length = max(0, filled - abs(late))
        found[mine, :, first : first + length] = sound[mine, :, last : last + length]
    return found
