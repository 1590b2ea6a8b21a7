"""What every screen works with: the feed, the state folded from it, and the acts. No Textual in here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from apollo_tui.counting import Counting
from apollo_tui.drafts import Drafts
from apollo_tui.effort import EffortClock
from apollo_tui.feed import Feed
from apollo_tui.judging import Judging
from apollo_tui.loading import Indexes
from apollo_tui.presence import Presence
from apollo_tui.reviewing import Reviewing
from apollo_tui.sight import Sight
from apollo_tui.signing import Signing
from apollo_tui.state import BoardState
from apollo_tui.steering import Steering
from apollo_tui.undoing import Undoing
from apollo_tui.watching import Watching
from sessions.clock import now_ms
from sessions.config import Config
from sessions.labels import Taxonomy
from sessions.paths import LogPaths

if TYPE_CHECKING:
    from apollo_tui.creating import Form


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
