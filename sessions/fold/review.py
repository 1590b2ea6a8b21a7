"""What of one session a person should still look at, and why: a fold, and a pure choice from it.

Disputed: two annotators said different things of the same target, or another one was unsure. Proposed: a rule or a
judge flagged it and no person has. Signal, malformed, error: suspicious and judged by nobody; the same failure over and
over is one item. Unseen: nobody has read the reply or one of its calls.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from sessions import events as ev
from sessions.annotators import shown_name
from sessions.fold.flags import Flag, FlagBook
from sessions.fold.read_ranges import ReadBook
from sessions.fold.released_reply import Replies
from sessions.fold.repeats import failure_of, refusal_of
from sessions.fold.result_status import went_wrong
from sessions.fold.tool_roles import role_of

Why = Literal["disputed", "proposed", "signal", "malformed", "error", "unseen"]

ORDER: Final[tuple[Why, ...]] = ("disputed", "proposed", "signal", "malformed", "error", "unseen")
"""What comes first in the queue."""

KINDS: Final = frozenset(
    {
        "session.created",
        "model.reply",
        "reply.superseded",
        "action.started",
        "action.refused",
        "action.result",
        "flag.set",
        "flag.removed",
        "recovery.marked",
        "session.signed_off",
        "cursor.moved",
        "signal.judged",
    }
)
"""The kinds that the fold takes; others change nothing."""

RUN_LEAST: Final = 3
"""So many steps in a row that only look or wait, or that fail alike, are one item."""


class SignalCause(msgspec.Struct, frozen=True):
    """A signal that is active now: what it is about, its reason, and its id (rule and causing event)."""

    seq: int
    step: int
    reason: str
    signal: str = ""


class Item(msgspec.Struct, frozen=True):
    """One thing to look at. ``seq`` is the anchor of its entry, ``to_seq`` the last reply it stands for.

    ``key`` is the same tomorrow: what was skipped stays skipped. ``source``: what it was that said so (a rule of
    signals, ``rule:NAME``, ``judge:NAME``); ``signal``: the id of the signal; ``labels`` and ``by``: what was said, and
    by which actors.
    """

    session: str
    target: ev.Target
    why: Why
    reason: str
    seq: int
    to_seq: int
    source: str = ""
    signal: str = ""
    labels: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is known by."""
        return f"{self.session}:{self.seq}:{self.why}"

    @property
    def rank(self) -> int:
        """The place of its kind in the queue, 0 first."""
        return ORDER.index(self.why)


class Failure(msgspec.Struct, frozen=True):
    """A call that went wrong. ``same``: equal for the same call that failed alike."""

    seq: int
    target: ev.Target
    why: Why
    reason: str
    same: str


class ReviewBook:
    """The fold of one session. It grows with the number of replies and of actions that went wrong."""

    def __init__(self, session: str, events: Iterable[ev.Event] = ()) -> None:
        self.session = session
        self.flags = FlagBook()
        self.read = ReadBook()
        """What any person has read."""
        self._released = Replies()
        self._replies: dict[int, int] = {}
        self._anchors: list[tuple[int, ev.Target]] = []
        self._started: dict[tuple[int, int], tuple[int, ev.ActionStarted]] = {}
        self._wrong: dict[str, Failure] = {}
        self._words: dict[str, str] = {}
        self._items: tuple[tuple[int, str, tuple[SignalCause, ...]], list[Item]] | None = None
        """What was asked for last, and the answer: of most sessions nothing is new when the queue is looked at."""
        self._evidence: tuple[int, dict[tuple[Why, str], tuple[int, int]]] = (-1, {})
        self._tools: dict[str, str] = {}
        self._polling: set[int] = set()
        self._working: set[int] = set()
        self.last_seq = 0
        """The last event that was folded."""
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event."""
        self.flags.fold(event)
        self.last_seq = event.seq
        match event.body:
            case ev.SessionCreated(harness=ev.Harness(tools=tools)):
                self._tools = dict(tools)
            case ev.CursorMoved() as moved if event.actor.startswith("human:"):
                self.read.take(moved)
            case ev.ModelReplied() if event.step:
                self._released.fold(event)
                self._replies[event.step] = event.seq
                self._anchors.append((event.seq, ev.Target(event.step)))
            case ev.ReplySuperseded(old=old) if event.step:
                self._released.fold(event)
                self._forget_reply(event.step, old)
            case ev.ActionStarted() as started if event.step and event.call:
                self._anchors.append((event.seq, ev.Target(event.step, "call", event.call)))
                self._started[event.step, event.call] = (event.seq, started)
                waits = role_of(started.name, started.arguments, self._tools) == "wait"
                (self._polling if waits else self._working).add(event.step)
            case ev.ActionRefused() as refused if event.step and event.call:
                target = ev.Target(event.step, "call", event.call)
                self._anchors.append((event.seq, target))
                self._working.add(event.step)
                if refused.malformed:
                    reason = f"{refused.name}: {refused.problem or 'malformed'}"
                    same = refusal_of(refused)
                    self._wrong[str(target)] = Failure(event.seq, target, "malformed", reason, same)
            case ev.ActionResult() as result if event.step and event.call:
                nothing = event.seq, ev.ActionStarted(call_id="", name="")
                seq, started = self._started.pop((event.step, event.call), nothing)
                if went_wrong(result) and result.outcome != "interrupted" and not result.environment:
                    target = ev.Target(event.step, "call", event.call)
                    reason = f"{started.name}: {result.outcome}".strip(": ")
                    self._wrong[str(target)] = Failure(
                        seq, target, "error", reason, failure_of(started, result, self._tools)
                    )
            case ev.SignalJudged(signal=signal, verdict=word) if event.actor.startswith("human:"):
                self._words[signal] = word
            case _:
                pass

    def _forget_reply(self, step: int, old: int) -> None:
        """A reply that gave way is nothing to look at; one that was left out stays what the agent did at its step."""
        released = self._released.of(step)
        if released is not None:
            self._replies[step] = released.seq
            kept = [anchor for anchor in self._anchors if anchor[0] not in (old, released.seq)]
            insort(kept, (released.seq, ev.Target(step)), key=lambda anchor: anchor[0])
            self._anchors = kept

    def items(self, actor: str, causes: Sequence[SignalCause] = ()) -> list[Item]:
        """What ``actor`` should look at, by kind and then oldest first: at most one item for a target."""
        asked = self.last_seq, actor, tuple(causes)
        if self._items is None or self._items[0] != asked:
            self._items = asked, self._choose(actor, causes)
        return self._items[1]

    def _choose(self, actor: str, causes: Sequence[SignalCause]) -> list[Item]:
        failures = list(self._find_failures())
        found: dict[str, Item] = {}
        for item in (
            *self._find_disputes(actor),
            *self._find_proposals(),
            *self._find_signals(causes, failures),
            *failures,
        ):
            found.setdefault(str(item.target), item)
        steps: set[int] = set()
        for item in found.values():
            steps.update(range(item.target.step, (item.target.to_step or item.target.step) + 1))
        chosen = [*found.values(), *self._find_unseen(steps)]
        return sorted(chosen, key=lambda item: (item.rank, item.seq))

    def find_evidence(self) -> dict[tuple[Why, str], tuple[int, int]]:
        """How often what was suspected turned out right, and how often wrong, per kind and source.

        A signal is right that a person called done, wrong as a false alarm; a proposal, or a call that went wrong, is
        right where a person flagged it as bad, wrong where one called it good.
        """
        if self._evidence[0] == self.last_seq:
            return self._evidence[1]
        found: dict[tuple[Why, str], tuple[int, int]] = {}

        def count(why: Why, source: str, right: bool) -> None:
            yes, no = found.get((why, source), (0, 0))
            found[why, source] = (yes + right, no + (not right))

        for signal, word in self._words.items():
            if word in ("done", "false_alarm"):
                count("signal", signal.partition(":")[0], word == "done")
        for flag in self.flags.active:
            if not flag.human and flag.verdict != "good":
                verdict = self._verdict_on(flag.target)
                if verdict in ("bad", "good"):
                    count("proposed", flag.by, verdict == "bad")
        for failure in self._wrong.values():
            verdict = self._verdict_on(failure.target)
            if verdict in ("bad", "good"):
                count(failure.why, "", verdict == "bad")
        self._evidence = self.last_seq, found
        return found

    def _verdict_on(self, target: ev.Target) -> str:
        """What a person said last of all of it, "" if nobody has."""
        said = [flag for flag in self.flags.covers(target.step, target.call) if flag.human]
        return max(said, key=lambda flag: flag.seq).verdict if said else ""

    def _item(
        self,
        target: ev.Target,
        why: Why,
        reason: str,
        seq: int,
        to_seq: int | None = None,
        *,
        source: str = "",
        signal: str = "",
        flags: Sequence[Flag] = (),
    ) -> Item:
        upto = to_seq or self._replies.get(target.to_step or target.step, seq)
        labels = tuple(dict.fromkeys(flag.label for flag in flags if flag.verdict == "bad"))
        by = tuple(dict.fromkeys(flag.by for flag in flags))
        return Item(self.session, target, why, reason, seq, upto, source, signal, labels, by)

    def _is_judged(self, target: ev.Target) -> bool:
        """Whether a person has said something of all of it, or has signed off that far."""
        if self.flags.is_signed_off(target.step):
            return True
        return any(flag.human for flag in self.flags.covers(target.step, target.call))

    def _find_disputes(self, actor: str) -> Iterable[Item]:
        for last in self.flags.find_undecided(actor):
            said = ", ".join(f"{shown_name(by)} {flag.verdict}" for by, flag in sorted(last.items()))
            differ = len({flag.verdict for flag in last.values()}) > 1
            flags = list(last.values())
            target, reason = flags[0].target, f"{'annotators disagree' if differ else 'nobody is sure'}: {said}"
            yield self._item(target, "disputed", reason, self._place(target), flags=flags)

    def _find_proposals(self) -> Iterable[Item]:
        for flag in self.flags.active:
            if flag.human or flag.verdict == "good" or self._is_judged(flag.target):
                continue
            what = flag.label if flag.verdict == "bad" else flag.verdict
            reason = f"{flag.by.replace(':', ' ')} says {what}" + (f": {flag.note}" if flag.note else "")
            place = self._place(flag.target)
            yield self._item(flag.target, "proposed", reason, place, source=flag.by, flags=[flag])

    def _find_signals(self, causes: Sequence[SignalCause], failures: Sequence[Item]) -> Iterable[Item]:
        for cause in causes:
            at = bisect_right(self._anchors, cause.seq, key=lambda anchor: anchor[0]) - 1
            if at < 0:
                continue
            seq, target = self._anchors[at]
            if self._is_judged(target):
                continue
            # A loop is judged as a whole, whichever of its steps the rule names.
            whole = next(
                (one for one in failures if one.target.part == "span" and _is_within(target, one.target)), None
            )
            if whole is not None:
                seq, target = whole.seq, whole.target
            source = cause.signal.partition(":")[0]
            yield self._item(target, "signal", cause.reason, seq, source=source, signal=cause.signal)

    def _find_failures(self) -> Iterable[Item]:
        """What went wrong and nobody has judged; the same failure step after step is one item."""
        run: list[Failure] = []
        open_ones = [failure for failure in self._wrong.values() if not self._is_judged(failure.target)]
        for failure in [*sorted(open_ones, key=lambda one: one.seq), None]:
            last = run[-1] if run else None
            if failure is not None and last is not None and _goes_on(last, failure):
                run.append(failure)
                continue
            if len(run) >= RUN_LEAST and run[0].target.step != run[-1].target.step:
                target = ev.Target(run[0].target.step, "span", to_step=run[-1].target.step)
                yield self._item(target, run[0].why, f"{run[0].reason} ×{len(run)}", run[0].seq)
            else:
                yield from (self._item(one.target, one.why, one.reason, one.seq) for one in run)
            run = [failure] if failure is not None else []

    def _find_unseen(self, taken: set[int]) -> list[Item]:
        """Replies that nobody has read; runs of steps that only look or wait are one item."""
        items: list[Item] = []
        run: list[tuple[int, int]] = []

        def close() -> None:
            if len(run) >= RUN_LEAST:
                target = ev.Target(run[0][0], "span", to_step=run[-1][0])
                items.append(self._item(target, "unseen", f"{len(run)} steps that only wait", run[0][1], run[-1][1]))
            else:
                items.extend(self._item(ev.Target(step), "unseen", "nobody has read it", seq, seq) for step, seq in run)
            run.clear()

        touched = (
            self._find_flagged_steps() | taken | {target.step for seq, target in self._anchors if seq in self.read}
        )
        for step, seq in sorted(self._replies.items()):
            if step in touched or self.flags.is_signed_off(step):
                continue
            waits = step in self._polling and step not in self._working
            if not waits or (run and run[-1][0] != step - 1):
                close()
            if waits:
                run.append((step, seq))
            else:
                items.append(self._item(ev.Target(step), "unseen", "nobody has read it", seq, seq))
        close()
        return items

    def _find_flagged_steps(self) -> set[int]:
        """The steps that a person has said anything of."""
        steps: set[int] = set()
        for flag in self.flags.active:
            if flag.human and flag.target.part != "summary":
                last = flag.target.to_step or flag.target.step
                recovered = self.flags.recovery_of(flag) if flag.until_recovery else None
                steps.update(range(flag.target.step, (recovered or last + 1)))
        return steps

    def _place(self, target: ev.Target) -> int:
        """The anchor's seq of a target."""
        wanted = target if target.part == "call" else ev.Target(target.step)
        return next((seq for seq, anchor in self._anchors if anchor == wanted), self._replies.get(target.step, 0))


def _goes_on(last: Failure, failure: Failure) -> bool:
    """Whether a failure is the one before it over again."""
    return bool(failure.same) and failure.same == last.same and failure.target.step <= last.target.step + 1


def _is_within(target: ev.Target, span: ev.Target) -> bool:
    return span.step <= target.step <= (span.to_step or span.step)
