"""Files of a session's workspace for its tools, read and written where its commands run."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any, Final

from sessions.containment import file_access
from sessions.containment.errors import SpaceError
from sessions.containment.file_access import FileTrouble
from sessions.containment.spaces import Space

SECONDS: Final = 60.0
"""For one file; a file system that hangs longer is the tool's failure, not the host's."""
KILL_SECONDS: Final = 5.0


class WorkspaceFiles:
    """The files of ``workspace`` in ``space``. Methods raise FileTrouble, with words for the model."""

    def __init__(self, space: Space, workspace: Path) -> None:
        self._space = space
        self._workspace = workspace

    async def read(self, path: str, limit: int) -> bytes:
        """The content of a regular file of at most ``limit`` bytes."""
        if self._space.kind == "none":
            return await asyncio.to_thread(file_access.read, self._workspace, path, limit)
        _, content = await self._ask({"do": "read", "path": path, "limit": limit})
        return content

    async def read_before(self, path: str, limit: int) -> tuple[str, bytes | None]:
        """How the log names ``path``, and what is there before a change (None: nothing)."""
        if self._space.kind == "none":
            name = await asyncio.to_thread(file_access.name_of, self._workspace, path)
            return name, await asyncio.to_thread(file_access.read_before, self._workspace, path, limit)
        answer, content = await self._ask({"do": "read_before", "path": path, "limit": limit})
        return answer["name"], None if answer["missing"] else content

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
        found: dict[str, Any] = json.loads(out)
        return found

    async def _ask(self, wish: dict[str, Any], content: bytes = b"") -> tuple[dict[str, Any], bytes]:
        head = json.dumps({**wish, "root": self._space.place_of(self._workspace)}).encode() + b"\n"
        try:
            out = await self._run("sessions.containment.file_access", head + content, SECONDS)
        except TimeoutError:
            raise FileTrouble(f"the file system did not answer within {SECONDS:.0f} s") from None
        line, _, rest = out.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "trouble" in answer:
            raise FileTrouble(answer["trouble"])
        return answer, rest

    async def _run(self, module: str, given: bytes, seconds: float) -> bytes:
        """What a helper prints. Raises FileTrouble with its last words where it fails."""
        try:
            await self._space.open()
            argv = self._space.helper(module)
        except SpaceError as error:
            raise FileTrouble(str(error)) from None
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env=self._space.helper_env()
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate(given)
        finally:
            if process.returncode is None:
                process.kill()
                with contextlib.suppress(TimeoutError):  # one that hangs in the kernel is left to it
                    async with asyncio.timeout(KILL_SECONDS):
                        await process.wait()
        if process.returncode:
            last = err.decode(errors="replace").strip().rpartition("\n")[2]
            raise FileTrouble(last or f"exit code {process.returncode}")
        return out
