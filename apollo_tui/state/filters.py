"""Which entries of a transcript a filter shows: decided from the index and a few kinds of events, kept up as they come.

Reading runs in a reading thread; everything else is pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from sessions import events as ev
from sessions.fold.exit_codes import exit_code
from sessions.fold.result_status import went_wrong
from sessions.fold.tool_roles import role_of
from sessions.log.reader import LogReader
from widgets.models import Anchor
from widgets.tool_call_text import plan_lines

Filter = Literal["all", "outline", "flagged", "errors", "unread", "no polls"]

WORDS: Final[dict[Filter, str]] = {
    "all": "Everything.",
    "outline": "Plans, jobs, evals, edits, summaries, advice, flags, questions.",
    "flagged": "What carries a flag.",
    "errors": "Errors, failed commands, malformed calls, failed attempts.",
    "unread": "What you have not read.",
    "no polls": "All but actions that only look or wait.",
}

MILESTONES: Final = frozenset(
    {"session.created", "eval.scored", "summary.written", "advice.queued", "advice.delivered", "question.asked",
     "question.answered", "limit.changed", "shell.opened"}
)  # fmt: skip
"""Anchors that an outline shows as they are."""
MARKS: Final = frozenset({"plan.changed", "job.started", "file.changed"})
"""Events that put the action which they belong to into the outline."""
PROBLEMS: Final = frozenset({"action.refused", "model.attempt_failed", "model.interrupted"})
FLAGS: Final = frozenset({"flag.set", "flag.removed"})
KINDS_NEEDED: Final[dict[Filter, frozenset[str]]] = {
    "outline": MARKS | FLAGS,
    "flagged": FLAGS,
    "errors": frozenset({"action.started", "action.result"}),
    "no polls": frozenset({"action.started"}),
}
"""Kinds that have to be read beside the index."""


class EntryFilter:
    """What one filter shows of one session. ``unread`` is what is unread now: it stays in sight while it is read;
    ``tools``: what those of the session's harness are for; ``foreign``: no event tells what its tools change."""

    def __init__(
        self,
        which: Filter,
        anchors: Iterable[Anchor],
        unread: Collection[int] = (),
        tools: Mapping[str, str] = MappingProxyType({}),
        foreign: bool = False,
    ) -> None:
        self.which = which
        self._tools = tools
        self._foreign = foreign or bool(tools)
        self._commands: set[tuple[int | None, int | None]] = set()
        self._unread = set(unread)
        self._anchors: list[Anchor] = []
        self._seqs: list[int] = []
        self._marked: set[int] = set()
        self._flags: dict[str, ev.Target] = {}
        self._flagged: set[int] = set()
        self.append(anchors)

    def append(self, anchors: Iterable[Anchor]) -> None:
        """More of the index."""
        for anchor in anchors:
            if not self._seqs or anchor.seq > self._seqs[-1]:
                self._anchors.append(anchor)
                self._seqs.append(anchor.seq)

    def take(self, events: Iterable[ev.Event]) -> bool:
        """New events, in order; True if what is shown of older entries may differ now."""
        changed = False
        for event in events:
            match event.body:
                case ev.FlagSet() as flag:
                    self._flags[flag.flag] = flag.target
                    self._flagged = self._flagged_seqs()
                case ev.FlagRemoved() as flag:
                    self._flags.pop(flag.flag, None)
                    self._flagged = self._flagged_seqs()
                case ev.ActionStarted(name=name, arguments=arguments) if self.which == "errors":
                    if role_of(name, arguments, self._tools) == "run":
                        self._commands.add((event.step, event.call))
                    continue
                case ev.ActionResult() as result if self.which == "errors":
                    failed = (event.step, event.call) in self._commands and exit_code(result)
                    if not (failed or went_wrong(result)):
                        continue
                    self._mark(event.seq)
                case ev.ActionStarted(name=name, arguments=arguments) if self.which == "no polls":
                    if role_of(name, arguments, self._tools) == "wait":
                        self._marked.add(event.seq)
                case ev.ActionStarted(name=name, arguments=arguments) if self.which == "outline" and self._foreign:
                    if role_of(name, arguments, self._tools) == "edit" or plan_lines(arguments):
                        self._marked.add(event.seq)
                case _ if self.which == "outline" and event.kind in MARKS:
                    self._mark(event.seq)
                case _:
                    continue
            changed = True
        return changed

    def _mark(self, seq: int) -> None:
        """The action that the event at ``seq`` belongs to: the newest entry before it."""
        at = bisect_right(self._seqs, seq) - 1
        while at >= 0 and self._anchors[at].kind != "action.started":
            at -= 1
        if at >= 0:
            self._marked.add(self._seqs[at])

    def _flagged_seqs(self) -> set[int]:
        targets = list(self._flags.values())
        found = {a.seq for a in self._anchors if any(_covers(target, a) for target in targets)}
        summaries = [a.seq for a in self._anchors if a.kind == "summary.written"]
        # Summaries are numbered in their order, from 1.
        numbers = (target.step for target in targets if target.part == "summary")
        return found | {summaries[number - 1] for number in numbers if 0 < number <= len(summaries)}

    def __call__(self, anchor: Anchor) -> bool:
        match self.which:
            case "outline":
                return anchor.kind in MILESTONES or anchor.seq in self._marked or anchor.seq in self._flagged
            case "flagged":
                return anchor.seq in self._flagged
            case "errors":
                return anchor.kind in PROBLEMS or anchor.seq in self._marked
            case "unread":
                return anchor.seq in self._unread or anchor.seq > max(self._unread, default=0)
            case "no polls":
                return anchor.seq not in self._marked
            case _:
                return True


def _covers(target: ev.Target, anchor: Anchor) -> bool:
    match target.part:
        case "call":
            return anchor.kind.startswith("action.") and (anchor.step, anchor.call) == (target.step, target.call)
        case "span":
            inside = anchor.step is not None and target.step <= anchor.step <= (target.to_step or target.step)
            return inside and (anchor.kind.startswith("action.") or anchor.kind == "model.reply")
        case "summary":
            return False
        case _:
            return anchor.kind == "model.reply" and anchor.step == target.step


def read_filter_events(reader: LogReader, session: str, which: Filter, *, foreign: bool = False) -> Sequence[ev.Event]:
    """The events that the filter has to know beside the index. ``foreign``: its agent is a harness, or was recorded."""
    kinds = KINDS_NEEDED.get(which, frozenset())
    if which == "outline" and foreign:
        kinds |= {"action.started"}
    return reader.events(session, kinds=kinds) if kinds else []


def entry_at(seqs: Sequence[int], seq: int) -> int | None:
    """The entry (of the index ``seqs``) that the event at ``seq`` belongs to or follows."""
    at = bisect_right(seqs, seq) - 1
    return seqs[at] if at >= 0 else None
