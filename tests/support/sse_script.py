"""What the scripted model server says: turns, faults, and the JSON form of a script (see sse_server)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What happens to one attempt instead of the turn's reply.

    ``status``: answer with it (``headers``, ``message``). ``stall``/``cut``: ``head`` (before anything), ``open``
    (after the headers) or ``middle`` (after half of the reply). ``error``: an error event of this type in the middle.
    ``body``: answer 200 with this text and no stream.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    stall: str = ""
    cut: str = ""
    error: str = ""
    body: str = ""


@dataclass(frozen=True)
class Turn:
    """One reply. ``calls`` are (name, JSON text of the arguments, sent verbatim).

    ``finish``: ``""`` (calls or stop, as fits), ``length``, ``refusal`` or any raw reason. ``faults`` befall the first
    attempts at this turn, one each; later attempts get the reply. ``pause``: seconds before each chunk of ``chunk``
    characters. ``reasoning_field`` is what Chat Completions calls its reasoning. ``redacted``: a redacted_thinking
    block (Messages only). ``strange``: events, comments and deltas that no client knows come in between.
    ``farewell`` False: the line is closed right after the finish reason.
    """

    reasoning: str = ""
    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = ""
    faults: tuple[Fault, ...] = ()
    pause: float = 0.0
    chunk: int = 8
    reasoning_field: str = "reasoning_content"
    redacted: str = ""
    strange: bool = False
    farewell: bool = True

    @property
    def finish_name(self) -> str:
        return self.finish or ("calls" if self.calls else "stop")


@dataclass(frozen=True)
class Received:
    """One request that the server received. ``body`` is as it came over the wire; ``answered`` says what was done."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    attempt: int
    answered: str = ""

    @cached_property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.json.get("messages", [])

    @property
    def model(self) -> str:
        return str(self.json.get("model", ""))

    @property
    def turn(self) -> int:
        """How many replies the history holds already: the number of the turn, from 0."""
        return sum(message.get("role") == "assistant" for message in self.messages)

    @property
    def for_summary(self) -> bool:
        body = self.json
        return not body.get("tools") or body.get("tool_choice") in ("none", {"type": "none"})


Script = Callable[[Received], Turn]
"""A pure function of the request, so that a request which is sent again gets the same reply."""


def in_order(*turns: Turn, summary: Turn | None = None) -> Script:
    """Turn N answers a history with N replies; the last one answers all later ones."""

    def script(request: Received) -> Turn:
        if summary is not None and request.for_summary:
            return summary
        return turns[min(request.turn, len(turns) - 1)]

    return script


def by_model(scripts: Mapping[str, Script]) -> Script:
    """A script for each model's name; ``*`` for all others."""
    return lambda request: (scripts.get(request.model) or scripts["*"])(request)


def from_json(data: Mapping[str, Any]) -> Script:
    """``{MODEL or "*": {"turns": [TURN, ...], "summary": TURN}}``; a TURN has the fields of Turn, ``calls`` as a list
    of ``{"name": …, "arguments": text or object}`` and ``faults`` as a list of objects with the fields of Fault.
    """
    return by_model(
        {
            model: in_order(*map(_turn, part["turns"]), summary=_turn(part["summary"]) if part.get("summary") else None)
            for model, part in data.items()
        }
    )


def from_file(path: Path) -> Script:
    return from_json(json.loads(path.read_text()))


def _turn(data: Mapping[str, Any]) -> Turn:
    calls: Sequence[Mapping[str, Any]] = data.get("calls", ())
    texts = [call["arguments"] for call in calls]
    return Turn(
        **{
            **data,
            "calls": tuple(
                (call["name"], text if isinstance(text, str) else json.dumps(text))
                for call, text in zip(calls, texts, strict=True)
            ),
            "faults": tuple(Fault(**fault) for fault in data.get("faults", ())),
        }
    )
