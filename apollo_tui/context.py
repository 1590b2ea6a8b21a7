"""What every screen works with: the feed, the state folded from it, and the acts. No Textual in here."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from apollo_tui.acts.annotator_time import EffortClock, Presence, Sight
from apollo_tui.acts.control import Steering
from apollo_tui.acts.drafts import Drafts
from apollo_tui.acts.flags import Judging
from apollo_tui.acts.review_queue import Counting, Reviewing
from apollo_tui.acts.signals import Watching
from apollo_tui.acts.signoffs import Signing
from apollo_tui.acts.undo import Undoing
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from apollo_tui.state.transcript_pages import Indexes
from sessions.clock import now_ms
from sessions.config import Config
from sessions.events import CursorMoved, EffortSpent
from sessions.labels import Taxonomy
from sessions.paths import LogPaths
from sessions.ulid import new_ulid

if TYPE_CHECKING:
    from apollo_tui.acts.new_session import Form


class Desk(msgspec.Struct):
    """One annotator's desk over one log. ``clock`` is Unix milliseconds."""

    paths: LogPaths
    actor: str
    config: Config
    labels: Taxonomy
    feed: Feed
    state: BoardState
    drafts: Drafts
    judging: Judging
    undoing: Undoing
    signing: Signing
    steering: Steering
    reviewing: Reviewing
    watching: Watching
    presence: Presence
    counting: Counting
    clock: Callable[[], int] = now_ms
    sight: Sight = msgspec.field(default_factory=Sight)
    effort: EffortClock = msgspec.field(default_factory=EffortClock)
    marked: set[str] = msgspec.field(default_factory=set)
    """Sessions that are marked to get the same advice."""
    form: Form | None = None
    """The new session that is being written, until it is created."""
    indexes: Indexes = msgspec.field(default_factory=Indexes)
    searches: list[str] = msgspec.field(default_factory=list)
    """Newest last; the session and action screens share them."""

    @classmethod
    def of(cls, feed: Feed, config: Config, labels: Taxonomy, clock: Callable[[], int] = now_ms) -> Desk:
        """A desk on ``feed``."""
        state = BoardState(feed.actor, labels.name, config.attention)
        judging = Judging(feed, state, labels)
        drafts = Drafts(feed.paths.drafts, feed.actor)
        reviewing = Reviewing(drafts, config.attention)
        return cls(
            paths=feed.paths,
            actor=feed.actor,
            config=config,
            labels=labels,
            feed=feed,
            state=state,
            drafts=drafts,
            judging=judging,
            undoing=Undoing(judging),
            signing=Signing(judging),
            steering=Steering(feed, state, config.keys),
            reviewing=reviewing,
            counting=Counting(feed, state, reviewing, clock),
            watching=Watching(judging),
            presence=Presence(clock()),
            clock=clock,
        )


def due(desk: Desk, now: int, *, all_of_it: bool = False) -> list[Coroutine[Any, Any, None]]:
    """What to tell now (``now`` in Unix ms); what cannot be told is kept for later. Nothing without a host."""
    if not desk.state.writable:
        return []
    read = desk.state.read_marks.due(now, all_of_it=all_of_it)
    spent = desk.effort.due(all_of_it=all_of_it)
    return [
        *(_read(desk, session, moved) for session, moved in read.items()),
        *(_spent(desk, session, one) for session, one in spent.items()),
    ]


async def _read(desk: Desk, session: str, moved: CursorMoved) -> None:
    try:
        await desk.judging.annotate(session, moved, new_ulid())
    except NotDone:
        desk.state.read_marks.put_back(session, moved, desk.clock())


async def _spent(desk: Desk, session: str, spent: EffortSpent) -> None:
    try:
        await desk.judging.annotate(session, spent, new_ulid())
    except NotDone:
        desk.effort.failed(session, spent)
