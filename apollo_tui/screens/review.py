"""Review: one queue over all sessions of what is unseen or suspicious; one key each, and the next one is there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Static

from apollo_tui import keys
from apollo_tui.acts.flags import Subject, about_part
from apollo_tui.context import AppContext, ToSession
from apollo_tui.screens.action import ActionScreen
from apollo_tui.state.board import Change
from sessions import events as ev
from sessions.fold.review import Item
from widgets.models import Entry
from widgets.sanitise import clean_line

MANY: Final = 8
"""Sessions that are read at a time, so that the first items are there at once."""

HINTED: Final = ("good", "flag", "label", "unsure", "skip", "open_there", "back", "help")


class ReviewScreen(ActionScreen):
    """The item at the head of the queue, whole. A verdict takes it out; ``s`` skips it."""

    place: ClassVar[keys.Place] = "review"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("review"))

    def __init__(self, context: AppContext) -> None:
        super().__init__(context, "", 0)
        self._item: Item | None = None
        self._passed: list[Item] = []
        self._bar = Static("", id="review-bar", markup=False)
        self._complete = False
        """Whether all sessions were read once."""
        self._changed: set[str] = set()
        """Sessions that grew since they were read."""

    def compose_body(self) -> Iterable[Widget]:
        """Why the item is here, then the item, then the composer."""
        yield self._bar
        yield from super().compose_body()

    @property
    def session(self) -> str | None:
        """The session of the item."""
        return self._session or None

    def title_text(self) -> str:
        """The title says how far one is."""
        return f"review  {self.context.review.pace()}"

    def subject(self) -> tuple[str, Entry] | None:
        """The item; also while it is still being read, so that a quick key is not taken for the item before."""
        if self._item is None:
            return None
        entry = self._entry or self.context.state.entry(self._session, self._seq)
        return (self._session, entry) if entry is not None else None

    async def selected_entry(self) -> tuple[str, int] | None:
        """Advice is about the item."""
        return (self._session, self._seq) if self._item is not None else None

    async def find_subject(self, session: str, entry: Entry) -> Subject:
        """What the item is about: a call, a reply, or a run of steps."""
        subject = await super().find_subject(session, entry)
        item = self._item
        if item is None or item.seq != entry.seq or item.target == subject.target:
            return subject
        return about_part(subject, item.target)

    def in_sight(self) -> dict[str, int]:
        """The item."""
        return {self._session: self._seq} if self._item is not None else {}

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

    # --- the queue --------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Read the sessions, a few at a time."""
        self.set_focus(self.document)
        self.context.review.open = True
        self.run_worker(self._read_all(), group="queue", exclusive=True)

    async def _read_all(self) -> None:
        sessions = self.context.state.order()
        for start in range(0, len(sessions), MANY):
            await self.context.feed.work(partial(self.context.review.read, sessions=sessions[start : start + MANY]))
            self._renew()
        self._complete = True
        self._renew()
        self.context.review_count.count_all()
        await self._follow()

    @property
    def opening(self) -> bool:
        """Until there is an item, or all was read and there is none."""
        return super().opening or (self._item is None and not self._complete)

    def take_change(self, change: Change) -> None:
        """What was judged leaves the queue; what happened joins it."""
        super().take_change(change)
        self._changed |= change.sessions
        if self._complete and self._changed:
            self.run_worker(self._follow(), group="follow")

    async def _follow(self) -> None:
        if sessions := sorted(self._changed):
            self._changed.clear()
            await self.context.feed.work(partial(self.context.review.read, sessions=sessions))
            self._renew()

    def _renew(self) -> None:
        """Look at the queue anew; the item on screen stays while it is in it."""
        context = self.context
        summaries = [now.summary for now in context.state.sessions.values()]
        context.review.refresh(summaries, context.clock())
        context.state.to_review = len(context.review.items)
        if self._item is not None and not context.review.contains(self._item):
            context.review.finish(context.clock())
            self._show(context.review.next_after(self._item))
        elif self._item is None:
            self._show(context.review.next_after(None))
        self._stale = True

    def _show(self, item: Item | None) -> None:
        self._item = item
        if item is None:
            self._entry = None
            self._session, self._seq = "", 0
            self.document.set_text("nothing to review" if self._complete else "reading …", "dim")
            self._bar.update("")
            return
        name = self.context.name(item.session)
        self._bar.update(clean_line(f"{item.why} · {name} · {item.target} · {item.reason}"))
        self._entry, self._session, self._seq = None, item.session, item.seq
        self._load(keep_place=False)

    @property
    def counts_as_read(self) -> bool:
        """What nobody has read stays in the queue until it is passed or judged: it must not go under one's eyes."""
        return self._item is not None and self._item.why != "unseen"

    # --- moving -----------------------------------------------------------------------------------------------------

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
                self._show(self.context.review.next_after(self._item))
        elif self._passed:
            self._show(self._passed.pop())
        else:
            self.say("this is where you began")

    def open_there(self) -> None:
        """The item in its session."""
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
