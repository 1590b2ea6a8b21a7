"""What a recording says, whatever tool wrote it: the words in which the readers and the product are compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["main", "branch", "child"]


class NotRead(ValueError):
    """A reader does not know this file; the message is one line."""


@dataclass(slots=True)
class Usage:
    """Tokens of one reply: the whole prompt, with what came from a cache, and all that the model wrote."""

    prompt: int
    reply: int


@dataclass(slots=True)
class Call:
    """One tool call and what came back."""

    name: str
    arguments: Any
    """A JSON value, or text where the model wrote no JSON."""
    id: str = ""
    result: str | None = None
    """What the model was shown. None: the recording has no result of this call."""
    failed: bool | None = None
    """None: the recording does not say."""
    partial: bool = False
    """The result held something that is no text (an image)."""


@dataclass(slots=True)
class Turn:
    """A user's turn after the work began: by a person, or by the harness (the output of an agent that acts by text)."""

    text: str
    person: bool = True


@dataclass(slots=True)
class Reply:
    """One reply of the model, and the turns that came after it."""

    text: str = ""
    reasoning: bool = False
    """Whether it has reasoning that a person can read."""
    calls: list[Call] = field(default_factory=list)
    usage: Usage | None = None
    """None: the recording does not say."""
    model: str = ""
    turns: list[Turn] = field(default_factory=list)


@dataclass(slots=True)
class Transcript:
    """One session of a recording. ``replies`` are those of its way to the end, without abandoned ways and children."""

    task: str = ""
    """"": the recording holds no request of a person."""
    replies: list[Reply] = field(default_factory=list)
    role: Role = "main"
    name: str = ""
    summaries: int = 0
    """How often the context was compacted."""

    def call(self, id: str) -> Call | None:
        """The newest call with this id that has no result yet, else the newest one with it."""
        same = [call for reply in self.replies for call in reply.calls if call.id == id]
        return next((call for call in same if call.result is None), same[-1] if same else None)

    def say(self, text: str, *, person: bool = True) -> None:
        """A user's turn: the task, as long as the model has not begun."""
        if not text.strip():
            return
        if self.replies:
            self.replies[-1].turns.append(Turn(text, person))
        elif person:
            self.task = f"{self.task}\n\n{text}" if self.task else text


def json_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file; lines that are none (the last one of a file that was cut off) are left out."""
    for line in data.decode("utf-8", "replace").split("\n"):
        try:
            value = json.loads(line) if line.strip() else None
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def parsed(arguments: Any) -> Any:
    """Arguments that came as JSON text as a value; other text as it is."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def text_of(content: Any, *keys: str) -> tuple[str, bool]:
    """The text of a content that is text or a list of blocks, and whether a block was no text."""
    if content is None:
        return "", False
    if isinstance(content, str):
        return content, False
    blocks = content if isinstance(content, list) else [content]
    texts: list[str] = []
    other = False
    for block in blocks:
        found = (
            block if isinstance(block, str) else next((block.get(key) for key in ("text", *keys) if key in block), None)
        )
        if isinstance(found, str):
            texts.append(found)
        else:
            other = True
    return "\n".join(texts), other
