"""The socket protocol: newline-delimited JSON-RPC 2.0 between the host and its clients.

Every request that changes something carries ``request``, a client-made id that is unique in the log: a repeat
returns the first answer. It is answered after its event is committed, never before. Notifications from the host:
``changed`` (the log grew; read it from SQLite), ``delta`` (a frame of a streaming reply), ``clients`` (who is there).
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

import msgspec

from sessions.events import (
    AdviceKind,
    Containment,
    EnvironmentSpec,
    EvaluateSpec,
    Handover,
    Harness,
    Limits,
    ModelSpec,
    Reach,
    Seen,
    Target,
    Terms,
    Verb,
)
from sessions.hints import Remedy

PROTOCOL = 1
"""Raised on any incompatible change; the handshake compares it."""


A = TypeVar("A", covariant=True)
"""What a call is answered with."""


class Call(msgspec.Struct, Generic[A], frozen=True, omit_defaults=True, kw_only=True):
    """Base of all requests, by what they are answered with; ``method`` is the JSON-RPC method."""

    method: ClassVar[str] = ""
    reads: ClassVar[bool]
    """Whether it only tells what the log and the host are: such calls alone are open to an agent's own commands."""


class Change(Call[A], frozen=True, kw_only=True):
    """Base of requests that write to the log. ``request`` is unique in the log."""

    reads: ClassVar[bool] = False
    request: str


class Hello(Call["Welcome"], frozen=True, kw_only=True):
    """The handshake, first on every connection. Answer: Welcome."""

    method: ClassVar[str] = "hello"
    reads: ClassVar[bool] = True
    protocol: int
    schema: int
    version: str
    actor: str
    """``human:NAME``, self-declared."""
    client: Literal["app", "cli", "script"] = "cli"


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The host's side of the handshake; ``mismatch`` says in one line what differs, empty if all agree."""

    protocol: int
    schema: int
    version: str
    pid: int
    log: str
    position: int
    started_at: int
    mismatch: str = ""


class Active(Call["Noted"], frozen=True, kw_only=True):
    """A person pressed a key at this client ``idle_ms`` ago: while somebody looks, nobody is notified. Answer: Noted.

    No read: it keeps notifications from a person. Sent after a key, but not for every one
    (apollo_tui/acts/annotator_time.py).
    """

    method: ClassVar[str] = "client.active"
    reads: ClassVar[bool] = False
    idle_ms: int = 0


class Noted(msgspec.Struct, frozen=True):
    """The host has taken note."""


class Subscribe(Call["Subscribed"], frozen=True, kw_only=True):
    """Ask for ``changed`` and for delta frames: of these sessions, all ("*") or none. Answer: Subscribed.

    A later ``subscribe`` replaces the earlier one.
    """

    method: ClassVar[str] = "subscribe"
    reads: ClassVar[bool] = True
    deltas: tuple[str, ...] = ()


class Changed(msgspec.Struct, frozen=True):
    """Notification ``changed``: the log grew up to event id ``position``; at most 20 per second."""

    position: int


class ClientInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attached client: who says to be there, with what, and since when (Unix ms)."""

    actor: str
    client: str
    since: int
    active_at: int = 0
    """When a person last pressed a key there (Unix ms), 0: the client does not say."""


class Clients(msgspec.Struct, frozen=True):
    """Notification ``clients``: who is attached now."""

    clients: tuple[ClientInfo, ...]


class Waits(msgspec.Struct, frozen=True):
    """Notification ``waits``: why the log cannot be written now, in one line; "" once it can be again."""

    waits: str


class DeltaFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most one per 100 ms, part and session: ``text`` starts at ``offset`` (characters) of part ``index``."""

    session: str
    step: int
    attempt: int
    index: int
    channel: Literal["reasoning", "text", "call"]
    offset: int
    text: str
    name: str = ""


class Subscribed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The log position at the time, who is attached, and every reply under way from its beginning (offset 0)."""

    position: int
    frames: tuple[DeltaFrame, ...] = ()
    clients: tuple[ClientInfo, ...] = ()
    waits: str = ""


class Status(Call["HostStatus"], frozen=True, kw_only=True):
    """Answer: HostStatus."""

    method: ClassVar[str] = "host.status"
    reads: ClassVar[bool] = True


class HostStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the host is."""

    pid: int
    version: str
    log: str
    position: int
    started_at: int
    sessions: dict[str, str]
    """Session id to state, of the sessions that the host holds in memory."""
    clients: tuple[str, ...] = ()
    commit_age_ms: int = 0
    wal_bytes: int = 0
    waits: str = ""
    """Why the log cannot be written now, "" if it can be."""


class StopHost(Call["Stopping"], frozen=True, kw_only=True):
    """Stop in order; ``at_boundary`` waits for boundaries first (up to ``timeout`` seconds).

    With ``restart`` the sessions go on after. Answer: Stopping, before the host begins to stop.
    """

    method: ClassVar[str] = "host.stop"
    reads: ClassVar[bool] = False
    by: str = ""
    at_boundary: bool = True
    timeout: float = 30.0
    restart: bool = False


class Stopping(msgspec.Struct, frozen=True, omit_defaults=True):
    """The host will stop; ``waits_for`` are the sessions whose boundary it waits for, as one line each."""

    pid: int
    waits_for: tuple[str, ...] = ()


class CreateSession(Change["Created"], frozen=True, kw_only=True):
    """Make a session and, with ``start``, set it running. Answer: Created."""

    method: ClassVar[str] = "session.create"
    title: str
    task: str
    model: ModelSpec
    workspace: str | None = None
    in_place: bool = False
    tools: tuple[str, ...] = ()
    evaluate: EvaluateSpec | None = None
    evaluate_base: str | None = None
    """The folder that ``evaluate.files`` are relative to."""
    environment: EnvironmentSpec | None = None
    harness: Harness | None = None
    """Whose agent it is; None: our own."""
    stream: Handover | None = None
    """How that is handed replies, where a person says so; None: as ``harness`` says."""
    limits: Limits = Limits()
    env: dict[str, str] = {}
    """The creating client's environment, already scrubbed; held in memory and in a 0600 file, never in the log."""
    key: str | None = None
    """The model's API key, if the client has it; held in memory only."""
    task_id: str = ""
    tags: tuple[str, ...] = ()
    terms: Terms = Terms()
    origin: Literal["host", "demo", "replay"] = "host"
    contained: Containment | None = None
    """What is to contain it, ``inside`` may be "auto"; None, of clients from before there were prefixes: nothing."""
    meta: dict[str, Any] = {}
    start: bool = True


class Created(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new session's id and its number on the board."""

    session: str
    number: int
    contained: Containment | None = None
    """What contains it; None: nothing."""


class ImportFile(Change["Imported"], frozen=True, kw_only=True):
    """Import a file that was recorded elsewhere (absolute path). Answer: Imported."""

    method: ClassVar[str] = "session.import"
    path: str
    format: str = "auto"
    copy: bool = False


class Imported(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an import made: new sessions, sessions that go on in the file, and those of which it holds nothing new."""

    sessions: tuple[str, ...]
    events: int
    warnings: tuple[str, ...] = ()
    continued: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class ExamineFile(Call["Examined"], frozen=True, kw_only=True):
    """Say what an import of this file (absolute path) would do, and write nothing. Answer: Examined.

    No read: it has the host open a file of the caller's choosing.
    """

    method: ClassVar[str] = "session.examine"
    reads: ClassVar[bool] = False
    path: str
    format: str = "auto"


class ExaminedSession(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session of a file, and how it stands to the log.

    ``known``: the log has all of it; ``longer``: it goes on where the log ends; ``other``: the log has another one
    under its id. ``address`` is that of the session that the log has, ``new_steps`` how many steps it lacks.
    """

    session: str
    title: str
    task: str
    steps: int
    events: int
    standing: Literal["new", "known", "longer", "other"] = "new"
    address: str = ""
    new_steps: int = 0
    problem: str = ""


class Examined(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file is: its format, and the sessions in it."""

    format: str
    sessions: tuple[ExaminedSession, ...]
    warnings: tuple[str, ...] = ()


class Control(Change["Done"], frozen=True, kw_only=True):
    """Start, pause, resume, stop, interrupt, archive, reopen a session, let it go on to the next boundary, or get it
    over a conversation that its server refuses (drop, shorten, retry)."""

    method: ClassVar[str] = "session.control"
    session: str
    verb: Verb
    key: str | None = None
    undoes: int | None = None
    """The seq of the earlier such request that this one takes back."""
    bulk: str = ""
    """Of requests that are one act, on several sessions."""


class QueueAdvice(Change["Done"], frozen=True, kw_only=True):
    """Queue advice for the next boundary (``now``: deliver at once). Answer: Done; ``number`` is the advice's."""

    method: ClassVar[str] = "advice.queue"
    session: str
    text: str
    kind: AdviceKind | None = None
    about: Target | None = None
    now: bool = False
    drafted_at: int | None = None
    seen: Seen | None = None
    hold_ms: int = 3000
    """How long it is held back so that ``u`` can bring it back as a draft."""
    reach: Reach | None = None
    """How far it reaches; None: the client does not say."""
    bulk: str = ""
    """Of advice to several sessions, one act: see sessions.events.AdviceQueued."""
    reopen: bool = False
    """Reopen a session that has ended; without it such advice is refused. At a used-up limit it is refused anyway."""


class EditAdvice(Change["Done"], frozen=True, kw_only=True):
    """Give queued advice a new text, or make it urgent. ``undoes``: see sessions.events.ReversibleAct."""

    method: ClassVar[str] = "advice.edit"
    session: str
    advice: int
    text: str
    now: bool = False
    undoes: int | None = None


class WithdrawAdvice(Change["Done"], frozen=True, kw_only=True):
    """Take queued advice back. ``undoes``: see sessions.events.ReversibleAct."""

    method: ClassVar[str] = "advice.withdraw"
    session: str
    advice: int
    to_draft: bool = False
    undoes: int | None = None


class Answer(Change["Done"], frozen=True, kw_only=True):
    """Answer an open question."""

    method: ClassVar[str] = "question.answer"
    session: str
    text: str
    question: int | None = None
    seen: Seen | None = None


BudgetName = Literal["steps", "active_hours", "tokens", "money", "evaluations"]
BUDGETS: tuple[BudgetName, ...] = get_args(BudgetName)
"""What can be limited."""


class SetLimit(Change["Done"], frozen=True, kw_only=True):
    """Set a budget, or change it by ``delta`` ("+200")."""

    method: ClassVar[str] = "session.limit"
    session: str
    name: BudgetName
    value: float | None = None
    delta: float | None = None


ANNOTATIONS = (
    "flag.set",
    "flag.removed",
    "recovery.marked",
    "session.signed_off",
    "correction.written",
    "session.note",
    "session.renamed",
    "session.tagged",
    "bookmark.set",
    "preference.stated",
    "cursor.moved",
    "signal.judged",
    "advice.outcome",
    "advice.reach",
    "advice.standing",
    "effort.spent",
    "export.written",
    "terms.set",
)
"""Kinds that a client may append as they are: a person's judgement, which has no effect on a running agent."""


class AssignThread(Change["Done"], frozen=True, kw_only=True):
    """Say what a conversation of a harness is. Answer: Done.

    ``step``: the conversation of the main line that this step is in is a sub-agent's. Without it, ``thread`` (its name
    in ``model.request``) is the main line.
    """

    method: ClassVar[str] = "thread.assign"
    session: str
    step: int | None = None
    thread: str = ""


class OpenShell(Change["Done"], frozen=True, kw_only=True):
    """A person is about to open a shell in the workspace: its space is made ready. Answer: Done; ``seq`` is that of the
    opening, ``note`` says what contains it."""

    method: ClassVar[str] = "shell.open"
    session: str


class CloseShell(Change["Done"], frozen=True, kw_only=True):
    """That shell has ended: look what changed in the workspace meanwhile. Answer: Done; ``note`` says it."""

    method: ClassVar[str] = "shell.close"
    session: str
    opened: int


class Annotate(Change["Done"], frozen=True, kw_only=True):
    """Append one event of a kind in ANNOTATIONS. The host checks that its target exists. Answer: Done."""

    method: ClassVar[str] = "annotate"
    session: str
    kind: str
    body: dict[str, Any]


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change is committed: the event's seq in its session, and the log position."""

    session: str
    seq: int
    position: int
    number: int | None = None
    note: str = ""
    """One line for a person, e.g. "pauses at the boundary, after `evaluate`"."""
    remedies: tuple[Remedy, ...] = ()
    """What a person may want to do next; the client names it in its own words."""


CALLS: dict[str, type[Call[Any]]] = {
    cls.method: cls
    for cls in (
        Hello,
        Active,
        Subscribe,
        Status,
        StopHost,
        CreateSession,
        ImportFile,
        ExamineFile,
        Control,
        QueueAdvice,
        EditAdvice,
        WithdrawAdvice,
        Answer,
        SetLimit,
        AssignThread,
        OpenShell,
        CloseShell,
        Annotate,
    )
}

ANSWERS: dict[str, type] = {
    Hello.method: Welcome,
    Active.method: Noted,
    Subscribe.method: Subscribed,
    Status.method: HostStatus,
    StopHost.method: Stopping,
    CreateSession.method: Created,
    ImportFile.method: Imported,
    ExamineFile.method: Examined,
    Control.method: Done,
    QueueAdvice.method: Done,
    EditAdvice.method: Done,
    WithdrawAdvice.method: Done,
    Answer.method: Done,
    SetLimit.method: Done,
    AssignThread.method: Done,
    OpenShell.method: Done,
    CloseShell.method: Done,
    Annotate.method: Done,
}
"""What each method answers with."""

SLOW = frozenset({CreateSession.method, ImportFile.method, ExamineFile.method, StopHost.method})
"""Methods that may take minutes (a workspace is copied, boundaries are waited for)."""

ANYHOW = (Status, StopHost)
"""Calls that a host takes from clients of any protocol: how else could it be replaced by one that they understand?"""

NOTIFICATIONS: dict[str, type[Changed | DeltaFrame | Clients | Waits]] = {
    "changed": Changed,
    "delta": DeltaFrame,
    "clients": Clients,
    "waits": Waits,
}
"""What the host tells unasked."""

ERRORS = {
    "parse": -32700,
    "invalid": -32600,
    "method": -32601,
    "params": -32602,
    "refused": 1,
    "not_found": 2,
    "mismatch": 3,
    "log": 4,
    "unknown_format": 5,
}
"""JSON-RPC error codes. ``refused``: the state does not allow it; the message says why. ``unknown_format``: a file that
is no recording of any kind that is known.

An error's ``data`` may hold ``remedies``: what to do, as a list of ``sessions.hints.Remedy``.
"""
