"""TFRecord shards: one record after the other, each with checksums of its length and of its data.

    length (8 bytes) | its checksum (4) | data | its checksum (4)      all little-endian

Source: TensorFlow's `record_writer.h`; a checksum is a crc32c, rotated and shifted ("masked").
Where a header is damaged, the next one further on whose checksum fits is looked for.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from google_crc32c import value as crc32c  # PyPI's `tfrecord` reads checksums and skips them

HEADER, FOOTER = struct.Struct("<QI"), struct.Struct("<I")
BLOCK = 2**20
"""Bytes at a time, where a header is looked for."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A record whose header is whole."""

    offset: int
    """Byte of its file where its header begins."""
    data: bytes
    sum: int
    """The checksum of its data, as it was written."""

    @property
    def whole(self) -> bool:
        """Whether the data are what was written."""
        return masked(self.data) == self.sum


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes in which no record can be told."""

    offset: int
    end: int
    why: Literal["header", "torn"]
    """Its header is damaged; or the file ends within the record."""


def masked(data: bytes) -> int:
    """The checksum of some data, as it is written."""
    sum_ = crc32c(data)
    return ((sum_ >> 15 | sum_ << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """A record as it is written."""
    length = len(data).to_bytes(8, "little")
    return length + FOOTER.pack(masked(length)) + data + FOOTER.pack(masked(data))


def size(data: int) -> int:
    """Bytes of a record of so many bytes of data."""
    return HEADER.size + data + FOOTER.size


def frames(path: Path) -> Iterator[Frame | Gap]:
    """All that a file holds, from its first byte to its last. Raises OSError."""
    with path.open("rb") as file:
        end, at = path.stat().st_size, 0
        while at < end:
            found = _read(file, at, end)
            if isinstance(found, Frame):
                yield found
                at += size(len(found.data))
            else:
                until = end if found == "torn" else _header_after(file, at + 1, end)
                yield Gap(at, until, found)
                at = until


def frame_at(file: BinaryIO, offset: int) -> Frame | None:
    """The record that begins there; None where there is none. Raises OSError."""
    found = _read(file, offset, os.fstat(file.fileno()).st_size)
    return found if isinstance(found, Frame) else None


def write(file: BinaryIO, records: Iterable[bytes]) -> None:
    """Appends records to a file."""
    for data in records:
        file.write(framed(data))


def _read(file: BinaryIO, at: int, end: int) -> Frame | Literal["header", "torn"]:
    """The record that begins there, or why there is none."""
    file.seek(at)
    head = file.read(HEADER.size)
    if len(head) == HEADER.size and not _is_header(head):
        return "header"
    if len(head) < HEADER.size or at + size(length := HEADER.unpack(head)[0]) > end:
        return "torn"
    rest = file.read(length + FOOTER.size)
    return Frame(at, rest[:length], *FOOTER.unpack(rest[length:]))


def _is_header(head: bytes) -> bool:
    return len(head) == HEADER.size and masked(head[:8]) == FOOTER.unpack(head[8:])[0]


def _header_after(file: BinaryIO, at: int, end: int) -> int:
    """Where the next header lies whose checksum fits; the file's end where there is none."""
    while at < end:
        file.seek(at)
        block = file.read(BLOCK + HEADER.size - 1)
        for place in _short_lengths(block):
            if _is_header(block[place : place + HEADER.size]):
                return at + place
        at += BLOCK
    return end


def _short_lengths(block: bytes) -> list[int]:
    """Where in a block a length below 2^32 may stand: before four bytes of 0."""
    zero = np.frombuffer(block, np.uint8) == 0
    four = zero[4:-3] & zero[5:-2] & zero[6:-1] & zero[7:] if len(zero) > 7 else zero[:0]
    return np.flatnonzero(four).tolist()
