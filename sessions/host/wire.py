"""Framing that both ends share: JSON-RPC 2.0, one message per line, with a bound on the length of a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from sessions.events.text import valid_unicode
from sessions.hints import Remedy
from sessions.host.protocol import ERRORS

MAX_REQUEST: Final = 8 << 20
"""Longest line, in bytes, that the host takes from a client."""

MAX_ANSWER: Final = 64 << 20
"""Longest line, in bytes, that a client takes from the host."""


class RpcError(Exception):
    """An answer that is an error; ``kind`` is a key of protocol.ERRORS, the text is one line for a person.

    ``remedies`` go with it, for the client to put into its own words.
    """

    def __init__(self, kind: str, message: str, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.remedies = tuple(remedies)

    @property
    def code(self) -> int:
        """The JSON-RPC error code."""
        return ERRORS[self.kind]


class Message(msgspec.Struct, omit_defaults=True):
    """Any JSON-RPC message: a request (method, id), a notification (method) or an answer (id, result or error)."""

    jsonrpc: str = "2.0"
    id: int | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")
    error: WireError | None = None


class WireError(msgspec.Struct, omit_defaults=True):
    """The error object of an answer."""

    code: int
    message: str
    data: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(Message)


def decode(line: bytes) -> Message:
    """The message on ``line``. Raises RpcError (``parse`` or ``invalid``) that says what is wrong with it."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise RpcError("invalid", f"not a JSON-RPC message: {error}") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RpcError("parse", f"not JSON: {error}") from error
    except RecursionError as error:
        raise RpcError("parse", "a message is nested too deeply") from error


def request(id: int, method: str, params: object) -> bytes:
    """The line of a request."""
    return _line({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def notification(method: str, params: object) -> bytes:
    """The line of a notification."""
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def answer(id: int | str | None, result: object) -> bytes:
    """The line of an answer."""
    return _line({"jsonrpc": "2.0", "id": id, "result": result})


def error(id: int | str | None, problem: RpcError) -> bytes:
    """The line of an error; ``id`` is None where the request's own could not be read."""
    body: dict[str, Any] = {"code": problem.code, "message": str(problem)}
    if problem.remedies:
        body["data"] = {"remedies": problem.remedies}
    return _line({"jsonrpc": "2.0", "id": id, "error": body})


def remedies(problem: WireError) -> tuple[Remedy, ...]:
    """What the error says to do; nothing of what this side does not know."""
    try:
        return msgspec.convert((problem.data or {}).get("remedies", ()), tuple[Remedy, ...])
    except msgspec.ValidationError:
        return ()


def _line(message: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, from a path or a paste: JSON in UTF-8 cannot carry it
        return msgspec.json.encode(_valid(msgspec.to_builtins(message))) + b"\n"


def _valid(value: Any) -> Any:
    match value:
        case str():
            return valid_unicode(value)
        case dict():
            return {_valid(key): _valid(item) for key, item in value.items()}
        case list() | tuple():
            return [_valid(item) for item in value]
        case _:
            return value


class Room:
    """Bytes that all half messages of a server may take together."""

    def __init__(self, bytes: int) -> None:
        self._left = bytes

    def take(self, bytes: int) -> bool:
        """Take so much, or nothing where there is not so much left. What is negative is given back."""
        if bytes > self._left:
            return False
        self._left -= bytes
        return True


async def lines(reader: asyncio.StreamReader, limit: int, room: Room | None = None) -> AsyncIterator[bytes | None]:
    """The lines that arrive, without their ends; None stands for one that was longer than ``limit``, or for which there
    was no ``room``, and was dropped.

    A last line without an end is a message cut in the middle and is left out.
    """
    pending = bytearray()
    searched = taken = 0
    dropping = False
    room = room or Room(2 * limit)
    try:
        while chunk := await reader.read(1 << 16):
            pending += chunk
            while (end := pending.find(b"\n", searched)) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                searched = 0
                if dropping or len(line) > limit:
                    dropping = False
                    yield None
                elif line.strip():
                    yield line
            if len(pending) > limit or not room.take(len(pending) - taken):
                pending.clear()
                room.take(-taken)
                dropping = True
            searched = taken = len(pending)
    finally:
        room.take(-taken)
