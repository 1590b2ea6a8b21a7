"""What a dialect is: how a harness writes requests, how a model answers, and what may be put into either."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.gateway.dialects.system_text import add_to_first_unit
from sessions.gateway.json_spans import Span, find_items, find_members
from sessions.gateway.units import (
    Unit,
    UnitKind,
    WireRequest,
    identify,
    pieces_after,
    split_members,
    take_marks,
)
from sessions.providers.assembler import Assembler


class UnreadableRequest(ApolloError):
    """A request that is no request of its dialect; one line, for the harness and the log."""


@dataclass(frozen=True, slots=True)
class HistoryName:
    """What a request calls the conversation that the server keeps: by the id of a reply, or by one of its own."""

    kind: Literal["reply", "conversation"]
    id: str


class Dialect(ABC):
    """One way of talking to a model. A subclass per API; what they share has a default here."""

    name: ClassVar[str] = ""
    talk: ClassVar[str] = "messages"
    """The member that holds the conversation."""
    volatile: ClassVar[Collection[str]] = ("cache_control",)
    """Members of a block that harnesses move about, or make anew."""
    nameless: ClassVar[Collection[str]] = ()
    """Members of a block that say nothing of what the model reads."""
    keeps_replies: ClassVar[bool] = False
    """Whether a request may name an earlier reply instead of sending all of the conversation again."""

    def read_request(self, body: bytes) -> WireRequest:
        """A request taken apart. Raises UnreadableRequest."""
        try:
            text = body.decode()
            members, talk, before = split_members(text, self.talk)
            units, end = self._read_units(text, talk)
            after = pieces_after(text, members, end)
        except (ValueError, RecursionError) as problem:
            raise UnreadableRequest(f"the request is no {self.name} request: {problem}") from problem
        fields = {name: span.value for name, span in members.items() if name != self.talk}
        return WireRequest(before, tuple(units), after, fields)

    def as_list(self, request: WireRequest) -> WireRequest:
        """The request, whose conversation is a list: one that is a text takes no other turn beside it."""
        first = request.units[0] if request.units else None
        if first is None or not isinstance(first.value, str):
            return request
        turn = replace(self.user_unit(first.value, None), identity=first.identity)
        return replace(request, units=(turn,), after=("]", *request.after))

    @abstractmethod
    def assembler(self, spec: ModelSpec, key: str | None) -> Assembler:
        """What puts one reply together."""

    @abstractmethod
    def user_unit(self, text: str, after: Unit | None) -> Unit:
        """A turn of the user that says ``text``, to stand after this unit."""

    def history_of(self, fields: Mapping[str, Any]) -> HistoryName | None:
        """What the server keeps that a request with these fields goes on from; None: it brings all of it."""
        return None

    def with_note(self, request: WireRequest, note: str) -> WireRequest | None:
        """The request with one paragraph more in its system prompt; None if it has none that takes one."""
        return add_to_first_unit(request, note)

    def keep_alive(self, number: int, *, stream: bool) -> bytes:
        """What keeps a harness waiting once the headers are out; ``number`` counts from 1."""
        return b": keep-alive\n\n" if stream else b" "

    def error(self, status: int, message: str, kind: str = "") -> bytes:
        """The body of an answer that is an error."""
        told = {"message": message, "type": kind or _error_kind(status), "param": None, "code": None}
        return json.dumps({"error": told}).encode()

    def late_error(self, message: str, *, stream: bool) -> bytes:
        """An error once the headers are out: the end of the request, as far as the dialect has one."""
        data = self.error(500, message, "server_error")
        return b"data: " + data + b"\n\n" if stream else data

    def _read_units(self, text: str, talk: Span) -> tuple[list[Unit], int]:
        """The units, and where the last one ends."""
        if not isinstance(talk.value, list):
            unit = self._unit(text, talk.start, talk.start, talk.end, "user", "text", talk.value)
            words = {"type": "text", "text": talk.value}
            return [replace(unit, identity=identify(words, {"role": "user"}))], talk.end
        units: list[Unit] = []
        end = talk.start
        for item in find_items(text, talk.start):
            message = item.value if isinstance(item.value, dict) else {}
            if self.splits(message):
                content = find_members(text, item.start)[0]["content"]
                about = _about(message)
                for block in find_items(text, content.start):
                    kind, call = self.kind_of_block(message, block.value)
                    role = str(message.get("role", ""))
                    units.append(self._unit(text, end, block.start, block.end, role, kind, block.value, call, about))
                    end, about = block.end, {}
                units[-1] = replace(units[-1], tail=text[end : item.end])
                end = item.end
                continue
            role, kind, call = self.kind_of_message(message)
            unit = self._unit(text, end, item.start, item.end, role, kind, item.value, call)
            said = message.get("content")
            if isinstance(said, str) and self.splits(message | {"content": [said]}):
                about = _about(message)
                unit = replace(unit, identity=identify({"type": "text", "text": said}, about))
            units.append(unit)
            end = item.end
        # Of an empty conversation the bracket is part of what comes after.
        return units, end

    def splits(self, message: dict[str, Any]) -> bool:
        """Whether each block of a message is a unit of its own."""
        return isinstance(message.get("content"), list) and bool(message["content"])

    def kind_of_block(self, message: dict[str, Any], block: Any) -> tuple[UnitKind, str]:
        """What a block is, and the id of the call that it belongs to, if any."""
        kind = block.get("type") if isinstance(block, dict) else None
        return ("text" if kind in ("text", "input_text", "output_text") else "other"), ""

    @abstractmethod
    def kind_of_message(self, message: dict[str, Any]) -> tuple[str, UnitKind, str]:
        """Role, kind and call of a message that is one unit."""

    def _unit(
        self,
        text: str,
        lead: int,
        start: int,
        end: int,
        role: str,
        kind: UnitKind,
        value: Any,
        call: str = "",
        message: dict[str, Any] | None = None,
    ) -> Unit:
        own, marks = take_marks(text[start:end], self.volatile) if isinstance(value, dict) else (text[start:end], ())
        identity = identify(value, message, without=self.nameless)
        return Unit(text[lead:start], own, role, kind, value, identity, marks, call)

    def _made(self, lead: str, value: dict[str, Any], role: str, kind: UnitKind = "text") -> Unit:
        """A unit of ours."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return Unit(lead, text, role, kind, value, identify(value, without=self.nameless))


def _about(message: dict[str, Any]) -> dict[str, Any]:
    """The keys of a message beside its content; that it is one goes without saying."""
    return {k: v for k, v in message.items() if k != "content" and (k, v) != ("type", "message")}


def _error_kind(status: int) -> str:
    if status in (401, 403):
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
