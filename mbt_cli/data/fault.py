"""Why a file cannot give a clip: a reason by name, a sentence about the file.

The names are what tables count, and what a scan of a dataset (`data/probe.py`) keeps.
"""

from mbt_cli.errors import MbtError

REASONS = {
    "missing": "There is no file of this name.",
    "unreadable": "The file may not be read.",
    "empty": "The file has no content.",
    "undecodable": "It is no media file, has lost its index, or nothing of a stream decodes.",
    "too_slow": "Decoding takes longer than allowed.",
    "damaged": "Some of its pictures or some of its sound do not decode.",
    "changes_form": "Its picture size or sampling rate changes within the clip.",
    "out_of_file": "The clip lies past the end of the file's pictures or of its sound.",
    "no_video": "There are no moving pictures in the file.",
    "no_audio": "There is no sound in the file.",
    "no_tfrecord": "The file is no TFRecord: it has no valid header anywhere.",
    "torn": "The shard ends, or a header in it is damaged: so many bytes cannot be read.",
    "checksum": "The checksum of the record does not fit its data.",
    "malformed": "The record is no example, or does not hold what it should.",
    "wrong_kind": "The record is of another level than data.level.",
    "class_out_of_range": "The record has a class that is not below data.classes.",
}
"""Where several hold, the first one is said: so `no_audio` means that all else is well."""


class ClipError(MbtError):
    """A file cannot give the asked span; one sentence says which file and why."""

    def __init__(self, sentence: str, reason: str = "undecodable") -> None:
        super().__init__(sentence)
        self.reason = reason
        """One of REASONS."""


class Unreached(ClipError):
    """Decoding began too late, or amid a torn part, to know what belongs to the span's start."""


def kind(error: Exception) -> str:
    """The reason, of an error of FFmpeg or of the disk: FFmpeg's are OSError where a disk's are."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    return "unreadable" if isinstance(error, OSError) else "undecodable"
