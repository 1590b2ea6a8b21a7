"""Events become the entries of a transcript. Pure; a transcript, a live pane and the Action screen show the same entry.

An entry begins with an anchor event (``events.ANCHORS``) and is changed by later events that refer to it: a result, a
flag, a delivery. ``EntryBook`` takes events in any order and in any pieces, because a transcript reads only windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from sessions import events as ev
from sessions.fold.corrections import CorrectionBook
from widgets.entry_kinds import build, job_of, say_cost_of_side
from widgets.models import CorrectionMark, Entry, FlagMark, Role
from widgets.tool_call_text import NO_TOOLS

SIDE: Final = "side call"
POLLS: Final = "polls"
FEW_LINES: Final = 3
FEW_CHARACTERS: Final = 200
"""A reply of no more than this between two looks is folded with them."""

Key = tuple[str, int, int]
"""What later events find their entry by: ("call", step, call), ("reply", step, 0), ("advice", number, 0), ..."""


class EntryBook:
    """The entries of one session. ``full_text`` reads a long text whole; without it only its head is known.

    ``label_name`` says a flag's label in words; by default labels are shown by their id. ``tools``: what the tools of
    the session's harness are for.
    """

    def __init__(
        self,
        full_text: Callable[[ev.LongText], str] | None = None,
        label_name: Callable[[str], str] = str,
        tools: Mapping[str, str] = NO_TOOLS,
    ) -> None:
        self._tools = tools
        self._side_requests: set[int] = set()
        self._full_text = full_text
        self._label_name = label_name
        self._anchors: dict[int, ev.Event] = {}
        self._by_key: dict[Key, set[int]] = {}
        self._related: dict[Key, dict[int, ev.Event]] = {}
        self._job_calls: dict[int, Key] = {}
        self._printed: dict[int, str] = {}
        self._corrections = CorrectionBook()
        self._flags: dict[str, ev.Event] = {}
        self._unflagged: set[str] = set()
        self._spans: dict[str, ev.Target] = {}
        self._open_calls: dict[Key, ev.Event] = {}
        self._built: dict[int, Entry] = {}
        self._waiting: set[int] = set()

    def __len__(self) -> int:
        return len(self._anchors)

    def add(self, events: Iterable[ev.Event]) -> set[int]:
        """Take events in; returns the seqs of the entries that are new or changed. Repeats do no harm."""
        changed: set[int] = set()
        for event in events:
            changed |= self._add(event)
        for seq in changed:
            self._built.pop(seq, None)
        return changed

    def entry(self, seq: int) -> Entry | None:
        """The entry that begins with the event ``seq``, None if that event is not here or begins none."""
        if seq not in self._anchors:
            return None
        found = self._built.get(seq)
        if found is None:
            found = self._built[seq] = self._build(self._anchors[seq])
        return found

    def entries(self, seqs: Iterable[int] | None = None) -> list[Entry]:
        """All entries in order, or those of ``seqs``."""
        wanted = sorted(self._anchors if seqs is None else seqs)
        return [found for seq in wanted if (found := self.entry(seq)) is not None]

    def note_line(self, job: int, line: str) -> set[int]:
        """What a job that runs prints now; returns the seqs of the entries that say so: its call, and a wait for it."""
        self._printed[job] = line
        calls = {self._job_calls.get(job), *(key for key, call in self._open_calls.items() if job_of(call.body) == job)}
        seqs = {seq for key in calls if key is not None for seq in self._by_key.get(key, ())}
        for seq in seqs:
            self._built.pop(seq, None)
        return seqs

    def forget(self, before: int) -> None:
        """Drop entries before ``before`` to bound memory; what refers to them is kept only if it is younger."""
        for seq in [seq for seq in self._anchors if seq < before]:
            key = key_of(self._anchors.pop(seq))
            self._built.pop(seq, None)
            self._waiting.discard(seq)
            if key is not None:
                self._by_key.get(key, set()).discard(seq)
                if not self._by_key.get(key):
                    self._by_key.pop(key, None)
                    self._related.pop(key, None)
                    self._open_calls.pop(key, None)

    def _add(self, event: ev.Event) -> set[int]:
        changed: set[int] = set()
        key = key_of(event)
        if event.kind in ev.ANCHORS and event.seq not in self._anchors:
            self._anchors[event.seq] = event
            changed.add(event.seq)
            if key is not None:
                self._by_key.setdefault(key, set()).add(event.seq)
        if isinstance(event.body, ev.ModelRequested) and event.body.purpose == "side":
            self._side_requests.add(event.seq)
            return changed | {seq for seq in self._anchors if self._answers(seq) == event.seq}
        if isinstance(event.body, ev.FlagSet | ev.FlagRemoved):
            return changed | self._flag(event, event.body)
        if isinstance(event.body, ev.CorrectionWritten):
            self._corrections.fold(event)
            return changed | self._seqs_covered(event.body.target)
        if isinstance(event.body, ev.JobStarted) and event.step and event.call:
            self._job_calls[event.body.job] = ("call", event.step, event.call)
        if isinstance(event.body, ev.JobEnded):
            self._printed.pop(event.body.job, None)
        for found in self._keys(event, key):
            self._related.setdefault(found, {})[event.seq] = event
            changed |= self._by_key.get(found, set())
        return changed | self._waits(event, key)

    def _keys(self, event: ev.Event, key: Key | None) -> list[Key]:
        body = event.body
        if isinstance(body, ev.AdviceDelivered):
            return [("advice", number, 0) for number in body.advice]
        if isinstance(body, ev.JobStarted | ev.JobBackgrounded | ev.JobEnded):
            found = self._job_calls.get(body.job)
            return [found] if found else []
        return [key] if key is not None else []

    def _flag(self, event: ev.Event, body: ev.FlagSet | ev.FlagRemoved) -> set[int]:
        if isinstance(body, ev.FlagRemoved):
            self._unflagged.add(body.flag)
        else:
            self._flags[body.flag] = event
            if body.target.part == "span":
                self._spans[body.flag] = body.target
        known = self._flags.get(body.flag)
        if known is None or not isinstance(known.body, ev.FlagSet):
            return set()
        return self._seqs_covered(known.body.target)

    def _answers(self, seq: int) -> int:
        """The request that an anchor answers, 0 for what is no reply."""
        body = self._anchors[seq].body
        return body.request if isinstance(body, ev.ModelReplied) else 0

    def _is_side(self, anchor: ev.Event) -> bool:
        """Whether it answers what a harness asked beside its work."""
        return self._answers(anchor.seq) in self._side_requests

    def _seqs_covered(self, target: ev.Target) -> set[int]:
        return {seq for seq, anchor in self._anchors.items() if covers(target, anchor)}

    def _waits(self, event: ev.Event, key: Key | None) -> set[int]:
        """Queued advice says which action it waits for: keep up which one is under way."""
        if isinstance(event.body, ev.AdviceQueued):
            self._waiting.add(event.seq)
        if key is None or key[0] != "call":
            return set()
        started = any(isinstance(e.body, ev.ActionStarted) for e in self._related.get(key, {}).values())
        ended = any(isinstance(e.body, ev.ActionResult) for e in self._related.get(key, {}).values())
        if started and not ended and isinstance(event.body, ev.ActionStarted):
            self._open_calls[key] = event
            return set(self._waiting)
        if ended and self._open_calls.pop(key, None) is not None:
            return set(self._waiting)
        return set()

    def _build(self, anchor: ev.Event) -> Entry:
        key = key_of(anchor)
        related = sorted(self._related.get(key, {}).values(), key=lambda e: e.seq) if key else []
        under_way = max(self._open_calls.values(), key=lambda e: e.seq, default=None)
        entry = build(anchor, related, self._full_text, under_way, self._tools, side=self._is_side(anchor))
        if entry.outcome in ("running", "background") and (line := self._printed.get(entry.job or 0)):
            entry = msgspec.structs.replace(entry, tail=line)
        flags = tuple(
            FlagMark(flag, event.body.verdict, self._label_name(event.body.label), event.actor, event.body.note)
            for flag, event in self._flags.items()
            if flag not in self._unflagged and isinstance(event.body, ev.FlagSet) and covers(event.body.target, anchor)
        )
        said = tuple(CorrectionMark(one.by, one.text) for one in self._corrections.all if covers(one.target, anchor))
        if not flags and not said:
            return entry
        # What a span says of a step stands at its calls already.
        of_spans = not said and all(flag.flag in self._spans for flag in flags)
        return msgspec.structs.replace(entry, flags=flags, corrections=said, quiet=entry.quiet and of_spans)


def entry_of(
    anchor: ev.Event,
    related: Sequence[ev.Event] = (),
    full_text: Callable[[ev.LongText], str] | None = None,
    tools: Mapping[str, str] = NO_TOOLS,
) -> Entry:
    """One entry from its anchor event and the later events that refer to it."""
    book = EntryBook(full_text, tools=tools)
    book.add([anchor, *related])
    entry = book.entry(anchor.seq)
    if entry is None:
        raise ValueError(f"event {anchor.seq} ({anchor.kind}) begins no entry")
    return entry


def key_of(event: ev.Event) -> Key | None:
    """What ties an event to its entry, None if nothing does."""
    match event.body:
        case ev.AdviceQueued(advice=number) | ev.AdviceEdited(advice=number):
            return ("advice", number, 0)
        case ev.AdviceWithdrawn(advice=number) | ev.AdviceOutcome(advice=number) | ev.AdviceReach(advice=number):
            return ("advice", number, 0)
        case ev.AdviceStanding(advice=number) | ev.AdviceRequeued(advice=number):
            return ("advice", number, 0)
        case ev.QuestionAsked(question=number) | ev.QuestionAnswered(question=number):
            return ("question", number, 0)
        case ev.SummaryWritten(number=number):
            return ("summary", number, 0)
        case ev.ShellOpened():
            return ("shell", event.seq, 0)
        case ev.ShellClosed(opened=opened):
            return ("shell", opened, 0)
        case ev.ModelReplied() | ev.ReplyInterrupted() | ev.ReplySuperseded() if event.step:
            return ("reply", event.step, 0)
        case ev.ActionStarted() | ev.ActionResult() | ev.ActionRefused() | ev.FileChanged() if (
            event.step and event.call
        ):
            return ("call", event.step, event.call)
    return None


def covers(target: ev.Target, anchor: ev.Event) -> bool:
    """Whether a verdict on ``target`` shows on the entry of ``anchor``."""
    key = key_of(anchor)
    if key is None or isinstance(anchor.body, ev.ReplySuperseded):
        return False
    what, first, second = key
    match target.part:
        case "call":
            return key == ("call", target.step, target.call)
        case "summary":
            return what == "summary" and first == target.step
        case "span":
            return what in ("call", "reply") and target.step <= first <= (target.to_step or target.step)
        case _:
            return what == "reply" and first == target.step and second == 0


def fold_runs(entries: Sequence[Entry], least: int = 3) -> list[Entry]:
    """Runs of ``least`` or more polling actions become one row ("wait ×14"), known by its first; so do runs of the same
    call that fails alike ("run ×60  make").

    A flag on a part of it, a problem or anything that is said at length ends a run: nothing that a reader must see is
    folded away. A few words before the next look ("still at epoch 3") go with it. So do calls that a harness makes
    beside its work; elsewhere those that follow each other are one row.
    """
    out: list[Entry] = []
    run: list[Entry] = []
    said: list[Entry] = []
    between: list[Entry] = []

    def close() -> None:
        if len(run) >= least:
            out.append(_fold(run, said))
        else:
            out.extend(sorted([*run, *said], key=lambda entry: entry.seq))
        out.extend(between)
        for held in (run, said, between):
            held.clear()

    for entry in _fold_side_calls(entries):
        kind = _kind_of_run(entry)
        if run and kind and (kind != _kind_of_run(run[0]) or _flags_of(entry) != _flags_of(run[0])):
            close()
        if kind:
            run.append(entry)
            said.extend(between)
            between.clear()
        elif run and _goes_between(entry, run[0]):
            between.append(entry)
        else:
            close()
            out.append(entry)
    close()
    return out


def _kind_of_run(entry: Entry) -> str:
    """What of a run it can be a part of: looks of any kind, or one and the same failure; "" if of none."""
    if entry.kind != "action" or entry.corrections:
        return ""
    return POLLS if entry.polling and entry.outcome in ("ok", "timeout") else entry.failure


def _goes_between(entry: Entry, first: Entry) -> bool:
    """Whether what stands between two actions of a run that begins with ``first`` is folded with them."""
    if entry.corrections or not _flags_of(entry) <= _flags_of(first):
        return False
    return entry.quiet or entry.name == SIDE or _few_words(entry)


def _flags_of(entry: Entry) -> frozenset[str]:
    return frozenset(flag.flag for flag in entry.flags)


def _fold_side_calls(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Two side calls and more in a row become one row that says what they cost together."""
    for is_side, group in groupby(entries, key=lambda entry: entry.kind == "side" and not _has_verdict(entry)):
        calls = list(group)
        if not is_side or len(calls) < 2:
            yield from calls
            continue
        cost = sum(call.cost or 0.0 for call in calls)
        first = calls[0]
        yield Entry(
            seq=first.seq,
            kind="fold",
            at=first.at,
            name=SIDE,
            head=((SIDE, "dim"), (f" ×{len(calls)}", "dim")),
            note=say_cost_of_side(cost, sum(call.cost is None for call in calls)),
            detail=tuple((*call.head, (f"  {call.note}", "dim")) for call in calls),
            members=tuple(call.seq for call in calls),
            cost=cost,
        )


def _has_verdict(entry: Entry) -> bool:
    return bool(entry.flags or entry.corrections)


def _few_words(entry: Entry) -> bool:
    """A reply that only says that it goes on waiting."""
    return (
        entry.kind == "reply"
        and not entry.live
        and entry.name != "interrupted"
        and len(entry.body) <= FEW_LINES
        and sum(len(text) for line in entry.body for text, _ in line) <= FEW_CHARACTERS
    )


def _fold(run: Sequence[Entry], said: Sequence[Entry] = ()) -> Entry:
    first, last = run[0], run[-1]
    names = list(dict.fromkeys(entry.name for entry in run))
    # From the first look to the end of the last: what lies between them was spent on waiting too.
    spent = max(last.at - first.at, 0) + (last.duration_ms or 0)
    title = " ".join(names[:2]) + (" …" if len(names) > 2 else "")
    polls = _kind_of_run(first) == POLLS
    what = () if polls else first.head[1:]  # of failures, all are the same call
    return Entry(
        seq=first.seq,
        kind="fold",
        at=first.at,
        step=first.step,
        call=first.call,
        name=first.name,
        head=((title, _role_of_all(run)), (f" ×{len(run)}", "text"), *what, (f"  to step {last.step}", "dim")),
        tail=last.tail,
        outcome=last.outcome,
        duration_ms=spent,
        detail=tuple(line for entry in run for line in ((*entry.head, (f"  {entry.tail}", "dim")),)),
        polling=polls,
        flags=first.flags,
        failure=first.failure,
        members=tuple(sorted(seq for entry in (*run, *said) for seq in entry.members or (entry.seq,))),
        to_step=last.step,
        marks=tuple(mark for entry in (*run, *said) for mark in entry.marks),
    )


def with_run(entry: Entry, run: Entry | None) -> Entry:
    """The entry of a row that stands for a run of steps, if it does."""
    return entry if run is None else msgspec.structs.replace(entry, to_step=run.to_step)


def _role_of_all(run: Sequence[Entry]) -> Role:
    """The role in which the training view shows all of them, where they stand alike."""
    roles = {role for entry in run for _, role in entry.head[:1]} if run[0].marks else set()
    return roles.pop() if len(roles) == 1 else "call"


class Folds:
    """Which entry is shown as a run, and which are hidden in one. A run that was unfolded stays so."""

    def __init__(self) -> None:
        self._runs: dict[int, Entry] = {}
        self._head_of: dict[int, int] = {}
        self._unfolded: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._runs)

    def run_at(self, seq: int) -> Entry | None:
        """The run whose row stands at the entry ``seq``."""
        return self._runs.get(seq)

    def hides(self, seq: int) -> bool:
        """Whether the entry is inside a run, and not its first."""
        return self._head_of.get(seq, seq) != seq

    def unfold(self, seq: int) -> bool:
        """Show the entries of the run that ``seq`` is in; False if it is in none."""
        run = self._runs.get(self._head_of.get(seq, -1))
        if run is None:
            return False
        self._unfolded |= set(run.members)
        self._forget(run)
        return True

    def build(self, entries: Mapping[int, Entry], index: Callable[[int], int]) -> bool:
        """Fold the loaded ``entries``; ``index`` is the place of a seq in the whole transcript. True if more is folded
        than before."""
        before = len(self._head_of)
        self._runs.clear()
        self._head_of.clear()
        for island in _islands(sorted(entries), index):
            for entry in fold_runs([entries[seq] for seq in island]):
                if entry.members and not self._unfolded.intersection(entry.members):
                    self._runs[entry.seq] = entry
                    self._head_of |= dict.fromkeys(entry.members, entry.seq)
        return len(self._head_of) > before

    def clear(self) -> None:
        """For another session."""
        self._runs.clear()
        self._head_of.clear()
        self._unfolded.clear()

    def _forget(self, run: Entry) -> None:
        del self._runs[run.seq]
        for seq in run.members:
            self._head_of.pop(seq, None)


def _islands(seqs: Iterable[int], index: Callable[[int], int]) -> Iterable[list[int]]:
    """Runs of entries that follow each other in the transcript, without one between them that is not loaded."""
    island: list[int] = []
    last = -2
    for seq in seqs:
        at = index(seq)
        if island and at != last + 1:
            yield island
            island = []
        island.append(seq)
        last = at
    if island:
        yield island
