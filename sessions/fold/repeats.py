"""How far a loop goes: the same call with the same outcome, step after step.

It says what "and what followed until recovery" means where nobody marked the recovery, and which steps "this loop" is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain, groupby
from typing import Any, Final
from zlib import adler32, crc32

import msgspec

from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.fold.result_status import went_wrong
from sessions.fold.tool_roles import same_call

RULE: Final = "same_call_same_outcome"
"""The name of this rule, for reports and manifests."""
RULE_VERSION: Final = 2
KINDS: Final = frozenset({"model.reply", "action.started", "action.result", "action.refused"})
"""What the rule looks at."""

_VARIES: Final = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
_Call = tuple[str, str]
"""A call by its name and its arguments."""


class Repeats(msgspec.Struct, frozen=True):
    """What the rule reaches of a session so far.

    ``last``: the last step that repeats what is flagged; where none does, the flagged one. ``closed_at``: the first
    step that does something else or has another outcome; None: the loop may go on.
    """

    last: int
    closed_at: int | None = None


class Loop(msgspec.Struct, frozen=True):
    """The loop that an action is a part of. ``begin``: its first action, or reply; ``last``, ``closed_at`` as above."""

    begin: ev.Target
    last: int
    closed_at: int | None = None

    @property
    def steps(self) -> tuple[int, int]:
        """Its first and its last step."""
        return self.begin.step, self.last


def find_repeats(events: Iterable[ev.Event], target: ev.Target, tools: Mapping[str, str]) -> Repeats:
    """What follows ``target`` in the events of its session (from its last step on, in order; other kinds do no harm).
    ``tools``: the table of its harness, by which a command is the same whatever else the call is told.

    Step 4 is flagged, which runs ``make`` and fails; 5 and 6 run ``make`` and fail alike, 7 runs ``ls``:
    ``Repeats(last=6, closed_at=7)``.
    """
    first = target.to_step or target.step
    flagged: dict[_Call, str] = {}
    last = first
    unfinished = 0
    of_steps = (event for event in events if event.step is not None and event.step >= first and event.kind in KINDS)
    for step, group in groupby(of_steps, key=lambda event: event.step or 0):
        calls, whole = _read_step(group, tools)
        if step == first:
            wanted = [calls[target.call]] if target.part == "call" and target.call in calls else list(calls.values())
            flagged = {call: outcome for call, outcome in wanted if outcome}
            continue
        if unfinished:
            return Repeats(last, unfinished)
        again = [(call, outcome) for call, outcome in calls.values() if call in flagged]
        if any(outcome and outcome != flagged[call] for call, outcome in again) or (whole and not again):
            return Repeats(last, step)
        if any(outcome for _, outcome in again):
            last = step
        else:
            unfinished = step  # if it is the last one, it may still come to the same
    return Repeats(last)


def find_loop(
    before: Iterable[ev.Event], after: Iterable[ev.Event], target: ev.Target, tools: Mapping[str, str]
) -> Loop:
    """The loop that ``target`` is in the midst of, by the rule of ``find_repeats``, in both directions.

    ``before``: events of earlier steps, the newest first; ``after``: from the target's own step on, in order.
    """
    own: list[ev.Event] = []
    following = iter(after)
    for event in following:
        own.append(event)
        if (event.step or 0) > target.step:
            break  # how much comes after it is not known, and most of it is not asked for
    calls, _ = _read_step((event for event in own if event.step == target.step), tools)
    wanted = [calls[target.call]] if target.part == "call" and target.call in calls else list(calls.values())
    sought = {call: outcome for call, outcome in wanted if outcome}
    reach = find_repeats(chain(own, following), target, tools)
    begin = target
    earlier = (event for event in before if event.step is not None and event.kind in KINDS)
    for step, group in groupby(earlier, key=lambda event: event.step or 0):
        if step != begin.step - 1:
            break
        calls, _ = _read_step(reversed(list(group)), tools)
        again = {number: (call, outcome) for number, (call, outcome) in calls.items() if call in sought}
        if not again or any(outcome != sought[call] for call, outcome in again.values()):
            break
        begin = ev.Target(step, "call", min(again)) if target.part == "call" else ev.Target(step)
    return Loop(begin, reach.last, reach.closed_at)


def identity_of(name: str, arguments: object, outcome: str) -> str:
    """A short text that is the same for the same call with the same outcome, and hardly for anything else."""
    whole = msgspec.json.encode((name, arguments, outcome), order="sorted")
    return f"{len(whole)}-{crc32(whole):08x}{adler32(whole):08x}"


def failure_of(started: ev.ActionStarted, result: ev.ActionResult, tools: Mapping[str, str]) -> str:
    """The identity of a call that went wrong, "" of one that did not."""
    if not went_wrong(result):
        return ""
    return identity_of(started.name, _say_call(started.name, started.arguments, tools), say_outcome(result))


def refusal_of(body: ev.ActionRefused) -> str:
    """The identity of a call that was refused."""
    return identity_of(body.name, body.arguments, say_refusal(body))


def _read_step(events: Iterable[ev.Event], tools: Mapping[str, str]) -> tuple[dict[int, tuple[_Call, str]], bool]:
    """The calls of one step by their number, each with its outcome ("" while it runs), and whether all have one."""
    calls: dict[int, tuple[_Call, str]] = {}
    expected = -1
    written: list[str] = []
    for event in events:
        number = event.call or 0
        match event.body:
            case ev.ModelReplied(parts=parts):
                written = [part.arguments for part in parts if isinstance(part, CallPart)]
                expected = len(written)
            case ev.ActionStarted(name=name, arguments=arguments):
                calls[number] = (name, _say_call(name, arguments, tools)), ""
            case ev.ActionRefused() as body:
                # Not every writer of logs said which arguments it refused: the reply has them.
                said = body.arguments or (written[number - 1] if 0 < number <= len(written) else "")
                calls[number] = (body.name, said), say_refusal(body)
            case ev.ActionResult() as body if number in calls:
                calls[number] = calls[number][0], say_outcome(body)
            case _:
                continue
    return calls, expected >= 0 and sum(bool(outcome) for _, outcome in calls.values()) >= expected


def _say_call(name: str, arguments: dict[str, Any], tools: Mapping[str, str]) -> str:
    told = same_call(name, arguments, tools) if tools else arguments
    return told if isinstance(told, str) else msgspec.json.encode(told, order="sorted").decode()


def say_refusal(refused: ev.ActionRefused) -> str:
    """Why a call was refused, without its numbers."""
    return f"{refused.why}: {_VARIES.sub('#', refused.problem or refused.shown)}"


def say_outcome(result: ev.ActionResult) -> str:
    """What came of a call: of an error its last line without its numbers, else all that it returned."""
    if not went_wrong(result):
        return f"ok: {result.output.blob or result.output.text}"
    text = (result.shown or result.output).text
    line = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return f"{result.outcome}: {_VARIES.sub('#', line)}"
