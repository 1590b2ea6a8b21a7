"""Every kind of event, its typed body, and the row that carries it.

An event is never changed or deleted: what changes is said by a later event. Events refer to each other by
``(session, seq)``; ``id`` is the global order and only a watermark. Times are Unix milliseconds, UTC.
To add a kind: write a body with a docstring and a ``kind`` tag here; the registry, the decoder, the migration
test and docs/log.md's table are made from this module.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from sessions.log.parts import Finish, Part, Usage
from sessions.log.states import State

HOST_SESSION = "-"
"""The session column of events that belong to the host itself and to no session."""


class LongText(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text that may be long: whole in ``text`` when short, else its head, with the whole in a blob.

    ``chars`` is the length of the whole. ``lost`` counts characters beyond the 8 MB cap that are in no blob
    (head and tail are; the capped file stays in the session's folder as ``file``).
    """

    text: str
    blob: str | None = None
    chars: int = 0
    lost: int = 0
    file: str | None = None


class MessageRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message as it went over the wire: the blob hash of its canonical JSON and the events it came from."""

    hash: str
    role: str
    sources: tuple[int, ...] = ()


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a verdict is about.

    ``part``: ``reply`` (the whole step's reply), ``reasoning``, ``text``, ``call`` (``call`` is its number, from 1),
    ``summary`` (``step`` is then the summary's number) or ``span`` (steps ``step`` to ``to_step``, both included).
    """

    step: int
    part: Literal["reply", "reasoning", "text", "call", "summary", "span"] = "reply"
    call: int | None = None
    to_step: int | None = None

    def __str__(self) -> str:
        if self.part == "call":
            return f"{self.step}.{self.call}"
        if self.part == "span":
            return f"{self.step}-{self.to_step}"
        if self.part == "summary":
            return f"S{self.step}"
        return f"{self.step}" if self.part == "reply" else f"{self.step}:{self.part}"


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was on the annotator's screen when they judged: last visible event and how long it was visible."""

    seq: int
    visible_ms: int = 0


class Body(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Base of all event bodies. ``kind`` names the event in the log, ``v`` is the version of the body's shape."""

    kind: ClassVar[str] = ""
    v: ClassVar[int] = 1


# --- the life of a session -------------------------------------------------------------------------------------


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Budgets of a session; None means no limit. They survive restarts and can be raised live."""

    steps: int | None = None
    active_hours: float | None = None
    tokens: int | None = None
    money: float | None = None
    evaluations: int | None = None


class EvaluateSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """The task's own scorer: the last line that ``command`` prints is the score."""

    command: str
    better: Literal["higher", "lower"] = "higher"
    timeout: float = 600.0
    files: tuple[str, ...] = ()
    """Paths (relative to the task file) that the scorer needs and the agent must not see."""


class ModelSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which model answers: provider (openai, anthropic, replay, demo), its name, and how to reach it."""

    provider: str
    name: str
    base_url: str | None = None
    key_env: str | None = None
    context_tokens: int = 128_000
    summary_threshold: int = 100_000
    max_output_tokens: int = 8_192
    price_input: float | None = None
    price_output: float | None = None
    price_cached: float | None = None
    quirks: dict[str, Any] = {}
    """What endpoints disagree on: send_reasoning, max_tokens_field, tool_choice, stream_usage, temperature, ..."""

    @property
    def id(self) -> str:
        """``provider:name``, as the command line and the log write it."""
        return f"{self.provider}:{self.name}"


class SessionCreated(Body, frozen=True, kw_only=True):
    """A session came to be. ``number`` is its short number on the board, for life. Money is in US dollars."""

    kind: ClassVar[str] = "session.created"
    number: int
    title: str
    task: str
    model: ModelSpec
    origin: Literal["host", "import", "demo", "replay"] = "host"
    workspace: str | None = None
    source_workspace: str | None = None
    in_place: bool = False
    tools: tuple[str, ...] = ()
    evaluate: EvaluateSpec | None = None
    limits: Limits = Limits()
    nonce: str = ""
    """Per-session tag suffix in which advice arrives, so that tool output cannot imitate it."""
    system: LongText | None = None
    task_id: str = ""
    """What the split of a data set goes by: the task file's name, or the importer's task id."""
    tags: tuple[str, ...] = ()
    meta: dict[str, Any] = {}


class StateChanged(Body, frozen=True, kw_only=True):
    """The session entered ``state``, by the event's actor. ``until`` in ms for sleeping; ``job`` for on_job."""

    kind: ClassVar[str] = "session.state"
    state: State
    reason: str = ""
    need: Literal["", "question", "key", "provider", "nudges", "context", "scorer", "limit", "other"] = ""
    until: int | None = None
    job: int | None = None


class ControlRequested(Body, frozen=True, kw_only=True):
    """A person asked for a change of state that takes effect at the boundary, or at once for ``interrupt``."""

    kind: ClassVar[str] = "control.requested"
    verb: Literal["start", "pause", "resume", "stop", "interrupt", "archive", "unarchive", "reopen", "next"]


class SessionRecovered(Body, frozen=True, kw_only=True):
    """A new host process took the session over; no active time ran since ``last_at`` (ms)."""

    kind: ClassVar[str] = "session.recovered"
    last_at: int
    host_pid: int = 0


class LimitChanged(Body, frozen=True, kw_only=True):
    """A budget was set to ``value`` (None: lifted)."""

    kind: ClassVar[str] = "limit.changed"
    name: Literal["steps", "active_hours", "tokens", "money", "evaluations"]
    value: float | None


# --- one step ---------------------------------------------------------------------------------------------------


class ModelRequested(Body, frozen=True, kw_only=True):
    """A request is about to be sent. The prompt can be rebuilt from it, byte for byte (canonical JSON).

    The body of the request is ``envelope`` with three slots filled in: ``system`` (a blob of JSON, for providers
    that take it apart from the messages), ``tools`` (a blob of JSON) and the messages. The messages are those of
    the request at seq ``parent`` (or none) followed by ``append``. ``sha256`` is that of the canonical JSON.
    """

    kind: ClassVar[str] = "model.request"
    purpose: Literal["step", "summary"] = "step"
    adapter: str
    adapter_version: int
    envelope: dict[str, Any]
    system: str | None = None
    tools: str | None = None
    parent: int | None = None
    append: tuple[MessageRef, ...] = ()
    sha256: str
    estimate_tokens: int = 0
    estimate_method: str = ""
    exact: bool = True
    """False for imported steps: their prompt is reconstructed, not what a server received."""


class ModelAttemptFailed(Body, frozen=True, kw_only=True):
    """An attempt ended without a usable reply. ``retry_ms`` is the wait before the next one, None after the last."""

    kind: ClassVar[str] = "model.attempt_failed"
    request: int
    attempt: int
    reason: Literal["rate_limit", "overloaded", "server", "timeout", "connection", "cut", "context", "refused", "fatal"]
    status: int | None = None
    message: str = ""
    retry_ms: int | None = None
    partial: tuple[Part, ...] = ()


class ModelReplied(Body, frozen=True, kw_only=True):
    """The reply to the request at seq ``request``. Malformed call texts are kept verbatim in the parts."""

    kind: ClassVar[str] = "model.reply"
    request: int
    parts: tuple[Part, ...]
    finish: Finish
    finish_raw: str = ""
    model: str = ""
    response_id: str = ""
    usage: Usage | None = None
    cost: float | None = None
    attempt: int = 1
    first_token_ms: int | None = None
    duration_ms: int = 0
    salvaged: bool = False
    """Put together from a stream that broke, or by an importer: in the context, never a target."""
    stop_token: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    raw_text: str = ""


class ReplyInterrupted(Body, frozen=True, kw_only=True):
    """A partial reply that was cut by ``interrupt`` or by advice delivered now: logged, never in the context."""

    kind: ClassVar[str] = "model.interrupted"
    request: int
    parts: tuple[Part, ...] = ()
    why: Literal["interrupt", "advice", "stop", "host"] = "interrupt"


class ActionStarted(Body, frozen=True, kw_only=True):
    """Committed before the action runs. The event's ``step`` and ``call`` say which; ``call_id`` is the provider's."""

    kind: ClassVar[str] = "action.started"
    call_id: str
    name: str
    arguments: dict[str, Any] = {}


Outcome = Literal["ok", "error", "timeout", "interrupted", "unknown"]


class ActionResult(Body, frozen=True, kw_only=True):
    """The observation. ``output`` is the whole; ``shown`` is what the model saw where that differs (cut in the middle).

    ``outcome`` ``unknown`` means the host died while it ran and nobody can say what happened.
    ``environment`` marks errors that are not the agent's fault (they keep their loss).
    """

    kind: ClassVar[str] = "action.result"
    call_id: str
    outcome: Outcome
    output: LongText
    shown: LongText | None = None
    hidden_chars: int = 0
    duration_ms: int = 0
    environment: bool = False
    data: dict[str, Any] = {}


class ActionRefused(Body, frozen=True, kw_only=True):
    """A call that was never run: malformed, or skipped. ``shown`` is what the model is told, the observation."""

    kind: ClassVar[str] = "action.refused"
    call_id: str
    name: str
    why: Literal["malformed", "unknown_tool", "skipped_for_advice", "interrupted", "limit"]
    problem: str = ""
    arguments: str = ""
    shown: str = ""

    @property
    def malformed(self) -> bool:
        """Malformed = unknown tool, arguments that are no JSON object or break the schema (masked by default)."""
        return self.why in ("malformed", "unknown_tool")


class NudgeSent(Body, frozen=True, kw_only=True):
    """The host's own user turn after a reply without a call (three in a row: needs you)."""

    kind: ClassVar[str] = "nudge.sent"
    text: str
    streak: int = 1


class SummaryWritten(Body, frozen=True, kw_only=True):
    """The earlier part of the context was replaced. ``number`` counts summaries from 1 (``S1``).

    ``from_step``..``to_step`` is what it replaces; ``advice`` is the verbatim block that the host appended;
    ``request`` is the seq of the request that wrote it. The next request has no parent.
    """

    kind: ClassVar[str] = "summary.written"
    number: int
    from_step: int
    to_step: int
    text: LongText
    advice: str = ""
    request: int | None = None
    tokens_before: int = 0
    tokens_after: int = 0


# --- what tools tell ----------------------------------------------------------------------------------------------


class JobStarted(Body, frozen=True, kw_only=True):
    """A command runs under a holder process, known by pid, start time and boot id. ``job`` counts from 1."""

    kind: ClassVar[str] = "job.started"
    job: int
    command: str
    pid: int
    start_time: str
    boot_id: str
    folder: str


class JobBackgrounded(Body, frozen=True, kw_only=True):
    """A foreground ``run`` was left to itself: its time-out passed, or advice came now."""

    kind: ClassVar[str] = "job.backgrounded"
    job: int
    why: Literal["timeout", "advice", "asked"]


class JobEnded(Body, frozen=True, kw_only=True):
    """The job is over. ``exit_code`` is None if nobody can say; ``how`` says who ended it."""

    kind: ClassVar[str] = "job.ended"
    job: int
    exit_code: int | None = None
    how: Literal["exited", "killed_by_agent", "killed_by_host", "lost"] = "exited"
    duration_ms: int = 0
    output_bytes: int = 0
    last_line: str = ""


class PlanItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the agent's to-do list."""

    text: str
    status: Literal["todo", "doing", "done", "dropped"] = "todo"


class PlanChanged(Body, frozen=True, kw_only=True):
    """The agent's whole to-do list as it is now."""

    kind: ClassVar[str] = "plan.changed"
    items: tuple[PlanItem, ...]


class FileChanged(Body, frozen=True, kw_only=True):
    """A file tool wrote ``path`` (relative to the workspace). Hashes are SHA-256 of the whole file, None: absent."""

    kind: ClassVar[str] = "file.changed"
    path: str
    before: str | None = None
    after: str | None = None
    diff: LongText | None = None
    added: int = 0
    removed: int = 0


class EvalScored(Body, frozen=True, kw_only=True):
    """The task's scorer ran. ``score`` None: it crashed or printed no number, which costs no budget."""

    kind: ClassVar[str] = "eval.scored"
    score: float | None
    better: Literal["higher", "lower"] = "higher"
    used: int = 0
    budget: int | None = None
    output: LongText | None = None
    problem: str = ""


class QuestionAsked(Body, frozen=True, kw_only=True):
    """The agent asks a person. At ``until`` (ms) "use your judgement" answers. ``question`` counts from 1."""

    kind: ClassVar[str] = "question.asked"
    question: int
    text: str
    until: int


class QuestionAnswered(Body, frozen=True, kw_only=True):
    """An answer; ``timed_out`` when nobody came. It is advice with the channel ``tool_result``."""

    kind: ClassVar[str] = "question.answered"
    question: int
    text: str
    timed_out: bool = False
    seen: Seen | None = None


# --- advice ---------------------------------------------------------------------------------------------------------

AdviceKind = Literal["knowledge", "strategy", "correction", "stop"]


class AdviceQueued(Body, frozen=True, kw_only=True):
    """Advice is on disk and waits for the boundary. ``advice`` counts from 1 in its session; ``not_before`` in ms."""

    kind: ClassVar[str] = "advice.queued"
    advice: int
    text: str
    advice_kind: AdviceKind | None = None
    about: Target | None = None
    about_text: str = ""
    """How the model is told what it is about: ``About step 40 (`job_kill`, job 7):``."""
    now: bool = False
    not_before: int = 0
    drafted_at: int | None = None
    seen: Seen | None = None
    answers: int | None = None
    """The number of the question that it answers (channel ``tool_result``)."""


class AdviceEdited(Body, frozen=True, kw_only=True):
    """Queued advice has new text (or is now urgent); only before delivery."""

    kind: ClassVar[str] = "advice.edited"
    advice: int
    text: str
    now: bool = False


class AdviceWithdrawn(Body, frozen=True, kw_only=True):
    """Queued advice was taken back before delivery; ``to_draft`` when it became a draft again."""

    kind: ClassVar[str] = "advice.withdrawn"
    advice: int
    to_draft: bool = False


class AdviceDelivered(Body, frozen=True, kw_only=True):
    """These pieces of advice are one user turn, ``text``, in the prompt of step ``at_step``. ``woke`` ended a wait."""

    kind: ClassVar[str] = "advice.delivered"
    advice: tuple[int, ...]
    at_step: int
    text: str
    channel: Literal["user", "tool_result"] = "user"
    woke: bool = False
    without_effect: bool = False
    """True for replayed sessions: they cannot change course."""


class AdviceOutcome(Body, frozen=True, kw_only=True):
    """What a person says became of the advice."""

    kind: ClassVar[str] = "advice.outcome"
    advice: int
    outcome: Literal["followed", "ignored", "made_it_worse"]
    note: str = ""


# --- judgement --------------------------------------------------------------------------------------------------------


class FlagSet(Body, frozen=True, kw_only=True):
    """A verdict with a label on a target. ``flag`` is unique in its session; the actor is human, rule or judge."""

    kind: ClassVar[str] = "flag.set"
    flag: str
    target: Target
    verdict: Literal["bad", "good", "unsure"] = "bad"
    label: str = "unspecified"
    note: str = ""
    severity: int | None = None
    until_recovery: bool = False
    seen: Seen | None = None


class FlagRemoved(Body, frozen=True, kw_only=True):
    """A flag was taken back."""

    kind: ClassVar[str] = "flag.removed"
    flag: str


class RecoveryMarked(Body, frozen=True, kw_only=True):
    """From this step on the agent is on its feet again (that step is trained); ``removed`` takes the mark back."""

    kind: ClassVar[str] = "recovery.marked"
    at_step: int
    removed: bool = False


class SignedOff(Body, frozen=True, kw_only=True):
    """A human's word on the whole session, or "judged up to step N"; verdict None takes one's sign-off back."""

    kind: ClassVar[str] = "session.signed_off"
    verdict: Literal["good", "partial", "discard", "invalid"] | None = None
    up_to_step: int | None = None
    note: str = ""


class CorrectionWritten(Body, frozen=True, kw_only=True):
    """What the agent should have done instead at ``target``."""

    kind: ClassVar[str] = "correction.written"
    target: Target
    text: str


class NoteWritten(Body, frozen=True, kw_only=True):
    """A note on the session that colleagues see and the agent does not."""

    kind: ClassVar[str] = "session.note"
    text: str


class BookmarkSet(Body, frozen=True, kw_only=True):
    """A place to come back to; ``removed`` takes it away."""

    kind: ClassVar[str] = "bookmark.set"
    target: Target
    note: str = ""
    removed: bool = False


class CursorMoved(Body, frozen=True, kw_only=True):
    """How far the actor has read this session (seq), coalesced by the client."""

    kind: ClassVar[str] = "cursor.moved"
    read_seq: int


class SignalJudged(Body, frozen=True, kw_only=True):
    """A person's word on a signal (its id is rule + causing event)."""

    kind: ClassVar[str] = "signal.judged"
    signal: str
    verdict: Literal["done", "snoozed", "false_alarm", "reopened"]
    until: int | None = None


class EffortSpent(Body, frozen=True, kw_only=True):
    """Active annotator time on this session since the last such event (idle cut off), and keys pressed."""

    kind: ClassVar[str] = "effort.spent"
    active_ms: int
    keys: int = 0


class ExportWritten(Body, frozen=True, kw_only=True):
    """This session went into an export."""

    kind: ClassVar[str] = "export.written"
    path: str
    format: str
    policy: str
    position: int
    """The log position (event id) that was exported."""
    trained: int = 0
    masked: int = 0


# --- the host ---------------------------------------------------------------------------------------------------


class HostStarted(Body, frozen=True, kw_only=True):
    """A host process opened the log for writing."""

    kind: ClassVar[str] = "host.started"
    pid: int
    boot_id: str
    version: str
    after: Literal["start", "crash", "restart", "reboot"] = "start"


class HostStopped(Body, frozen=True, kw_only=True):
    """The host closed the log in order; its sessions are held until a person resumes them, or go on at ``restart``."""

    kind: ClassVar[str] = "host.stopped"
    pid: int
    by: str = ""
    restart: bool = False


class Event(msgspec.Struct, frozen=True):
    """One row of the log. ``step`` and ``call`` number from 1; ``request`` is the client-made id of the request."""

    id: int
    session: str
    seq: int
    step: int | None
    call: int | None
    kind: str
    v: int
    at: int
    actor: str
    request: str | None
    body: Body


class NewEvent(msgspec.Struct, frozen=True):
    """An event before the writer has given it an id and a seq. ``at`` None: the writer's clock."""

    session: str
    body: Body
    step: int | None = None
    call: int | None = None
    actor: str = "host"
    request: str | None = None
    at: int | None = None


def _bodies(base: type[Body]) -> dict[str, type[Body]]:
    found: dict[str, type[Body]] = {}
    for child in base.__subclasses__():
        found[child.kind] = child
        found |= _bodies(child)
    return found


KINDS: dict[str, type[Body]] = _bodies(Body)
"""Kind name to body type; the single registry."""

ANCHORS: frozenset[str] = frozenset(
    {
        "session.created",
        "session.state",
        "model.reply",
        "model.interrupted",
        "model.attempt_failed",
        "action.started",
        "action.refused",
        "nudge.sent",
        "summary.written",
        "eval.scored",
        "question.asked",
        "question.answered",
        "advice.queued",
        "advice.delivered",
        "session.recovered",
        "limit.changed",
    }
)
"""Kinds that begin an entry of the transcript; all other kinds only change an entry that is there."""
