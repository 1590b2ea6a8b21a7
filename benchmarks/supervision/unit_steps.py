"""A unit's steps, each done once: what a step came to lies in a file, so that a unit that was cut off goes on there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

Made = TypeVar("Made")


class Steps:
    """The steps of one unit that are done, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        """Where it lies what the step came to."""
        return self._folder / f"{name}.json"

    async def once(self, name: str, kind: type[Made], make: Callable[[], Awaitable[Made]]) -> Made:
        """What the step comes to: from its file, or made now and written whole."""
        file = self.file(name)
        if file.exists():
            return msgspec.json.decode(file.read_bytes(), type=kind)
        made = await make()
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(made))
        part.replace(file)
        return made
