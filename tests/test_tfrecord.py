"""Shards record by record: TensorFlow's own, and damaged ones of which no whole record is lost."""

from pathlib import Path

import numpy as np
import pytest
from shards import flipped, shard

from mbt_cli.data import tfrecord
from mbt_cli.data.tfrecord import FOOTER, HEADER, Frame, Gap, frame_at, framed, frames

GOLDEN = Path(__file__).parent / "records"
WRITTEN = [bytes([k]) * n for k, n in enumerate((13, 7, 0, 29, 5), 1)]
SIZES = [len(data) + 16 for data in WRITTEN]
STARTS = [sum(SIZES[:k]) for k in range(len(SIZES) + 1)]


@pytest.fixture
def five(tmp_path):
    return shard(tmp_path / "five.tfrecord", *WRITTEN)


@pytest.mark.parametrize("kind", ["video", "frame", "segment"])
def test_records_are_framed_as_tensorflow_frames_them(kind):
    path = GOLDEN / f"yt8m_{kind}.tfrecord"
    found = [*frames(path)]
    assert len(found) in (2, 3) and all(isinstance(one, Frame) and one.whole for one in found)
    assert b"".join(framed(one.data) for one in found) == path.read_bytes()


def test_the_checksum_is_the_one_that_rfc_3720_says_masked():
    """Of 32 bytes of 0 the crc32c is 0x8A9136AA (RFC 3720, B.4)."""
    unmasked = (tfrecord.masked(bytes(32)) - 0xA282EAD8) & 0xFFFFFFFF
    assert ((unmasked << 15 | unmasked >> 17) & 0xFFFFFFFF) == 0x8A9136AA


def test_every_record_of_a_whole_file_is_found_with_its_place(five):
    found = [*frames(five)]
    assert [one.data for one in found] == WRITTEN and all(one.whole for one in found)
    assert [one.offset for one in found] == STARTS[:-1]
    with five.open("rb") as file:
        assert [frame_at(file, one.offset) for one in found] == found
        assert frame_at(file, STARTS[1] + 1) is None and frame_at(file, STARTS[-1]) is None


@pytest.mark.parametrize("byte", range(12))
def test_a_bit_in_a_header_costs_one_record(five, byte):
    flipped(five, STARTS[1] + byte, bit=byte % 8)
    first, gap, *rest = frames(five)
    assert gap == Gap(STARTS[1], STARTS[2], "header")
    assert [first.data, *(one.data for one in rest)] == [WRITTEN[0], *WRITTEN[2:]]


@pytest.mark.parametrize("byte", [12, 17, 24, 25, 28])
def test_a_bit_in_the_data_or_their_checksum_costs_one_record(five, byte):
    flipped(five, byte)
    found = [*frames(five)]
    assert [one.whole for one in found] == [False, True, True, True, True]
    assert [one.offset for one in found] == STARTS[:-1]


def test_of_a_file_that_ends_anywhere_the_records_before_are_whole(five):
    data = five.read_bytes()
    for end in range(1, len(data)):
        five.write_bytes(data[:end])
        before = sum(start <= end for start in STARTS) - 1
        *whole, last = [*frames(five), None]
        if end in STARTS:
            assert [one.data for one in whole] == WRITTEN[:before] and last is None
        else:
            assert [one.data for one in whole[:-1]] == WRITTEN[:before]
            assert whole[-1] == Gap(STARTS[before], end, "torn")


@pytest.mark.parametrize("block", [1, 5, 16, 2**20])
def test_after_a_torn_part_of_any_length_the_next_header_is_found(five, monkeypatch, block):
    monkeypatch.setattr(tfrecord, "BLOCK", block)
    data = five.read_bytes()
    for zeros in (1, 7, 23):
        five.write_bytes(data[: STARTS[1]] + bytes(zeros) + data[STARTS[1] :])
        assert [*frames(five)][1] == Gap(STARTS[1], STARTS[1] + zeros, "header")
        assert [one.data for one in frames(five) if isinstance(one, Frame)] == WRITTEN


@pytest.mark.parametrize("content", [b"no shard at all, but a text", b"\0" * 37, b"\x1f\x8b" * 9])
def test_a_file_without_any_header_is_one_gap(tmp_path, content):
    (tmp_path / "text").write_bytes(content)
    assert [*frames(tmp_path / "text")] == [Gap(0, len(content), "header")]


def test_a_file_shorter_than_a_header_is_torn(tmp_path):
    (tmp_path / "short").write_bytes(b"12345678901")
    assert [*frames(tmp_path / "short")] == [Gap(0, 11, "torn")]


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "empty").touch()
    assert [*frames(tmp_path / "empty")] == []


def test_whatever_is_damaged_every_byte_is_accounted_for_once_and_no_other_record_is_lost(tmp_path):
    random = np.random.default_rng(0)
    for turn in range(97):
        written = [random.bytes(int(n)) for n in random.integers(0, 61, 11)]
        path = shard(tmp_path / "some", *written)
        starts = np.cumsum([0, *(len(data) + 16 for data in written)])
        hit = {int(byte) for byte in random.integers(0, starts[-1], turn % 5)}
        for byte in hit:
            flipped(path, byte, int(random.integers(8)))
        found, at = [*frames(path)], 0
        for one in found:
            assert one.offset == at
            at = one.end if isinstance(one, Gap) else at + len(one.data) + 16
        assert at == starts[-1]
        unhurt = [data for data, start, end in zip(written, starts, starts[1:], strict=False)
                  if not any(start <= byte < end for byte in hit)]  # fmt: skip
        assert [one.data for one in found if isinstance(one, Frame) and one.whole] == unhurt


def test_a_header_that_promises_more_than_there_is_asks_for_no_memory(tmp_path):
    length = (2**62).to_bytes(8, "little")
    path = tmp_path / "huge"
    path.write_bytes(length + FOOTER.pack(tfrecord.masked(length)) + b"little")
    assert [*frames(path)] == [Gap(0, HEADER.size + 6, "torn")]
    with path.open("rb") as file:
        assert frame_at(file, 0) is None
