from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.jobs import files
from sessions.jobs.output import decode_piece, last_line, last_lines, last_state
from sessions.jobs.ring_buffer import Piece, RingReader, RingWriter


def test_output_within_the_cap_is_kept_whole_and_has_no_ring(tmp_path: Path) -> None:
    RingWriter(tmp_path, head=10, ring=4).write(b"0123456789")
    reader = RingReader(tmp_path, 10, 4)
    assert reader.ends(100) == (Piece(b"0123456789", 0, 10, 10), None)
    assert not (tmp_path / files.TAIL).exists()


def test_when_it_was_written_last_is_that_of_the_ring_once_the_head_is_full(tmp_path: Path) -> None:
    reader = RingReader(tmp_path, 10, 4)
    assert reader.written_at() == 0
    writer = RingWriter(tmp_path, head=10, ring=4)
    writer.write(b"0123456789abc")
    os.utime(tmp_path / files.OUTPUT, (1_000, 1_000))
    os.utime(tmp_path / files.TAIL, (2_000, 2_000))
    assert reader.written_at() == 2_000_000


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=12), since=st.integers(0, 300))
def test_every_byte_read_stands_at_its_offset_and_what_is_gone_is_counted(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], since: int
) -> None:
    folder = tmp_path_factory.mktemp("capped")
    writer = RingWriter(folder, head=16, ring=32)
    for chunk in chunks:
        writer.write(chunk)
    whole = b"".join(chunks)
    reader = RingReader(folder, 16, 32)
    assert reader.total() == writer.total == len(whole)
    read, at = b"", min(since, len(whole))
    while at < len(whole):
        piece = reader.read(at, 7)
        assert piece.data == whole[piece.start : piece.end]
        assert piece.start == at + piece.missing
        assert piece.missing == 0 or piece.start >= len(whole) - 32
        read, at = read + piece.data, piece.end
    assert whole.endswith(read[-32:])


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=12), end=st.integers(0, 300))
def test_what_lies_before_an_offset_is_read_from_the_ring_then_from_the_beginning(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], end: int
) -> None:
    folder = tmp_path_factory.mktemp("before")
    writer = RingWriter(folder, head=16, ring=32)
    for chunk in chunks:
        writer.write(chunk)
    whole = b"".join(chunks)
    reader = RingReader(folder, 16, 32)
    at = min(end, len(whole))
    while at > 0:
        piece = reader.read_before(at, 7)
        assert piece.data == whole[piece.start : piece.end]
        assert 0 < len(piece.data) <= 7
        # Nothing is left out but what the ring has written over.
        assert piece.end == at or piece.end == 16 < at <= max(16, len(whole) - 32)
        at = piece.start


def test_the_middle_of_too_much_output_is_dropped_and_space_stays_bounded(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, head=100, ring=50)
    for number in range(1000):
        writer.write(f"{number:03}\n".encode())
    reader = RingReader(tmp_path, 100, 50)
    head, tail = reader.ends(10_000)
    assert head.data.startswith(b"000\n001\n")
    assert tail is not None
    assert tail.data.endswith(b"998\n999\n")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 200
    assert reader.total() == 4000


def test_a_full_disk_loses_output_and_not_the_job(tmp_path: Path) -> None:
    Path("/dev/full").exists() or pytest.skip("no /dev/full here")
    (tmp_path / files.OUTPUT).symlink_to("/dev/full")
    writer = RingWriter(tmp_path, head=100, ring=50)
    writer.write(b"hello")
    assert (writer.total, writer.lost) == (5, 5)


def test_half_a_character_waits_for_its_other_half() -> None:
    whole = "aé€".encode()
    first = decode_piece(Piece(whole[:2], 0, 2, len(whole)), more_may_come=True)
    assert (first.text, first.end) == ("a", 1)
    rest = decode_piece(Piece(whole[1:], 1, len(whole), len(whole)))
    assert rest.text == "é€"


def test_a_cut_in_a_character_leaves_no_rubbish_at_the_start() -> None:
    data = "€€".encode()[1:]
    assert decode_piece(Piece(data, 1, 6, 6)).text == "€"


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert decode_piece(Piece(b"a\xff\xfeb", 0, 4, 4)).text == "a\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("10%\r50%\r100%\n", "100%\n"),
        ("10%\r50%\r", "50%"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("no return\n", "no return\n"),
        ("\r\r\n", "\n"),
    ],
)
def test_a_line_with_carriage_returns_shows_its_last_state(raw: str, shown: str) -> None:
    assert last_state(raw) == shown


def test_the_last_line_is_the_newest_that_says_something() -> None:
    assert last_line("one\ntwo 1%\rtwo 2%\r\n\n  \n") == "two 2%"
    assert last_line("") == ""


def test_last_lines_keep_a_line_that_has_no_end_yet() -> None:
    assert last_lines("a\nb\nc", 2) == "b\nc"
    assert last_lines("a\nb\nc\n", 2) == "b\nc\n"
