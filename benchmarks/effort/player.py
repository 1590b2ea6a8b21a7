"""Somebody at a terminal: presses keys one after the other, counts them, and reads what stands on the screen."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

import pyte

from benchmarks.budgets.pty_program import Gone, Program

SPECIAL: Final[Mapping[str, str]] = {"enter": "\r", "esc": "\x1b", "tab": "\t", "down": "\x1b[B", "up": "\x1b[A",
                                       "ctrl+s": "\x13"}  # fmt: skip
PRIVATE: Final = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p")
"""Questions and modes that the screen in memory takes for text."""
BEGUN: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")
BETWEEN_S: Final = 0.06
"""A quick hand: more than that in a burst counts as a paste."""


class Player:
    """One app behind a pty of ``size``. ``keys``: pressed one by one; ``typed``: characters of texts."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], size: tuple[int, int]) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._begun = b""
        self._program = Program(command, env, size)
        self._program.listener = self._take
        self.keys = 0
        self.typed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()

    def press(self, *keys: str) -> None:
        """Keys by name or character."""
        for key in keys:
            self.keys += 1
            self._send(SPECIAL.get(key, key))

    def type(self, text: str) -> None:
        """A text, character by character; it counts as text, not as keys."""
        for character in text:
            self.typed += 1
            self._send(character)

    def _send(self, data: str) -> None:
        self._program.send(data)
        self._program.pump(0.25 if data == "\x1b" else BETWEEN_S)

    def _take(self, piece: bytes) -> None:
        """Paint a piece; a sequence whose end is still to come waits for it."""
        piece = self._begun + piece
        begun = BEGUN.search(piece)
        end = begun.start() if begun else len(piece)
        self._begun = piece[end:]
        self._stream.feed(PRIVATE.sub(b"", piece[:end]))

    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(row.rstrip() for row in self._screen.display)

    def wait(self, shown: str | Callable[[str], object], seconds: float = 30.0) -> str:
        """Until a text stands on the screen, or a condition of all its text holds; returns the screen.

        Raises Gone with the screen after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._program.pump(0.02)
            text = self.text()
            if shown in text if isinstance(shown, str) else shown(text):
                return text
            if time.monotonic() > deadline:
                raise Gone(f"waited {seconds:.0f} s in vain for {shown!r}:\n{text}")
