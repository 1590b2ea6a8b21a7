"""Polls that told nothing new: of a run of equal polls with equal answers, all but the first and the last."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from apollo_train.masks.annotations import Annotations
from apollo_train.masks.session_events import read_events
from sessions import events as ev
from sessions.fold.tool_roles import command_of, is_poll
from sessions.log.reader import LogReader

_KINDS: Final = frozenset({"action.started", "action.result", "summary.written"})


def find_inner_polls(reader: LogReader, judged: Annotations, tools: Collection[str]) -> frozenset[tuple[int, int]]:
    """(step, call) of each inner repeat. A run goes on only through calls of ``tools``, and of those that only look or
    wait by the table of the session's harness; any other call ends it.

    So does a summary: who does not see the polls before it has to look.
    """
    harness = judged.created.harness
    roles = harness.tools if harness is not None else {}
    found: set[tuple[int, int]] = set()
    runs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    answers: dict[tuple[str, str], object] = {}
    calls: dict[tuple[int, int], tuple[str, str]] = {}
    for event in read_events(reader, judged.session, judged.position, _KINDS):
        place = (event.step or 0, event.call or 0)
        match event.body:
            case ev.ActionStarted(name=name, arguments=arguments) if name in tools or (
                roles and is_poll(name, arguments, roles)
            ):
                # Of a command it is no matter what the agent says of it.
                told = command_of(arguments) if roles else ""
                calls[place] = (name, told or repr(sorted(arguments.items())))
            case ev.ActionStarted() | ev.SummaryWritten():
                runs.clear()
                answers.clear()
            case ev.ActionResult() as result if place in calls:
                call = calls.pop(place)
                answer = (result.output.blob or result.output.text, result.outcome)
                if answers.get(call) == answer:
                    runs[call].append(place)
                    found.update(runs[call][1:-1])
                    runs[call] = [runs[call][0], place]
                else:
                    answers[call], runs[call] = answer, [place]
            case _:
                continue
    return frozenset(found)
