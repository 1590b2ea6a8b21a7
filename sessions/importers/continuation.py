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
from sessions.events.messages import CallPart, ReasoningPart, TextPart, Usage
from sessions.events.seq_references import renumber
from sessions.events.states import TRANSITIONS, State
from sessions.importers.base import ACTOR, CONTINUED, ELSEWHERE, UNFINISHED, CannotImport, ImportedSession
from sessions.log.codec import encode_body

OF_PEOPLE: Final = (
    ev.FlagSet, ev.FlagRemoved, ev.RecoveryMarked, ev.SignedOff, ev.CorrectionWritten, ev.NoteWritten, ev.BookmarkSet,
    ev.PreferenceStated, ev.SessionRenamed, ev.SessionTagged,
    ev.CursorMoved, ev.SignalJudged, ev.AdviceOutcome, ev.EffortSpent, ev.ExportWritten,
)  # fmt: skip
"""What is said of a session in a log, wherever it was recorded."""
OF_THE_LOG: Final = (ev.StateChanged, ev.ControlRequested, ev.SessionRecovered, ev.LimitChanged, ev.RecordingRead)
"""What a log does with a session, and says of it, beside its steps."""


AHEAD: Final = 64
"""Events of the log among which one is looked for that stands elsewhere in the file."""


_NO_MONEY: Final = 1e-9
_LAST: Final = 4
"""Events at the end of a recording that an import says of it as a whole."""


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
    grown: dict[int, ev.Event] = field(default_factory=dict)
    """The reply that had not ended when the log got it, by the file's seq of the same one as it is now."""
    is_import: bool = False
    """Whether it was recorded elsewhere."""
    _passed: list[ev.Event] = field(default_factory=list)
    """What the log has and the file has not brought yet: of what stood at an open end the order may change."""
    _gone: set[int] = field(default_factory=set)
    """Seqs of replies that grew later, and of what was said of them alone."""
    _end: int = 0
    """The place of the last reply, from which on the log's end is open."""

    def __post_init__(self) -> None:
        self._gone = grown_seqs(self.recorded)
        created = self.recorded[0].body if self.recorded else None
        self.is_import = isinstance(created, ev.SessionCreated) and created.origin == "import"
        replies = (
            place
            for place in range(len(self.recorded) - 1, -1, -1)
            if isinstance(self.recorded[place].body, ev.ModelReplied) and self.recorded[place].seq not in self._gone
        )
        self._end = next(replies, len(self.recorded)) if self.is_import else len(self.recorded)

    def number(self, seq: int) -> int:
        """The log's number of what the file calls ``seq``; what has none there is taken for what it follows."""
        while seq > 0 and seq not in self.numbers:
            seq -= 1
        return self.numbers.get(seq, 0)

    def find(self, seq: int, new: ev.NewEvent) -> bool:
        """Whether the log has this event of the file. Raises OtherRecording if it has a step of its own there."""
        body = renumber(new.body, self.number)
        passed = next((have for have in self._passed if _is_same(have, new, body)), None)
        if passed is not None:
            self._passed.remove(passed)
            return self._match(seq, passed, body)
        while self.place < len(self.recorded):
            have = self.recorded[self.place]
            if _is_same(have, new, body):
                self.place += 1
                return self._match(seq, have, body)
            if self._is_content(have):
                if new.actor == ACTOR and isinstance(body, (*OF_THE_LOG, ev.EvalScored)):
                    return True  # the end of a file that was written before the one that the log has
                if (ahead := self._look_ahead(new, body)) is not None:
                    self._passed += filter(self._is_content, self.recorded[self.place : ahead])
                    self.place = ahead + 1
                    return self._match(seq, self.recorded[ahead], body)
                if self.place < self._end:
                    raise _other(have)
                if isinstance(body, ev.ModelReplied) and isinstance(have.body, ev.ModelReplied):
                    self._replace(seq, have, new, body)
                return False
            if isinstance(have.body, OF_PEOPLE):
                self.said_here.append((have.actor, encode_body(have.body)[0]))
            self.place += 1
        return False

    def check_end(self, *, grew: bool) -> None:
        """Raises OtherRecording where the log has what the file never brought; if it ``grew``, also at the end."""
        left = [*self._passed, *filter(self._is_content, self.recorded[self.place :] if grew else ())]
        for have in left:
            old = {reply.seq for reply in self.grown.values()}
            stale = isinstance(have.body, ev.RecordingLoss) and have.body.of in old
            if not stale and not (old and isinstance(have.body, ev.ActionStarted)):
                raise _other(have)

    def find_late_facts(self, imported: ImportedSession) -> list[tuple[int, ev.NewEvent]]:
        """What a file says after all that the log has, without another word of the session: its sums, what of it was
        left out, that it ended in an error."""
        if not self.is_import or any(map(self._is_content, self.recorded[self.place :])):
            return []
        found: list[tuple[int, ev.NewEvent]] = []
        states = [event for event in self.recorded if isinstance(event.body, ev.StateChanged)]
        reads = [event.body for event in self.recorded if isinstance(event.body, ev.RecordingRead)]
        for seq, new in enumerate(imported.events[-_LAST:], max(1, len(imported.events) - _LAST + 1)):
            match new.body:
                case ev.StateChanged(state="stopped", reason=reason) if reason != UNFINISHED and states:
                    last = states[-1]
                    if last.actor == ACTOR and isinstance(last.body, ev.StateChanged) and last.body.state == "finished":
                        found.append((seq, new))
                case ev.RecordingRead() as read if reads:
                    left = self.without_counted(read)
                    if left.usage or left.cost or read.notes != reads[-1].notes:
                        found.append((seq, new))
        return found

    def without_counted(self, read: ev.RecordingRead) -> ev.RecordingRead:
        """What the file says of the whole run, less what the log has counted of it: in earlier imports, and of replies
        that grew."""
        usage, cost = read.usage or Usage(), read.cost or 0.0
        for event in self.recorded:
            body = event.body
            grown = isinstance(body, ev.ModelReplied) and event.seq in self._gone
            if grown or isinstance(body, ev.RecordingRead):
                assert isinstance(body, ev.ModelReplied | ev.RecordingRead)
                if (told := body.usage) is not None:
                    names = Usage.__struct_fields__
                    usage = Usage(**{name: getattr(usage, name) - getattr(told, name) for name in names})
                cost -= body.cost or 0.0
        known = usage if usage != Usage() else None
        return structs.replace(read, usage=known, cost=cost if abs(cost) > _NO_MONEY else None)

    def is_said_here(self, new: ev.NewEvent) -> bool:
        """Whether the log has these words of a person already, further up; each once."""
        if isinstance(new.body, OF_PEOPLE):
            said = (new.actor, encode_body(renumber(new.body, self.number))[0])
            if said in self.said_here:
                self.said_here.remove(said)
                return True
        return False

    def _match(self, seq: int, have: ev.Event, body: ev.Body) -> bool:
        self.numbers[seq] = have.seq
        if isinstance(body, ev.StateChanged):
            self.state = body.state
        return True

    def _is_content(self, have: ev.Event) -> bool:
        return have.seq not in self._gone and not _is_of_the_log(have)

    def _look_ahead(self, new: ev.NewEvent, body: ev.Body) -> int | None:
        """The place of the event a little further on in the log."""
        places = range(self.place + 1, min(self.place + AHEAD, len(self.recorded)))
        return next((place for place in places if _is_same(self.recorded[place], new, body)), None)

    def _replace(self, seq: int, have: ev.Event, new: ev.NewEvent, body: ev.ModelReplied) -> None:
        """The log's last reply as it is now. Raises OtherRecording where that is another one."""
        if have.step != new.step or not _grew(have.body, body):
            raise _other(have)
        self.grown[seq] = have
        self._gone.add(have.seq)
        self.place += 1


def _other(have: ev.Event) -> OtherRecording:
    where = f"event {have.seq}" if have.step is None else f"event {have.seq}, of step {have.step}"
    return OtherRecording(f"the log has another {where}")


def _grew(before: ev.Body, now: ev.ModelReplied) -> bool:
    """Whether ``now`` is the same reply after more of it was written."""
    if not isinstance(before, ev.ModelReplied) or before.request != now.request:
        return False
    for kind in (ReasoningPart, TextPart):
        old, new = ("".join(p.text for p in reply.parts if isinstance(p, kind)) for reply in (before, now))
        if not new.startswith(old):
            return False
    old_calls, calls = ([(p.id, p.name) for p in reply.parts if isinstance(p, CallPart)] for reply in (before, now))
    return calls[: len(old_calls)] == old_calls


def grown_seqs(recorded: Iterable[ev.Event]) -> set[int]:
    """Of an imported session, the seqs of replies that were imported before they had ended, and of what is said of
    them alone: that they grew, what they lack, and calls that began anew."""
    events = list(recorded)
    old: dict[int, int | None] = {}
    gone: set[int] = set()
    for event in events:
        if isinstance(event.body, ev.ReplySuperseded) and event.actor == ACTOR and event.body.why == "replaced":
            old[event.body.old] = event.body.new
            gone |= {event.seq, event.body.old}
    if not old:
        return gone
    begun: dict[tuple[int | None, int | None], int] = {}
    for event in events:
        if isinstance(event.body, ev.RecordingLoss) and event.body.of in old:
            gone.add(event.seq)
        elif isinstance(event.body, ev.ActionStarted):
            if (event.step, event.call) in begun:
                gone.add(begun[event.step, event.call])
            begun[event.step, event.call] = event.seq
    return gone


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
        if not comparison.find(seq, new):
            rest.append((seq, new))
    comparison.check_end(grew=any(not _is_made_up(new) for _, new in rest))
    # Whoever ends a recording makes up its last state: by itself that is nothing new.
    rest = [(seq, new) for seq, new in rest if not comparison.is_said_here(new)]
    if all(map(_is_made_up, (new for _, new in rest))):
        rest = comparison.find_late_facts(imported)
        return Continuation(_append(comparison, rest) if rest else [], comparison.number)
    last = len(imported.events)
    if comparison.grown and isinstance(imported.events[-1].body, ev.RecordingRead) and rest[-1][0] != last:
        rest.append((last, imported.events[-1]))  # it says what of the sums was counted before
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
    for old, _ in rest:
        seq += 1
        comparison.numbers[old] = seq
        seq += old in comparison.grown  # what the reply takes the place of is said behind it
    for old, new in rest:
        body = renumber(new.body, comparison.number)
        body = comparison.without_counted(body) if isinstance(body, ev.RecordingRead) else body
        events.append(structs.replace(new, session=session, body=body))
        if (before_it := comparison.grown.get(old)) is not None:
            instead = ev.ReplySuperseded(old=before_it.seq, new=comparison.numbers[old], why="replaced")
            events.append(ev.NewEvent(session, instead, new.step, actor=ACTOR, at=new.at))
    if before == "archived":  # what somebody put away stays away
        body = ev.StateChanged(state="archived", reason=ELSEWHERE)
        events.append(ev.NewEvent(session, body, actor=ACTOR, at=events[-1].at))
    return events


def _is_made_up(new: ev.NewEvent) -> bool:
    """Whether the event is one that an import says of the log, and no file."""
    return new.actor == ACTOR and isinstance(new.body, OF_THE_LOG)


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
    return structs.replace(created, number=0, child_address="", meta={}, task_id="", begins=None)


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
