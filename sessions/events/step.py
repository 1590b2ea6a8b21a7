"""One step: request, reply, actions, and what replaces a context that grew too long."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from sessions.events.base import Body, EventPlace, LongText, MessageRef, Seq
from sessions.events.messages import Finish, Part, Usage


class FramePiece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of a request beside its conversation: its text, or the hash of the blob that holds it."""

    text: str = ""
    blob: str | None = None


class WireFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a harness wrote a request: the pieces before and after its conversation, in its dialect.

    ``chain``: the hash of the conversation as the harness sent it, by which a later request is known to go on from it.
    ``thread``: the conversation of the harness that it belongs to. ``stored``: so many of the messages, the first ones,
    are no part of the bytes: the server has them, from the reply or conversation that the request names.
    ``unread``: what that holds is not in this log, so that nobody knows what the model read before these messages.
    """

    dialect: str
    before: tuple[FramePiece, ...]
    after: tuple[FramePiece, ...]
    chain: str
    thread: str = ""
    stored: int = 0
    unread: bool = False


class WireAnswer(msgspec.Struct, frozen=True):
    """The bytes of a reply as the server sent them (the hash of their blob), and their media type."""

    blob: str
    media: str


class KeptRange(msgspec.Struct, frozen=True, array_like=True):
    """The messages of a parent from ``start`` up to before ``stop``, counted from 0."""

    start: int
    stop: int


class ReplacedMessage(msgspec.Struct, frozen=True):
    """The message of a parent at ``at`` (from 0), as it stands in this request."""

    at: int
    ref: MessageRef


class ModelRequested(Body, frozen=True, kw_only=True):
    """A request is about to be sent. The prompt can be rebuilt from it, byte for byte (canonical JSON).

    The body of the request is ``envelope`` with three slots filled in: ``system`` (a blob of JSON, for providers
    that take it apart from the messages), ``tools`` (a blob of JSON) and the messages. The messages are those of
    the request at seq ``parent`` (or none) followed by ``append``. ``sha256`` is that of the canonical JSON.
    The first request of a branch goes on from one of the session that it left: ``across`` is its parent then.

    A harness writes its requests itself: ``wire`` is what stands around the conversation then, ``sha256`` is that of
    the bytes that were sent, and of the parent's messages those in ``keep`` stay (None: all), some ``replaced``.
    ``system`` and ``tools`` are for who reads them then, and ``envelope`` holds what else there is beside both.
    """

    kind: ClassVar[str] = "model.request"
    v: ClassVar[int] = 2
    purpose: Literal["step", "summary", "side"] = "step"
    """``side``: what a harness asks beside its work (a title, a probe): no step, no part of the context."""
    adapter: str
    adapter_version: int
    envelope: dict[str, Any]
    system: str | None = None
    tools: str | None = None
    parent: Seq | None = None
    across: EventPlace | None = None
    append: tuple[MessageRef, ...] = ()
    sha256: str
    estimate_tokens: int = 0
    estimate_method: str = ""
    exact: bool = True
    """False for imported steps: their prompt is reconstructed, not what a server received."""
    without_reasoning: bool = False
    """The messages hold no earlier reasoning, because the server refused it; so it stays in later requests."""
    wire: WireFrame | None = None
    keep: tuple[KeptRange, ...] | None = None
    replaced: tuple[ReplacedMessage, ...] = ()


Delivered = Literal["", "partial"]
"""``partial``: a harness that takes replies as they come was handed what there was of it, or may have been."""


class ModelAttemptFailed(Body, frozen=True, kw_only=True):
    """An attempt ended without a usable reply. ``retry_ms`` is the wait before the next one, None after the last."""

    kind: ClassVar[str] = "model.attempt_failed"
    request: Seq
    attempt: int
    reason: Literal["rate_limit", "overloaded", "server", "timeout", "connection", "cut", "context", "refused", "fatal"]
    status: int | None = None
    message: str = ""
    retry_ms: int | None = None
    partial: tuple[Part, ...] = ()
    refused: Literal["", "conversation", "reasoning"] = ""
    """What the server refuses, where it refuses the request: to send the same again would be to no avail."""
    delivered: Delivered = ""


class ModelReplied(Body, frozen=True, kw_only=True):
    """The reply to the request at seq ``request``. Malformed call texts are kept verbatim in the parts."""

    kind: ClassVar[str] = "model.reply"
    request: Seq
    parts: tuple[Part, ...]
    finish: Finish
    finish_raw: str = ""
    model: str = ""
    response_id: str = ""
    usage: Usage | None = None
    cost: float | None = None
    estimate: Usage | None = None
    """Our own count, where the server reported none: for budgets, never for training or a bill."""
    estimated_cost: float | None = None
    """What the estimate comes to, where the model has prices."""
    attempt: int = 1
    first_token_ms: int | None = None
    duration_ms: int = 0
    salvaged: bool = False
    """Put together from a stream that broke, or by an importer: in the context, never a target."""
    stop_token: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    raw_text: str = ""
    wire: WireAnswer | None = None
    """The answer that a harness is handed."""


class ReplySuperseded(Body, frozen=True, kw_only=True):
    """The reply at seq ``old`` is its step's no more. ``new``: the seq of the one that takes its place; None: none
    does, it was ``dropped``, left out of the context with what it caused. The next request then has no parent.
    ``summary``: it is what the next part of the conversation begins with, so that its request was no step.
    """

    kind: ClassVar[str] = "reply.superseded"
    old: Seq
    new: Seq | None = None
    why: Literal["dropped", "replaced", "summary"] = "dropped"


class ReplyInterrupted(Body, frozen=True, kw_only=True):
    """A partial reply that was cut by ``interrupt`` or by advice delivered now: logged, never in the context.

    ``why`` ``client``: the harness hung up while it was handed over.
    """

    kind: ClassVar[str] = "model.interrupted"
    request: Seq
    parts: tuple[Part, ...] = ()
    why: Literal["interrupt", "advice", "stop", "host", "client"] = "interrupt"
    delivered: Delivered = ""


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
    ``environment`` marks errors that are not the agent's fault (they keep their loss). ``duration_ms`` 0: not known.
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


class HarnessTurn(Body, frozen=True, kw_only=True):
    """A turn that is no reply, no result and no word of a person: what a harness told the model of the place, of its
    commands or its editor. ``role`` is that in the prompt; ``assistant``: words that no model wrote."""

    kind: ClassVar[str] = "harness.turn"
    text: str
    role: Literal["user", "system", "developer", "assistant"] = "user"


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
    request: Seq | None = None
    tokens_before: int = 0
    tokens_after: int = 0
