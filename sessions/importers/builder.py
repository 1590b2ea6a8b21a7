"""A session made from messages that somebody else recorded: what all importers of foreign agents share.

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
from sessions.terminal_text import many

STEP_MS: Final = 1000
TITLE_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the file has it; ``arguments`` is JSON text, as near to the model's own as the file allows."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class _Held:
    held: dict[str, Blob]

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        return {name: self.held[name].data for name in hashes}


@dataclass(slots=True)
class Maker:
    """Takes messages in their order and makes a session of them. ``key`` names the recording: the same gives the same
    session id, so that a second import is noticed."""

    format: str
    key: str
    model: str = ""
    title: str = ""
    task_id: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    tools: Sequence[Any] = ()
    started: int | None = None
    """When it began, in Unix ms."""
    events: list[ev.NewEvent] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that say nothing to us, by kind."""
    notes: list[str] = field(default_factory=list)
    step: int = 0
    advice: int = 0
    _blobs: dict[str, Blob] = field(default_factory=dict)
    _system: str = ""
    _task: str | None = None
    _fresh: list[ev.MessageRef] = field(default_factory=list)
    _refs: list[ev.MessageRef] = field(default_factory=list)
    _open: dict[str, tuple[int, Call]] = field(default_factory=dict)
    _parent: int | None = None
    _now: int = 0
    _told: int | None = None
    """The first time that the file says."""
    _summaries: int = 0
    _covered: int = 0
    _tools: str | None = None

    def system(self, text: str) -> None:
        """The system prompt; only one before the task counts."""
        if self._task is None and not self._system:
            self._system = text
        else:
            self.skipped["later system message"] += 1

    def user(self, text: str, at: int | None = None, *, by_host: bool = False) -> None:
        """A turn of the user: the first is the task, later ones are advice; ``by_host``: nobody wrote it."""
        if self._task is None:
            self._begin(text, at)
        elif by_host:
            self._close_calls()
            self._ref({"role": "user", "content": text}, self.add(ev.NudgeSent(text=text, streak=0), at=at))
        elif text.strip():
            self.advise(text, at=at)

    def advise(
        self, text: str, *, turn: str = "", at: int | None = None, actor: str = ACTOR, kind: ev.AdviceKind | None = None
    ) -> None:
        """A piece of advice, delivered before the next step as ``turn`` (default: as it is)."""
        self.advise_all([(text, kind, actor)], turn or text, at)

    def advise_all(self, pieces: Sequence[tuple[str, ev.AdviceKind | None, str]], turn: str, at: int | None) -> None:
        """Pieces of advice (text, kind, who said it), delivered together as the user turn ``turn``."""
        self._begin_if_not()
        self._close_calls()
        numbers = range(self.advice + 1, self.advice + 1 + len(pieces))
        for number, (text, kind, actor) in zip(numbers, pieces, strict=True):
            self.add(ev.AdviceQueued(advice=number, text=text, advice_kind=kind), at=at, actor=actor)
        self.advice += len(pieces)
        delivered = ev.AdviceDelivered(advice=tuple(numbers), at_step=self.step + 1, text=turn)
        self._ref({"role": "user", "content": turn}, self.add(delivered, self.step + 1, at=at))

    def reply(
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
        self._begin_if_not()
        self._close_calls()
        self.step += 1
        self._now += STEP_MS if at is None else 0
        asked = self._request()
        parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
        parts += [TextPart(text)] if text else []
        parts += [CallPart(call.id, call.name, call.arguments) for call in calls]
        said = ev.ModelReplied(
            request=asked,
            parts=tuple(parts),
            finish=finish or ("calls" if calls else "stop"),
            finish_raw=finish_raw,
            model=model or self.model,
            usage=usage,
            salvaged=salvaged,
        )
        wire: dict[str, Any] = {"role": "assistant", "content": text or None}
        if reasoning:
            wire["reasoning_content"] = reasoning
        malformed = {call.id for call in calls if arguments_of(call.arguments) is None}
        if calls:
            wire["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "{}" if call.id in malformed else call.arguments},
                }
                for call in calls
            ]
        self._ref(wire, self.add(said, self.step, at=at, actor="agent"))
        for number, call in enumerate(calls, 1):
            self._open[call.id] = (number, call)
            if call.id not in malformed:
                arguments = arguments_of(call.arguments) or {}
                started = ev.ActionStarted(call_id=call.id, name=call.name, arguments=arguments)
                self.add(started, self.step, number, actor="agent")
        return self.step

    def result(
        self, call_id: str | None, text: str, *, outcome: ev.Outcome = "ok", at: int | None = None, data: Any = None
    ) -> bool:
        """The result of a call (None: of the oldest that has none); False if no call waits for it."""
        name = next(iter(self._open), "") if call_id is None else call_id
        if name not in self._open:
            self.skipped["result without a call"] += 1
            return False
        number, call = self._open.pop(name)
        if arguments_of(call.arguments) is None:
            refused = ev.ActionRefused(
                call_id=name, name=call.name, why="malformed", arguments=call.arguments[:2000], shown=text
            )
            seq = self.add(refused, self.step, number, at=at)
        else:
            output, blobs = long_text(text)
            self.hold(blobs)
            body = ev.ActionResult(call_id=name, outcome=outcome, output=output, data=data or {})
            seq = self.add(body, self.step, number, at=at)
        self._ref({"role": "tool", "tool_call_id": name, "content": text}, seq)
        return True

    def summary(self, text: str, at: int | None = None) -> None:
        """The context so far was replaced by this text (and the task)."""
        self._begin_if_not()
        self._close_calls()
        self._summaries += 1
        whole, blobs = long_text(text)
        self.hold(blobs)
        written = ev.SummaryWritten(
            number=self._summaries, from_step=self._covered + 1 if self.step else 0, to_step=self.step, text=whole
        )
        self._covered = self.step
        seq = self.add(written, at=at, actor="agent")
        self._parent, self._fresh, self._refs = None, [], []
        if self._system:
            self._ref({"role": "system", "content": self._system}, 1)
        content = f"{self._task}\n\n{text}" if self._task else text
        self._ref({"role": "user", "content": content}, 1, seq)

    def score(self, score: float | None, at: int | None = None) -> None:
        """A score that somebody gave the run."""
        self.add(ev.EvalScored(score=score), self.step or None, at=at)

    def done(self, *, state: Any = "finished", reason: str = "recorded elsewhere") -> ImportedSession:
        """The whole session. Raises CannotImport if there is no reply in it."""
        if not self.step:
            raise CannotImport(f"{self.format}: the recording holds no reply of a model: nothing to import")
        self.add(ev.StateChanged(state=state, reason=reason))
        if self._open:
            have = "has" if len(self._open) == 1 else "have"
            self.notes.append(f"{many(len(self._open), 'call')} at the end {have} no result")
        if self.skipped:
            kinds = ", ".join(f"{kind} ({number:,})" for kind, number in sorted(self.skipped.items()))
            self.notes.append(f"left out, because they say nothing to us: {kinds}")
        if not self.tools:
            self.notes.append("the file has no tool schemas: its prompts are reconstructed without them")
        if not self._system:
            self.notes.append("the file has no system prompt")
        if self._told is None:
            self.notes.append("the file says no times: its steps are put a second apart, in 1970")
        else:
            # What came before the first time in the file happened then, and not in 1970.
            early = next((n for n, one in enumerate(self.events) if (one.at or 0) >= self._told), 0)
            self.events[:early] = [structs.replace(one, at=self._told) for one in self.events[:early]]
        return ImportedSession(self._session, self.events, list(self._blobs.values()), self.notes)

    def add(
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
            self._told = at if self._told is None else self._told
        self.events.append(ev.NewEvent(self._session, body, step, call, actor, None, self._now))
        return len(self.events)

    def hold(self, blobs: Sequence[Blob]) -> None:
        """Keep blobs that events name."""
        self._blobs |= {blob.hash: blob for blob in blobs}

    @property
    def _session(self) -> str:
        chance = int.from_bytes(
            hashlib.sha256(f"{self.format}\0{self.key}".encode(errors="replace")).digest()[:10], "big"
        )
        return ulid.encode(((self.started or 0) & ((1 << 48) - 1)) << 80 | chance)

    def _begin_if_not(self) -> None:
        if self._task is None:
            self._begin("", None)

    def _begin(self, task: str, at: int | None) -> None:
        self._task = task
        if self.started is None:
            self.started = at or 0
        if self.started:
            self._told = self.started
        self._now = self.started
        whole, blobs = long_text(self._system)
        self.hold(blobs)
        created = ev.SessionCreated(
            number=0,
            title=self.title or title_of(task, self.format),
            task=task,
            model=ev.ModelSpec(provider="import", name=self.model or "unknown"),
            origin="import",
            system=whole if self._system else None,
            task_id=self.task_id or f"{self.format}:{hashlib.sha256(task.encode(errors='replace')).hexdigest()[:12]}",
            meta={"format": self.format, **self.meta},
        )
        self.add(created)
        self.add(ev.StateChanged(state="running", reason="recorded elsewhere"))
        if self._system:
            self._ref({"role": "system", "content": self._system}, 1)
        self._ref({"role": "user", "content": task}, 1)
        if self.tools:
            blob = Blob.of(canonical_json(list(self.tools)))
            self.hold([blob])
            self._tools = blob.hash

    def _close_calls(self) -> None:
        """Calls that nobody answered get a result that says so: a conversation with open calls can be sent nowhere."""
        for name in list(self._open):
            self.result(name, "The recording has no result of this call.", outcome="unknown")

    def _request(self) -> int:
        self._refs += self._fresh
        request = ev.ModelRequested(
            adapter="import",
            adapter_version=1,
            envelope={"model": self.model or "unknown"},
            tools=self._tools,
            parent=self._parent,
            append=tuple(self._fresh),
            sha256="",
            exact=False,
        )
        digest = hashlib.sha256(assemble(_Held(self._blobs), request, self._refs)).hexdigest()
        self._fresh = []
        self._parent = self.add(structs.replace(request, sha256=digest), self.step)
        return self._parent

    def _ref(self, wire: dict[str, Any], *sources: int) -> None:
        blob = Blob.of(canonical_json(wire))
        self.hold([blob])
        self._fresh.append(ev.MessageRef(blob.hash, wire["role"], sources))


def arguments_of(text: str) -> dict[str, Any] | None:
    """The object that a call's arguments are; None if they are none."""
    if not text.strip():
        return {}
    try:
        value = loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def title_of(task: str, format: str) -> str:
    """The first line that says something."""
    lines = (line.strip() for line in task.splitlines())
    first = next((line for line in lines if line and line[0] not in "#<-="), f"{format} recording")
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
