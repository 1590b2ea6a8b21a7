"""Follows one output for the screen that shows it: reads beside the app, in bounded pieces, and posts what changed.

One look after the other runs in a thread; what a person asks for meanwhile comes first in the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
from textual.message import Message

from apollo_tui.backend import output_window
from apollo_tui.backend.job_output import JobOutput, OutputStatus
from apollo_tui.backend.output_window import Found, OutputSource, OutputWindow, Unseen

LOOK_S: Final = 0.25
"""Between two looks at an output that is followed."""
FLOOD_S: Final = 0.5
"""The same at one of which nobody can read a line: each look has other ones, and paints the whole screen."""
REST_S: Final = 1.0
"""Between two looks at one whose command has ended."""
SLOW_S: Final = 2.0
"""The same over a slow line."""
BREATH_S: Final = 0.002
"""Between two pieces of a search: keys come first."""

CUT: Final = "its output was cut from outside: this is what is left"
GONE: Final = "its output file is gone: what was read stays here"

Wish = Literal["end", "start", "earlier", "later", "around"]


class OutputChanged(Message):
    """There is something new to show; ``went_to``: the byte of the line that was asked for."""

    def __init__(self, window: OutputWindow, unseen: Unseen, status: OutputStatus, went_to: int | None) -> None:
        super().__init__()
        self.window = window
        self.unseen = unseen
        self.status = status
        self.went_to = went_to


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look begins with, and what came of it. ``asked`` counts what a person has asked for."""

    window: OutputWindow
    unseen: Unseen
    status: OutputStatus
    following: bool
    wish: Wish | None
    at: int
    asked: int
    note: str
    """What was wrong with the output, "" if nothing was."""


class OutputFollower:
    """The output of one command. ``slow``: whether its lines go over a slow link."""

    def __init__(self, output: JobOutput, post: Callable[[Message], object], slow: Callable[[], bool]) -> None:
        self.output = output
        self._post = post
        self._slow = slow
        self._window = OutputWindow()
        self._unseen = Unseen()
        self._status = OutputStatus()
        self._following = True
        self._wish: Wish | None = None
        self._at = 0
        self._asked = 0
        self._note = ""
        self._floods = False
        self._due = asyncio.Event()
        self._closed = threading.Event()
        self._search = threading.Event()
        """Set when another search takes the place of the one under way."""

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                look = self._next_look()
                self._wish = None
                self._take(look, await asyncio.to_thread(self._look, look))
                if self._wish is None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._pause()):
                            await self._due.wait()
                self._due.clear()
        finally:
            self._closed.set()

    # --- what a person asks for -------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Show the newest lines as they come."""
        self._following = True
        self._unseen = Unseen()
        self._want("end")

    def stay(self) -> None:
        """Leave what is shown, and count what comes."""
        if self._following:
            self._following = False
            self._asked += 1
            self._unseen = Unseen(upto=self._window.total)

    def read_start(self) -> None:
        """Show the first lines."""
        self.stay()
        self._want("start")

    def read_more(self, by: int) -> None:
        """Show what lies before (-1) or after (1) as well."""
        self._want("later" if by > 0 else "earlier")

    def go_to(self, offset: int) -> None:
        """Show the line that begins at this byte."""
        self.stay()
        self._at = offset
        self._want("around")

    async def find(self, pattern: str, at: int, by: int) -> Found | None:
        """The next line after (1) or before (-1) the one at ``at`` that has ``pattern``, around the end; None: none."""
        self._search.set()
        self._search = given_up = threading.Event()
        try:
            return await asyncio.to_thread(self._find, pattern, at, by, given_up)
        finally:
            given_up.set()

    def _want(self, wish: Wish) -> None:
        self._wish = wish
        self._asked += 1
        self._due.set()

    def _pause(self) -> float:
        if self._slow():
            return SLOW_S
        return REST_S if self._status.ended else FLOOD_S if self._floods else LOOK_S

    def _next_look(self) -> _Look:
        return _Look(
            self._window,
            self._unseen,
            self._status,
            self._following,
            self._wish,
            self._at,
            self._asked,
            self._note,
        )

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _look(self, look: _Look) -> _Look:
        try:
            return self._read_anew(look)
        except OSError as problem:  # a disk or a network file system that fails for a while: looked at again
            note = f"its output cannot be read now: {problem.strerror or problem}"
            return replace(look, status=replace(look.status, note=note), note="")

    def _read_anew(self, look: _Look) -> _Look:
        source = self.output.source
        window, unseen, note, total = look.window, look.unseen, look.note, source.total()
        if 0 < total < window.total:
            # Something rewrote the file: what was at these bytes is not there any more.
            window, unseen, note = output_window.read_end(source), Unseen(upto=total), CUT
        elif total < window.total:
            note = source.trouble() or GONE
        else:
            window = self._read(look, source, total)
            unseen = unseen if look.following else output_window.count_unseen(source, unseen)
            note = note or (source.trouble() if not window.lines else "")
        status = self.output.status()
        return replace(look, window=window, status=replace(status, note=note or status.note), unseen=unseen, note=note)

    def _read(self, look: _Look, source: OutputSource, total: int) -> OutputWindow:
        window = look.window
        match look.wish:
            case "start":
                return output_window.read_start(source)
            case "earlier":
                return output_window.read_earlier(source, window)
            case "later":
                return output_window.read_later(source, window)
            case "around":
                return output_window.read_around(source, look.at)
            case _ if look.following and (total != window.total or look.wish == "end"):
                return output_window.read_end(source)
            case _:
                return window if total == window.total else msgspec.structs.replace(window, total=total)

    def _take(self, asked: _Look, found: _Look) -> None:
        """Keep what a look came to, if a person has not asked for something else meanwhile; say what is new."""
        before = (self._window, self._unseen, self._status)
        self._status, self._note = found.status, found.note
        if asked.asked == self._asked:
            self._floods = asked.following and 0 < asked.window.end < found.window.start
            self._window, self._unseen = found.window, found.unseen
        elif asked.wish is not None and self._wish is None:
            self._wish = asked.wish
        went = asked.at if asked.wish == "around" and asked.asked == self._asked else None
        if (self._window, self._unseen, self._status) != before or went is not None:
            self._post(OutputChanged(self._window, self._unseen, self._status, went))

    def _find(self, pattern: str, at: int, by: int, given_up: threading.Event) -> Found | None:
        source = self.output.source
        total = source.total()
        for around in (False, True):
            if by > 0:
                place, last = (0, at + 1) if around else (at + 1, total)
            else:
                place, last = (total, at) if around else (at, 0)
            while (place < last if by > 0 else place > last) and not (given_up.is_set() or self._closed.is_set()):
                if by > 0:
                    found, place = output_window.find_later(source, pattern, place)
                else:
                    found, then = output_window.find_earlier(source, pattern, place)
                    place = min(then, place - 1)
                if found is not None:
                    return Found(found, around)
                time.sleep(BREATH_S)
        return None
