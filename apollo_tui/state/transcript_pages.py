"""A transcript as it is read from the log: its seed (the newest events), its index, and pages as they come into sight.

All of it runs in a reading thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from apollo_tui.state.board import COUNTED
from sessions import events as ev
from sessions.fold import notes
from sessions.fold.read_ranges import ReadBook
from sessions.log.reader import LogReader
from sessions.queries.searchable_text import all_texts
from widgets.models import Anchor

SPARSE: Final = frozenset(
    {
        "flag.set",
        "flag.removed",
        "correction.written",
        "advice.edited",
        "advice.withdrawn",
        "advice.delivered",
        "advice.outcome",
        "advice.reach",
        "advice.requeued",
        "advice.standing",
        "question.answered",
        "job.ended",
        "job.backgrounded",
        "shell.closed",
    }
)
"""Kinds that change entries far from their own place, and are few: read once, whole."""

SPOKEN: Final = frozenset(kind for kind, body in ev.KINDS.items() if issubclass(body, ev.ReversibleAct)) | {
    "advice.queued",
    "limit.changed",
    "question.answered",
    "session.created",
    "shell.closed",
    "shell.opened",
    "terms.set",
}
"""Kinds by which people say something of a session or to it: few, beside those of agents."""

SEEDED: Final = 120
"""So many of the newest events fill a pane; where rows stay blank, or somebody scrolls, older ones are read."""

MOST_INDEXES: Final = 3
"""Of so many sessions the index is kept: ten megabytes for one of 100,000 events."""

MOST_RESULTS: Final = 60
"""So many of the newest results are looked through for what a job printed."""

MOST_MATCHES: Final = 2_000
"""So many entries with a match are enough to go through by hand."""

SILENT_KINDS: Final = frozenset({"model.request", "cursor.moved", "effort.spent", "host.started", "host.stopped"})


class Seed(msgspec.Struct, frozen=True):
    """The newest events (oldest first), all that was judged, what this annotator has read and what of it is unread.

    ``queued``: all advice that was queued before the window, which may still wait; ``asked``: requests from before it
    that replies of no step in it answer.
    """

    window: Sequence[ev.Event]
    flags: Sequence[ev.Event]
    read: ReadBook
    unread: Sequence[int]
    queued: Sequence[ev.Event] = ()
    asked: Sequence[ev.Event] = ()


def read_seed(reader: LogReader, session: str, actor: str) -> Seed:
    """Read the seed of one session."""
    window = reader.events(session, newest_first=True, limit=SEEDED)[::-1]
    flags = reader.events(session, kinds=notes.KINDS | {"flag.set", "flag.removed"})
    read = read_marks_of(reader, session, actor)
    queued = reader.events(session, kinds={"advice.queued"}, before=window[0].seq) if window else []
    asked = read_side_requests(reader, session, window)
    return Seed(window, flags, read, read_unread(reader, session, read), queued, asked)


def read_unread(reader: LogReader, session: str, read: ReadBook) -> list[int]:
    """Seqs of the entries that count as unread, oldest first."""
    # What was read or let go from the beginning on has not to be looked through.
    after = max(read.let_go, read.beginning)
    return read.unread(seq for seq, _, _, _ in reader.anchors(session, after=after, kinds=COUNTED))


def read_unread_of(reader: LogReader, sessions: Iterable[str], actor: str) -> dict[str, tuple[ReadBook, Sequence[int]]]:
    """What ``actor`` has read of these sessions, and the seqs of what of it counts as unread."""
    found: dict[str, tuple[ReadBook, Sequence[int]]] = {}
    for session in sessions:
        read = read_marks_of(reader, session, actor)
        found[session] = (read, read_unread(reader, session, read))
    return found


def read_people(reader: LogReader) -> dict[str, set[str]]:
    """Who judged, advised or otherwise said something, by session: names of people."""
    found: dict[str, set[str]] = {}
    for session, actor in reader.actors(SPOKEN):
        who, _, name = actor.partition(":")
        if who == "human":
            found.setdefault(session, set()).add(name)
    return found


def read_marks_of(reader: LogReader, session: str, actor: str) -> ReadBook:
    """What ``actor`` has read of the session."""
    moves = reader.events(session, kinds={"cursor.moved"})
    return ReadBook(event for event in moves if event.actor == actor)


class Index(msgspec.Struct, frozen=True):
    """A session's transcript before any entry is loaded."""

    anchors: Sequence[Anchor]
    sparse: Sequence[ev.Event]
    files: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    upto: int = 0
    """Seq of the newest event that is in here."""


def read_index(reader: LogReader, session: str, known: Index | None = None) -> Index:
    """The index of a whole session, what changes entries from afar, and the files it touched; ``known`` is gone on
    from, and left as it is."""
    after = known.upto if known is not None else 0
    anchors = list(map(Anchor._make, reader.anchors(session, after=after)))
    sparse = reader.events(session, kinds=SPARSE, after=after)
    changed = reader.events(session, kinds={"file.changed"}, after=after)
    files = dict(known.files) if known is not None else {}
    for event in changed:
        note_file(files, event)
    if known is not None:
        if not (anchors or sparse or changed):
            return known
        anchors, sparse = [*known.anchors, *anchors], [*known.sparse, *sparse]
    upto = max((held[-1].seq for held in (anchors, sparse, changed) if held), default=after)
    return Index(anchors, sparse, files, upto)


class Indexes:
    """The indexes of the sessions that were looked at last: who comes back to one waits for what is new in it only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Index] = OrderedDict()

    def read(self, reader: LogReader, session: str) -> Index:
        """The index of a session as it is now."""
        index = self._kept[session] = read_index(reader, session, self._kept.pop(session, None))
        while len(self._kept) > MOST_INDEXES:
            self._kept.popitem(last=False)
        return index


def note_file(files: dict[str, tuple[int, int]], event: ev.Event) -> None:
    """Count a change of a file."""
    if isinstance(event.body, ev.FileChanged):
        added, removed = files.get(event.body.path, (0, 0))
        files[event.body.path] = (added + event.body.added, removed + event.body.removed)


def read_page(reader: LogReader, session: str, seqs: Sequence[int]) -> list[ev.Event]:
    """The events that the entries ``seqs`` are made of (besides the sparse ones)."""
    first, last = min(seqs), max(seqs)
    events = reader.events(session, after=first - 1, before=last + 1)
    step = next((event.step for event in reversed(events) if event.step), None)
    if step is not None:
        # A result follows its call, perhaps beyond the page.
        events += reader.events(session, steps=(step, step), after=last)
    return events + read_side_requests(reader, session, events)


def read_side_requests(reader: LogReader, session: str, events: Sequence[ev.Event]) -> list[ev.Event]:
    """The requests of replies that belong to no step, where ``events`` do not hold them: they say what was asked."""
    known = {event.seq for event in events}
    replies = [event.body for event in events if isinstance(event.body, ev.ModelReplied) and event.step is None]
    asked = (reader.event(session, reply.request) for reply in replies if reply.request not in known)
    return [request for request in asked if request is not None]


def job_lines(reader: LogReader, session: str, jobs: Collection[int]) -> dict[int, str]:
    """The last line that each of these jobs was seen to print, from the newest looks at them."""
    found: dict[int, str] = {}
    if not jobs:
        return found
    from sessions.jobs.output import last_line  # the app starts without what runs jobs

    for event in reader.events(session, kinds={"action.result"}, newest_first=True, limit=MOST_RESULTS):
        if isinstance(event.body, ev.ActionResult):
            job = event.body.data.get("job")
            if isinstance(job, int) and job in jobs and job not in found:
                found[job] = last_line(reader.text(event.body.shown or event.body.output))
    return found


def find_entries(reader: LogReader, session: str, text: str) -> list[int]:
    """Seqs of the entries that hold ``text``, oldest first. Lower case finds both cases."""
    found: dict[int, None] = {}
    anchors: dict[tuple[int, int], int] = {}
    last = 0
    exact = text != text.lower()
    for event in reader.stream(session):
        if event.kind in ev.ANCHORS:
            last = event.seq
            if event.step and event.call:
                anchors[event.step, event.call] = event.seq
        if event.kind in SILENT_KINDS:
            continue
        if any(text in (said if exact else said.lower()) for said in all_texts(reader, event.body)):
            found[anchors.get((event.step or 0, event.call or 0), last)] = None
            if len(found) >= MOST_MATCHES:
                break
    return sorted(found)
