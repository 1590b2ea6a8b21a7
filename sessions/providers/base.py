"""What a provider adapter is: pure translation both ways, and one streamed attempt. The agent loop counts attempts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sessions.events import ModelSpec
from sessions.events.messages import Finish, Message, Part, Usage

if TYPE_CHECKING:
    from sessions.importers.recording import RecordedResult


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message as the provider takes it, and the seqs of the events it was made from."""

    json: dict[str, Any]
    sources: tuple[int, ...] = ()

    @property
    def role(self) -> str:
        """The wire role (providers differ: Anthropic has no ``tool`` role)."""
        return str(self.json.get("role", ""))


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as every provider can be told of it; ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it streams. ``index`` is the part's position in the reply, from 0."""

    channel: Literal["reasoning", "text", "call"]
    text: str
    index: int = 0
    name: str = ""
    """The tool's name, on the first delta of a call."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, the last item of a stream."""

    parts: tuple[Part, ...]
    finish: Finish
    finish_raw: str = ""
    model: str = ""
    response_id: str = ""
    usage: Usage | None = None
    stop_token: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    raw_text: str = ""


Reason = Literal["rate_limit", "overloaded", "server", "timeout", "connection", "cut", "context", "refused", "fatal"]
Refused = Literal["", "conversation", "reasoning"]
"""What a server refuses that refuses a request: the conversation as it stands, or earlier reasoning in it."""


class ProviderError(Exception):
    """An attempt failed. ``reason`` says what the agent loop does: ``context`` summarises once, ``refused`` and
    ``fatal`` ask for a person, everything else is retried with back-off and ``retry_after`` (seconds). One line,
    no secrets.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        partial: Sequence[Part] = (),
        need_key: str = "",
        refused: Refused = "",
    ) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.status = status
        self.retry_after = retry_after
        self.partial = tuple(partial)
        self.need_key = need_key
        """Name of the environment variable whose key is missing or was refused."""
        self.refused: Refused = refused
        self.unfinished: Reply | None = None
        """What had come of a reply that was cut, or that stalled, as a reply."""
        self.handed_over = False
        """Whether somebody who takes replies as they come has had a part of it."""

    @property
    def retryable(self) -> bool:
        """Whether another attempt may help."""
        return self.reason not in ("context", "refused", "fatal")


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A request in the three pieces the log stores apart; ``whole()`` puts them together."""

    envelope: dict[str, Any]
    messages: list[dict[str, Any]]
    system: Any = None
    """JSON value of the ``system`` slot, or None where the system prompt is a message."""
    tools: list[dict[str, Any]] | None = None

    def whole(self) -> dict[str, Any]:
        """The JSON body as it is sent."""
        body = {**self.envelope, "messages": self.messages}
        if self.system is not None:
            body["system"] = self.system
        if self.tools:
            body["tools"] = self.tools
        return body


class Playback(Protocol):
    """The results of a recording, in place of tools that run. Steps and calls count from 1."""

    async def result(self, spec: ModelSpec, step: int, call: int) -> RecordedResult:
        """What the call returned then, after as long as it took."""
        ...

    async def is_over(self, step: int) -> bool:
        """Whether the recording ends with ``step``: the session is finished after it."""
        ...


class Adapter(Protocol):
    """One provider. ``name`` and ``version`` go into the log; raise ``version`` when the wire form changes."""

    name: str
    version: int

    @property
    def playback(self) -> Playback | None:
        """None, but where replies come from a recording: what stands in for the tools then."""
        ...

    def wire(self, spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        """Translate *new* messages (those since the last request, in order) so that a prompt only ever grows.

        The batch always begins at a turn of its own: either the first messages of a context, or an assistant
        message and what followed it. The result depends on this batch alone. One wire message may stand for
        several neutral ones; its ``sources`` are then all of theirs.
        """
        ...

    def body(
        self, spec: ModelSpec, system: str, tools: Sequence[ToolSchema], wire: Sequence[dict[str, Any]], *, purpose: str
    ) -> RequestBody:
        """The request for the whole prompt. ``purpose`` is ``step`` or ``summary`` (no call may be made then).

        Pass the session's tools for a summary too: an API that refuses a history of calls without them still gets
        them, with calls forbidden; for all others they are left out.

        What the log refers to is ``body.messages``: where an API has no slot for it, the system prompt is the first
        of them, put before ``wire`` unless ``wire`` already begins with a system message.
        """
        ...

    def stream(self, spec: ModelSpec, body: RequestBody, call: CallContext) -> AsyncGenerator[Delta | Reply, None]:
        """Make one attempt; the last item is the Reply. Raises ProviderError; cancelling it closes the connection."""
        ...


@dataclass(frozen=True, slots=True)
class CallContext:
    """What an attempt may know besides its body."""

    session: str
    step: int
    key: str | None = None
    timeout: float = 600.0
    """Seconds to wait for the first byte of the reply; a local server reads a long prompt for minutes before it."""
    stall: float = 120.0
    """Seconds without any content, once the reply has begun, before the attempt counts as stalled."""
    extra: dict[str, Any] = field(default_factory=dict)
    """For scripted providers: the events of the session so far may be read through ``extra["view"]``."""
