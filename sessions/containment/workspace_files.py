"""Files of a session's workspace for its tools, read and written where its commands run."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any, Final

from sessions.containment import file_access
from sessions.containment.errors import SpaceError
from sessions.containment.file_access import FileTrouble
from sessions.containment.spaces import Space

SECONDS: Final = 60.0
"""For one file; a file system that hangs longer is the tool's failure, not the host's."""
KILL_SECONDS: Final = 5.0
MOST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of an answer, besides the content of a file."""
STRANGE: Final = "what reads files for the session has answered something else: a command has meddled with it"


class WorkspaceFiles:
    """The files of ``workspace`` in ``space``. Methods raise FileTrouble, with words for the model."""

    def __init__(self, space: Space, workspace: Path) -> None:
        self._space = space
        self._workspace = workspace

    async def read(self, path: str, limit: int) -> bytes:
        """The content of a regular file of at most ``limit`` bytes."""
        if self._space.kind == "none":
            return await asyncio.to_thread(file_access.read, self._workspace, path, limit)
        _, content = await self._ask({"do": "read", "path": path, "limit": limit}, most=limit)
        return content

    async def read_before(self, path: str, limit: int) -> tuple[str, bytes | None]:
        """How the log names ``path``, and what is there before a change (None: nothing)."""
        if self._space.kind == "none":
            name = await asyncio.to_thread(file_access.name_of, self._workspace, path)
            return name, await asyncio.to_thread(file_access.read_before, self._workspace, path, limit)
        answer, content = await self._ask({"do": "read_before", "path": path, "limit": limit}, most=limit)
        return str(answer.get("name")), None if answer.get("missing") else content

    async def write(self, path: str, content: bytes) -> None:
        """Put ``content`` in place of the file at once."""
        if self._space.kind == "none":
            await asyncio.to_thread(file_access.write, self._workspace, path, content)
        else:
            await self._ask({"do": "write", "path": path}, content)

    async def search(self, wish: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Run the searcher. Raises TimeoutError after ``seconds``."""
        out = await self._run(
            "sessions.tools.searcher",
            json.dumps({**wish, "root": self._space.place_of(self._workspace)}).encode(),
            seconds,
        )
        return _object(out)

    async def look(self, wish: dict[str, Any], most: int = 0) -> tuple[dict[str, Any], bytes]:
        """What ``workspace_walk`` answers there, and at most ``most`` bytes of a file."""
        return await self._ask(wish, most=most, module="sessions.containment.workspace_walk")

    async def _ask(
        self, wish: dict[str, Any], content: bytes = b"", most: int = 0,
        module: str = "sessions.containment.file_access",
    ) -> tuple[dict[str, Any], bytes]:  # fmt: skip
        """What the helper answers, and the content of a file, at most ``most`` bytes, after it."""
        head = json.dumps({**wish, "root": self._space.place_of(self._workspace)}).encode() + b"\n"
        try:
            out = await self._run(module, head + content, SECONDS, most + MOST_ANSWER)
        except TimeoutError:
            raise FileTrouble(f"the file system did not answer within {SECONDS:.0f} s") from None
        line, _, rest = out.partition(b"\n")
        answer = _object(line)
        if "trouble" in answer:
            raise FileTrouble(str(answer["trouble"]))
        return answer, rest

    async def _run(self, module: str, given: bytes, seconds: float, most: int = MOST_ANSWER) -> bytes:
        """What a helper prints, at most ``most`` bytes: it runs among commands, which may speak in its place.

        Raises FileTrouble with its last words where it fails.
        """
        try:
            await self._space.open()
            argv = self._space.helper(module)
        except SpaceError as error:
            raise FileTrouble(str(error)) from None
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env=self._space.helper_env(),
            start_new_session=True,  # without a terminal nobody is asked for a password
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                out, err = await _talk(process, given, most)
        finally:
            if process.returncode is None:
                process.kill()
                with contextlib.suppress(TimeoutError):  # one that hangs in the kernel is left to it
                    async with asyncio.timeout(KILL_SECONDS):
                        await asyncio.gather(process.wait(), _discard(process))
        if process.returncode:
            last = err.decode(errors="replace").strip().rpartition("\n")[2]
            raise FileTrouble(last or f"exit code {process.returncode}")
        return out


async def _talk(process: Process, given: bytes, most: int) -> tuple[bytes, bytes]:
    """Give a helper its wish, and take what it prints and its last words. Raises FileTrouble for more than that."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def give(pipe: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):  # it has ended before it read all: its last words say why
            pipe.write(given)
            await pipe.drain()
        pipe.close()

    beside = [asyncio.create_task(_read_some(process.stderr, most)), asyncio.create_task(give(process.stdin))]
    try:
        out = await _read_some(process.stdout, most)
        err, _ = await asyncio.gather(*beside)
        await process.wait()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    return out, err or b""


async def _discard(process: Process) -> None:
    """Take what is left in the pipes of a helper that was killed: it counts as ended once they have."""
    for pipe in (process.stdout, process.stderr):
        while pipe is not None and await pipe.read(256 * 1024):
            pass


async def _read_some(pipe: asyncio.StreamReader, most: int) -> bytes:
    data = bytearray()
    while part := await pipe.read(256 * 1024):
        data += part
        if len(data) > most:
            raise FileTrouble(STRANGE)
    return bytes(data)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise FileTrouble(STRANGE) from None
    if not isinstance(found, dict):
        raise FileTrouble(STRANGE)
    return found
