"""What happened in a session while somebody was away: figures counted from the log alone, each with its events.

Nothing here is written by a model, so nothing goes stale: the same interval always gives the same figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.events.states import ACTIVE, State
from sessions.fold.costs import say_cost
from sessions.fold.released_reply import Replies
from sessions.fold.result_status import went_wrong
from sessions.fold.tool_roles import is_poll, same_call
from sessions.terminal_text import say_count

LOOP: Final = 4
"""The same call with the same result this often in a row counts as a loop."""
POLLS: Final = 10
"""So many polling actions in a row count as a loop."""
KINDS: Final = frozenset(
    {"session.state", "session.recovered", "model.reply", "reply.superseded", "action.started", "action.result",
     "action.refused", "advice.delivered", "advice.requeued", "eval.scored", "job.started", "job.ended", "file.changed",
     "summary.written", "question.asked", "flag.set"}
)  # fmt: skip
"""Kinds that a digest looks at; all others may be left out of its events."""
SUB_AGENTS: Final = "sub-agents"
"""The figure of what sub-agents did who have no line of their own."""
WAITS: Final = "waits"
"""The figure of what a person has to do something about, however long ago it began."""
_HEADLINE: Final = (
    WAITS, "failed", "needs you", "finished", "stopped", "paused", "steps", SUB_AGENTS, "evals", "loops", "malformed",
    "errors", "advice", "questions", "jobs ended", "files", "summaries", "flags by others", "money",
)  # fmt: skip
_PAST: Final = {
    "failed": "had failed",
    "needs you": "needed you",
    "paused": "was paused",
    "stopped": "was stopped",
    "finished": "had finished",
}
"""States that a person wants to hear of, and how they are told of when they are over."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name, what it says, its number, and the seqs of the events that it counts (in order)."""

    name: str
    words: str
    value: float
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Digest:
    """The figures of one session between two times (Unix ms); those that are zero are left out of ``nonzero``."""

    session: str
    since: int
    until: int
    figures: tuple[Figure, ...]
    state: str = ""
    """How it stands at the end of the interval, in words: ``needs you``."""
    waits: bool = False
    """It stands still until a person does something, however long ago that began."""

    @property
    def nonzero(self) -> tuple[Figure, ...]:
        """The figures that say something."""
        return tuple(figure for figure in self.figures if figure.value)

    @property
    def has_activity(self) -> bool:
        """Whether the agent, or its session, did anything that a line could tell of."""
        return bool(self.headline)

    @property
    def headline(self) -> tuple[Figure, ...]:
        """The figures that say something: what a person wants to know first comes first, what is over last."""
        told = {figure.name: figure for figure in self.nonzero}
        over = [name for name in _PAST if name != self.state]
        order = [*(name for name in _HEADLINE if name not in over), *over]
        return tuple(told[name] for name in order if name in told)

    def value(self, name: str) -> float:
        """The number of the figure ``name``."""
        return next(figure.value for figure in self.figures if figure.name == name)

    def add_wait(self, why: str, places: tuple[int, ...], *, asks: bool) -> Digest:
        """The same, first of all with what waits for a person; a state is told once, where the interval has it."""
        told = not asks and any(figure.name == self.state for figure in self.nonzero)
        figures = self.figures if told else (Figure(WAITS, why, 1, places), *self.figures)
        return replace(self, figures=figures, waits=True)

    def add_children(self, count: int, steps: int) -> Digest:
        """The same with what ``count`` of its sub-agents did, of whom nothing else is to be told."""
        words = f"{say_count(steps, 'step')} of {say_count(count, 'sub-agent')}"
        return replace(self, figures=(*self.figures, Figure(SUB_AGENTS, words, count)))

    @property
    def badness(self) -> float:
        """How much went wrong, for "worst first": what stopped it weighs most, then loops, malformed calls, errors."""
        stopped = max(500 * self.waits, {"failed": 1000, "needs you": 500}.get(self.state, 0))
        fell = 100 if self.value("score change") < 0 else 0
        return stopped + fell + 30 * self.value("loops") + 5 * self.value("malformed") + self.value("errors")


@dataclass(frozen=True, slots=True)
class Baseline:
    """How things stood at the beginning of the interval."""

    state: State = "created"
    score: float | None = None
    better: str = "higher"
    repeats: frozenset[int] = frozenset()
    """Advice that was delivered before and waits to be said once more, by number."""


@dataclass(slots=True)
class _Run:
    """Equal things in a row."""

    key: tuple[str, str] = ("", "")
    count: int = 0
    first: int = 0


@dataclass(slots=True)
class _Count:
    """What has been counted so far, by figure; seqs of the events."""

    steps: dict[int, int] = field(default_factory=dict)
    places: dict[str, list[int]] = field(default_factory=dict)
    why: str = ""
    """The reason of the newest state that a person wants to hear of."""
    scores: list[float] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)
    loops: list[tuple[int, int]] = field(default_factory=list)
    awaiting: list[int] = field(default_factory=list)
    turns: dict[int, set[int]] = field(default_factory=dict)
    """What each turn of advice said for the first time, by its seq."""
    repeats: set[int] = field(default_factory=set)
    """Advice that waits to be said once more."""
    active_ms: int = 0
    money: float = 0.0
    unpriced: int = 0

    def add(self, name: str, event: ev.Event) -> None:
        """One more of ``name``."""
        self.places.setdefault(name, []).append(event.seq)


def digest_of(
    session: str,
    events: Iterable[ev.Event],
    *,
    since: int,
    until: int,
    before: Baseline,
    reader: str = "",
    tools: Mapping[str, str] = MappingProxyType({}),
) -> Digest:
    """Count ``events`` (of one session, in order, all within the interval). ``reader`` is the actor who was away;
    ``tools``: what the tools of the session's harness are for."""
    count, same, polls = _Count(repeats=set(before.repeats)), _Run(), _Run()
    state, active_since = before.state, since if before.state in ACTIVE else None
    replies = Replies()
    for event in events:
        body = event.body
        if isinstance(body, ev.StateChanged):
            active_since = _clock(count, active_since, event.at, body.state in ACTIVE)
            state = body.state
            word = state.replace("_", " ")
            if word in _PAST:
                count.add(word, event)
                count.why = body.reason
        elif isinstance(body, ev.SessionRecovered):
            _clock(count, active_since, max(body.last_at, active_since or 0), False)
            active_since = event.at if state in ACTIVE else None
        elif isinstance(body, ev.ModelReplied):
            replies.fold(event)
            if event.step is not None:  # else it is of no step: a summary, or what a harness asks beside its work
                count.steps.setdefault(event.step, event.seq)
            count.money += body.cost or 0.0
            count.unpriced += body.cost is None
        elif isinstance(body, ev.ReplySuperseded):
            replies.fold(event)
            released = replies.of(event.step or 0)
            if released is not None:
                count.steps[event.step or 0] = released.seq
        elif isinstance(body, ev.ActionStarted):
            if count.awaiting:
                numbers = ", ".join(map(str, count.awaiting))
                count.followed.append(f"advice {numbers}: then `{body.name}` at step {event.step}")
                count.awaiting.clear()
        elif isinstance(body, ev.ActionResult):
            called = _called(replies, event)
            if went_wrong(body):
                count.add("errors", event)
            _count_loop(count, same, polls, called, (body.shown or body.output).text, event, tools)
        elif isinstance(body, ev.AdviceDelivered | ev.AdviceRequeued):
            _count_advice(count, event.seq, body)
        else:
            _count_other(count, event, reader)
    _clock(count, active_since, until, False)
    count.places["advice"] = list(count.turns)
    _end_run(count, same, LOOP)
    _end_run(count, polls, POLLS)
    stands = state.replace("_", " ")
    return Digest(session, since, until, tuple(_figures(count, before, until - since, stands)), stands)


def _called(replies: Replies, event: ev.Event) -> tuple[str, str]:
    """Name and arguments of the call whose result ``event`` is, as the reply of its step has them."""
    reply = replies.of(event.step or 0)
    parts = reply.body.parts if reply is not None and isinstance(reply.body, ev.ModelReplied) else ()
    calls = [(part.name, part.arguments) for part in parts if isinstance(part, CallPart)]
    return calls[event.call - 1] if event.call and event.call <= len(calls) else ("", "")


def _clock(count: _Count, active_since: int | None, at: int, goes_on: bool) -> int | None:
    """Add the active time up to ``at``; since when it runs now."""
    if active_since is not None:
        count.active_ms += max(0, at - active_since)
    return at if goes_on else None


def _count_advice(count: _Count, seq: int, body: ev.AdviceDelivered | ev.AdviceRequeued) -> None:
    """A turn counts while it says anything for the first time that was not given back as not delivered."""
    match body:
        case ev.AdviceDelivered(advice=numbers):
            new = [number for number in numbers if number not in count.repeats]
            count.repeats.difference_update(numbers)
            if new or not numbers:
                count.turns[seq] = set(new)
                count.awaiting += new
        case ev.AdviceRequeued(advice=number, why="standing"):
            count.repeats.add(number)
        case ev.AdviceRequeued(advice=number):
            told = next((at for at, said in reversed(count.turns.items()) if number in said), None)
            if told is None:
                return  # that was before the interval
            count.turns[told].discard(number)
            if not count.turns[told]:
                del count.turns[told]
            count.awaiting = [other for other in count.awaiting if other != number]


def _count_other(count: _Count, event: ev.Event, reader: str) -> None:
    match event.body:
        case ev.ActionRefused() as body if body.malformed:
            count.add("malformed", event)
        case ev.EvalScored() as body if body.score is not None:
            count.add("evals", event)
            count.scores.append(body.score)
        case ev.JobStarted():
            count.add("jobs started", event)
        case ev.JobEnded():
            count.add("jobs ended", event)
        case ev.FileChanged() as body:
            count.files.setdefault(body.path, event.seq)
        case ev.SummaryWritten():
            count.add("summaries", event)
        case ev.QuestionAsked():
            count.add("questions", event)
        case ev.FlagSet() if event.actor != reader:
            count.add("flags by others", event)
        case _:
            pass


def _count_loop(
    count: _Count,
    same: _Run,
    polls: _Run,
    called: tuple[str, str],
    said: str,
    event: ev.Event,
    tools: Mapping[str, str],
) -> None:
    """Polls do not break a run of equal calls."""
    name, arguments = called[0], _arguments(called[1])
    if is_poll(name, arguments, tools):
        polls.count, polls.first = polls.count + 1, polls.first or event.seq
        return
    _end_run(count, polls, POLLS)
    call = msgspec.json.encode(same_call(name, arguments, tools), order="sorted").decode() if arguments else called[1]
    key = (f"{name}\0{call}", said)
    if same.key == key and same.count:
        same.count += 1
    else:
        _end_run(count, same, LOOP)
        same.key, same.count, same.first = key, 1, event.seq


def _arguments(text: str) -> dict[str, Any]:
    """The arguments of a call as the model wrote them, nothing where they are no object."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _end_run(count: _Count, run: _Run, least: int) -> None:
    if run.count >= least:
        count.loops.append((run.count, run.first))
    run.key, run.count, run.first = ("", ""), 0, 0


def _figures(c: _Count, before: Baseline, away: int, stands: str) -> Iterable[Figure]:
    def count_of(name: str, one: str, many: str | None = None) -> Figure:
        places = tuple(c.places.get(name, ()))
        return Figure(name, f"{len(places)} {one if len(places) == 1 else many or one + 's'}", len(places), places)

    yield Figure("away", f"{_span(away)} away", away)
    yield Figure("steps", f"{len(c.steps)} step{'s' * (len(c.steps) != 1)}", len(c.steps), tuple(c.steps.values()))
    yield Figure("active", f"{_span(c.active_ms)} active", c.active_ms)
    for name, past in _PAST.items():
        places = tuple(c.places.get(name, ()))
        times = f" ({len(places)}×)" if len(places) > 1 else ""
        # A reason may say what to do: it is told only while there is anything to be done.
        now = f"{name}{': ' + c.why if c.why else ''}"
        yield Figure(name, (now if name == stands else past) + times, len(places), places)
    evals = tuple(c.places.get("evals", ()))
    last = c.scores[-1] if c.scores else None
    scored = "no eval" if last is None else f"first eval {last:.4g}"
    if last is not None and before.score is not None:
        scored = f"evals {before.score:.4g} → {last:.4g}"
    yield Figure("evals", scored, len(evals), evals)
    change = 0.0 if last is None or before.score is None else last - before.score
    better = change if before.better == "higher" else -change
    yield Figure(
        "score change", f"score {'better' if better > 0 else 'worse'} by {abs(better):.4g}", better, evals[-1:]
    )
    yield count_of("malformed", "malformed call")
    longest = max((size for size, _ in c.loops), default=0)
    loops = (
        f"{len(c.loops)} loop{'s' * (len(c.loops) != 1)}, the longest of {longest}"
        if len(c.loops) > 1
        else f"1 loop of {longest}"
    )
    yield Figure("loops", loops, len(c.loops), tuple(seq for _, seq in c.loops))
    yield count_of("errors", "error")
    yield count_of("jobs started", "job started", "jobs started")
    yield count_of("jobs ended", "job ended", "jobs ended")
    yield Figure(
        "files", f"{len(c.files)} file{'s' * (len(c.files) != 1)} changed", len(c.files), tuple(c.files.values())
    )
    told = "; ".join(c.followed[-3:])
    advice = count_of("advice", "advice delivered", "advice delivered")
    yield Figure("advice", f"{advice.words}{' (' + told + ')' if told else ''}", advice.value, advice.places)
    yield count_of("summaries", "summary", "summaries")
    yield count_of("questions", "question")
    yield count_of("flags by others", "flag by others", "flags by others")
    yield Figure("money", say_cost(c.money, c.unpriced), round(c.money, 6))


def _span(milliseconds: int) -> str:
    minutes = milliseconds // 60_000
    if minutes < 1:
        return f"{milliseconds // 1000} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
