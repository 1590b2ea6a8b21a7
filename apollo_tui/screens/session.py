"""One session, whole: its transcript from the first step, its facts at the side where there is room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import ClassVar, Final

import msgspec
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.acts import error_hints
from apollo_tui.context import AppContext, ToSession
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.composer import DraftComposer
from apollo_tui.screens.key_acts.attention import open_entry
from apollo_tui.screens.training import TrainingOverlay
from apollo_tui.screens.transcript import TranscriptFilter, TranscriptSearch
from apollo_tui.state.board import Change
from apollo_tui.state.judged_place import judged_seq, places_of_anchors, seq_of_step
from apollo_tui.state.read_marks import parts_of
from apollo_tui.state.session_facts import facts_of
from apollo_tui.state.transcript_pages import SPARSE, job_lines, note_file, read_page
from sessions import events as ev
from widgets.composer import Composer
from widgets.entries import EntryBook
from widgets.facts import FactsPanel
from widgets.glyphs import next_running_time
from widgets.models import Anchor, Entry
from widgets.transcript import Transcript

ROOMY: Final = 110
"""Columns from which on the facts have a place at the side."""
BOOK_MOST: Final = 8_000
"""Entries after which the book of this screen begins anew: scrolling through a long session costs no memory."""
PAGE: Final = 200
SLOW_MS: Final = 1_000
"""Over a slow line, what streams is shown this often."""


class SessionScreen(ApolloScreen):
    """The transcript of one session, at the place ``to``."""

    place: ClassVar[keys.Place] = "session"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("session"))

    def __init__(self, context: AppContext, to: ToSession) -> None:
        super().__init__(context)
        self.composer = self._composer = DraftComposer(self)
        self.transcript = Transcript(id="transcript")
        self.finder = TranscriptSearch(self, to.session, to.trail)
        self.filter = TranscriptFilter(self, to.session)
        self.training = TrainingOverlay(self, to.session, self._redress)
        self._facts = FactsPanel(id="facts")
        self._session = to.session
        self._at = to.seq
        self._judge = to.judge
        self._search = to.search
        self._indexed = False
        self._streamed_at = 0
        self._book = self._new_book()
        self._sparse: list[ev.Event] = []
        self._files: dict[str, tuple[int, int]] = {}
        self._job_lines: dict[int, str] = {}
        self._facts_due = 0
        self._came_from = list(to.came_from)

    def compose_body(self) -> Iterable[Widget]:
        """Transcript and facts, then the composer."""
        yield Horizontal(self.transcript, self._facts, id="body")
        yield self.composer

    @property
    def session(self) -> str | None:
        """The session of this screen."""
        return self._session

    def title_text(self) -> str:
        """The title names the session, the filter and the training view if they are on."""
        words = (self.context.name(self._session), self.filter.name, self.training.title)
        return " · ".join(word for word in words if word)

    def key_context(self) -> keys.KeyContext:
        """Also whether there is a place to go back to."""
        here = super().key_context()
        return msgspec.structs.replace(here, came_from=bool(self._came_from))

    def subject(self) -> tuple[str, Entry] | None:
        """The selected entry; while following, the newest action in sight."""
        entry = self.transcript.row_entry(self.transcript.selected)
        if entry is None and self.transcript.following:
            seen = [self.transcript.row_entry(seq) for seq in self.transcript.in_sight()]
            entry = next((one for one in reversed(seen) if one is not None and one.kind == "action"), None)
        return (self._session, entry) if entry is not None else None

    async def selected_entry(self) -> tuple[str, int] | None:
        """Advice is about what is selected."""
        selected = self.transcript.selected
        return (self._session, selected) if selected is not None else None

    def in_sight(self) -> dict[str, int]:
        """The newest entry in sight."""
        return {self._session: max(self.transcript.in_sight(), default=0)}

    # --- reading ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Read the index; entries follow as they come into sight."""
        self.set_focus(self.transcript)
        self.run_worker(self._load(), group="load", exclusive=True)

    @property
    def opening(self) -> bool:
        """Until the index is read and laid out, and what is selected is there."""
        transcript = self.transcript
        if not self._indexed or not transcript.size.height:
            return True
        return transcript.selected is not None and transcript.entry(transcript.selected) is None

    async def _load(self) -> None:
        try:
            await self.context.seeds.ensure(self._session)
            await self._read_index()
        finally:
            self._indexed = True
        if self._search:
            self.search()

    async def _read_index(self) -> None:
        index = await self.context.feed.work(partial(self.context.indexes.read, session=self._session))
        self._sparse, self._files = list(index.sparse), dict(index.files)
        self._book = self._new_book()
        self._book.add(self._sparse)
        self.transcript.append(index.anchors)
        self.transcript.live(self.context.state.sessions[self._session].live)
        self._look_at_jobs()
        self.finder.begin_trail()
        if self._at is not None:
            self.transcript.reveal(self._judged(self._at) if self._judge else self._at)
        self._mark_unread()
        self._stale = True

    def _new_book(self) -> EntryBook:
        state = self.context.state.sessions.get(self._session)
        book = EntryBook(label_name=self.context.labels.name, tools=state.summary.tools if state else {})
        for job, line in self.context.job_lines.of(self._session).items():
            book.note_line(job, line)
        return book

    def on_transcript_entries_needed(self, message: Transcript.EntriesNeeded) -> None:
        """Read what has come into sight."""
        self.run_worker(self._supply(message.seqs), group="pages")

    async def _supply(self, seqs: tuple[int, ...]) -> None:
        if len(self._book) > BOOK_MOST:
            self._book = self._new_book()
            self._book.add(self._sparse)
        for start in range(0, len(seqs), PAGE):
            wanted = seqs[start : start + PAGE]
            events = await self.context.feed.read(partial(read_page, session=self._session, seqs=wanted))
            self._book.add(events)
            self.transcript.supply(self.training.dress(self._book.entries(wanted)))

    def take_change(self, change: Change) -> None:
        """New entries join the end; changed ones are replaced where they are loaded."""
        super().take_change(change)
        self.training.take(change)
        self._note_lines(change)
        state = self.context.state.sessions.get(self._session)
        if state is None or self._session not in change.sessions:
            return
        if not change.events:
            self.run_worker(self._catch_up(), group="catch up", exclusive=True)
            return
        mine = [event for event in change.events if event.session == self._session]
        self._take(mine)
        self.transcript.live(state.live)

    def _take(self, events: list[ev.Event]) -> None:
        touched = self._book.add(events)
        for event in events:
            note_file(self._files, event)
        self._sparse += [event for event in events if event.kind in SPARSE]
        anchors = [Anchor(e.seq, e.step, e.call, e.kind) for e in events if e.kind in ev.ANCHORS]
        self.filter.take(anchors, events)
        self.transcript.append(anchors)
        self.transcript.supply(self.training.dress(self._book.entries(touched)))
        self._mark_unread()
        if any(isinstance(event.body, ev.ActionResult) and "job" in event.body.data for event in events):
            self._look_at_jobs()

    def _redress(self) -> None:
        """The training view is another one: all entries that are loaded are shown anew."""
        self.transcript.supply(self.training.dress(self._book.entries()))

    def _look_at_jobs(self) -> None:
        """What the log has of what the jobs that run print: their output may not be on this machine."""
        open_jobs = [job.job for job in self.context.state.sessions[self._session].summary.open_jobs]
        if open_jobs:
            self.run_worker(self._read_jobs(open_jobs), group="jobs", exclusive=True)

    async def _read_jobs(self, jobs: list[int]) -> None:
        self._job_lines = await self.context.feed.work(partial(job_lines, session=self._session, jobs=jobs))
        self._stale = True

    def _note_lines(self, change: Change) -> None:
        """What the jobs of this session print now."""
        lines = {job: line for (session, job), line in change.lines.items() if session == self._session}
        touched = {seq for job, line in lines.items() for seq in self._book.note_line(job, line)}
        if touched:
            self.transcript.supply(self.training.dress(self._book.entries(touched)))

    async def _catch_up(self) -> None:
        """After a time below another screen: read what came meanwhile."""
        anchors = self.transcript.anchors
        if not anchors:
            return
        last = max(anchors[-1].seq, self._sparse[-1].seq if self._sparse else 0)
        events = await self.context.feed.read(lambda reader: reader.events(self._session, after=last))
        self._take(events)
        seqs = [seq for seq in self.transcript.in_sight() if seq <= last]
        if seqs:
            await self._supply(tuple(seqs))

    def take_deltas(self, sessions: Collection[str]) -> None:
        """The partial reply grew. Over a slow line its end comes with the reply, and what is between once a second."""
        now = self.context.clock()
        if self._session in sessions and (not self.apollo.line_speed.slow or now - self._streamed_at >= SLOW_MS):
            self._streamed_at = now
            self.transcript.live(self.context.state.sessions[self._session].live)

    def paint(self, now: int) -> None:
        """The facts at the side."""
        state = self.context.state
        panel = self._facts
        panel.display = self.size.width >= ROOMY
        if panel.display and self._session in state.sessions:
            summary = state.sessions[self._session].summary
            facts = facts_of(
                summary,
                error_hints.with_ways(summary, state.view(self._session, now), self.context.config.keys),
                self._files,
                now,
                remarks=state.sessions[self._session].remarks,
                jobs=self._job_lines | self.context.job_lines.of(self._session),
                ended=[event.body for event in self._sparse if isinstance(event.body, ev.JobEnded)],
                below=state.below(self._session),
                children=[state.view(child, now) for child in state.families.children(self._session)],
            )
            panel.update(msgspec.structs.replace(facts, training=self.training.facts))
            jobs = summary.open_jobs
            self._facts_due = min((next_running_time(job.since, now) for job in jobs), default=0)

    def tick(self, now: int) -> None:
        """Paint what is new, and note what was read."""
        self._stale = self._stale or 0 < self._facts_due <= now
        super().tick(now)
        self._mark_span()
        self.transcript.slow = self.apollo.line_speed.slow
        self.transcript.flush(now)
        sight = self.transcript.in_sight()
        if sight and self.app.screen is self:
            before = len(self.context.state.unread_seqs(self._session))
            self.context.state.read_marks.show(self._session, self._parts(sight), now)
            if len(self.context.state.unread_seqs(self._session)) != before:
                self._mark_unread()

    def _parts(self, seqs: Iterable[int]) -> list[ev.SeqRange]:
        """What of the log these entries show, as far as they are loaded."""
        transcript = self.transcript
        loaded = [seq for seq in seqs if transcript.entry(seq) is not None]
        return parts_of(transcript.anchors, loaded, lambda seq: (e := transcript.entry(seq)) is not None and e.quiet)

    def _read(self, seq: int) -> None:
        for part in self._parts([seq]) or [ev.SeqRange(seq, seq)]:
            self.context.state.read_marks.select(self._session, part, self.context.clock())

    def on_resize(self) -> None:
        """The facts come and go with the width."""
        self._stale = True

    def _mark_unread(self) -> None:
        self.transcript.mark(self.context.state.unread_seqs(self._session))

    # --- moving -----------------------------------------------------------------------------------------------------

    def go_to(self, session: str, *, remember: bool = False) -> None:
        """Another session takes this one's place."""
        if session != self._session:
            self._switch(session, None, [*self._came_from, (self._session, self._here())])

    def show_entry(self, session: str, seq: int) -> None:
        """Jump there, or show the other session there."""
        if session == self._session:
            self.jump(seq)
        else:
            self._switch(session, seq or None, [*self._came_from, (self._session, self._here())])

    def attend(self, session: str, seq: int) -> None:
        """Go there; in this session, to its newest where no place is meant."""
        if session == self._session and not seq:
            self._came_from.append((self._session, self._here()))
            self.transcript.follow()
        elif session == self._session:
            self.jump(self._judged(seq))
        else:
            self._switch(session, seq or None, [*self._came_from, (self._session, self._here())], judge=True)

    def _judged(self, seq: int) -> int:
        """What a verdict on the event is about, where there is such a thing."""
        return judged_seq(places_of_anchors(self.transcript.anchors), seq) or seq

    def _switch(
        self, session: str, seq: int | None, came_from: Sequence[tuple[str, int]], *, judge: bool = False
    ) -> None:
        self.keep_draft()
        self.app.switch_screen(SessionScreen(self.context, ToSession(session, seq, came_from=came_from, judge=judge)))

    def _here(self) -> int:
        """The entry that the reader is at."""
        sight = self.transcript.in_sight()
        return self.transcript.selected or (sight[-1] if sight else 0)

    def step_pane(self, by: int) -> None:
        """The next session, or the one before; of a sub-agent, those beside it."""
        order = self.context.state.siblings(self._session)
        if self._session in order:
            self.go_to(order[(order.index(self._session) + by) % len(order)])

    def show_relatives(self) -> None:
        """To a sub-agent of this session, or to the one that started it: at once where there is only one to go to."""
        from apollo_tui.screens.panels.relatives import choose_relative

        choose_relative(self, self._session)

    def on_transcript_entry_selected(self, message: Transcript.EntrySelected) -> None:
        """What is selected is read."""
        self._read(message.seq)
        self._mark_span()

    def on_transcript_entry_opened(self, message: Transcript.EntryOpened) -> None:
        """Queued advice is edited, all else opens."""
        open_entry(self, self._session, message.seq, self.transcript.entry(message.seq))

    def on_transcript_follow_changed(self) -> None:
        """The hints say what ``t`` does."""
        self._stale = True

    def on_composer_scroll_session(self, message: Composer.ScrollSession) -> None:
        """Scroll the transcript from within the composer."""
        self.transcript.scroll_pages(message.pages)

    def refocus(self) -> None:
        """After the composer."""
        self.set_focus(self.transcript)

    def toggle_follow(self) -> None:
        """Follow the end, or stay."""
        following = self.transcript.following
        self.transcript.follow(not following)
        self.say("stays here" if following else "follows")

    def step_action(self, by: int) -> None:
        """Select the next action, or the one before; a run that is folded is one."""
        actions = [a.seq for a in self.transcript.anchors if a.kind in ("action.started", "action.refused")]
        seqs = [seq for seq in actions if self.transcript.has_row(seq)]
        if not self.step_to(seqs, by):
            last = "this is the last action" if by > 0 else "this is the first action"
            self.say(last if seqs else "no action is shown here")

    def keep_in_sight(self) -> None:
        """Less room is left: show what is selected."""
        if self.transcript.selected is not None:
            self.transcript.reveal(self.transcript.selected)

    def go_to_step(self, step: int) -> None:
        """Select what the step did."""
        seq = seq_of_step(places_of_anchors(self.transcript.anchors), step)
        if seq is not None:
            self.jump(seq)
            self._mark_span()

    def _mark_span(self) -> None:
        """Show what a verdict would be about."""
        entry = self.transcript.row_entry(self.transcript.selected)
        steps = None
        if entry is not None and entry.step is not None:
            steps = self.context.flags.span_steps(self._session, entry.step, entry.to_step or entry.step)
        self.transcript.mark_span(steps)

    def step_to(self, seqs: Sequence[int], by: int) -> bool:
        """To the next or the previous of these entries; False if there is none in that direction."""
        here = self.transcript.selected
        if here is None:
            # Nothing is selected: begin with what is in sight.
            sight = self.transcript.in_sight() or (0,)
            here = sight[-1] + 1 if by < 0 else sight[0] - 1
        if by > 0:
            wanted = next((seq for seq in seqs if seq > here), None)
        else:
            wanted = next((seq for seq in reversed(seqs) if seq < here), None)
        if wanted is None:
            return False
        self.jump(wanted)
        return True

    def search(self) -> None:
        """Search the whole session."""
        self.finder.ask()

    def step_match(self, by: int) -> None:
        """The next match, place of the trail or unread entry, or the one before."""
        self.finder.step(by)

    def jump(self, seq: int) -> None:
        """Select an entry; ``ctrl+o`` goes back."""
        sight = self.transcript.in_sight()
        if sight and seq not in sight:
            self._came_from.append((self._session, self._here()))
        self.transcript.reveal(seq)
        self._read(seq)

    def jump_back(self) -> None:
        """To where the last jump came from."""
        if not self._came_from:
            return
        session, seq = self._came_from.pop()
        if session == self._session:
            self.transcript.reveal(seq)
        else:
            self._switch(session, seq, self._came_from)
