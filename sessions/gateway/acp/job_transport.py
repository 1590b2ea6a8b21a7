"""The messages of a program over its job: read from what the holder keeps of its output, sent through its input.

A host that dies leaves both where they are. The next one makes the same requests under the same numbers: the holder
drops those that the program has had, and its output has the answers, from the first byte on.
"""

from __future__ import annotations

import asyncio
import json
import logging
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
Message = dict[str, Any]
_log = logging.getLogger(__name__)


class JobTransport:
    """A transport of the package's connection. Notifications of the program are dropped: what it says of its replies
    comes through its model endpoint."""

    def __init__(self, jobs: JobManager, job: Job) -> None:
        self._jobs = jobs
        self._job = job
        self._offset = 0
        self._lines: list[bytes] = []
        self._rest = b""
        self._is_torn = False
        """Whether the line under way has lost its beginning, or is too long."""
        self._newest = -1
        """The number of the newest request that was sent."""
        self._moved = asyncio.Event()
        self._over = False

    async def send(self, message: Message) -> None:
        """Send one message. Raises ConnectionError where the program is over."""
        try:
            await self._jobs.send(self._job, json.dumps(message) + "\n", once=_name_of(message))
        except JobError as error:
            if "method" not in message:
                _log.info("job %d: nobody hears the answer any more: %s", self._job.number, error)
                return
            raise ConnectionError(str(error)) from error
        if "method" in message and "id" in message:
            self._newest = message["id"]
        self._moved.set()

    async def receive(self) -> Message | None:
        """The next request of the program, or its next answer; None once it is over and all of it was read."""
        while True:
            while self._lines:
                message = read_message(self._lines.pop(0))
                if message is not None and await self._is_due(message):
                    return message
            if self._read():
                await asyncio.sleep(0)
            elif self._over:
                return None
            else:
                await self._wait_for_output()

    def end(self) -> None:
        """The program is over: ``receive`` reads what it left, and ends."""
        self._over = True
        self._moved.set()

    async def close(self) -> None:
        """Nobody reads any more."""
        self.end()

    async def _is_due(self, message: Message) -> bool:
        """Wait until the request was made that an answer is to. False: it never will be."""
        while "method" not in message and isinstance(message["id"], int) and message["id"] > self._newest:
            if self._over:
                return False
            self._moved.clear()
            await self._moved.wait()
        return True

    async def _wait_for_output(self) -> None:
        pause = FIRST_PAUSE
        while self._job.reader.total() <= self._offset and not self._over:
            self._moved.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._moved.wait()  # something was sent, which is answered soon
                pause = FIRST_PAUSE
            except TimeoutError:
                pause = min(LAST_PAUSE, 2 * pause)

    def _read(self) -> bool:
        """Take in some output; False when there is none now."""
        piece = self._job.reader.read(self._offset, CHUNK)
        self._offset = piece.end
        if piece.missing or len(self._rest) > MOST_LINE:
            self._rest, self._is_torn = b"", True
        *lines, self._rest = (self._rest + piece.data).split(b"\n")
        if lines and self._is_torn:
            del lines[0]
            self._is_torn = False
        self._lines += lines
        return bool(piece.data)


def read_message(line: bytes) -> Message | None:
    """The request or the answer that a line is; None for notifications and for lines that are no message.

    >>> read_message(b'{"jsonrpc":"2.0","id":1,"result":{}}')
    {'jsonrpc': '2.0', 'id': 1, 'result': {}}
    >>> read_message(b'{"jsonrpc":"2.0","method":"session/update","params":{"id":1}}') is None
    True
    """
    if b'"id"' not in line:
        return None
    try:
        message = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return message if isinstance(message, dict) and message.get("id") is not None else None


def _name_of(message: Message) -> str:
    """What a message is called for the holder, which passes each on once; "" for one that may come again."""
    if "id" not in message:
        return ""
    return f"{'request' if 'method' in message else 'answer'} {json.dumps(message['id'])}"
