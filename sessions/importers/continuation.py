"""A recording of a session that the log has already: what of it is new, if it only goes on where the log ends.

The log may hold more than what was recorded: what people said of the session there, and the state that the import
before this one left it in. None of that stands in the way, and the numbers of what comes after are moved beyond it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from sessions import events as ev
from sessions.events.seq_references import renumber
from sessions.events.states import TRANSITIONS, State
from sessions.importers.base import ACTOR, CONTINUED, ELSEWHERE, UNFINISHED, CannotImport, ImportedSession
from sessions.log.codec import encode_body

OF_PEOPLE: Final = (
    ev.FlagSet, ev.FlagRemoved, ev.RecoveryMarked, ev.SignedOff, ev.CorrectionWritten, ev.NoteWritten, ev.BookmarkSet,
    ev.CursorMoved, ev.SignalJudged, ev.AdviceOutcome, ev.EffortSpent, ev.ExportWritten,
)  # fmt: skip
"""What is said of a session in a log, wherever it was recorded."""
OF_THE_LOG: Final = (ev.StateChanged, ev.ControlRequested, ev.SessionRecovered, ev.LimitChanged, ev.RecordingRead)
"""What a log does with a session, and says of it, beside its steps."""


class OtherRecording(CannotImport):
    """The log has another session under this id; ``seq`` is the first event (of the log's) that the file lacks."""


@dataclass(slots=True)
class _Comparison:
    """How far the file and the log agree. ``numbers``: from the file's seqs to the log's."""

    recorded: Sequence[ev.Event]
    place: int = 0
    numbers: dict[int, int] = field(default_factory=dict)
    said_here: list[tuple[str, bytes]] = field(default_factory=list)
    """What people said here and the file may bring again, as actor and body."""
    state: State = "created"
    """Of the session as the file has it, so far."""

    def number(self, seq: int) -> int:
        """The log's number of what the file calls ``seq``; what has none there is taken for what it follows."""
        while seq > 0 and seq not in self.numbers:
            seq -= 1
        return self.numbers.get(seq, 0)

    def find(self, seq: int, new: ev.NewEvent) -> bool:
        """Whether the log has this event of the file next. Raises OtherRecording if it has a step of its own there."""
        body = renumber(new.body, self.number)
        while self.place < len(self.recorded):
            have = self.recorded[self.place]
            if _is_same(have, new, body):
                self.place += 1
                self.numbers[seq] = have.seq
                if isinstance(body, ev.StateChanged):
                    self.state = body.state
                return True
            if not _is_of_the_log(have):
                if new.actor == ACTOR and isinstance(body, (*OF_THE_LOG, ev.EvalScored)):
                    return True  # the end of a file that was written before the one that the log has
                where = f"event {have.seq}" if have.step is None else f"event {have.seq}, of step {have.step}"
                raise OtherRecording(f"the log has another {where}")
            if isinstance(have.body, OF_PEOPLE):
                self.said_here.append((have.actor, encode_body(have.body)[0]))
            self.place += 1
        return False

    def is_said_here(self, new: ev.NewEvent) -> bool:
        """Whether the log has these words of a person already, further up; each once."""
        if isinstance(new.body, OF_PEOPLE):
            said = (new.actor, encode_body(renumber(new.body, self.number))[0])
            if said in self.said_here:
                self.said_here.remove(said)
                return True
        return False


@dataclass(frozen=True, slots=True)
class Continuation:
    """What to append to a session: nothing, if nothing is new. ``number``: from the file's seqs to the log's."""

    events: list[ev.NewEvent]
    number: Callable[[int], int]


def continue_session(recorded: Sequence[ev.Event], imported: ImportedSession) -> Continuation:
    """How the session goes on that the log has as ``recorded``.

    Raises OtherRecording where the file does not begin as the log does.
    """
    comparison = _Comparison(recorded)
    rest: list[tuple[int, ev.NewEvent]] = []
    for seq, new in enumerate(imported.events, 1):
        if rest or not comparison.find(seq, new):
            rest.append((seq, new))
    # Whoever ends a recording makes up its last state: by itself that is nothing new.
    rest = [(seq, new) for seq, new in rest if not comparison.is_said_here(new)]
    if all(new.actor == ACTOR and isinstance(new.body, OF_THE_LOG) for _, new in rest):
        return Continuation([], comparison.number)
    return Continuation(_append(comparison, rest), comparison.number)


def _append(comparison: _Comparison, rest: Sequence[tuple[int, ev.NewEvent]]) -> list[ev.NewEvent]:
    """What is new, behind what brings the session into the state in which that happened."""
    recorded = comparison.recorded
    states = [event for event in recorded if isinstance(event.body, ev.StateChanged)]
    last = states[-1] if states else None
    before: State = last.body.state if last is not None and isinstance(last.body, ev.StateChanged) else "created"
    made_up = last is not None and last.actor == ACTOR and isinstance(last.body, ev.StateChanged) and last.body.reason
    session, at = recorded[0].session, rest[0][1].at
    events: list[ev.NewEvent] = []
    if not all(isinstance(new.body, OF_PEOPLE) for _, new in rest):
        reason = CONTINUED if made_up == UNFINISHED else ELSEWHERE
        for state in _way(before, comparison.state):
            events.append(ev.NewEvent(session, ev.StateChanged(state=state, reason=reason), actor=ACTOR, at=at))
    seq = recorded[-1].seq + len(events)
    for number, (old, _) in enumerate(rest, seq + 1):
        comparison.numbers[old] = number
    events += [structs.replace(new, session=session, body=renumber(new.body, comparison.number)) for _, new in rest]
    if before == "archived":  # what somebody put away stays away
        body = ev.StateChanged(state="archived", reason=ELSEWHERE)
        events.append(ev.NewEvent(session, body, actor=ACTOR, at=events[-1].at))
    return events


def _way(before: State, after: State) -> list[State]:
    """The shortest way from one state to another that sessions may go, without the first."""
    ways: deque[list[State]] = deque([[before]])
    seen = {before}
    while ways:
        way = ways.popleft()
        if way[-1] == after:
            return way[1:]
        for state in sorted(TRANSITIONS[way[-1]] - seen):
            seen.add(state)
            ways.append([*way, state])
    return []


def _is_same(have: ev.Event, new: ev.NewEvent, body: ev.Body) -> bool:
    if (have.kind, have.step, have.call, have.actor) != (body.kind, new.step, new.call, new.actor):
        return False
    if isinstance(body, ev.SessionCreated) and isinstance(have.body, ev.SessionCreated):
        return _about(have.body) == _about(encode_body(body)[1])
    if isinstance(body, ev.ModelRequested) and isinstance(have.body, ev.ModelRequested) and _is_older(have.body, body):
        return _as_whole(have.body) == _as_whole(body)
    return have.body == encode_body(body)[1]


def _is_older(have: ev.ModelRequested, body: ev.ModelRequested) -> bool:
    """Whether the log has the request from when branches held their whole context, without a word of whose it was."""
    if have.parent is not None or body.parent is not None or have.across is not None:
        return False
    return body.across is not None or any(ref.session for ref in body.append)


def _as_whole(request: ev.ModelRequested) -> ev.ModelRequested:
    """The request without where its messages are: its hash is that of all of them."""
    return structs.replace(request, append=(), across=None)


def _about(created: ev.Body) -> ev.Body:
    """What the beginning says of the session itself: what is known of the run may grow with the file."""
    return structs.replace(created, number=0, meta={}, task_id="", begins=None)


def _is_of_the_log(event: ev.Event) -> bool:
    """Whether an event may be in the log and not in the file."""
    made_up = event.actor == ACTOR and isinstance(event.body, ev.EvalScored)
    return made_up or isinstance(event.body, (*OF_PEOPLE, *OF_THE_LOG))


def made_up_seqs(states: Iterable[ev.Event], last: int) -> set[int]:
    """Of the state events of a session, those that only say that it was imported before it had ended.

    ``last``: the seq of its last event, of whatever kind. One after which something else happened here stays.
    """
    found: set[int] = set()
    held: int | None = None
    for event in states:
        body = event.body
        if event.actor != ACTOR or not isinstance(body, ev.StateChanged):
            held = None
        elif body.reason == CONTINUED:
            found |= {event.seq, *([] if held is None else [held])}
        else:
            held = event.seq if body.reason == UNFINISHED else None
    return found | ({held} if held == last else set())
