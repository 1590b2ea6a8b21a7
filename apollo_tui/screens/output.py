"""What a command prints, as it comes: below the view it was opened from, or on the whole screen.

The view above goes on: it is told what is new and painted, as if it were alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from functools import partial
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.backend.feed import NotDone
from apollo_tui.backend.job_lines import JobKey
from apollo_tui.backend.job_output import OutputStatus, find_job_output, known_jobs
from apollo_tui.backend.output_follower import OutputChanged, OutputFollower
from apollo_tui.backend.output_window import Unseen
from apollo_tui.context import AppContext, ToOutput
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.document_search import NOTHING_ASKED, ask_pattern
from apollo_tui.screens.looks import look_once
from apollo_tui.state.board import Change
from apollo_tui.terminal.clipboard import copy_text
from widgets.glyphs import duration, running_time
from widgets.models import OutputHead, OutputLine, Role
from widgets.output import OutputTitle, OutputView

HINTED: Final = ("output", "back", "follow", "search", "next_match", "next_pane", "copy_line", "help")
LEAST_ROWS: Final = 18
"""Rows of a screen from which on the view above keeps its half."""
SECOND_MS: Final = 1_000
SLOW_MS: Final = 10_000
"""How often a running time is said anew, over a slow line."""
QUIET_MS: Final = 10_000
"""Who has printed nothing for so long is said to be quiet."""
KEYS_MS: Final = 200
LONGEST_MS: Final = 1_000
"""An output that is followed gives way to keys that come so close together, for so long."""

Shown = tuple[tuple[OutputLine, ...], bool, bool]
"""Lines, and whether there is more before and after them."""


class OutputScreen(ApolloScreen):
    """The output of one command of a session."""

    place: ClassVar[keys.Place] = "output"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("output"))

    def __init__(self, context: AppContext, to: ToOutput) -> None:
        super().__init__(context)
        self.output = OutputView(id="output")
        self._title_row = OutputTitle(id="output-title")
        self._to = to
        self._whole = to.whole
        self._status = OutputStatus()
        self._unseen = Unseen()
        self._bytes = 0
        self._shown: Shown = ((), False, False)
        self._due: Shown = self._shown
        self._shown_at = 0
        self._pattern = ""
        self._said_at = 0
        self._note = ""
        self._jobs: list[int] = []
        """Those of the session, by number."""
        self._follower = self._new_follower()

    def _new_follower(self) -> OutputFollower:
        return OutputFollower(self._to.output, self.post_message, lambda: self.apollo.line_speed.slow)

    def compose(self) -> ComposeResult:
        """All of it at the bottom: what is above it shows through."""
        with Vertical(id="output-part"):
            yield self._title
            yield from self.compose_body()
            yield self._receipt
            yield self._hints

    def compose_body(self) -> Iterable[Widget]:
        """Which command it is, and what it prints."""
        yield self._title_row
        yield self.output

    @property
    def session(self) -> str | None:
        """The session of the command."""
        return self._to.session

    @property
    def whole(self) -> bool:
        """Whether it has the whole screen."""
        return self._whole or self.app.size.height < LEAST_ROWS

    @property
    def opened_from(self) -> ApolloScreen | None:
        """The view that it was opened from."""
        stack = self.app.screen_stack
        at = stack.index(self) if self in stack else 0
        found = stack[at - 1] if at else None
        return found if isinstance(found, ApolloScreen) else None

    @property
    def above(self) -> ApolloScreen | None:
        """The same, while it is in sight."""
        return self.opened_from if not self.whole else None

    def title_text(self) -> str:
        """The title, where it has the whole screen."""
        return f"{self.context.name(self._to.session)}  {self._to.output.name}"

    def extra_hints(self) -> list[tuple[str, str]]:
        """What the keys would do now; the way to the next match once something is searched for."""
        keymap = self.context.config.keys
        says = {
            "output": "below the view" if self.whole else "whole screen",
            "follow": "stay here" if self.output.following else "follow",
            "next_pane": "next job",
        }
        left_out = {"copy_line" if self._pattern else "next_match"}
        left_out |= {"next_pane"} if len(self._jobs) < 2 else set()
        left_out |= {"output"} if self.app.size.height < LEAST_ROWS else set()
        return [(keys.key_name(id, keymap), says.get(id, keys.BY_ID[id].label)) for id in HINTED if id not in left_out]

    def jobs_in_sight(self) -> list[JobKey]:
        """Those of the view above."""
        above = self.above
        return above.jobs_in_sight() if above is not None else []

    def in_sight(self) -> dict[str, int]:
        """What the view above shows."""
        above = self.above
        return above.in_sight() if above is not None else {}

    def on_mount(self) -> None:
        """Begin to follow."""
        self.set_focus(self.output)
        self._begin()
        self.run_worker(look_once(self.apollo, self._read_jobs), group="jobs")
        self._fit()

    def _begin(self) -> None:
        self.run_worker(self._follower.run(), group="output", exclusive=True)

    def go_back(self) -> None:
        """The view has all of its screen again."""
        self._leave_room(0)
        super().go_back()

    # --- beside the view above --------------------------------------------------------------------------------------

    def toggle_whole(self) -> None:
        """The whole screen, or the lower half below the view."""
        if self.app.size.height < LEAST_ROWS:
            self.say(f"it has the whole screen: both need {LEAST_ROWS} rows")
            return
        self._whole = not self._whole
        self.renew_hints()
        self._fit()
        if (above := self.above) is not None:
            above.on_screen_resume()  # it was told nothing meanwhile
        self.invalidate()

    def on_resize(self) -> None:
        """Half of another height."""
        self._fit()

    def _fit(self) -> None:
        height = self.app.size.height
        rows = height if self.whole else height // 2
        self.set_class(self.whole, "-whole")
        self.query_one("#output-part").styles.height = rows
        self._leave_room(0 if self.whole else rows)

    def _leave_room(self, rows: int) -> None:
        below = self.opened_from
        if below is not None:
            below.make_room(bottom=rows)

    def advise(self) -> None:
        """Back to the view, to write to the session."""
        self.go_back()
        if (view := self.apollo.current_view()) is not None:
            view.composer.open(self._to.session)

    def take_change(self, change: Change) -> None:
        """The view above takes it in."""
        super().take_change(change)
        if (above := self.above) is not None:
            above.take_change(change)

    def take_deltas(self, sessions: Collection[str]) -> None:
        """Partial replies grew there."""
        if (above := self.above) is not None:
            above.take_deltas(sessions)

    def tick(self, now: int) -> None:
        """Both are painted; a running time is said once a second."""
        above = self.above
        if above is not None and above.ready:
            above.tick(now)
        if not self._gives_way(now):
            self._show_due()
        every = SLOW_MS if self.apollo.line_speed.slow else SECOND_MS
        if not self._status.ended and now // every != self._said_at // every:
            self._stale = True
        super().tick(now)

    # --- what it shows ----------------------------------------------------------------------------------------------

    def on_output_changed(self, message: OutputChanged) -> None:
        """New lines, or how the command stands."""
        window = message.window
        self._status, self._unseen, self._bytes = message.status, message.unseen, window.total
        self._due = (window.lines, window.more_before, window.more_after)
        if message.went_to is not None or not self._gives_way(self.context.clock()):
            self._show_due()
        if message.went_to is not None:
            self.output.go_to_offset(message.went_to)
            if self.output.cursor_offset != message.went_to:
                self.say("that line is not kept any more: newer output has taken its place", "warning")
        if message.status.note and message.status.note != self._note:
            self.say(message.status.note, "warning")
        self._note = message.status.note
        self.invalidate()

    def _gives_way(self, now: int) -> bool:
        """Whether keys come, which are painted first: the end that is followed waits, but not long."""
        keys_come = 0 <= now - self.context.presence.key_at < KEYS_MS and 0 <= now - self._shown_at < LONGEST_MS
        return self.output.following and bool(self._shown[0]) and keys_come

    def _show_due(self) -> None:
        if self._due != self._shown:
            self._shown, self._shown_at = self._due, self.context.clock()
            lines, more_before, more_after = self._shown
            self.output.show(lines, more_before=more_before, more_after=more_after)

    def paint(self, now: int) -> None:
        """Which command, and how it stands."""
        self._said_at = now
        output, status = self._to.output, self._status
        role: Role = "accent"
        if status.ended:
            took = f" after {duration(status.duration_ms)}" if status.duration_ms else ""
            state, role = f"{'✗' if status.failed else '✓'} {status.ended}{took}", "error" if status.failed else "text"
        else:
            ran = now - status.started_at if status.started_at else 0
            state = f"… running {duration(ran // SECOND_MS * SECOND_MS) if ran >= SECOND_MS else ''}".rstrip()
        facts = [say_size(self._bytes)]
        if status.written_at and not status.ended and now - status.written_at >= QUIET_MS:
            facts.append(f"quiet for {running_time(now - status.written_at)}")
        if status.pid and not status.ended:
            facts.append(f"pid {status.pid}")
        unseen = Unseen() if self.output.end_in_sight else self._unseen
        place = say_place(self.output.following, unseen)
        self._title_row.update(OutputHead(output.name, output.command, tuple(facts), state, role, place))

    def on_output_view_follow_changed(self, message: OutputView.FollowChanged) -> None:
        """Reading on, or staying."""
        if message.following:
            self._follower.follow()
            self._unseen = Unseen()
        else:
            self._follower.stay()
        self.renew_hints()
        self.invalidate()

    def on_output_view_edge_reached(self, message: OutputView.EdgeReached) -> None:
        """Read what lies there."""
        self._follower.read_more(message.by)

    def on_output_view_start_wanted(self) -> None:
        """Read how it began."""
        self._follower.read_start()

    def toggle_follow(self) -> None:
        """Follow the end, or stay."""
        if self.output.following:
            self.output.stay()
            self.say("stays here")
        else:
            self.output.follow()
            self.say("follows")

    def step_pane(self, by: int) -> None:
        """The output of the next job of the session, or of the one before."""
        self.act(self._step(by), opens=True)

    async def _read_jobs(self) -> list[int]:
        found = await self.context.feed.work(partial(known_jobs, session=self._to.session))
        self._jobs = sorted(job.number for job in found)
        self.renew_hints()
        return self._jobs

    async def _step(self, by: int) -> str:
        feed, session = self.context.feed, self._to.session
        known = await self._read_jobs()
        here = self._to.output.number
        if not known or known == [here]:
            raise NotDone("this is the only job of the session")
        at = known.index(here) if here in known else -(by > 0)
        number = known[(at + by) % len(known)]
        found = await feed.work(partial(find_job_output, paths=feed.paths, session=session, number=number))
        self._to = ToOutput(session, found, self._whole)
        self._status, self._unseen, self._note = OutputStatus(), Unseen(), ""
        self.output.following = True
        self._shown = self._due = ((), False, False)
        self.output.show((), more_before=False, more_after=False)
        self._follower = self._new_follower()
        self._begin()
        self.invalidate()
        return ""

    def copy_line(self) -> None:
        """Copy the line under the cursor, and say where the copy went."""
        text, folder = self.output.selected_text(), self.context.feed.paths.folder

        async def copy() -> str:
            return await asyncio.to_thread(copy_text, text, folder, self.apollo.copy_from_thread)

        if text:
            self.act(copy())
        else:
            self.say("there is no line here", "warning")

    # --- search -----------------------------------------------------------------------------------------------------

    def search(self) -> None:
        """Search in all of the output that is kept."""
        ask_pattern(self, self._search)

    def _search(self, text: str) -> None:
        self._pattern = text
        self.renew_hints()
        self.output.highlight(text)
        if text:
            self.step_match(-1 if self.output.following else 1)

    def step_match(self, by: int) -> None:
        """The next line with a match, or the one before."""
        if not self._pattern:
            self.say(NOTHING_ASKED)
            return
        self.say(f"searching {self._pattern} …")
        self.run_worker(self._find(by), group="find", exclusive=True)

    async def _find(self, by: int) -> None:
        found = await self._follower.find(self._pattern, self.output.cursor_offset, by)
        if found is None:
            self.say(f"{self._pattern}: not found in this output")
            return
        around = " · around the end" if found.around else ""
        self.say(f"{self._pattern}: at byte {found.at:,} of {self._bytes:,}{around} · n next, N before")
        self._follower.go_to(found.at)


def say_size(size: int) -> str:
    """Bytes for a person: ``812 B``, ``3.4 MB``."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size} B"


def say_place(following: bool, unseen: Unseen) -> str:
    """Where the reader is, "" while the end is followed."""
    if following:
        return ""
    if not unseen.counted:
        return f"{say_size(unseen.bytes)} new ↓"
    if unseen.lines:
        return f"{unseen.lines:,} new {'line' if unseen.lines == 1 else 'lines'} ↓"
    return "not following"
