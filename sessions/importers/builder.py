"""A session made from messages that somebody else recorded: what all importers share, but for our own raw format.

Prompts are put together from the messages in order and are called reconstructed. What is missing is made up as little
as possible: times are those of the file, and where it says none, that before; calls without a result get none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from msgspec import structs

from sessions import events as ev
from sessions.events.messages import Finish, Usage
from sessions.events.recording import LostPart
from sessions.events.text import Blob, canonical_json, long_text
from sessions.importers.base import ACTOR, ELSEWHERE, CannotImport, ImportedSession
from sessions.importers.border import Border, HeldBlobs
from sessions.importers.documents import time_ms
from sessions.importers.harness_text import person_words
from sessions.importers.open_turns import HarnessRole, OpenCall, Preface
from sessions.importers.prompt_hash import PromptHash
from sessions.importers.reply_parts import Call, arguments_of, parts_of, reply_message, tell_apart
from sessions.importers.session_names import session_id, title_of
from sessions.log.rebuild import foreign_refs
from sessions.task_ids import find_origin, make_task_id
from sessions.terminal_text import say_count

REST_MS: Final = 60_000
"""From here on the wait for a person, after a reply, is said to be one."""
WAITED: Final = "it waited for a person"
NO_RESULT: Final = "The recording has no result of this call."


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
    preamble: Sequence[dict[str, Any]] = ()
    """Messages that the model had before the task, as they went over the wire: demonstrations."""
    session: str = ""
    """Its id, where another rule than that of ``key`` makes it."""
    begins: ev.Beginning | None = None
    """Of which session it is a branch or a child, and from where."""
    border: Border | None = None
    """The context that a branch begins with."""
    context_tokens: int = 0
    """How much the model can read, 0: the file does not say."""
    events: list[ev.NewEvent] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that say nothing to us, by kind."""
    notes: list[str] = field(default_factory=list)
    step: int = 0
    advice: int = 0
    _blobs: dict[str, Blob] = field(default_factory=dict)
    known_blobs: HeldBlobs = field(default_factory=dict)
    """``_blobs``, and those of what the session left."""
    _system: str = ""
    _system_lost: tuple[LostPart, ...] = ()
    _task: str | None = None
    _asked: bool = False
    """Whether the task is in the context."""
    _new_messages: list[ev.MessageRef] = field(default_factory=list)
    _messages: list[ev.MessageRef] = field(default_factory=list)
    _open_calls: list[OpenCall] = field(default_factory=list)
    _preface: list[Preface] = field(default_factory=list)
    _waiting: list[Callable[[], None]] = field(default_factory=list)
    """Turns that came while calls were open: results stand before them."""
    _parent: int | None = None
    _across: ev.EventPlace | None = None
    """What the first request of a branch goes on from, as long as it is in the context; ``_messages`` are its own."""
    _prompt_hash: PromptHash = field(default_factory=PromptHash)
    _now: int = 0
    _first_time: int | None = None
    """The first time that the file says."""
    _summaries: int = 0
    _covered: int = 0
    _tools: str | None = None
    _rest_usage: Usage | None = None
    _rest_cost: float | None = None

    def add_system(self, text: str, *, lost: Collection[LostPart] = ()) -> None:
        """The system prompt; what comes after it is an instruction, which stays in the prompt at its place.

        ``lost``, here and below: what of it is no text.
        """
        if self.has_task:
            self.add_harness_turn(text, role="system", lost=lost)
        elif self._system:
            self._preface.append(Preface(text, None, tuple(lost), "system"))
        else:
            self._system, self._system_lost = text, tuple(lost)

    def add_user(
        self, text: str, at: int | None = None, *, by_host: bool = False, lost: Collection[LostPart] = ()
    ) -> None:
        """A turn of the user: what a person said before the first reply is the task, later words are advice; all that a
        harness put there is neither. ``by_host``: nobody wrote it."""
        words = "" if by_host else person_words(text)
        said = bool(words or (lost and not by_host and not text.strip()))
        if self.has_task:
            if said and self._is_request_open:
                self._extend_task(words)
                self.add_task_message(text, lost=lost)
            elif said:
                self.add_advice(words, turn=text, at=at, lost=lost)
            elif text.strip() or lost:
                self.add_harness_turn(text, at, lost=lost)
        elif said:
            self.begin(words, at, text, lost=lost)
        else:
            self._preface.append(Preface(text, at, tuple(lost)))

    def add_harness_turn(
        self,
        text: str,
        at: int | None = None,
        *,
        role: HarnessRole = "user",
        lost: Collection[LostPart] = (),
    ) -> None:
        """A turn that no person said: the model read it, and it is neither task nor advice."""
        self._begin_if_new()
        if self._open_calls:
            self._waiting.append(partial(self.add_harness_turn, text, at, role=role, lost=lost))
            return
        self._rest_until(at)
        seq = self.add_event(ev.HarnessTurn(text=text, role=role), at=at)
        self.add_message({"role": role, "content": text}, seq)
        self.add_losses(lost, seq)

    def add_advice(
        self,
        text: str,
        *,
        turn: str = "",
        at: int | None = None,
        actor: str = ACTOR,
        kind: ev.AdviceKind | None = None,
        lost: Collection[LostPart] = (),
    ) -> None:
        """A piece of advice, delivered before the next step as ``turn`` (default: as it is)."""
        self.add_advice_turn([(text, kind, actor)], turn or text, at, lost=lost)

    def add_advice_turn(
        self,
        pieces: Sequence[tuple[str, ev.AdviceKind | None, str]],
        turn: str,
        at: int | None,
        *,
        lost: Collection[LostPart] = (),
    ) -> None:
        """Pieces of advice (text, kind, who said it), delivered together as the user turn ``turn``."""
        self._begin_if_new()
        if self._open_calls:
            self._waiting.append(partial(self.add_advice_turn, pieces, turn, at, lost=lost))
            return
        self._rest_until(at)
        numbers = range(self.advice + 1, self.advice + 1 + len(pieces))
        for number, (text, kind, actor) in zip(numbers, pieces, strict=True):
            self.add_event(ev.AdviceQueued(advice=number, text=text, advice_kind=kind), at=at, actor=actor)
        self.advice += len(pieces)
        delivered = ev.AdviceDelivered(advice=tuple(numbers), at_step=self.step + 1, text=turn)
        seq = self.add_event(delivered, self.step + 1, at=at)
        self.add_message({"role": "user", "content": turn}, seq)
        self.add_losses(lost, seq, self.step + 1)

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
        *,
        asked_at: int | None = None,
        duration_ms: int | None = None,
        cost: float | None = None,
        lost: Collection[LostPart] = (),
    ) -> int:
        """What the model said; the number of its step. ``finish`` None: normal, as far as the file says.

        ``at``: when it had been said; ``asked_at``: when it was asked for. Ids that a reply has twice are told apart.
        """
        self._begin_if_new()
        self._close_calls()
        self.step += 1
        if asked_at is not None:
            self._pass_time(asked_at)
        asked = self.add_request()
        own = tell_apart([call.id for call in calls])
        named = [call if call.id == name else replace(call, id=name) for name, call in zip(own, calls, strict=True)]
        body = ev.ModelReplied(
            request=asked,
            parts=parts_of(text, reasoning, named),
            finish=finish or ("calls" if calls else "stop"),
            finish_raw=finish_raw,
            model=model or self.model,
            usage=usage,
            cost=cost,
            duration_ms=duration_ms or 0,
            salvaged=salvaged,
        )
        malformed = {call.id for call in named if call.is_malformed}
        seq = self.add_event(body, self.step, at=at, actor="agent")
        self.add_message(reply_message(text, named, reasoning), seq)
        self.add_losses(lost, seq, self.step)
        for number, (call, given) in enumerate(zip(named, calls, strict=True), 1):
            self._open_calls.append(OpenCall(number, call.id, given, at if call.at is None else call.at))
            if call.id not in malformed:
                arguments = arguments_of(call.arguments) or {}
                started = ev.ActionStarted(call_id=call.id, name=call.name, arguments=arguments)
                self.add_event(started, self.step, number, at=call.at, actor="agent")
        return self.step

    def add_result(
        self,
        call_id: str | None,
        text: str,
        *,
        outcome: ev.Outcome = "ok",
        at: int | None = None,
        duration_ms: int | None = None,
        data: Any = None,
        lost: Collection[LostPart] = (),
    ) -> bool:
        """The result of the oldest open call with this id (None: of the oldest one); False if no call waits for it.

        ``duration_ms`` None: the file does not say, and it is the time between call and result, where it says both.
        """
        found = next((one for one in self._open_calls if call_id is None or one.call.id == call_id), None)
        if found is None:
            self.skipped["result without a call"] += 1
            return False
        self._open_calls.remove(found)
        if found.call.is_malformed:
            refused = ev.ActionRefused(
                call_id=found.own,
                name=found.call.name,
                why="malformed",
                arguments=found.call.arguments[:2000],
                shown=text,
            )
            seq = self.add_event(refused, self.step, found.number, at=at)
        else:
            output, blobs = long_text(text)
            self.hold_blobs(blobs)
            if duration_ms is None and at is not None and found.at is not None:
                duration_ms = max(0, at - found.at)
            body = ev.ActionResult(
                call_id=found.own, outcome=outcome, output=output, duration_ms=duration_ms or 0, data=data or {}
            )
            seq = self.add_event(body, self.step, found.number, at=at)
        self.add_message({"role": "tool", "tool_call_id": found.own, "content": text}, seq)
        self.add_losses(lost, seq, self.step, found.number)
        if not self._open_calls:
            self._let_in()
        return True

    def add_summary(self, text: str, at: int | None = None) -> None:
        """The context so far was replaced by this text (and the task)."""
        content = f"{self._task}\n\n{text}" if self._task else text
        self.add_compaction(text, [{"role": "user", "content": content}], at)

    def add_compaction(
        self,
        text: str,
        context: Sequence[dict[str, Any] | ev.MessageRef],
        at: int | None = None,
        *,
        lost: Collection[LostPart] = (),
    ) -> None:
        """The context so far was replaced by the system prompt and ``context``; ``text`` is the summary in it.

        A message that was in the context before keeps the events that it came from.
        """
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
        before = {ref.hash: ref for ref in self.context}
        self._forget_context()
        if self._system:
            self.add_message({"role": "system", "content": self._system}, 1)
        for message in context:
            if isinstance(message, ev.MessageRef):
                self._new_messages.append(message)
                continue
            self.add_message(message, 1, seq)
            if (known := before.get(self._new_messages[-1].hash)) is not None:
                self._new_messages[-1] = known
        if lost and self._new_messages:
            last = self._new_messages[-1]
            own = () if last.session else last.sources
            self._new_messages[-1] = ev.MessageRef(last.hash, last.role, tuple({*own, seq}))
            self.add_losses(lost, seq)

    def read_context(self) -> list[tuple[ev.MessageRef, dict[str, Any]]]:
        """The messages of the next prompt so far, as they go over the wire."""
        self._close_calls()
        return [(ref, json.loads(self._blobs[ref.hash].data)) for ref in self.context]

    def show_context(self, shown: Sequence[dict[str, Any] | ev.MessageRef]) -> None:
        """The next prompt holds these messages and no others: the tool shortened what it sent, and summed up nothing.

        A message in another's place names the events that the other one came from.
        """
        before = self.context
        self._forget_context()
        for place, message in enumerate(shown):
            if isinstance(message, ev.MessageRef):
                self._new_messages.append(message)
            else:
                source = before[place] if place < len(before) else ev.MessageRef("", "", (1,))
                self.add_message(message, *source.sources, session=source.session)

    def _forget_context(self) -> None:
        self._parent, self._across, self._new_messages, self._messages = None, None, [], []
        self._prompt_hash.begin_context()

    def add_score(self, score: float | None, at: int | None = None) -> None:
        """A score that somebody gave the run."""
        self.add_event(ev.EvalScored(score=score), self.step or None, at=at)

    def finish(self, *, state: Any = "finished", reason: str = ELSEWHERE) -> ImportedSession:
        """The whole session. Raises CannotImport if there is no reply in it."""
        if not self.step:
            raise CannotImport(f"{self.format}: the recording holds no reply of a model: nothing to import")
        open_calls, self._open_calls = self._open_calls, []  # their results may come yet, in a file that goes on
        self._let_in()
        self._open_calls = open_calls
        self.add_event(ev.StateChanged(state=state, reason=reason))
        if self._open_calls:
            have = "has" if len(self._open_calls) == 1 else "have"
            self.notes.append(f"{say_count(len(self._open_calls), 'call')} at the end {have} no result")
        if self.skipped:
            kinds = ", ".join(f"{kind} ({number:,})" for kind, number in sorted(self.skipped.items()))
            self.notes.append(f"left out, because they say nothing to us: {kinds}")
        if self.begins is None and not self.tools:
            self.notes.append("the file has no tool schemas: its prompts are reconstructed without them")
        if self.begins is None and not self._system:
            self.notes.append("the file has no system prompt")
        if self._first_time is None:
            timed = any(isinstance(e.body, ev.ActionResult) and e.body.duration_ms for e in self.events)
            what = "when it was" if timed else "when it was, and how long it took,"
            self.notes.append(f"the file says no times: {what} is not known")
        else:
            # What came before the first time in the file happened then, and not in 1970.
            early = next((n for n, one in enumerate(self.events) if (one.at or 0) >= self._first_time), 0)
            self.events[:early] = [structs.replace(one, at=self._first_time) for one in self.events[:early]]
        return self.to_session()

    def to_session(self) -> ImportedSession:
        """What was added so far, as it is."""
        blobs = list(self._blobs.values())
        return ImportedSession(self.session, self.events, blobs, self.notes, self._rest_usage, self._rest_cost)

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
            self._pass_time(at)
        self.events.append(ev.NewEvent(self.session, body, step, call, actor, None, self._now))
        return len(self.events)

    def add_losses(self, lost: Collection[LostPart], of: int, step: int | None = None, call: int | None = None) -> None:
        """What the message of the event at seq ``of`` lacks: a word for each part that could not be kept."""
        for what, number in Counter(lost).items():
            self.add_event(ev.RecordingLoss(what=what, of=of, count=number), step, call)

    def add_totals(self, usage: Usage | None = None, cost: float | None = None) -> None:
        """Tokens and cost of the whole run: what of them no reply has is kept for the session."""
        replies = [event.body for event in self.events if isinstance(event.body, ev.ModelReplied)]
        if usage is not None and not any(reply.usage for reply in replies):
            self._rest_usage = usage
        if cost is not None and (rest := cost - sum(reply.cost or 0.0 for reply in replies)) > 1e-9:
            self._rest_cost = rest

    def _rest_until(self, at: int | None) -> None:
        """The time in which nothing ran, because a person had not come back yet, is no active time."""
        if at is None or self._first_time is None or self._open_calls or not self.step or at - self._now < REST_MS:
            return
        self.add_event(ev.StateChanged(state="paused", reason=WAITED))
        self.add_event(ev.StateChanged(state="running", reason=ELSEWHERE), at=at)

    def _pass_time(self, at: int) -> None:
        self._now = max(self._now, at)
        self._first_time = at if self._first_time is None else self._first_time

    def hold_blobs(self, blobs: Sequence[Blob]) -> None:
        """Keep blobs that events name."""
        for blob in blobs:
            self._blobs[blob.hash] = blob

    @property
    def has_task(self) -> bool:
        """Whether it is known what is asked for."""
        return self._task is not None

    @property
    def context(self) -> list[ev.MessageRef]:
        """The messages of the next prompt so far."""
        return [*self._messages, *self._new_messages]

    @property
    def context_size(self) -> int:
        """How many messages the next prompt has so far."""
        return len(self._messages) + len(self._new_messages)

    def mark_border(self) -> Border:
        """What another session would begin with that leaves this one here."""
        task = self._task if self._asked else None
        held = foreign_refs(self.context, self.session)
        request = self._across if self._parent is None else ev.EventPlace(self.session, self._parent)
        about = (self.session, len(self.events), task, self.task_id, self._system)
        return Border(*about, held, self.known_blobs, self.tools, request, len(self._messages) if request else 0)

    @property
    def _is_request_open(self) -> bool:
        """Whether what a person says is still the task: nobody has replied, here or before the border of a branch."""
        return not self.step and not self._summaries and self.border is None and bool(self._task)

    def _extend_task(self, words: str) -> None:
        """A person said more of the task before anybody replied."""
        created = self.events[0].body
        assert isinstance(created, ev.SessionCreated)
        task = f"{created.task}\n\n{words}".strip()
        named = created.task_id != make_task_id(find_origin(self.meta), created.task)
        self._task = task
        self.task_id = created.task_id if named else make_task_id(find_origin(self.meta), task)
        body = structs.replace(created, task=task, task_id=self.task_id)
        self.events[0] = structs.replace(self.events[0], body=body)

    def _begin_if_new(self) -> None:
        if self.has_task:
            return
        # Nobody asked for anything: it goes by what reads like a request, else by what came last.
        said = [one for one in self._preface if one.role == "user"]
        chosen = next((one for one in said if person_words(one.text)), said[-1] if said else None)
        if chosen is None:
            self.begin("", None)
        else:
            self._preface = [one for one in self._preface if one is not chosen]
            self.begin(chosen.text, chosen.at, lost=chosen.lost)

    def begin(self, task: str, at: int | None, turn: str = "", *, lost: Collection[LostPart] = ()) -> None:
        """The session comes to be; its prompts begin with the system prompt, what a harness said, and the task.

        ``turn``: the whole user turn that the task is in.
        """
        preface, self._preface = self._preface, []
        self.create_session(task, next((one.at for one in preface if one.at is not None), at))
        for one in preface:
            if one.text.strip() or one.lost:
                self.add_harness_turn(one.text, one.at, role=one.role, lost=one.lost)
        self.add_task_message(turn or task, lost=lost)

    def create_session(self, task: str, at: int | None) -> None:
        """The session comes to be, with its system prompt, or with what a branch begins with."""
        border = self.border
        if border is not None:
            self._system, self.tools = border.system or self._system, self.tools or border.tools
        if self.started is None:
            self.started = at or 0
        if self.started:
            self._first_time = self.started
        whole, blobs = long_text(self._system)
        self.hold_blobs(blobs)
        self.task_id = self.task_id or make_task_id(find_origin(self.meta), task)
        self.create(
            task,
            whole if self._system else None,
            self.title or title_of(task, f"{self.format} recording"),
            self.task_id,
        )
        if border is not None and border.messages:
            self._across, self._messages = border.request, [*border.messages[: border.held]]
            self._new_messages += border.messages[border.held :]
            self.hold_blobs([border.blobs[ref.hash] for ref in self._new_messages])
            self._asked = border.task is not None
        elif self._system:
            self.add_message({"role": "system", "content": self._system}, 1)
        for wire in self.preamble:
            self.add_message(wire, 1)
        if self.tools:
            blob = Blob.of(canonical_json(list(self.tools)))
            self.hold_blobs([blob])
            self._tools = blob.hash
        self.add_losses(self._system_lost, 1)

    def add_task_message(self, text: str, *, lost: Collection[LostPart] = ()) -> None:
        """The user turn that asks for the task."""
        self._asked = True
        self.add_message({"role": "user", "content": text}, 1)
        self.add_losses(lost, 1)

    def create(self, task: str, system: ev.LongText | None, title: str, task_id: str) -> None:
        """The first two events, at ``started``: the session comes to be, and runs."""
        self._task = task
        self.known_blobs = self.border.join_blobs(self._blobs) if self.border is not None else self._blobs
        self._now = self.started or 0
        self.session = self.session or session_id(f"{self.format}\0{self.key}", self._now)
        created = ev.SessionCreated(
            number=0,
            title=title,
            task=task,
            model=ev.ModelSpec(
                provider="import",
                name=self.model or "unknown",
                context_tokens=self.context_tokens,
                summary_threshold=self.context_tokens,
            ),
            origin="import",
            system=system,
            task_id=task_id,
            begins=self.begins,
            meta={"format": self.format, **self.meta},
        )
        self.add_event(created)
        self.add_event(ev.StateChanged(state="running", reason=ELSEWHERE))

    def _close_calls(self) -> None:
        """Calls that nobody answered get a result that says so: a conversation with open calls can be sent nowhere."""
        while self._open_calls:
            self.add_result(None, NO_RESULT, outcome="unknown")
        self._let_in()

    def _let_in(self) -> None:
        """Take the turns that waited for results."""
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            turn()

    def add_request(self) -> int:
        """The request of the present step: the messages so far are its prompt. Returns its seq."""
        self._messages += self._new_messages
        request = ev.ModelRequested(
            adapter="import",
            adapter_version=1,
            envelope={"model": self.model or "unknown"},
            tools=self._tools,
            parent=self._parent,
            across=self._across if self._parent is None else None,
            append=tuple(self._new_messages),
            sha256="",
            exact=False,
        )
        digest = self._prompt_hash.add(request, self._messages, self.known_blobs)
        self._new_messages = []
        self._parent = self.add_event(structs.replace(request, sha256=digest), self.step)
        return self._parent

    def add_message(self, wire: dict[str, Any], *sources: int, session: str = "") -> None:
        """The next message of all later prompts, as it went over the wire; ``sources``: the seqs it came from."""
        blob = Blob.of(canonical_json(wire))
        self.hold_blobs([blob])
        self._new_messages.append(ev.MessageRef(blob.hash, wire["role"], sources, session))


# fmt: off
__all__ = [
    "ELSEWHERE", "Border", "Call", "SessionBuilder", "parts_of", "reply_message", "session_id", "time_ms", "title_of",
]
# fmt: on
