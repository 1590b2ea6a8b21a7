"""A session made from messages that somebody else recorded: what all importers share, but for our own raw format.

Prompts are put together from the messages in order and are called reconstructed. What is missing is made up as little
as possible: times are those of the file, else one second apart; calls without a result get none.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import structs

from sessions import events as ev
from sessions import ulid
from sessions.events.messages import CallPart, Finish, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import Blob, canonical_json, long_text
from sessions.importers.base import ACTOR, CannotImport, ImportedSession
from sessions.importers.documents import loads
from sessions.log.rebuild import assemble
from sessions.terminal_text import say_count

STEP_MS: Final = 1000
TITLE_CHARS: Final = 60
ELSEWHERE: Final = "recorded elsewhere"
"""Why an imported session is in the state that it is in."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the file has it; ``arguments`` is JSON text, as near to the model's own as the file allows."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class _BlobsInMemory:
    """Where a request that is not in a log yet finds its blobs."""

    by_hash: dict[str, Blob]

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        return {name: self.by_hash[name].data for name in hashes}


@dataclass(slots=True)
class SessionBuilder:
    """Takes messages in their order and makes a session of them. ``key`` names the recording: the same gives the same
    session id, so that a second import is noticed.

    An importer gives whole turns (``add_user``, ``add_reply``, ...). Where its file knows more than a chat does, it
    puts a turn together itself, of ``add_event``, ``add_message``, ``add_request`` and ``hold_blobs``.
    """

    format: str
    key: str
    model: str = ""
    title: str = ""
    task_id: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    tools: Sequence[Any] = ()
    started: int | None = None
    """When it began, in Unix ms."""
    session: str = ""
    """Its id, where another rule than that of ``key`` makes it."""
    events: list[ev.NewEvent] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that say nothing to us, by kind."""
    notes: list[str] = field(default_factory=list)
    step: int = 0
    advice: int = 0
    _blobs: dict[str, Blob] = field(default_factory=dict)
    _system: str = ""
    _task: str | None = None
    _new_messages: list[ev.MessageRef] = field(default_factory=list)
    _messages: list[ev.MessageRef] = field(default_factory=list)
    _open_calls: dict[str, tuple[int, Call]] = field(default_factory=dict)
    _parent: int | None = None
    _now: int = 0
    _first_time: int | None = None
    """The first time that the file says."""
    _summaries: int = 0
    _covered: int = 0
    _tools: str | None = None

    def add_system(self, text: str) -> None:
        """The system prompt; only one before the task counts."""
        if self._task is None and not self._system:
            self._system = text
        else:
            self.skipped["later system message"] += 1

    def add_user(self, text: str, at: int | None = None, *, by_host: bool = False) -> None:
        """A turn of the user: the first is the task, later ones are advice; ``by_host``: nobody wrote it."""
        if self._task is None:
            self.begin(text, at)
        elif by_host:
            self._close_calls()
            self.add_message(
                {"role": "user", "content": text}, self.add_event(ev.NudgeSent(text=text, streak=0), at=at)
            )
        elif text.strip():
            self.add_advice(text, at=at)

    def add_advice(
        self, text: str, *, turn: str = "", at: int | None = None, actor: str = ACTOR, kind: ev.AdviceKind | None = None
    ) -> None:
        """A piece of advice, delivered before the next step as ``turn`` (default: as it is)."""
        self.add_advice_turn([(text, kind, actor)], turn or text, at)

    def add_advice_turn(
        self, pieces: Sequence[tuple[str, ev.AdviceKind | None, str]], turn: str, at: int | None
    ) -> None:
        """Pieces of advice (text, kind, who said it), delivered together as the user turn ``turn``."""
        self._begin_if_new()
        self._close_calls()
        numbers = range(self.advice + 1, self.advice + 1 + len(pieces))
        for number, (text, kind, actor) in zip(numbers, pieces, strict=True):
            self.add_event(ev.AdviceQueued(advice=number, text=text, advice_kind=kind), at=at, actor=actor)
        self.advice += len(pieces)
        delivered = ev.AdviceDelivered(advice=tuple(numbers), at_step=self.step + 1, text=turn)
        self.add_message({"role": "user", "content": turn}, self.add_event(delivered, self.step + 1, at=at))

    def add_reply(
        self,
        text: str = "",
        calls: Sequence[Call] = (),
        reasoning: str = "",
        at: int | None = None,
        usage: Usage | None = None,
        model: str = "",
        finish: Finish | None = None,
        finish_raw: str = "",
        salvaged: bool = False,
    ) -> int:
        """What the model said; the number of its step. ``finish`` None: normal, as far as the file says."""
        self._begin_if_new()
        self._close_calls()
        self.step += 1
        self._now += STEP_MS if at is None else 0
        asked = self.add_request()
        body = ev.ModelReplied(
            request=asked,
            parts=parts_of(text, reasoning, calls),
            finish=finish or ("calls" if calls else "stop"),
            finish_raw=finish_raw,
            model=model or self.model,
            usage=usage,
            salvaged=salvaged,
        )
        malformed = {call.id for call in calls if arguments_of(call.arguments) is None}
        sendable = [Call(call.id, call.name, "{}") if call.id in malformed else call for call in calls]
        seq = self.add_event(body, self.step, at=at, actor="agent")
        self.add_message(reply_message(text, sendable, reasoning), seq)
        for number, call in enumerate(calls, 1):
            self._open_calls[call.id] = (number, call)
            if call.id not in malformed:
                arguments = arguments_of(call.arguments) or {}
                started = ev.ActionStarted(call_id=call.id, name=call.name, arguments=arguments)
                self.add_event(started, self.step, number, actor="agent")
        return self.step

    def add_result(
        self, call_id: str | None, text: str, *, outcome: ev.Outcome = "ok", at: int | None = None, data: Any = None
    ) -> bool:
        """The result of a call (None: of the oldest that has none); False if no call waits for it."""
        name = next(iter(self._open_calls), "") if call_id is None else call_id
        if name not in self._open_calls:
            self.skipped["result without a call"] += 1
            return False
        number, call = self._open_calls.pop(name)
        if arguments_of(call.arguments) is None:
            refused = ev.ActionRefused(
                call_id=name, name=call.name, why="malformed", arguments=call.arguments[:2000], shown=text
            )
            seq = self.add_event(refused, self.step, number, at=at)
        else:
            output, blobs = long_text(text)
            self.hold_blobs(blobs)
            body = ev.ActionResult(call_id=name, outcome=outcome, output=output, data=data or {})
            seq = self.add_event(body, self.step, number, at=at)
        self.add_message({"role": "tool", "tool_call_id": name, "content": text}, seq)
        return True

    def add_summary(self, text: str, at: int | None = None) -> None:
        """The context so far was replaced by this text (and the task)."""
        self._begin_if_new()
        self._close_calls()
        self._summaries += 1
        whole, blobs = long_text(text)
        self.hold_blobs(blobs)
        written = ev.SummaryWritten(
            number=self._summaries, from_step=self._covered + 1 if self.step else 0, to_step=self.step, text=whole
        )
        self._covered = self.step
        seq = self.add_event(written, at=at, actor="agent")
        self._parent, self._new_messages, self._messages = None, [], []
        if self._system:
            self.add_message({"role": "system", "content": self._system}, 1)
        content = f"{self._task}\n\n{text}" if self._task else text
        self.add_message({"role": "user", "content": content}, 1, seq)

    def add_score(self, score: float | None, at: int | None = None) -> None:
        """A score that somebody gave the run."""
        self.add_event(ev.EvalScored(score=score), self.step or None, at=at)

    def finish(self, *, state: Any = "finished", reason: str = ELSEWHERE) -> ImportedSession:
        """The whole session. Raises CannotImport if there is no reply in it."""
        if not self.step:
            raise CannotImport(f"{self.format}: the recording holds no reply of a model: nothing to import")
        self.add_event(ev.StateChanged(state=state, reason=reason))
        if self._open_calls:
            have = "has" if len(self._open_calls) == 1 else "have"
            self.notes.append(f"{say_count(len(self._open_calls), 'call')} at the end {have} no result")
        if self.skipped:
            kinds = ", ".join(f"{kind} ({number:,})" for kind, number in sorted(self.skipped.items()))
            self.notes.append(f"left out, because they say nothing to us: {kinds}")
        if not self.tools:
            self.notes.append("the file has no tool schemas: its prompts are reconstructed without them")
        if not self._system:
            self.notes.append("the file has no system prompt")
        if self._first_time is None:
            self.notes.append("the file says no times: its steps are put a second apart, in 1970")
        else:
            # What came before the first time in the file happened then, and not in 1970.
            early = next((n for n, one in enumerate(self.events) if (one.at or 0) >= self._first_time), 0)
            self.events[:early] = [structs.replace(one, at=self._first_time) for one in self.events[:early]]
        return self.to_session()

    def to_session(self) -> ImportedSession:
        """What was added so far, as it is."""
        return ImportedSession(self.session, self.events, list(self._blobs.values()), self.notes)

    def add_event(
        self,
        body: ev.Body,
        step: int | None = None,
        call: int | None = None,
        *,
        at: int | None = None,
        actor: str = ACTOR,
    ) -> int:
        """Append an event as it is; its seq. Time never goes back."""
        if at is not None:
            self._now = max(self._now, at)
            self._first_time = at if self._first_time is None else self._first_time
        self.events.append(ev.NewEvent(self.session, body, step, call, actor, None, self._now))
        return len(self.events)

    def hold_blobs(self, blobs: Sequence[Blob]) -> None:
        """Keep blobs that events name."""
        self._blobs |= {blob.hash: blob for blob in blobs}

    def _begin_if_new(self) -> None:
        if self._task is None:
            self.begin("", None)

    def begin(self, task: str, at: int | None) -> None:
        """The session comes to be; its prompts begin with the system prompt and the task."""
        if self.started is None:
            self.started = at or 0
        if self.started:
            self._first_time = self.started
        whole, blobs = long_text(self._system)
        self.hold_blobs(blobs)
        self.create(
            task,
            whole if self._system else None,
            self.title or title_of(task, f"{self.format} recording"),
            self.task_id or f"{self.format}:{hashlib.sha256(task.encode(errors='replace')).hexdigest()[:12]}",
        )
        if self._system:
            self.add_message({"role": "system", "content": self._system}, 1)
        self.add_message({"role": "user", "content": task}, 1)
        if self.tools:
            blob = Blob.of(canonical_json(list(self.tools)))
            self.hold_blobs([blob])
            self._tools = blob.hash

    def create(self, task: str, system: ev.LongText | None, title: str, task_id: str) -> None:
        """The first two events, at ``started``: the session comes to be, and runs."""
        self._task = task
        self._now = self.started or 0
        self.session = self.session or session_id(f"{self.format}\0{self.key}", self._now)
        created = ev.SessionCreated(
            number=0,
            title=title,
            task=task,
            model=ev.ModelSpec(provider="import", name=self.model or "unknown"),
            origin="import",
            system=system,
            task_id=task_id,
            meta={"format": self.format, **self.meta},
        )
        self.add_event(created)
        self.add_event(ev.StateChanged(state="running", reason=ELSEWHERE))

    def _close_calls(self) -> None:
        """Calls that nobody answered get a result that says so: a conversation with open calls can be sent nowhere."""
        for name in list(self._open_calls):
            self.add_result(name, "The recording has no result of this call.", outcome="unknown")

    def add_request(self) -> int:
        """The request of the present step: the messages so far are its prompt. Returns its seq."""
        self._messages += self._new_messages
        request = ev.ModelRequested(
            adapter="import",
            adapter_version=1,
            envelope={"model": self.model or "unknown"},
            tools=self._tools,
            parent=self._parent,
            append=tuple(self._new_messages),
            sha256="",
            exact=False,
        )
        digest = hashlib.sha256(assemble(_BlobsInMemory(self._blobs), request, self._messages)).hexdigest()
        self._new_messages = []
        self._parent = self.add_event(structs.replace(request, sha256=digest), self.step)
        return self._parent

    def add_message(self, wire: dict[str, Any], *sources: int) -> None:
        """The next message of all later prompts, as it went over the wire, and the seqs that it came from."""
        blob = Blob.of(canonical_json(wire))
        self.hold_blobs([blob])
        self._new_messages.append(ev.MessageRef(blob.hash, wire["role"], sources))


def parts_of(text: str, reasoning: str, calls: Sequence[Call]) -> tuple[Part, ...]:
    """The parts of a reply, as the log has them."""
    parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
    parts += [TextPart(text)] if text else []
    parts += [CallPart(call.id, call.name, call.arguments) for call in calls]
    return tuple(parts)


def reply_message(text: str, calls: Sequence[Call], reasoning: str = "") -> dict[str, Any]:
    """A reply as later prompts have it."""
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def arguments_of(text: str) -> dict[str, Any] | None:
    """The object that a call's arguments are; None if they are none."""
    if not text.strip():
        return {}
    try:
        value = loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def session_id(key: str, at: int) -> str:
    """The id of the session that ``key`` names and that began ``at`` (Unix ms): always the same."""
    chance = int.from_bytes(hashlib.sha256(key.encode(errors="replace")).digest()[:10], "big")
    return ulid.encode((at & ((1 << 48) - 1)) << 80 | chance)


def title_of(task: str, otherwise: str, marks: str = "#<-=") -> str:
    """The first line that says something: it begins with none of the ``marks``."""
    lines = (line.strip() for line in task.splitlines())
    first = next((line for line in lines if line and line[0] not in marks), otherwise)
    return first if len(first) <= TITLE_CHARS else first[: TITLE_CHARS - 1].rstrip() + "…"


def time_ms(value: Any) -> int | None:
    """A time in Unix ms from ISO text, seconds or milliseconds; None if it is none of these."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value if value > 1e11 else value * 1000) if 0 < value < 1e14 else None
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
