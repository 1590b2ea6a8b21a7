"""A session's workspace as a person looks at it: listed and read, never written, wherever it lies.

One on this machine is read from outside its space, through handles that follow nothing; one on another side by a helper
there. A file system that hangs takes a thread with it and nothing else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from sessions.containment import workspace_walk
from sessions.containment.choice import is_remote
from sessions.containment.errors import SpaceError
from sessions.containment.file_access import FileTrouble
from sessions.containment.session_spaces import session_space
from sessions.containment.workspace_files import WorkspaceFiles
from sessions.containment.workspace_walk import Found, Head, Listing, Wish
from sessions.errors import ApolloError
from sessions.events import SessionCreated
from sessions.workspace import WORKSPACE

T = TypeVar("T")

SECONDS: Final = 30.0
"""Longest wait for a file system here."""


class CannotLook(ApolloError):
    """The workspace, or a file in it, cannot be looked at; one line."""


class WorkspaceView:
    """The workspace of a session that ``created`` made, whose own folder is ``folder``. Methods raise CannotLook."""

    def __init__(self, created: SessionCreated, folder: Path) -> None:
        if created.origin == "import":
            raise CannotLook("an imported session has no workspace here: its files stayed where it was recorded")
        self.root = Path(created.workspace) if created.workspace else folder / WORKSPACE
        self._files: WorkspaceFiles | None = None
        self.place = str(self.root)
        """Where it is, for a person to copy."""
        contained = created.contained
        if contained is not None and is_remote(contained.inside):
            space = session_space(contained, folder, self.root)
            self._files = WorkspaceFiles(space, self.root)
            self.place = space.place_of(self.root)
            self.elsewhere = contained.inside
        else:
            self.elsewhere = ""
            """The command line that leads to it, "" for one on this machine."""

    async def list(self, wish: Wish, go_on: Callable[[], bool] = lambda: True) -> Listing:
        """What is there."""
        if self._files is None:
            return await _aside(lambda: workspace_walk.list_files(self.root, wish, go_on), self.place)
        answer, _ = await self._ask({"do": "list", "wish": asdict(wish)})
        try:
            found = tuple(_found(one) for one in answer["found"][: wish.most])
            return Listing(
                found, int(answer["looked"]), int(answer["more"]), bool(answer["whole"]), int(answer["clock"])
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CannotLook(f"what lists files inside {self.elsewhere} has answered something else") from None

    async def head(self, path: str, limit: int) -> Head:
        """How a file begins."""
        if self._files is None:
            return await _aside(lambda: workspace_walk.read_head(self.root, path, limit), path)
        answer, data = await self._ask({"do": "head", "path": path, "limit": limit}, most=limit)
        size = answer.get("size")
        return Head(data[:limit], size if isinstance(size, int) else len(data))

    async def link(self, path: str) -> str:
        """Where a link says that it leads."""
        if self._files is None:
            return await _aside(lambda: workspace_walk.read_link(self.root, path), path)
        answer, _ = await self._ask({"do": "link", "path": path})
        return str(answer.get("leads", ""))

    def path_of(self, path: str) -> str:
        """The whole path of a file, for a shell where it lies."""
        return f"{self.place}/{path}"

    async def _ask(self, wish: dict[str, Any], most: int = 0) -> tuple[dict[str, Any], bytes]:
        assert self._files is not None
        try:
            answer, data = await self._files.look(wish, most)
        except (FileTrouble, SpaceError, OSError) as trouble:
            raise CannotLook(f"inside {self.elsewhere}: {trouble}") from None
        if "trouble" in answer:
            raise CannotLook(f"inside {self.elsewhere}: {wish.get('path', self.place)}: {answer['trouble']}")
        return answer, data


def _found(values: Any) -> Found:
    path, kind, size, modified, changed = values
    return Found(str(path), str(kind), int(size), int(modified), int(changed))


async def _aside(look: Callable[[], T], what: str) -> T:
    """``look()`` in a thread that nobody waits for at the end. Raises CannotLook."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: object) -> None:
        if not found.done():
            set_it(value)

    def run() -> None:
        try:
            made: tuple[Callable[[Any], None], object] = (found.set_result, look())
        except Exception as error:  # noqa: BLE001 - handed over to who waits
            made = (found.set_exception, error)
        try:
            loop.call_soon_threadsafe(settle, *made)
        except RuntimeError:  # the loop has ended
            return

    threading.Thread(target=run, name="workspace", daemon=True).start()
    try:
        async with asyncio.timeout(SECONDS):
            return await found
    except TimeoutError:
        raise CannotLook(f"the file system of {what} has not answered for {SECONDS:.0f} s") from None
    except FileNotFoundError:
        raise CannotLook(f"{what} is gone") from None
    except OSError as error:
        raise CannotLook(f"{what} {error.strerror or error}") from None
