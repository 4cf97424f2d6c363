"""What is asked of a media file: a span of it, and moments in it."""

from dataclasses import dataclass
from pathlib import Path

from mbt_cli.data.fault import ClipError, Unreached
from mbt_cli.data.media import ROUNDED_S

_MAY_MISS = 0.1  # part of the span that a stream may end too early


@dataclass(frozen=True)
class Span:
    """Seconds of a file; `sought` says that reading did not begin at its very start."""

    path: Path
    start_s: float
    span_s: float
    moments: list[float]
    """When pictures are wanted, in order."""
    short_side: int | None
    sought: bool

    @property
    def end_s(self) -> float:
        return self.start_s + self.span_s

    @property
    def must_reach_s(self) -> float:
        return self.end_s - _MAY_MISS * self.span_s

    def fault(self, why: str, reason: str) -> ClipError:
        """For what reading from the very start may mend."""
        return (Unreached if self.sought else ClipError)(f"{self.path} {why}.", reason)

    def check_end(self, what: str, end_s: float, frame_s: float) -> None:
        if end_s < min(self.must_reach_s, self.end_s - frame_s) - ROUNDED_S:
            raise ClipError(
                f"{self.path}: its {what} ends at {end_s:.2f} s, before the end of the asked span"
                f" {self.start_s:.2f}-{self.end_s:.2f} s.",
                "out_of_file",
            )
