"""The life of a session: how it was made, its states, its budgets."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import msgspec

from sessions.events.base import Body, LongText, ReversibleAct
from sessions.events.keeping import Terms
from sessions.events.states import State


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


class EnvironmentSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the tools of the task's own environment come from: ``package.module:factory``, and what it is given."""

    factory: str
    options: dict[str, Any] = {}


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
    first_token_seconds: float = 600.0
    """So long the first byte of a reply is waited for; a local server reads a long prompt for minutes before it."""
    stall_seconds: float = 120.0
    """So long a reply that has begun may bring nothing before the attempt counts as stalled."""
    quirks: dict[str, Any] = {}
    """What endpoints disagree on: send_reasoning, max_tokens_field, tool_choice, stream_usage, temperature, ..."""

    @property
    def id(self) -> str:
        """``provider:name``, as the command line and the log write it."""
        return f"{self.provider}:{self.name}"


class Beginning(msgspec.Struct, frozen=True):
    """Where a branch (another way on from there) or a child (a sub-agent that was started there) begins: after the
    event ``seq`` of ``session``; "" and 0 where that session was not recorded."""

    session: str
    seq: int
    kind: Literal["branch", "child"] = msgspec.field(name="as")


class SpaceLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the commands of a session may use at most; 0: no limit. ``memory_mb`` and ``file_mb`` in MB (10^6 bytes)."""

    processes: int = 0
    memory_mb: int = 0
    file_mb: int = 0
    open_files: int = 0


NOT_CONTAINED: Final = "not contained"
MADE_HERE: Final = ("bwrap", "landlock")
"""Prefixes that this machine makes itself, the better one first; on another side nothing of ours turns anything off."""
_IN_SIGHT: Final = {"landlock": "it sees other processes, file names; open: unix sockets, UDP, /dev/shm, file modes"}
"""What a prefix leaves open that a reader of its name would not expect."""


class Containment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What contains a session's commands: its prefix, and what they may touch besides system and workspace.

    ``why_not`` says why nothing better does, where nobody has chosen the prefix.
    """

    inside: str = "none"
    network: Literal["off", "all", ""] = "off"
    """"" in a wish alone: off where that can be had."""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    limits: SpaceLimits = SpaceLimits()
    why_not: str = ""
    there: bool = False
    """The workspace is a folder on the other side that a command line leads to, used as it is."""
    open: tuple[str, ...] = ()
    """What the prefix stops elsewhere, and not with the kernel that the session was made on."""

    @property
    def words(self) -> str:
        """In the words of screens and commands: ``inside bwrap, network off``."""
        if self.inside == "none":
            return NOT_CONTAINED
        off = ", network off" if self.inside in MADE_HERE and self.network != "all" else ""
        return f"inside {self.inside}{off}{''.join(f', {one} not stopped' for one in self.open)}"


def add_what_is_in_sight(words: str) -> str:
    """``words`` of a containment, and what its prefix leaves open.

    >>> add_what_is_in_sight("inside landlock, network off")
    'inside landlock, network off; it sees other processes, file names; open: unix sockets, UDP, /dev/shm, file modes'
    """
    inside = words.removeprefix("inside ").partition(",")[0]
    return f"{words}; {_IN_SIGHT[inside]}" if inside in _IN_SIGHT else words


Handover = Literal["buffered", "pass"]
AdviceTurn = Literal["own", "joined"]
"""How a harness is handed a reply: when all of it is there, or as it comes."""


class Harness(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent program that we did not write. ``command``: how it is started, nothing where somebody else does that.

    ``verbatim``: a person wrote the command, nothing in it stands for something else.
    ``resume``: how it goes on after it has ended. ``contained`` and ``contained_env`` are added inside a prefix.
    ``files`` lie in its home. In all of them ``{task}``, ``{model}``, ``{url}``, ``{token}`` and ``{home}`` stand for
    what is known when it starts. ``advice``: the form of a person's words that its own prompt knows. ``summary_tools``:
    the tools of a request that asks for a summary. ``tools``: which of its tools run commands, edit files, or wait.
    ``stream``: it is handed a reply when all of it is there, or (``pass``) as it comes. ``advice_turn``: a person's
    words are a turn of their own in its conversation, or ``joined`` to the newest of the user's, where no two may be
    in a row.
    ``acp``: it is talked to over its standard input and output, in the Agent Client Protocol.
    """

    name: str
    command: tuple[str, ...] = ()
    verbatim: bool = False
    resume: tuple[str, ...] = ()
    contained: tuple[str, ...] = ()
    contained_env: dict[str, str] = {}
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    version: str = ""
    advice: str = ""
    summary_tools: tuple[str, ...] = ()
    tools: dict[str, Literal["run", "edit", "wait"]] = {}
    stream: Handover = "buffered"
    acp: bool = False
    advice_turn: AdviceTurn = "own"


class SessionCreated(Body, frozen=True, kw_only=True):
    """A session came to be. ``number`` is its short number on the board, for life. Money is in US dollars.

    ``child_address``: what people call a sub-agent by, its parent's address and a letter (``3.a``); "" for one that
    stands on the board by itself.
    """

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
    environment: EnvironmentSpec | None = None
    harness: Harness | None = None
    """Whose agent it is; None: our own."""
    limits: Limits = Limits()
    nonce: str = ""
    """Per-session tag suffix in which advice arrives, so that tool output cannot imitate it."""
    system: LongText | None = None
    task_id: str = ""
    """What the split of a data set goes by: the task file's name, or the importer's task id."""
    tags: tuple[str, ...] = ()
    begins: Beginning | None = None
    """Of which session it is a branch or a child, and from where; None: it began by itself."""
    contained: Containment | None = None
    """None for sessions from before there were prefixes: nothing contains them."""
    terms: Terms = Terms()
    meta: dict[str, Any] = {}
    child_address: str = ""

    @property
    def address(self) -> str:
        """What people call it by: ``3``, ``3.a``."""
        return self.child_address or str(self.number)


class StateChanged(Body, frozen=True, kw_only=True):
    """The session entered ``state``, by the event's actor. ``until`` in ms for sleeping; ``job`` for on_job."""

    kind: ClassVar[str] = "session.state"
    state: State
    reason: str = ""
    need: Literal[
        "", "question", "key", "provider", "refused", "nudges", "context", "scorer", "limit", "gate", "other"
    ] = ""
    until: int | None = None
    job: int | None = None


Verb = Literal[
    "start",
    "pause",
    "resume",
    "stop",
    "interrupt",
    "archive",
    "unarchive",
    "reopen",
    "next",
    "drop",
    "shorten",
    "retry",
    "hold",
]
"""What can be asked of a session. ``drop``: go on without the last reply; ``shorten``: summarise first; ``retry``: send
the refused request once more as it is; ``hold``: nothing of the next reply happens until a person lets it."""


class ControlRequested(ReversibleAct, frozen=True, kw_only=True):
    """A person asked for a change of state that takes effect at the boundary, or at once for ``interrupt``.

    One with a ``bulk`` can be taken back, by the verb that does the opposite.
    """

    kind: ClassVar[str] = "control.requested"
    verb: Verb


class SessionRecovered(Body, frozen=True, kw_only=True):
    """A new host process took the session over; no active time ran since ``last_at`` (ms). With ``jumped`` the host is
    the same: the machine slept, or its clock was set anew.
    """

    kind: ClassVar[str] = "session.recovered"
    last_at: int
    host_pid: int = 0
    jumped: bool = False


class LimitChanged(Body, frozen=True, kw_only=True):
    """A budget was set to ``value`` (None: lifted)."""

    kind: ClassVar[str] = "limit.changed"
    name: Literal["steps", "active_hours", "tokens", "money", "evaluations"]
    value: float | None


class HostStarted(Body, frozen=True, kw_only=True):
    """A host process opened the log for writing."""

    kind: ClassVar[str] = "host.started"
    pid: int
    boot_id: str
    version: str
    after: Literal["start", "crash", "restart", "reboot"] = "start"
    login: str = ""
    """The account that writes from here on: other names of people are self-declared. "": from before it was kept."""


class HostStopped(Body, frozen=True, kw_only=True):
    """The host closed the log in order; its sessions are held until a person resumes them, or go on at ``restart``."""

    kind: ClassVar[str] = "host.stopped"
    pid: int
    by: str = ""
    restart: bool = False
