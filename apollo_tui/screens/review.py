"""Review: one queue over all sessions of what is unseen or suspicious; one key each, and the next one is there.

The item stands in its transcript, with the steps before and after it; what one scrolls to and selects can be judged.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, ClassVar, Final

import msgspec
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from apollo_tui import keys
from apollo_tui.acts.flags import Subject, about_part
from apollo_tui.context import AppContext, ToAction, ToSession
from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.review_context import ItemContext
from apollo_tui.state.board import Change
from apollo_tui.state.judged_place import places_of_anchors, seq_of_step
from apollo_tui.state.review_filter import choices_of, filter_of
from apollo_tui.state.span import words
from sessions import events as ev
from sessions.fold.review import Item
from widgets.models import Entry
from widgets.sanitise import clean_line
from widgets.transcript import Transcript

MANY: Final = 8
"""Sessions that are read at a time, so that the first items are there at once."""
BOTH_ROWS: Final = 18
"""Rows from which on the item's text has a place below its transcript."""

HINTED: Final = ("good", "flag", "label", "unsure", "skip", "filter_items", "back", "help")


class ReviewScreen(ActionScreen):
    """The item at the head of the queue, in its transcript and whole. A verdict takes it out; ``s`` skips it."""

    place: ClassVar[keys.Place] = "review"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("review"))

    def __init__(self, context: AppContext) -> None:
        super().__init__(context, "", 0)
        self._item: Item | None = None
        self._home = 0
        """The entry that stands for the item."""
        self._away = False
        """Something else than the item is shown, for a panel."""
        self._passed: list[Item] = []
        self._bar = Static("", id="review-bar", markup=False)
        self.transcript = Transcript(id="transcript")
        self._around = ItemContext(context, self.transcript)
        self._showing: Worker[None] | None = None
        self._complete = False
        """Whether all sessions were read once."""
        self._changed: set[str] = set()
        """Sessions that grew since they were read."""

    def compose_body(self) -> Iterable[Widget]:
        """Why the item is here, the item in its transcript and whole, then the composer."""
        yield self._bar
        yield Container(self.transcript, self.document, id="review-body")
        yield self.composer

    @property
    def session(self) -> str | None:
        """The session of the item."""
        return self._session or None

    def title_text(self) -> str:
        """The title says how far one is."""
        chosen = self.context.review.filter
        of = f"  {chosen.kind.replace('why', 'kind')}: {self._name_of_filter()}" if chosen.kind != "all" else ""
        return f"review  {self.context.review.pace()}{of}"

    def subject(self) -> tuple[str, Entry] | None:
        """What is selected: the item, unless another entry is; also while it is still being read, so that a quick key
        is not taken for the item before."""
        if self._item is None:
            return None
        entry = self._entry or self.context.state.entry(self._session, self._seq)
        row = self._around.row_entry(self._seq)
        entry = row if row is not None and self._seq != self._home else entry
        return (self._session, entry) if entry is not None else None

    def key_context(self) -> keys.KeyContext:
        """What was flagged last can be labelled also when nothing is left."""
        here = super().key_context()
        just = self.context.flags.just_flagged
        fresh = just is not None and self.context.presses <= just.keys + 1
        return msgspec.structs.replace(here, action=here.action or fresh)

    async def selected_entry(self) -> tuple[str, int] | None:
        """Advice is about the item."""
        return (self._session, self._seq) if self._item is not None else None

    async def find_subject(self, session: str, entry: Entry) -> Subject:
        """What the item is about: a call, a reply, or a run of steps; of another entry, that."""
        item = self._item
        if item is None or entry.seq != self._home or session != item.session:
            return await super().find_subject(session, entry)
        subject = await self.context.flags.find_subject(session, item.seq)
        last = max(subject.last_step, item.target.to_step or 0)
        parts = subject.parts if item.target in subject.parts else (item.target, *subject.parts)
        return about_part(msgspec.structs.replace(subject, parts=parts, last_step=last), item.target)

    def in_sight(self) -> dict[str, int]:
        """The newest entry in sight."""
        return {self._session: max((self._seq, *self.transcript.in_sight()))} if self._item is not None else {}

    def shows(self, session: str) -> bool:
        """An undo is shown first: what it undoes is rarely the item on screen."""
        return False

    def extra_hints(self) -> list[tuple[str, str]]:
        """Here the verdicts come first."""
        found = super().extra_hints()
        if found or not self.context.state.writable:
            return found
        keymap = self.context.config.keys
        return [(keys.key_name(id, keymap), keys.BY_ID[id].label) for id in HINTED]

    def make_room(self, *, right: int = 0, bottom: int = 0) -> None:
        """Where little room is left, the transcript has it."""
        super().make_room(right=right, bottom=bottom)
        self.document.display = not bottom or self.app.size.height - bottom >= BOTH_ROWS

    def keep_in_sight(self) -> None:
        """Less room is left: show what is selected."""
        if self.transcript.selected is not None:
            self.transcript.reveal(self.transcript.selected)

    # --- the queue --------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Read the sessions, a few at a time."""
        self.context.review.plan(None, anew=True)
        self.run_worker(self._read_all(), group="queue", exclusive=True)

    async def _read_all(self) -> None:
        sessions = self.context.state.order()
        for start in range(0, len(sessions), MANY):
            await self.context.feed.work(partial(self.context.review.read, sessions=sessions[start : start + MANY]))
            self._renew()
        self._complete = True
        self._renew()
        await self._follow()

    @property
    def opening(self) -> bool:
        """Until the item is there and shown, or all was read and there is none."""
        if self._showing is not None and not self._showing.is_finished:
            return True
        return super().opening or (self._item is None and not self._complete)

    def take_change(self, change: Change) -> None:
        """What was judged leaves the queue; what happened joins it."""
        super().take_change(change)
        self._around.take(change)
        self._changed |= change.sessions
        if self._complete and self._changed:
            self.run_worker(self._follow(), group="follow")

    async def _follow(self) -> None:
        if sessions := sorted(self._changed):
            self._changed.clear()
            await self.context.feed.work(partial(self.context.review.read, sessions=sessions))
            self._renew()

    def act(self, work: Coroutine[Any, Any, str], *, opens: bool = False) -> None:
        """Do something; the next key is for the item that comes then."""
        super().act(self._act(work, self._session), opens=True)

    async def _act(self, work: Coroutine[Any, Any, str], session: str) -> str:
        receipt = await work
        if session and self._complete:
            await self.context.feed.work(partial(self.context.review.read, sessions=[session]))
            self._renew()
        return receipt

    def _renew(self) -> None:
        """Look at the queue anew; the item on screen stays while it is in it."""
        context, review = self.context, self.context.review
        summaries = [now.summary for now in context.state.sessions.values()]
        review.refresh(summaries, context.clock())
        if not self._complete or not review.sitting.planned:
            review.plan(self._item)  # until all is read, something better may come
        if self._item is not None and not review.contains(self._item):
            review.finish(context.clock())
            self._show(review.next_after(self._item))
        elif self._item is None:
            self._show(review.next_after(None))
        self._stale = True

    def _show(self, item: Item | None) -> None:
        self._item, self._away = item, False
        self._entry = None
        if item is None:
            self._session, self._seq, self._home = "", 0, 0
            self._around.empty()
            self.document.set_text(self._say_end(), "dim")
            self._bar.update("")
            return
        self._session, self._seq, self._home = item.session, item.seq, item.seq
        name, target = self.context.name(item.session), item.target
        what = str(target) if target.part == "call" else words(target)
        self._bar.update(clean_line(f"{item.why} · {name} · {what} · {item.reason}"))
        if item.signal:
            # Done and false alarm are said of the signal that one looks at.
            self.context.state.attention.at = (item.session, item.signal)
        self._showing = self.run_worker(self._show_around(item), group="around", exclusive=True)

    async def _show_around(self, item: Item) -> None:
        home = await self._around.show(item)
        if self._item is item:
            self._home = self._seq = home
            self._load(keep_place=False)

    def _say_end(self) -> str:
        if not self._complete:
            return "reading …"
        done, planned = self.context.review.progress
        left, keymap = len(self.context.review.shown), self.context.config.keys
        other = f"{keys.key_name('filter_items', keymap)} chooses what is shown"
        if not left:
            return f"nothing to review{f': {done} of {planned} done' if planned else ''} · {other}"
        again = keys.key_name("review", keymap)
        return f"{done} of {planned} done · {left:,} wait: {again} takes the next · {other}"

    def next_sitting(self) -> None:
        """The next fifty, once these are done."""
        if self._item is not None:
            done, planned = self.context.review.progress
            self.say(f"{done} of {planned}: this sitting goes on")
            return
        self._begin()

    def _begin(self) -> None:
        self.context.review.plan(None, anew=True)
        self._passed.clear()
        self._show(self.context.review.next_after(None))
        self._stale = True

    def choose_filter(self) -> None:
        """Choose what is reviewed: a kind, a rule, a session, a label, an annotator."""
        from apollo_tui.screens.panels.dock import DockedChoice

        context, review = self.context, self.context.review

        def session(id: str) -> tuple[int, str]:
            summary = context.state.sessions[id].summary
            return summary.number, summary.title

        def take(id: str | None) -> None:
            if id is not None:
                review.filter = filter_of(id)
                self._begin()

        rows = choices_of(review.items, session, context.labels.name, review.evidence)
        panel = DockedChoice("what is reviewed, and how much there is of it", rows, "a key shows it · / finds · esc")
        self.ask(panel, take)

    def _name_of_filter(self) -> str:
        chosen = self.context.review.filter
        if chosen.kind == "session":
            return self.context.name(chosen.value)
        return self.context.labels.name(chosen.value) if chosen.kind == "label" else chosen.value.replace("_", " ")

    @property
    def counts_as_read(self) -> bool:
        """What nobody has read stays in the queue until it is passed or judged: it must not go under one's eyes."""
        return self._item is not None and self._item.why != "unseen"

    # --- moving -----------------------------------------------------------------------------------------------------

    def on_transcript_entries_needed(self, message: Transcript.EntriesNeeded) -> None:
        """Read what has come into sight."""
        self.run_worker(self._around.supply(message.seqs), group="pages")

    def on_transcript_entry_selected(self, message: Transcript.EntrySelected) -> None:
        """Show what is selected whole."""
        self._look_at(message.seq)

    def on_transcript_entry_opened(self, message: Transcript.EntryOpened) -> None:
        """The entry on a screen of its own."""
        self.keep_draft()
        self.apollo.open(ToAction(self._session, message.seq))

    def _look_at(self, seq: int) -> None:
        self._seq, self._entry = seq, None
        self._load(keep_place=False)
        self._mark_span()
        if seq != self._home:
            back = keys.key_name("next_pane", self.context.config.keys)
            self.say(f"beside the item: verdicts are on what is selected · [ ] items · {back} its text")

    def go_to_step(self, step: int) -> None:
        """Select what the step did."""
        seq = seq_of_step(places_of_anchors(self.transcript.anchors), step)
        if seq is not None:
            self.transcript.reveal(seq)
            self._look_at(seq)

    def _mark_span(self) -> None:
        """Show what a verdict would be about."""
        entry = self._around.row_entry(self.transcript.selected)
        item, steps = self._item, None
        if entry is not None and entry.step is not None:
            steps = self.context.flags.span_steps(self._session, entry.step, entry.to_step or entry.step)
            if steps is None and item is not None and entry.seq == self._home and item.target.to_step:
                steps = (item.target.step, item.target.to_step)
        self.transcript.mark_span(steps)

    def tick(self, now: int) -> None:
        """Paint what is new, and the span."""
        super().tick(now)
        self._mark_span()
        self.transcript.flush(now)

    def frame(self, session: str, seq: int) -> None:
        """Show the entry that is being labelled, where it is not the item."""
        if (session, seq) != (self._session, self._seq):
            self._away = True
            self._bar.update("what f has just flagged")
            self.run_worker(self._around.show_entry(session, seq), group="around", exclusive=True)

    def on_screen_resume(self) -> None:
        """Back from a panel or a view: the item is shown again."""
        super().on_screen_resume()
        if self._away:
            self._show(self._item)

    def skip(self) -> None:
        """Not now, and not again: the next one."""
        item = self._item
        if item is None:
            return
        review = self.context.review
        if item.why == "unseen":
            self.context.state.read_marks.select(item.session, ev.SeqRange(item.seq, item.to_seq), self.context.clock())
        review.skip(item)
        self._passed.append(item)
        self._renew()

    def step_action(self, by: int) -> None:
        """Look at the next one, while this one stays in the queue; or at the one before, also if it was judged."""
        if by > 0:
            if self._item is not None:
                self._passed.append(self._item)
                self._show(self.context.review.next_after(self._item) or self._item)
        elif self._passed:
            self._show(self._passed.pop())
        else:
            self.say("this is where you began")

    def step_pane(self, by: int) -> None:
        """From the transcript to the whole text, and back."""
        self.set_focus(self.document if self.focused is self.transcript else self.transcript)

    def refocus(self) -> None:
        """After the composer."""
        self.set_focus(self.transcript)

    def open_there(self) -> None:
        """What is selected in its session."""
        if self._item is not None:
            self.keep_draft()
            self.apollo.open(ToSession(self._session, self._seq))

    def go_to(self, session: str, *, remember: bool = False) -> None:
        """Another session is opened over the review."""
        self.keep_draft()
        self.apollo.open(ToSession(session))

    def show_entry(self, session: str, seq: int) -> None:
        """Opened over the review."""
        self.keep_draft()
        self.apollo.open(ToSession(session, seq))
