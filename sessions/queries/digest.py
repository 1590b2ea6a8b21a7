"""Reads the interval of a digest from the log: short reads, one session at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sessions import events as ev
from sessions.attention.signals import what_waits
from sessions.fold.digest import KINDS, Baseline, Digest, digest_of
from sessions.fold.families import Families
from sessions.log.reader import LogReader

_TRACES: Final = ("cursor.moved", "flag.set", "advice.queued", "control.requested", "signal.judged", "effort.spent")
"""Kinds of events that a person leaves behind."""
_LOOK_BACK: Final = 20
_PAGE: Final = 2000


def session_digest(
    reader: LogReader, session: str, *, actor: str, now: int, since_seq: int | None = None, since_at: int | None = None
) -> Digest:
    """What happened after ``since_seq``, or since ``since_at`` (Unix ms), or else since ``actor`` last read.

    Somebody who never read the session was away since its beginning.
    """
    if since_at is not None:
        since_seq = _seq_at(reader, session, since_at)
    elif since_seq is None:
        since_seq = read_up_to(reader, session, actor)
    began = reader.event(session, max(1, since_seq))
    since = since_at if since_at is not None else began.at if began else now
    events = _pages(reader, session, since_seq)
    before = _before(reader, session, since_seq)
    summary = reader.summary(session)
    tools = summary.tools if summary is not None else {}
    found = digest_of(session, events, since=since, until=max(now, since), before=before, reader=actor, tools=tools)
    waits = what_waits(summary, now) if summary is not None else None
    if summary is None or waits is None:
        return found
    asks = bool(summary.open_question) and summary.state != "needs_you"
    asked = reader.events(session, kinds=("question.asked",), newest_first=True, limit=1) if asks else []
    return found.add_wait(waits.reason, tuple(event.seq for event in asked) or (waits.seq,), asks=asks)


def _pages(reader: LogReader, session: str, after: int) -> Iterator[ev.Event]:
    """The events after ``after``, a page at a time: whoever was away for days costs no more memory."""
    while page := reader.events(session, after=after, kinds=KINDS, limit=_PAGE):
        yield from page
        after = page[-1].seq


def read_up_to(reader: LogReader, session: str, actor: str) -> int:
    """The seq up to which ``actor`` has read the session, 0 if never."""
    before: int | None = None
    while page := reader.events(session, before=before, kinds=("cursor.moved",), newest_first=True, limit=_LOOK_BACK):
        for event in page:
            if event.actor == actor and isinstance(event.body, ev.CursorMoved):
                return event.body.read_seq
        before = page[-1].seq
    return 0


def _seq_at(reader: LogReader, session: str, at: int) -> int:
    """The last seq that was written before ``at``."""
    summary = reader.summary(session)
    low, high = 0, summary.last_seq if summary else 0
    while low < high:
        middle = (low + high + 1) // 2
        event = reader.event(session, middle)
        if event and event.at < at:
            low = middle
        else:
            high = middle - 1
    return low


def _before(reader: LogReader, session: str, seq: int) -> Baseline:
    if not seq:
        return Baseline()
    states = reader.events(session, before=seq + 1, kinds=("session.state",), newest_first=True, limit=1)
    evals = reader.events(session, before=seq + 1, kinds=("eval.scored",), newest_first=True, limit=8)
    score = next((e.body for e in evals if isinstance(e.body, ev.EvalScored) and e.body.score is not None), None)
    state = states[0].body.state if states and isinstance(states[0].body, ev.StateChanged) else "created"
    repeats = _read_repeats(reader, session, seq)
    return Baseline(state, score.score if score else None, score.better if score else "higher", repeats)


def _read_repeats(reader: LogReader, session: str, seq: int) -> frozenset[int]:
    """The advice that waited at ``seq`` to be said once more; one short read where none ever was."""
    if not reader.events(session, before=seq + 1, kinds=("advice.requeued",), limit=1):
        return frozenset()
    waiting: set[int] = set()
    for event in reader.events(session, before=seq + 1, kinds=("advice.requeued", "advice.delivered")):
        match event.body:
            case ev.AdviceRequeued(advice=number, why="standing"):
                waiting.add(number)
            case ev.AdviceDelivered(advice=numbers):
                waiting.difference_update(numbers)
            case _:
                continue
    return frozenset(waiting)


def last_trace(reader: LogReader, actor: str) -> int | None:
    """When ``actor`` last did anything that the log knows of (Unix ms), None if they never did."""
    found: int | None = None
    for summary in reader.summaries():
        # Whoever only read leaves a cursor, whoever acted leaves more: the newest event of each is enough.
        for kind in _TRACES:
            events = reader.events(summary.session, kinds=(kind,), newest_first=True, limit=_LOOK_BACK)
            at = next((event.at for event in events if event.actor == actor), None)
            if at is not None and (found is None or at > found):
                found = at
    return found


def digests(reader: LogReader, actor: str, now: int) -> list[Digest]:
    """What happened in each session since ``actor`` last read it, worst first; sessions without a step are left out.

    What waits for a person is among them until it is answered, also if all of it was read. Sub-agents of whom nothing
    but steps is to be told are a figure of the session that they began with.
    """
    found = []
    quiet: dict[str, list[Digest]] = {}
    summaries = reader.summaries()
    for summary in summaries:
        if summary.archived or summary.origin == "import":
            continue
        read = read_up_to(reader, summary.session, actor)
        if summary.last_seq > read or what_waits(summary, now) is not None:
            found.append(session_digest(reader, summary.session, actor=actor, now=now, since_seq=read))
    happened = {each.session: each for each in found if each.has_activity}
    families = Families.of(summaries)
    for session in [one for one, each in happened.items() if families.parent(one) and not each.badness]:
        if families.root(session) in happened:
            quiet.setdefault(families.root(session), []).append(happened.pop(session))
    for root, below in quiet.items():
        happened[root] = happened[root].add_children(len(below), int(sum(each.value("steps") for each in below)))
    return sorted(happened.values(), key=lambda each: -each.badness)
