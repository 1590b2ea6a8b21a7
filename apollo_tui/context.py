"""What every screen works with: the context of one app, and views, composer and app as the rest knows them.

The protocols are here so that keys, panels and acts work on any view without knowing one. No Textual in here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import msgspec

from apollo_tui.acts.annotator_time import EffortClock, Presence, Sight
from apollo_tui.acts.control import SessionControl, session_name
from apollo_tui.acts.drafts import Draft, Drafts
from apollo_tui.acts.flags import Flags, Subject
from apollo_tui.acts.recent_commands import RecentCommands
from apollo_tui.acts.requests import send_annotation
from apollo_tui.acts.review_queue import ReviewQueue
from apollo_tui.acts.session_seeds import SessionSeeds
from apollo_tui.acts.undo import UndoHistory
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.backend.job_lines import JobLines
from apollo_tui.keys import Place
from apollo_tui.state.board import BoardState
from apollo_tui.state.file_looks import Looks
from apollo_tui.state.transcript_pages import Indexes
from sessions.clock import now_ms
from sessions.config import Config
from sessions.events import CursorMoved, EffortSpent
from sessions.labels import Taxonomy

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from textual.screen import ModalScreen, Screen

    from apollo_tui.acts.new_session import Form
    from apollo_tui.backend.job_output import JobOutput
    from apollo_tui.terminal.line_speed import LineSpeed
    from widgets.chrome import Level
    from widgets.models import Choice, Entry

T = TypeVar("T")


class AppContext(msgspec.Struct):
    """What one annotator works with on one log. ``clock`` is Unix milliseconds."""

    config: Config
    labels: Taxonomy
    feed: Feed
    state: BoardState
    drafts: Drafts
    flags: Flags
    undo: UndoHistory
    control: SessionControl
    review: ReviewQueue
    seeds: SessionSeeds
    presence: Presence
    job_lines: JobLines
    clock: Callable[[], int] = now_ms
    sight: Sight = msgspec.field(default_factory=Sight)
    effort: EffortClock = msgspec.field(default_factory=EffortClock)
    marked: set[str] = msgspec.field(default_factory=set)
    """Sessions that are marked to get the same advice."""
    form: Form | None = None
    """The new session that is being written, until it is created."""
    indexes: Indexes = msgspec.field(default_factory=Indexes)
    presses: int = 0
    """Keys that were pressed on views since the start."""
    looks: Looks = msgspec.field(default_factory=Looks)
    """Files of workspaces as they were when they were looked at."""
    recent_commands: RecentCommands = msgspec.field(default_factory=lambda: RecentCommands(Path(os.devnull), ""))
    searches: list[str] = msgspec.field(default_factory=list)
    """Newest last; the session and action screens share them."""

    @classmethod
    def of(cls, feed: Feed, config: Config, labels: Taxonomy, clock: Callable[[], int] = now_ms) -> AppContext:
        """The context of an app on ``feed``."""
        state = BoardState(feed.actor, labels.name, config.attention)
        drafts = Drafts(feed.paths.drafts, feed.actor)
        review = ReviewQueue(drafts, config.attention)
        return cls(
            config=config,
            labels=labels,
            feed=feed,
            state=state,
            drafts=drafts,
            flags=Flags(feed, state, labels),
            undo=UndoHistory(feed, state, labels),
            control=SessionControl(feed, state, config.keys),
            review=review,
            seeds=SessionSeeds(feed, state),
            presence=Presence(clock()),
            job_lines=JobLines(feed.paths),
            clock=clock,
            recent_commands=RecentCommands(feed.paths.folder, feed.actor),
        )

    def name(self, session: str) -> str:
        """``1 tune-lr``: what a session is called in receipts and titles."""
        return session_name(self.state, session)

    def note_sight(self, last_visible: Mapping[str, int]) -> Sight:
        """Note what is on screen at this moment (per session, the seq): a verdict may come before the next tick."""
        self.sight.show(last_visible, self.clock())
        return self.sight


# --- where to go ------------------------------------------------------------------------------------------------------

Trail = tuple[str, Sequence[int]]
"""What a row of places is called, and the seqs of its events."""


class ToSession(msgspec.Struct, frozen=True):
    """A transcript, at its end or at ``seq``. ``trail``: what ``n`` and ``N`` lead along; ``came_from``: where its way
    back leads, the newest place last; ``instead``: it takes the place of the view on top; ``judge``: at what a verdict
    on the event ``seq`` is about; ``search``: asks for a text to find."""

    session: str
    seq: int | None = None
    trail: Trail | None = None
    came_from: Sequence[tuple[str, int]] = ()
    instead: bool = False
    judge: bool = False
    search: bool = False


class ToAction(msgspec.Struct, frozen=True):
    """The entry at ``seq``, whole."""

    session: str
    seq: int


class ToOutput(msgspec.Struct, frozen=True):
    """What a command of a session prints, below the view on top, or on the ``whole`` screen."""

    session: str
    output: JobOutput
    whole: bool = False


class ToExport(msgspec.Struct, frozen=True):
    """Sessions to training data; ``session`` is the one that was looked at, ``chosen`` are those that were marked."""

    session: str | None
    chosen: tuple[str, ...] = ()


class ToReview(msgspec.Struct, frozen=True):
    """One queue over all sessions."""


class ToWorkspace(msgspec.Struct, frozen=True):
    """The files of a session's workspace."""

    session: str


class ToNewSession(msgspec.Struct, frozen=True):
    """The form that creates a session."""


class ToCompare(msgspec.Struct, frozen=True):
    """Two sessions of one task, side by side."""

    one: str
    other: str


class ToCommands(msgspec.Struct, frozen=True):
    """The command line of the view on top."""


class ToChoices(msgspec.Struct, frozen=True):
    """A list that typing narrows down, over whatever is on top: a key of the composer may ask for it. ``take`` is given
    the id of what was chosen, None if it was left."""

    title: str
    choices: Sequence[Choice]
    footer: str
    take: Callable[[str | None], None]
    lines: Sequence[str] = ()


Destination = (
    ToChoices
    | ToSession
    | ToAction
    | ToOutput
    | ToExport
    | ToReview
    | ToWorkspace
    | ToNewSession
    | ToCompare
    | ToCommands
)


# --- the app and its views --------------------------------------------------------------------------------------------


class Apollo(Protocol):
    """The app, as its screens know it."""

    context: AppContext
    line_speed: LineSpeed

    @property
    def screen(self) -> Screen[Any]:
        """What is on top, view or panel."""
        ...

    @property
    def at_rest(self) -> bool:
        """Whether a view is on top and nobody types: only then may a panel open."""
        ...

    def current_view(self) -> View | None:
        """The topmost screen that is no panel, if it looks at sessions."""
        ...

    def open(self, destination: Destination) -> None:
        """Open a view over the one on top. It is there when the call returns: the next key is meant for it."""
        ...

    def push_screen(self, screen: Screen[Any]) -> object:
        """Open a panel that answers nothing."""
        ...

    def pop_screen(self) -> object:
        """Close what is on top."""
        ...

    def run_worker(
        self, work: Coroutine[Any, Any, Any], name: str | None = "", group: str = "default", *, exclusive: bool = False
    ) -> object:
        """Do something beside all else, as long as the app is there; ``exclusive``: in place of what the group does."""
        ...

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the annotator; it never takes the focus."""
        ...

    def explain(self, problem: Exception) -> str:
        """What went wrong, and which key helps."""
        ...

    def act(self, work: Coroutine[Any, Any, str], *, opens: bool = False) -> None:
        """Do something that needs the host or the log, after what was asked before, and say how it went.

        ``opens``: it may open something; the keys after it wait for that, or for its refusal.
        """
        ...

    def press(self, id: str) -> None:
        """Do what a key of the table does, or say why it does nothing here."""
        ...

    def suspend(self) -> AbstractContextManager[None]:
        """Leave the terminal to another program for so long."""
        ...

    def copy_from_thread(self, text: str) -> None:
        """Ask the terminal to copy the text; for a thread."""
        ...

    def leave(self) -> None:
        """Leave; sessions go on."""
        ...


class DraftEditor(Protocol):
    """The composer of a view, as keys know it."""

    @property
    def draft(self) -> Draft | None:
        """What is being written, None while it is closed."""
        ...

    def open(self, session: str, wanted: Draft | None = None) -> None:
        """Write to this session: go on with what is stored, or with what is ``wanted`` and not yet written."""
        ...

    def edit_advice(self, session: str, seq: int) -> bool:
        """Open queued advice for editing; False if it is not waiting any more."""
        ...

    def edit_queued(self, session: str, number: int) -> bool:
        """Open the queued advice of that number for editing; False if it is not waiting any more."""
        ...

    def put_after(self, text: str) -> None:
        """Put a text after what is written, on a line of its own."""
        ...


@runtime_checkable
class View(Protocol):
    """A screen that looks at sessions: the board, a transcript, an action, the review. Keys and commands act on it."""

    undo_preview: int | None
    """The act whose undo (or redo, negative) was shown first because it is off screen: an event id."""

    @property
    def context(self) -> AppContext:
        """What it works with."""
        ...

    @property
    def apollo(self) -> Apollo:
        """The app that holds it."""
        ...

    @property
    def composer(self) -> DraftEditor:
        """Where one writes."""
        ...

    @property
    def place(self) -> Place:
        """Which screen it is, for the key table."""
        ...

    @property
    def session(self) -> str | None:
        """The session that keys act on."""
        ...

    @property
    def typing(self) -> bool:
        """Whether a text field has the focus."""
        ...

    def subject(self) -> tuple[str, Entry] | None:
        """What ``f`` and ``C`` take: the selected entry, else the newest action on screen for half a second."""
        ...

    async def selected_entry(self) -> tuple[str, int] | None:
        """(session, seq) of the selected entry that advice would be about; None: about the session."""
        ...

    async def find_subject(self, session: str, entry: Entry) -> Subject:
        """What a verdict on this entry is about. Raises NotDone."""
        ...

    def in_sight(self) -> dict[str, int]:
        """The sessions on screen, and the last visible event (seq) of each."""
        ...

    def shows(self, session: str) -> bool:
        """Whether the session is on screen: undo may act there at once."""
        ...

    def go_to(self, session: str, *, remember: bool = False) -> None:
        """Show another session here; ``remember``: also on the board, ``ctrl+o`` leads back."""
        ...

    def show_entry(self, session: str, seq: int) -> None:
        """Show an entry of any session, selected."""
        ...

    def attend(self, session: str, seq: int) -> None:
        """Go to what the event ``seq`` of a session (0: its newest) is about and a verdict can be on, so that
        ``ctrl+o`` leads back."""
        ...

    def keep_draft(self) -> None:
        """Store what is typed and not sent."""
        ...

    def refocus(self) -> None:
        """Give the focus to where it was before the composer opened."""
        ...

    def renew_hints(self) -> None:
        """What the footer says is another thing now."""
        ...

    def say(self, text: str, level: Level = "info") -> None:
        """One line for the annotator."""
        ...

    def act(self, work: Coroutine[Any, Any, str], *, opens: bool = False) -> None:
        """Do something that needs the host or the log; its receipt is shown. ``opens``: the next keys are for what it
        opens."""
        ...

    def confirm(self, action: str, first: str) -> bool:
        """True at the second press within four seconds; the first one only says ``first``."""
        ...

    def ask(self, panel: ModalScreen[T], answer: Callable[[T | None], None]) -> None:
        """Open a panel; ``answer`` is called with what was chosen there, None if it was left."""
        ...

    def run_worker(self, work: Coroutine[Any, Any, Any], name: str | None = "", group: str = "default") -> object:
        """Do something beside all else, as long as the view is there."""
        ...


@runtime_checkable
class GivesWay(Protocol):
    """A panel that opens by itself: what is typed for the view under it is not lost."""

    def give_way(self, key: str) -> bool:
        """Close for a key that is not its own, and say so; the key is carried out in the view."""
        ...


# --- what the log hears of by itself ----------------------------------------------------------------------------------


def due_reports(context: AppContext, now: int, *, all_of_it: bool = False) -> list[Coroutine[Any, Any, None]]:
    """What was read and how long it took, for the log to hear now (``now`` in Unix ms); what fails is kept for later.

    Nothing without a host.
    """
    if not context.state.writable:
        return []
    read = context.state.read_marks.due(now, all_of_it=all_of_it)
    spent = context.effort.due(all_of_it=all_of_it)
    return [
        *(_report_reading(context, session, moved) for session, moved in read.items()),
        *(_report_effort(context, session, one) for session, one in spent.items()),
    ]


async def _report_reading(context: AppContext, session: str, moved: CursorMoved) -> None:
    try:
        await send_annotation(context.feed, session, moved)
    except NotDone:
        context.state.read_marks.put_back(session, moved, context.clock())


async def _report_effort(context: AppContext, session: str, spent: EffortSpent) -> None:
    try:
        await send_annotation(context.feed, session, spent)
    except NotDone:
        context.effort.put_back(session, spent)
