from __future__ import annotations

import log_events as make

from sessions import events as ev
from sessions.events import Target
from sessions.fold.repeats import KINDS, Loop, find_loop

S = make.SESSION


def act(step: int, command: str, output: str = "", outcome: ev.Outcome = "ok") -> list[ev.NewEvent]:
    started = ev.ActionStarted(call_id=f"c{step}.1", name="run", arguments={"command": command})
    return [
        make.reply(step, 1, ("run", "{}")),
        ev.NewEvent(S, started, step=step, call=1),
        make.result(step, 1, output, outcome),
    ]


def loop_of(target: Target, *steps: list[ev.NewEvent]) -> Loop:
    events = [one for one in make.number_events(*(new for step in steps for new in step)) if one.kind in KINDS]
    before = [event for event in reversed(events) if (event.step or 0) < target.step]
    return find_loop(before, (event for event in events if (event.step or 0) >= target.step), target, {})


def fail(step: int, line: int = 0) -> list[ev.NewEvent]:
    return act(step, "make", f"error in line {line or step}", "error")


def test_a_loop_is_found_from_its_midst_in_both_directions() -> None:
    steps = [act(1, "ls"), *(fail(number) for number in range(2, 62)), act(62, "ls")]
    for at in (2, 30, 61):
        assert loop_of(Target(at, "call", 1), *steps) == Loop(Target(2, "call", 1), 61, 62)


def test_it_is_open_while_it_goes_on_and_another_outcome_ends_it() -> None:
    assert loop_of(Target(3, "call", 1), fail(1), fail(2), fail(3)) == Loop(Target(1, "call", 1), 3)
    other = act(2, "make", "no such file", "error")
    assert loop_of(Target(4, "call", 1), fail(1), other, fail(3), fail(4)).steps == (3, 4)
    assert loop_of(Target(1, "call", 1), act(1, "ls"), act(2, "pwd")).steps == (1, 1)


def test_a_reply_is_in_the_loop_of_its_calls() -> None:
    assert loop_of(Target(2), fail(1), fail(2), act(3, "ls")) == Loop(Target(1), 2, 3)


def test_what_comes_long_after_it_is_not_asked_for() -> None:
    asked: list[int] = []

    def rest() -> object:
        for event in make.number_events(*fail(1), *act(2, "ls"), *act(3, "pwd"), *act(4, "id")):
            asked.append(event.step or 0)
            yield event

    assert find_loop([], rest(), Target(1, "call", 1), {}).last == 1  # type: ignore[arg-type]
    assert max(asked) == 3
