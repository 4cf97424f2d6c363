"""What the user can fix: `cli.main` prints these without a traceback; all else is a bug."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class MbtError(Exception):
    """A sentence for the user: what is wrong, what was found, what to do."""


class Stopped(MbtError):
    """The user pressed Ctrl-C."""


class Unwritable(MbtError):
    """Nothing can be written where something must be: whatever else is tried would fail too."""

    @classmethod
    def at(cls, path: Path, why: OSError) -> "Unwritable":
        """For a file that could not be written."""
        return cls(
            f"{path} cannot be written ({why.strerror}). What is finished is kept: make room there,"
            " or choose another folder, and run the same command again."
        )


class UnknownName(MbtError):
    """A name that is not in a registry, with the nearest one that is."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        super().__init__(f"No {kind} is called '{name}'.{hint} There are: {', '.join(known)}.")

    def __reduce__(self) -> tuple[type[MbtError], tuple[str]]:
        """Comes out of another process as the sentence it says."""
        return MbtError, (str(self),)
