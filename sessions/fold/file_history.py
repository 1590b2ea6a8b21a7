"""Who changed which file of a workspace, as far as the log tells: by name (a file tool, an edit of a harness), else by
the time of the change, which falls into what ran then. Pure; all times in Unix ms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final, Literal

import msgspec

from sessions import events as ev
from sessions.fold.tool_edits import read_edits
from sessions.fold.tool_roles import role_of

KINDS: Final = frozenset(
    {"session.created", "action.started", "action.result", "file.changed", "job.started", "job.ended", "shell.opened",
     "shell.closed"}
)  # fmt: skip
"""What the history is folded from."""
SLACK_MS: Final = 20
"""A file system's clock lags a little behind that of the log."""

NEAR: Final = 200
"""So many that began last before a change are asked whether they ran then, and all that lasted."""
LASTING_MS: Final = 300_000

What = Literal["call", "job", "shell"]


class Doing(msgspec.Struct, eq=False):
    """Something that ran from ``begin`` to ``end`` (None: it still does) and may have changed files.

    ``name``: the tool, the job's number or the person; ``paths``: the files that it says it changes.
    """

    what: What
    begin: int
    name: str
    seq: int
    step: int | None = None
    call: int | None = None
    end: int | None = None
    paths: frozenset[str] = frozenset()

    def ran_at(self, at: int) -> bool:
        """Whether it ran at this time."""
        return self.begin - SLACK_MS <= at and (self.end is None or at <= self.end + SLACK_MS)


class Author(msgspec.Struct, frozen=True):
    """Who changed a file. ``sure``: the log names the file, else its time tells. ``seq``: the event to look at."""

    what: What
    name: str
    seq: int
    step: int | None = None
    call: int | None = None
    sure: bool = False

    @property
    def place(self) -> str:
        """``12.1``; "" for what belongs to no step."""
        return f"{self.step}.{self.call}" if self.step and self.call else str(self.step or "")


class Edit(msgspec.Struct, frozen=True):
    """One change that a file tool made of one file, with the texts' hashes (SHA-256; None: no file)."""

    at: int
    seq: int
    step: int | None
    call: int | None
    before: str | None
    after: str | None
    diff: ev.LongText | None


class FileHistory:
    """The history of one session's files. Takes events in their order, in any pieces."""

    def __init__(self, tools: Mapping[str, str] | None = None) -> None:
        self._tools = dict(tools or {})
        self._root = ""
        self._doings: list[Doing] = []
        self._lasting: list[Doing] = []
        """Those that run, or ran for long."""
        self._calls: dict[tuple[int | None, int | None], Doing] = {}
        self._jobs: dict[int, Doing] = {}
        self._shells: dict[int, Doing] = {}
        self.edits: dict[str, list[Edit]] = {}
        """By path, in order."""
        self.created: ev.SessionCreated | None = None
        self.created_at = 0
        self.upto = 0
        """Seq of the newest event that is in here."""

    def fold(self, events: Iterable[ev.Event]) -> None:
        """Take events in."""
        for event in events:
            self.upto = max(self.upto, event.seq)
            self._fold(event)

    def _fold(self, event: ev.Event) -> None:
        at = (event.step, event.call)
        match event.body:
            case ev.SessionCreated() as body:
                self.created, self.created_at = body, event.at
                self._root = body.workspace or ""
            case ev.ActionStarted(name=name, arguments=arguments):
                paths = self._told_paths(name, arguments)
                self._calls[at] = self._begin(Doing("call", event.at, name, event.seq, *at, paths=paths))
            case ev.ActionResult():
                if (doing := self._calls.pop(at, None)) is not None:
                    self._end(doing, event.at)
            case ev.FileChanged() as body:
                edit = Edit(event.at, event.seq, *at, body.before, body.after, body.diff)
                self.edits.setdefault(body.path, []).append(edit)
                if (doing := self._calls.get(at) or self._find(at)) is not None:
                    doing.paths |= {body.path}
            case ev.JobStarted(job=job):
                self._jobs[job] = self._begin(Doing("job", event.at, str(job), event.seq, *at))
            case ev.JobEnded(job=job):
                if (doing := self._jobs.pop(job, None)) is not None:
                    self._end(doing, event.at)
            case ev.ShellOpened():
                self._shells[event.seq] = self._begin(Doing("shell", event.at, event.actor, event.seq))
            case ev.ShellClosed() as body:
                if (doing := self._shells.pop(body.opened, None)) is not None:
                    self._end(doing, event.at)
                    doing.paths |= {file.path for file in body.files} if not self._at_work(doing) else frozenset()
            case _:
                return

    def _begin(self, doing: Doing) -> Doing:
        self._doings.append(doing)
        self._lasting.append(doing)
        return doing

    def _end(self, doing: Doing, at: int) -> None:
        doing.end = at
        if at - doing.begin < LASTING_MS:
            self._lasting.remove(doing)

    def _find(self, at: tuple[int | None, int | None]) -> Doing | None:
        """The newest call at this place: what it changed may be told after its result."""
        for doing in reversed(self._doings[-64:]):
            if doing.what == "call" and (doing.step, doing.call) == at:
                return doing
        return None

    def _at_work(self, shell: Doing) -> bool:
        """Whether anything of the agent's ran while the shell was open."""
        until = shell.end or shell.begin
        ran = (*self._lasting, *self._doings[-NEAR:])
        return any(
            one is not shell and one.begin <= until and (one.end is None or one.end >= shell.begin) for one in ran
        )

    def _told_paths(self, name: str, arguments: Mapping[str, object]) -> frozenset[str]:
        if role_of(name, arguments, self._tools) != "edit":
            return frozenset()
        return frozenset(self._inside(edit.path) for edit in read_edits(arguments))

    def _inside(self, path: str) -> str:
        """A path as the workspace has it: a harness names files by where they lie on the machine."""
        pure = PurePosixPath(path)
        if self._root and pure.is_relative_to(self._root):
            pure = pure.relative_to(self._root)
        return pure.as_posix()

    def who_changed(self, path: str, at: int) -> Author | None:
        """Who changed ``path`` at this time. None: nothing ran then that the log knows of.

        Of several that ran at once the one that names the file counts, else the call, else the job, the newest first.
        """
        upto = bisect_right(self._doings, at + SLACK_MS, key=lambda doing: doing.begin)
        near = self._doings[max(0, upto - NEAR) : upto]
        ran = [doing for doing in (*self._lasting, *near) if doing.ran_at(at)]
        if not ran:
            return None
        ranks = {"shell": 0, "job": 1, "call": 2}
        best = max(ran, key=lambda one: (path in one.paths, ranks[one.what], one.begin))
        return Author(best.what, best.name, best.seq, best.step, best.call, path in best.paths)

    def steps_of(self, path: str) -> list[str]:
        """The calls that the log says changed this file: ``["12.1", "15.2"]``."""
        calls = {(one.step or 0, one.call or 0): f"{one.step}.{one.call}" for one in self.edits.get(path, ())}
        calls |= {
            (one.step or 0, one.call or 0): f"{one.step}.{one.call}"
            for one in self._doings
            if one.what == "call" and path in one.paths
        }
        return [calls[key] for key in sorted(calls)]
