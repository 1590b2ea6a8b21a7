"""What all screens share: a title, a body, a line for receipts, the hints, and the one key table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.acts.flags import Subject
from apollo_tui.backend.job_lines import JobKey
from apollo_tui.context import Apollo, AppContext
from apollo_tui.state.board import Change
from widgets.chrome import HintBar, Level, ReceiptLine, TitleBar
from widgets.models import Entry, Hint
from widgets.paint import is_field

if TYPE_CHECKING:
    from apollo_tui.screens.composer import DraftComposer

T = TypeVar("T")

WIDTHS: Final = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]
"""Columns from which on all screens have this class."""

ARMED_MS: Final = 4_000
"""How long the first key of a double key waits for its second."""

RECEIPT_KEYS: Final = 2
ERROR_KEYS: Final = 6
"""A receipt stays through the key after it and goes with the next one; one of an error stays longer."""

PAINTER_ACTIONS: Final[dict[str, str]] = {
    "move.down": "move(1)",
    "move.up": "move(-1)",
    "move.page_down": "page(1)",
    "move.page_up": "page(-1)",
    "move.start": "to_start",
    "move.end": "to_end",
    "move.open": "open",
}
"""What the painters call their movements."""


class ApolloScreen(Screen[None]):
    """A screen over one context. Subclasses say their ``place``, their body, and how they follow changes; those that
    look at sessions (``context.View``) have a composer.

    They give the focus with ``set_focus``: ``Widget.focus`` waits until the keys that have come already are done, and
    in a burst it would take the focus from the field that one of them has opened.
    """

    place: ClassVar[keys.Place]
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = []
    _composer: DraftComposer | None = None
    undo_preview: int | None = None

    def __init__(self, context: AppContext) -> None:
        # Textual adds the class when the size arrives, and matches all styles again if it is new.
        width = self.app.size.width
        super().__init__(classes=next(name for least, name in reversed(WIDTHS) if width >= least))
        self.context = context
        self._armed: tuple[str, int] | None = None
        self._stale = True
        self._hinted: keys.KeyContext | None = None
        self._stale_in: int | None = None
        self._title = TitleBar(id="title")
        self._receipt = ReceiptLine(id="receipt")
        self._hints = HintBar(id="hints")
        self.ready = False
        """Whether the widgets are there: nothing is painted before and after."""

    @property
    def apollo(self) -> Apollo:
        """The app, as far as screens know it."""
        return cast("Apollo", self.app)

    def compose(self) -> ComposeResult:
        """Title, body, receipt, hints."""
        yield self._title
        yield from self.compose_body()
        yield self._receipt
        yield self._hints

    @property
    def opening(self) -> bool:
        """Whether what keys are about is not there yet: they wait for it."""
        return not self.ready

    def on_mount(self) -> None:
        """The widgets are there."""
        self.ready = True

    def on_unmount(self) -> None:
        """The widgets go; what is typed stays."""
        self.ready = False
        self.keep_draft()

    def compose_body(self) -> Iterable[Widget]:
        """The widgets between title and receipt."""
        raise NotImplementedError

    # --- what subclasses answer -------------------------------------------------------------------------------------

    @property
    def session(self) -> str | None:
        """The session that keys act on."""
        return None

    def key_context(self) -> keys.KeyContext:
        """What keys may need, as it is here and now."""
        state = self.context.state
        now = state.sessions.get(self.session) if self.session else None
        return keys.KeyContext(
            place=self.place,
            typing=self.typing,
            session=now is not None,
            live=now is not None and now.summary.state not in ("finished", "stopped", "failed", "archived"),
            action=self.subject() is not None,
            question=now is not None and bool(now.summary.open_question),
            writable=state.writable,
            harness=now is not None and bool(now.summary.harness),
            signal=now is not None and state.attention.current(now.summary, self.context.clock()) is not None,
            relatives=bool(self.session) and state.families.has_relatives(self.session or ""),
            job=now is not None and bool(now.summary.open_jobs),
            held=now is not None and now.summary.holds_reply,
            buffered=now is None or not now.summary.passes_replies,
        )

    def subject(self) -> tuple[str, Entry] | None:
        """What ``f`` and ``C`` take: the selected entry, else the newest action on screen for half a second."""
        return None

    async def find_subject(self, session: str, entry: Entry) -> Subject:
        """What a verdict on this entry is about. Raises NotDone."""
        return await self.context.flags.find_subject(session, entry.seq, entry.to_step)

    def in_sight(self) -> dict[str, int]:
        """The sessions on screen, and the last visible event (seq) of each."""
        return {}

    def jobs_in_sight(self) -> list[JobKey]:
        """The jobs whose last lines are shown here."""
        return self.context.state.open_jobs(self.session) if self.session in self.context.state.sessions else []

    def shown_sessions(self) -> list[str]:
        """The sessions that more than their summary is needed of."""
        return [self.session] if self.session else []

    def take_change(self, change: Change) -> None:
        """The state changed. Take it in; painting waits for the tick."""
        self._stale = True

    def take_deltas(self, sessions: Collection[str]) -> None:
        """Partial replies grew."""

    def paint(self, now: int) -> None:
        """Bring the widgets up to date: at most ten times a second, and only after a change."""

    def shows(self, session: str) -> bool:
        """Whether the session is on screen: undo may act there at once."""
        return session == self.session

    def make_room(self, *, right: int = 0, bottom: int = 0) -> None:
        """Leave so many cells to a panel beside or below; without numbers, take all of them back."""
        self.styles.padding = (0, right, bottom, 0)
        for told in (self._receipt, self._hints):
            told.display = not bottom
        if right or bottom:
            self.call_after_refresh(self.keep_in_sight)

    def keep_in_sight(self) -> None:
        """Less room is left: show what is selected."""

    def frame(self, session: str, seq: int) -> None:
        """Bring the entry that a panel is about into sight."""

    def keep_draft(self) -> None:
        """Store what is typed and not sent."""
        if self._composer is not None:
            self._composer.keep_draft()

    def invalidate(self) -> None:
        """Something that is shown is another thing now: it is painted at the next tick."""
        self._stale = True

    def renew_hints(self) -> None:
        """What the footer says is another thing now."""
        self._hinted = None

    # --- ticking ----------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """The app's one timer."""
        if self._stale:
            self._stale = False
            self._title.update(self.context.state.header(now, self.title_text()))
            self.paint(now)
            self.context.seeds.want(self.shown_sessions())
        self.show_hints()
        if self._composer is not None:
            self.context.note_sight(self.in_sight())
            self._composer.tick(now)

    def title_text(self) -> str:
        """What the title says of this screen, "" on the board."""
        return ""

    def show_hints(self) -> None:
        """Show the keys that work here and now, if that changed."""
        here = self.key_context()
        if here != self._hinted:
            self._hinted = here
            found = self.extra_hints() or keys.hints(here, self.context.config.keys)
            self._hints.update([Hint(key, verb) for key, verb in found])

    def extra_hints(self) -> list[tuple[str, str]]:
        """Hints in place of the table's, for a text field that has the focus."""
        return self._composer.hints() if self._composer is not None and self.typing else []

    def say(self, text: str, level: Level = "info") -> None:
        """One line; it stays until the next one, or the next key but one; an error for a few keys more."""
        self._stale_in = ERROR_KEYS if level == "error" else RECEIPT_KEYS
        self._receipt.show(text, level)

    @property
    def receipt(self) -> str:
        """What was said last."""
        return self._receipt.text

    # --- keys -------------------------------------------------------------------------------------------------------

    @property
    def typing(self) -> bool:
        """Whether a text field has the focus."""
        return is_field(self.focused)

    def note_key(self, key: str) -> None:
        """A key is pressed: any other one takes the first half of a double key back; one that is idle says why."""
        self.context.presses += 1
        if self._stale_in is not None:
            self._stale_in -= 1
            if not self._stale_in:
                # What was said of an earlier key is not taken for an answer to this one.
                self._stale_in = None
                self._receipt.clear()
        if self._armed and key not in keys.keys_of(keys.BY_ID[self._armed[0]], self.context.config.keys):
            self._armed = None
        if why := keys.explain_idle(key, self.key_context(), self.context.config.keys):
            self.say(why, "warning")

    def confirm(self, action: str, first: str) -> bool:
        """True at the second press within four seconds; the first one only says ``first``."""
        now = self.context.clock()
        if self._armed and self._armed[0] == action and now - self._armed[1] <= ARMED_MS:
            self._armed = None
            return True
        self._armed = (action, now)
        self.say(first, "warning")
        return False

    def act(self, work: Coroutine[Any, Any, str], *, opens: bool = False) -> None:
        """Do something that needs the host or the log; its receipt is shown. ``opens``: the next keys are for what it
        opens."""
        self.apollo.act(work, opens=opens)

    def on_screen_resume(self) -> None:
        """What happened meanwhile is in the state, and is painted with the screen."""
        self.take_change(Change(sessions=set(self.context.state.sessions)))
        if self.ready:
            self.tick(self.context.clock())

    def ask(self, panel: ModalScreen[T], answer: Callable[[T | None], None]) -> None:
        """Open a panel; ``answer`` is called with what was chosen there, None if it was left.

        It may come late, when somebody writes already: then it opens nothing.
        """
        if self.typing:
            self.say("what was asked for came late, and nothing opens over what you write: ask again", "warning")
            return
        self.app.push_screen(panel, answer)

    def go_back(self) -> None:
        """One level back."""
        self.app.pop_screen()

    def leave(self) -> None:
        """Leave this view."""
        self.go_back()

    async def run_key(self, id: str) -> None:
        """Do what the key with this id does."""
        if keys.BY_ID[id].painter:
            await self.app.run_action(PAINTER_ACTIONS[id], default_namespace=self.focused or self)
        else:
            await self.app.run_action(keys.action_of(id))
