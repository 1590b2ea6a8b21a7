"""Which conversations the log of a harness's session has, and which of them is its work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from sessions import events as ev
from sessions.fold.released_reply import REPLY_KINDS, Replies
from sessions.gateway.child_thread import thread_of_child
from sessions.gateway.units import text_of
from sessions.log.reader import LogReader

MOST_WORDS: Final = 80
"""Characters of what a conversation was told."""

Kind = Literal["main", "child", "side"]
KINDS: Final[dict[Kind, str]] = {"main": "main line", "child": "sub-agent", "side": "beside it"}
"""What people call them."""


class Conversation(msgspec.Struct, frozen=True):
    """One conversation. ``requests``: seqs, of a sub-agent's session those there; ``steps``: of the main line.

    ``thread``: as ``model.request`` names it; "" for one of the main line, which goes by its first step. ``session``:
    the session of a sub-agent, "" for the others. ``is_newest``: the main line was in it last.
    """

    kind: Kind
    words: str
    requests: tuple[int, ...]
    steps: tuple[int, ...] = ()
    thread: str = ""
    session: str = ""
    address: str = ""
    """Of a sub-agent's session."""
    is_newest: bool = False

    @property
    def name(self) -> str:
        """What people call it: ``step 21``, ``session 7.a``, ``side 93ab01c44f2e``."""
        if self.kind == "main":
            return f"step {self.steps[0]}" if self.steps else "summary"
        return f"session {self.address}" if self.session else self.thread


@dataclass(slots=True)
class _Growing:
    kind: Kind
    root: ev.ModelRequested
    thread: str = ""
    requests: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)


def read_conversations(reader: LogReader, session: str) -> list[Conversation]:
    """The conversations of a session, in the order in which they began; sub-agents' sessions last."""
    events = reader.events(session, kinds={"model.request", "thread.assigned", *REPLY_KINDS})
    dropped = Replies(events).dropped_steps
    assigned = [event.body for event in events if isinstance(event.body, ev.ThreadAssigned)]
    found: dict[int | str, _Growing] = {}
    root_of: dict[int, int] = {}
    newest = 0
    for event in events:
        body = event.body
        if not isinstance(body, ev.ModelRequested) or body.wire is None:
            continue
        if body.purpose == "side":
            if not body.wire.thread:
                continue  # embeddings: no conversation
            growing = found.setdefault(body.wire.thread, _Growing("side", body, body.wire.thread))
        else:
            root = root_of[event.seq] = root_of.get(body.parent or 0, event.seq)
            growing = found.setdefault(root, _Growing("main", body))
            if event.step is not None and event.step not in dropped:
                growing.steps += [event.step] if event.step not in growing.steps else []
                newest = root
        growing.requests.append(event.seq)
    gone = {seq for body in assigned if body.line == "child" for seq in body.requests}
    made = [
        Conversation(
            each.kind, _words_of(reader, each.root), tuple(each.requests), tuple(each.steps), each.thread,
            is_newest=key == newest,
        )
        for key, each in found.items()
        if gone.isdisjoint(each.requests) and (each.kind == "side" or each.steps)
    ]  # fmt: skip
    taken = {body.thread for body in assigned if body.line == "main" and body.thread}
    children = list(_read_children(reader, session))
    known = {child.thread for child in children}
    return [
        each for each in (*made, *children) if each.thread not in taken and (each.session or each.thread not in known)
    ]


def find_named(conversations: Iterable[Conversation], name: str) -> Conversation | None:
    """The conversation of this name; an address alone is that of a sub-agent's session."""
    known = list(conversations)
    by_address = (each for each in known if each.session and each.address == name)
    return next(by_address, None) or next((each for each in known if each.name == name), None)


def find_conversation(conversations: Iterable[Conversation], step: int) -> Conversation | None:
    """The conversation of the main line that ``step`` is in."""
    return next((each for each in conversations if each.kind == "main" and step in each.steps), None)


def say_steps(steps: Sequence[int]) -> str:
    """``steps 1 to 20, 24``."""
    ranges: list[list[int]] = []
    for step in steps:
        if ranges and step == ranges[-1][1] + 1:
            ranges[-1][1] = step
        else:
            ranges.append([step, step])
    words = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges)
    return f"step{'s' * (len(steps) > 1)} {words}" if words else "no step"


def _read_children(reader: LogReader, session: str) -> Iterable[Conversation]:
    for summary in reader.summaries():
        if summary.begins is None or summary.begins.session != session or summary.begins.kind != "child":
            continue
        first = reader.event(summary.session, 1)
        if first is None or not isinstance(first.body, ev.SessionCreated) or not thread_of_child(first.body):
            continue
        requests = tuple(event.seq for event in reader.events(summary.session, kinds={"model.request"}))
        words = _crop(first.body.task)
        thread = thread_of_child(first.body)
        yield Conversation("child", words, requests, (), thread, summary.session, summary.address)


def _words_of(reader: LogReader, request: ev.ModelRequested) -> str:
    """What the conversation was told last before its first request."""
    told = next((ref for ref in reversed(request.append) if ref.role == "user"), None)
    if told is None:
        return ""
    words = text_of(msgspec.json.decode(reader.blob(told.hash)))
    return _crop(words)


def _crop(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1] + "…"
