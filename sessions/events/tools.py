"""What tools tell: jobs, plans, files, scores and questions."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from sessions.events.base import Body, LongText, Seen


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


class QuestionOption(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the answers that a question takes; ``id`` and ``use`` (``allow_once``, ...) in the agent's own words."""

    id: str
    name: str
    use: str = ""


class QuestionAsked(Body, frozen=True, kw_only=True):
    """The agent asks a person. At ``until`` (ms) "use your judgement" answers; None: it stays open until somebody does.

    ``question`` counts from 1. With ``options`` only these are answers: an agent program asks whether it may do
    something, by the ``request`` of its job, of which the log has no other trace.
    """

    kind: ClassVar[str] = "question.asked"
    question: int
    text: str
    until: int | None
    options: tuple[QuestionOption, ...] = ()
    request: str = ""


class QuestionAnswered(Body, frozen=True, kw_only=True):
    """An answer; ``timed_out`` when nobody came. It is advice with the channel ``tool_result``, unless it is the
    ``option`` (its id) that was chosen."""

    kind: ClassVar[str] = "question.answered"
    question: int
    text: str
    timed_out: bool = False
    option: str = ""
    seen: Seen | None = None
