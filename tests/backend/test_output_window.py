"""The part of an output in memory: lines at their bytes, whatever becomes of the file."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apollo_tui.backend import job_lines, output_window
from apollo_tui.backend.job_output import JobOutput
from apollo_tui.backend.output_follower import CUT, GONE, OutputChanged, OutputFollower
from apollo_tui.backend.output_window import (
    FOLLOWED,
    OutputWindow,
    TextSource,
    Unseen,
    count_unseen,
    find_earlier,
    find_later,
    read_around,
    read_earlier,
    read_end,
    read_later,
    read_start,
    split_lines,
)
from sessions.jobs import files
from sessions.jobs.ring_buffer import Piece, RingReader, RingWriter
from sessions.paths import log_paths


def texts(window: OutputWindow) -> list[str]:
    return [line.text for line in window.lines]


def whole(data: bytes, at: int = 0) -> Piece:
    return Piece(data, at, at + len(data), at + len(data))


def test_lines_stand_at_their_bytes_and_an_unfinished_one_comes_last() -> None:
    lines, end = split_lines(whole("aé\nbb\ncc".encode(), 10), aligned=True)
    assert [(line.at, line.text, line.size) for line in lines] == [(10, "aé", 4), (14, "bb", 3), (17, "cc", 2)]
    assert end == 17


def test_a_piece_that_begins_within_a_line_leaves_that_out() -> None:
    lines, _ = split_lines(whole(b"half of it\nnext\n", 5), aligned=False)
    assert [(line.at, line.text) for line in lines] == [(16, "next")]


def test_carriage_returns_show_what_a_terminal_shows_in_the_end_and_nothing_reaches_it_that_it_would_act_on() -> None:
    raw = b"\r  1%\r 50%\r100%\nred \x1b[31mtext\x1b[0m\x1b]0;title\x07\nbell\x07 \x00\xff\ntty line\r\n"
    lines, _ = split_lines(whole(raw), aligned=True)
    assert [line.text for line in lines] == ["100%", "red text", "bell␇ ␀\ufffd", "tty line"]


def test_what_is_appended_is_gone_on_from_and_half_a_line_becomes_a_whole_one(tmp_path: Path) -> None:
    writer, reader = RingWriter(tmp_path), RingReader(tmp_path)
    writer.write(b"one\ntw")
    window = read_end(reader)
    assert (texts(window), window.more_after) == (["one", "tw"], False)
    writer.write(b"o\nthree\n")
    assert texts(read_later(reader, window)) == ["one", "two", "three"]


def test_the_end_of_ten_gigabytes_is_read_at_once_and_takes_no_room(tmp_path: Path) -> None:
    # What a command can make of a job's files: the reader takes its word for the size, and reads a page.
    (tmp_path / files.OUTPUT).touch()
    os.truncate(tmp_path / files.OUTPUT, 10 << 30)
    with (tmp_path / files.OUTPUT).open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        file.write(b"\nthe end\n")
    reader = RingReader(tmp_path, head=11 << 30)
    tracemalloc.start()
    began = time.process_time()
    window = read_end(reader)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts(window)[-1] == "the end"
    assert time.process_time() - began < 2.0
    assert used < 4_000_000
    assert window.more_before


def test_reading_on_in_either_direction_keeps_bounded_memory_and_every_line_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_window, "PAGE", 8 * 1024)
    monkeypatch.setattr(output_window, "MOST", 64 * 1024)
    writer, reader = RingWriter(tmp_path), RingReader(tmp_path)
    for part in range(60):
        writer.write(b"".join(b"line %06d of the output\n" % number for number in range(part * 200, part * 200 + 200)))
    window = read_end(reader)
    assert len(window.lines) <= FOLLOWED
    seen = {line.at: line.text for line in window.lines}
    while window.more_before:
        window = read_earlier(reader, window)
        assert sum(len(line.text) for line in window.lines) <= 64 * 1024
        seen |= {line.at: line.text for line in window.lines}
    assert list(seen[at] for at in sorted(seen)) == [f"line {number:06d} of the output" for number in range(12_000)]
    again = {line.at for line in window.lines}
    while window.more_after:
        window = read_later(reader, window)
        again |= {line.at for line in window.lines}
    assert again == set(seen)


def test_output_that_is_gone_leaves_a_line_that_says_so_and_nothing_that_was_on_screen_goes(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path, head=100, ring=400)
    reader = RingReader(tmp_path, 100, 400)
    for number in range(60):
        writer.write(b"line %04d\n" % number)
    window = read_end(reader)
    shown = texts(window)
    for number in range(60, 400):
        writer.write(b"line %04d\n" % number)
    earlier = texts(read_earlier(reader, window))
    assert earlier[:10] == [f"line {number:04d}" for number in range(10)]
    assert "not kept here" in earlier[10]
    assert earlier[11:] == shown
    later = texts(read_later(reader, window))
    assert later[: len(shown)] == shown
    assert "not kept here" in later[len(shown)]
    assert later[-1] == "line 0399"


def test_new_lines_are_counted_until_they_come_too_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_window, "COUNTED", 100)
    writer, reader = RingWriter(tmp_path), RingReader(tmp_path)
    writer.write(b"a\nb\n")
    unseen = Unseen(upto=4)
    assert count_unseen(reader, unseen) == unseen
    writer.write(b"c\nd\ne")
    unseen = count_unseen(reader, unseen)
    assert (unseen.lines, unseen.bytes, unseen.counted) == (2, 5, True)
    writer.write(b"x\n" * 1000)
    unseen = count_unseen(reader, unseen)
    assert (unseen.bytes, unseen.counted, unseen.upto) == (2005, False, 2009)


@given(
    rows=st.lists(st.sampled_from(["needle", "hay", "é\x1b[1mnee\x1b[0mdle", "", "0%\rneedle\r"]), max_size=30),
    here=st.integers(0, 30),
)
@settings(max_examples=40)
def test_search_finds_the_same_lines_from_both_sides_whatever_the_pieces(rows: list[str], here: int) -> None:
    text = "\n".join(rows)
    source = TextSource(text)
    starts, place = [], 0
    for row in rows:
        if "nee" in row:
            starts.append(place)
        place += len(row.encode()) + 1
    window = read_start(source)
    at = window.lines[min(here, len(window.lines) - 1)].at if window.lines else 0
    for size in (7, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(output_window, "SEARCHED", max(size, 40))
            forward = _search(lambda since: find_later(source, "needle", since), at + 1, source.total(), 1)
            back = _search(lambda end: find_earlier(source, "needle", end), at, 0, -1)
        wanted = [line.at for line in window.lines if "needle" in line.text]
        assert wanted == starts
        assert forward == next((one for one in starts if one > at), None)
        assert back == next((one for one in reversed(starts) if one < at), None)


def _search(find: Callable[[int], tuple[int | None, int]], at: int, last: int, by: int) -> int | None:
    while (last - at) * by > 0:
        found, then = find(at)
        if found is not None:
            return found
        assert (then - at) * by > 0
        at = then
    return None


def test_a_match_is_shown_in_the_middle_of_what_lies_around_it() -> None:
    source = TextSource("".join(f"line {number}\n" for number in range(100_000)))
    found, _ = find_later(source, "line 50", 0)
    window = read_around(source, found or 0)
    assert "line 50" in texts(window)
    assert texts(window)[0] == "line 0"
    assert window.more_after


# --- followed ---------------------------------------------------------------------------------------------------------


class Told:
    """What a follower says, and a way to wait for it."""

    def __init__(self, reader: RingReader) -> None:
        self.said: list[OutputChanged] = []
        self.follower = OutputFollower(JobOutput("job 1", "make", reader), self._hear, lambda: False)
        self._heard = asyncio.Event()

    def _hear(self, message: object) -> None:
        assert isinstance(message, OutputChanged)
        self.said.append(message)
        self._heard.set()

    async def until(self, true: Callable[[OutputChanged], object]) -> OutputChanged:
        async with asyncio.timeout(20):
            while not (self.said and true(self.said[-1])):
                self._heard.clear()
                await self._heard.wait()
        return self.said[-1]


async def test_a_follower_says_what_is_new_stays_where_one_reads_and_counts_what_comes(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path)
    writer.write(b"one\n")
    told = Told(RingReader(tmp_path))
    task = asyncio.create_task(told.follower.run())
    await told.until(lambda now: texts(now.window) == ["one"])
    writer.write(b"two\n")
    await told.until(lambda now: texts(now.window) == ["one", "two"])
    told.follower.stay()
    writer.write(b"three\nfour\n")
    now = await told.until(lambda now: now.unseen.lines == 2)
    assert texts(now.window) == ["one", "two"]
    told.follower.read_more(1)
    await told.until(lambda now: texts(now.window) == ["one", "two", "three", "four"])
    count = len(told.said)
    await asyncio.sleep(0)
    told.follower.follow()
    writer.write(b"five\n")
    now = await told.until(lambda now: texts(now.window)[-1] == "five")
    assert (now.unseen, len(told.said) > count) == (Unseen(), True)
    task.cancel()


async def test_a_file_that_is_cut_or_vanishes_is_told_and_what_was_read_stays(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path)
    writer.write(b"one\ntwo\nthree\n")
    told = Told(RingReader(tmp_path))
    task = asyncio.create_task(told.follower.run())
    await told.until(lambda now: len(now.window.lines) == 3)
    (tmp_path / files.OUTPUT).write_bytes(b"other\n")
    now = await told.until(lambda now: now.status.note)
    assert (now.status.note, texts(now.window)) == (CUT, ["other"])
    (tmp_path / files.OUTPUT).unlink()
    now = await told.until(lambda now: now.status.note != CUT)
    assert (now.status.note, texts(now.window)) == (GONE, ["other"])
    (tmp_path / files.OUTPUT).symlink_to("/etc/passwd")
    now = await told.until(lambda now: "is a link" in now.status.note)
    assert texts(now.window) == ["other"]
    task.cancel()


async def test_a_search_ends_when_another_one_begins_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RingWriter(tmp_path).write(b"a line\n" * 100)
    follower = OutputFollower(JobOutput("job 1", "make", RingReader(tmp_path)), lambda _: None, lambda: False)
    begun, ended = threading.Event(), threading.Event()

    def crawl(source: object, pattern: str, start: int) -> tuple[int | None, int]:
        begun.set()
        return (start, start) if pattern == "line" else (None, start)  # gets nowhere by itself

    monkeypatch.setattr(output_window, "find_later", crawl)
    find = follower._find

    def finds(*words: Any) -> Any:
        try:
            return find(*words)
        finally:
            ended.set()

    monkeypatch.setattr(follower, "_find", finds)
    for_nothing = asyncio.create_task(follower.find("absent", 0, 1))
    assert await asyncio.to_thread(begun.wait, 20)
    found = await follower.find("line", 0, 1)
    assert found is not None and await for_nothing is None and ended.is_set()
    ended.clear()
    begun.clear()
    cancelled = asyncio.create_task(follower.find("absent", 0, 1))
    assert await asyncio.to_thread(begun.wait, 20)
    cancelled.cancel()
    assert await asyncio.to_thread(ended.wait, 20)


async def test_a_disk_that_fails_for_a_while_is_said_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RingWriter(tmp_path).write(b"one\n")
    told = Told(RingReader(tmp_path))
    read_end = output_window.read_end
    monkeypatch.setattr(output_window, "read_end", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
    task = asyncio.create_task(told.follower.run())
    await told.until(lambda now: now.status.note == "its output cannot be read now: Input/output error")
    monkeypatch.setattr(output_window, "read_end", read_end)
    told.follower.follow()
    now = await told.until(lambda now: texts(now.window) == ["one"])
    assert now.status.note == ""
    task.cancel()


def test_each_job_has_its_turn_where_there_are_more_than_one_look_can_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lines, "MOST", 2)
    lines = job_lines.JobLines(log_paths(tmp_path / "log.db"))
    looked: list[list[job_lines.JobKey]] = []

    def read(turn: list[job_lines.JobKey]) -> dict[job_lines.JobKey, str]:
        looked.append(turn)
        return {}

    monkeypatch.setattr(lines, "_read", read)
    for _ in range(3):
        asyncio.run(lines.look([("s", number) for number in range(5)], 0))
    assert {key for turn in looked for key in turn} == {("s", number) for number in range(5)}
