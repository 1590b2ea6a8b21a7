"""The review queue over all sessions, read from the log: what is unseen or suspicious, in one order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from sessions.attention.settings import Thresholds
from sessions.attention.signals import signals_of
from sessions.events import Event
from sessions.fold.review import KINDS, Item, ReviewBook, SignalCause
from sessions.fold.review_worth import add_evidence, worth_of
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader

PAGE: Final = 1_000

ABOUT_ACTIONS: Final = frozenset(
    {
        "killed_healthy_job",
        "malformed_streak",
        "repeated_error",
        "repeated_action",
        "score_drop",
        "edit_rolled_back",
        "polling_streak",
    }
)
"""Rules whose signals mean something that the agent did; the others mean the session as it stands now."""


def catch_up(reader: LogReader, book: ReviewBook) -> None:
    """Fold what is new in the log, page by page."""
    while page := new_page(reader, book):
        for event in page:
            book.fold(event)


def new_page(reader: LogReader, book: ReviewBook) -> list[Event]:
    """The next PAGE events that the book has not folded."""
    return reader.events(book.session, after=book.last_seq, kinds=sorted(KINDS), limit=PAGE)


def review_queue(
    books: Mapping[str, ReviewBook],
    summaries: Collection[Summary],
    *,
    actor: str,
    now: int,
    skipped: Collection[str] = (),
    thresholds: Thresholds | None = None,
) -> list[Item]:
    """What ``actor`` should look at: what is most likely worth it first (fold/review_worth), then by session, then
    oldest first. ``skipped``: keys of items. What is known of a rule is known from all ``books``."""
    evidence = add_evidence(book.find_evidence() for book in books.values())
    found: list[tuple[tuple[float, int, int, int], Item]] = []
    for summary in summaries:
        book = books.get(summary.session)
        if book is None or summary.archived:
            continue
        alarms = signals_of(summary, now, thresholds or Thresholds())
        causes = [
            SignalCause(signal.seq, signal.step, signal.reason, signal.id)
            for signal in alarms
            if signal.rule in ABOUT_ACTIONS
        ]
        for item in book.items(actor, causes):
            if item.key not in skipped:
                worth = worth_of(item.why, item.source, evidence)
                found.append(((-worth, item.rank, summary.number, item.seq), item))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]
