"""The messages of a program over its job: read from what the holder keeps of its output, sent through its input.

A host that dies leaves both where they are. The next one makes the same requests under the same numbers: the holder
drops those that the program has had, and its output has the answers, from the first byte on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any, Final

import msgspec

from sessions.jobs.job import Job
from sessions.jobs.manager import JobError, JobManager

CHUNK: Final = 256 * 1024
MOST_LINE: Final = 32 * 1024 * 1024
"""Bytes of a line that may be a message; what is longer is none."""
FIRST_PAUSE: Final = 0.01
LAST_PAUSE: Final = 0.25
"""Seconds between looks at the output of a program that says nothing."""
LINES_PER_TURN: Final = 200
"""Lines that are read before the rest of the host has a turn."""
NAMES: Final = b'"id"'
"""What every request and every answer has in it."""
MOST_ID: Final = 200
"""Characters of the id of a message."""
REMOVED: Final = "its output file was removed, or cut"
Message = dict[str, Any]
_log = logging.getLogger(__name__)


class JobTransport:
    """A transport of the package's connection. Notifications of the program are dropped: what it says of its replies
    comes through its model endpoint. ``earlier``: so many requests may have been made by earlier hosts; their answers
    are kept until they are made again, those to others that nobody has made are dropped."""

    def __init__(self, jobs: JobManager, job: Job, earlier: int = 0) -> None:
        self._jobs = jobs
        self._job = job
        self._offset = 0
        self._lines: deque[bytes] = deque()
        """Those that may be messages."""
        self._turn = 0
        """Lines that were read in this turn of the host."""
        self._rest = bytearray()
        """The line under way."""
        self._is_torn = False
        """Whether the line under way has lost its beginning, or is too long."""
        self._newest = -1
        """The number of the newest request that was made."""
        self._earlier = earlier
        self._early: dict[int, Message] = {}
        """Answers to requests that are not made again yet."""
        self._moved = asyncio.Event()
        self._over = False
        self.loss = ""
        """Why what the program writes cannot be read any more, though it runs; "" if it can."""

    async def send(self, message: Message) -> None:
        """Send one message. Raises ConnectionError where the program is over."""
        if "method" in message and "id" in message:
            self._newest = message["id"]  # before it is sent: its answer may be here before we go on
            self._moved.set()
        try:
            await self._jobs.send(self._job, json.dumps(message) + "\n", once=_name_of(message))
        except JobError as error:
            if "method" not in message:
                _log.info("job %d: nobody hears the answer any more: %s", self._job.number, error)
                return
            raise ConnectionError(str(error)) from error
        self._moved.set()

    async def receive(self) -> Message | None:
        """The next request of the program, or its next answer; None once it is over and all of it was read, or cannot
        be read any more."""
        while True:
            if self._has_early():
                return self._early.pop(min(self._early))
            while self._lines:
                self._turn += 1
                if self._turn >= LINES_PER_TURN:
                    self._turn = 0
                    await asyncio.sleep(0)
                message = read_message(self._lines.popleft())
                if message is not None and self._is_due(message):
                    return message
            if self._read():
                await asyncio.sleep(0)
            elif self._over or self.loss:
                return None
            else:
                await self._wait_for_output()

    def end(self) -> None:
        """The program is over: ``receive`` reads what it left, and ends."""
        self._over = True
        self._moved.set()

    async def has_ended(self, seconds: float) -> bool:
        """Whether the program is over, or is so within ``seconds``."""
        return self._over or await self._jobs.wait(self._job, seconds) is not None

    async def close(self) -> None:
        """Nobody reads any more."""
        self.end()

    def _is_due(self, message: Message) -> bool:
        """Whether a message is to be heard now. An answer that comes before its request is put by, or dropped."""
        number = message["id"]
        if message.get("method") is not None or not isinstance(number, int) or number <= self._newest:
            return True
        if number < self._earlier:
            self._early.setdefault(number, message)
        return False

    def _has_early(self) -> bool:
        """Whether the request was made meanwhile of an answer that was put by."""
        return bool(self._early) and min(self._early) <= self._newest

    async def _wait_for_output(self) -> None:
        pause = FIRST_PAUSE
        while self._job.reader.total() <= self._offset and not self._over and not self._has_early():
            self._moved.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._moved.wait()  # something was sent, which is answered soon
                pause = FIRST_PAUSE
            except TimeoutError:
                pause = min(LAST_PAUSE, 2 * pause)
                # Its holder makes the file before it starts the program, and writes on into one that was removed.
                if self._job.child is not None and self._job.reader.is_cut(self._offset):
                    self.loss = REMOVED
                    return

    def _read(self) -> bool:
        """Take in some output; False when there is none now."""
        piece = self._job.reader.read(self._offset, CHUNK)
        if piece.total < self._offset:  # nothing is read twice
            return False
        self._offset = piece.end
        if piece.missing:
            self._rest, self._is_torn = bytearray(), True
        whole, end, rest = piece.data.rpartition(b"\n")
        if end:
            if self._is_torn:
                whole = whole.partition(b"\n")[2]
            whole = bytes(self._rest) + whole
            if NAMES in whole:
                self._lines.extend(line for line in whole.split(b"\n") if NAMES in line)
            self._rest, self._is_torn = bytearray(), False
        if not self._is_torn:
            self._rest += rest
        if len(self._rest) > MOST_LINE:
            self._rest, self._is_torn = bytearray(), True
        return bool(piece.data)


def read_message(line: bytes) -> Message | None:
    """The request or the answer that a line is; None for notifications and for lines that are no message.

    >>> read_message(b'{"jsonrpc":"2.0","id":1,"result":{}}')
    {'jsonrpc': '2.0', 'id': 1, 'result': {}}
    >>> read_message(b'{"jsonrpc":"2.0","method":"session/update","params":{"id":1}}') is None
    True
    """
    if NAMES not in line:
        return None
    try:
        message = msgspec.json.decode(line)
    except (ValueError, RecursionError):  # also what is no UTF-8, or is nested without end
        return None
    if not isinstance(message, dict) or not _is_id(message.get("id")):
        return None
    error = message.get("error")
    if error is not None and not isinstance(error, dict):  # the package relies on it
        message["error"] = {"message": "an error that is none of JSON-RPC"}
    return message


def _is_id(value: object) -> bool:
    """Whether a message can be known by this."""
    if isinstance(value, str):
        return len(value) <= MOST_ID
    return isinstance(value, int) and not isinstance(value, bool)


def _name_of(message: Message) -> str:
    """What a message is called for the holder, which passes each on once; "" for one that may come again."""
    if "id" not in message:
        return ""
    return f"{'request' if 'method' in message else 'answer'} {json.dumps(message['id'])}"
