"""What was said and done in a recording, in order, before a session is made of it.

An importer whose file is a tree, or tells of a turn in pieces, reads it into turns first. ``add_turns`` tells a
SessionBuilder of them, and decides here, for all formats alike, what the task is, what is advice, and to which call a
result belongs.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sessions import events as ev
from sessions.events.messages import Finish, Usage
from sessions.events.recording import LostPart
from sessions.importers.builder import Border, Call, SessionBuilder
from sessions.importers.harness_text import command_words


@dataclass(slots=True)
class Reply:
    """One reply of the model, put together from all its parts."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    at: int | None = None
    usage: Usage | None = None
    cost: float | None = None
    model: str = ""
    finish: Finish | None = None
    finish_raw: str = ""
    salvaged: bool = False
    lost: list[LostPart] = field(default_factory=list)
    """A word for each part of it that could not be kept; so in the turns below."""


@dataclass(slots=True)
class Result:
    """What a call came to, as the model read it. ``call`` "": of the oldest call that has none."""

    call: str
    text: str
    at: int | None = None
    outcome: ev.Outcome = "ok"
    duration_ms: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    lost: list[LostPart] = field(default_factory=list)


@dataclass(slots=True)
class Speech:
    """A turn that is neither a reply nor a result. ``person``: the words in it that a person said."""

    text: str
    at: int | None = None
    person: str = ""
    role: Literal["user", "system", "developer", "assistant"] = "user"
    late: bool = False
    """Said after the work had begun, on a way that was abandoned since."""
    lost: list[LostPart] = field(default_factory=list)


@dataclass(slots=True)
class Compaction:
    """The context so far was replaced by ``context``: messages, or turns that stayed as they were."""

    summary: str
    at: int | None = None
    context: list[dict[str, Any] | Turn] = field(default_factory=list)
    lost: list[LostPart] = field(default_factory=list)


@dataclass(slots=True)
class Clearing:
    """From here on prompts hold ``text`` in place of what these calls returned."""

    calls: list[str]
    text: str


Turn = Reply | Result | Speech | Compaction | Clearing


def add_turns(builder: SessionBuilder, turns: Sequence[Turn], borders: Collection[int] = ()) -> dict[int, Border]:
    """Make a session of the turns. Returns the context after each turn that ``borders`` names by its place.

    A border of -1 is the context before the first turn.
    """
    answers, strays = _match_results(turns)
    begin = next((place for place, turn in enumerate(turns) if isinstance(turn, Reply)), len(turns))
    at = next((turn.at for turn in turns if not isinstance(turn, Clearing) and turn.at is not None), None)
    task: list[Speech] = []
    if builder.border is not None and builder.border.task is not None:
        builder.create_session(builder.border.task, at)
    elif not builder.has_task:
        task = _find_task(turns[:begin])
        builder.create_session("\n\n".join(_request_of(speech, turns[:begin]) for speech in task), at)
    marks: dict[int, Border] = {}
    places: dict[int, tuple[int, int]] = {}
    for place, turn in enumerate(turns):
        if place - 1 in borders:
            marks[place - 1] = builder.mark_border()
        before = builder.context_size
        match turn:
            case Reply():
                _add_reply(builder, turn)
                for result in answers.get(place, ()):
                    _add_result(builder, result)
            case Result():
                if place in strays:
                    builder.skipped["result without a call"] += 1
            case Speech():
                _add_speech(builder, turn, is_task=any(turn is one for one in task))
            case Clearing():
                _clear_results(builder, turn)
            case Compaction():
                context = _context_of(builder, turn, places)
                builder.add_compaction(turn.summary, context, turn.at, lost=turn.lost)
                places.clear()
                continue
        places[id(turn)] = (before, builder.context_size)
    if len(turns) - 1 in borders:
        marks[len(turns) - 1] = builder.mark_border()
    return marks


def _find_task(turns: Sequence[Turn]) -> list[Speech]:
    """The turns before the first reply that say what is asked for: those of a person before the work began.

    Where no person said anything a command that was typed is the request, else whatever the model was told last.
    """
    said = [turn for turn in turns if isinstance(turn, Speech) and turn.role == "user"]
    persons = [speech for speech in said if speech.person]
    early = [speech for speech in persons if not speech.late]
    return early or persons[:1] or [speech for speech in said if command_words(speech.text)][-1:] or said[-1:]


def _request_of(speech: Speech, turns: Sequence[Turn]) -> str:
    """What a turn of the task asks for; of a command what was typed, and what it stands for."""
    if speech.person:
        return speech.person
    command = command_words(speech.text)
    if not command:
        return speech.text
    after = turns[next(n for n, turn in enumerate(turns) if turn is speech) + 1 :]
    meaning = next((turn.text for turn in after if isinstance(turn, Speech) and not command_words(turn.text)), "")
    return f"{command}\n\n{meaning}".strip()


def _match_results(turns: Sequence[Turn]) -> tuple[dict[int, list[Result]], set[int]]:
    """The results of each reply, by its place, in the order of the file; and the places of those without a call.

    An id may be used again and again: a result belongs to the newest call of this id that waits for one.
    """
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    oldest: deque[tuple[int, str]] = deque()
    answers: defaultdict[int, list[Result]] = defaultdict(list)
    early: defaultdict[str, list[tuple[int, Result]]] = defaultdict(list)
    strays: set[int] = set()
    for place, turn in enumerate(turns):
        if isinstance(turn, Reply):
            for call in turn.calls:
                waiting[call.id].append(place)
                oldest.append((place, call.id))
        elif isinstance(turn, Result):
            name = turn.call
            if not name:
                while oldest and oldest[0][0] not in waiting[oldest[0][1]]:
                    oldest.popleft()
                name = oldest[0][1] if oldest else ""
            if waiting[name]:
                answers[waiting[name].pop()].append(turn)
                turn.call = name
            else:
                early[turn.call].append((place, turn))
                strays.add(place)
    for name, results in early.items():  # written before their call
        for place, result in results:
            later = [at for at in waiting[name] if at > place]
            if name and later:
                waiting[name].remove(later[0])
                answers[later[0]].append(result)
                strays.discard(place)
    return answers, strays


def _add_reply(builder: SessionBuilder, reply: Reply) -> None:
    builder.add_reply(
        reply.text,
        reply.calls,
        reply.reasoning,
        reply.at,
        reply.usage,
        reply.model,
        reply.finish,
        reply.finish_raw,
        reply.salvaged,
        cost=reply.cost,
        lost=reply.lost,
    )


def _add_result(builder: SessionBuilder, result: Result) -> None:
    builder.add_result(
        result.call,
        result.text,
        outcome=result.outcome,
        at=result.at,
        data=result.data,
        duration_ms=result.duration_ms,
        lost=result.lost,
    )


def _add_speech(builder: SessionBuilder, speech: Speech, *, is_task: bool) -> None:
    if is_task:
        builder.add_task_message(speech.text, lost=speech.lost)
    elif speech.person and speech.role == "user":
        builder.add_advice(speech.person, turn=speech.text, at=speech.at, lost=speech.lost)
    elif speech.text.strip() or speech.lost:
        builder.add_harness_turn(speech.text, speech.at, role=speech.role, lost=speech.lost)


def _clear_results(builder: SessionBuilder, clearing: Clearing) -> None:
    """Replace what the calls returned in the context, where it is there."""
    shown: list[dict[str, Any] | ev.MessageRef] = []
    for ref in builder.context:
        wire = json.loads(builder.known_blobs[ref.hash].data) if ref.role == "tool" else {}
        is_cleared = wire.get("tool_call_id") in clearing.calls and wire.get("content") != clearing.text
        shown.append({**wire, "content": clearing.text} if is_cleared else ref)
    if any(isinstance(message, dict) for message in shown):
        builder.show_context(shown)


def _context_of(
    builder: SessionBuilder, compaction: Compaction, places: dict[int, tuple[int, int]]
) -> list[dict[str, Any] | ev.MessageRef]:
    """The context after the compaction: new messages, and those that stayed."""
    context: list[dict[str, Any] | ev.MessageRef] = []
    now = builder.context
    for item in compaction.context:
        if isinstance(item, dict):
            context.append(item)
        elif id(item) in places:
            first, last = places[id(item)]
            context += now[first:last]
    return context
