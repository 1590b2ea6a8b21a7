"""A progress bar: how far, how fast, how much longer, on a terminal; and what to do after ctrl+c."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from apollo_train.cli.terminal_output import progress_on_stderr, say
from apollo_train.export.report import Progress
from apollo_train.output_files import journal_of
from sessions.terminal_text import plain_line

if TYPE_CHECKING:
    pass


@contextmanager
def progress_bar(label: str) -> Iterator[Progress | None]:
    """A bar on stderr; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    rate = Rate()
    with progress_on_stderr(1, label, lambda: rate.text, show_pos=True) as shown:

        def advance(done: int, total: int) -> None:
            rate.take(done)
            shown.length = max(1, total)
            shown.update(max(0, done - shown.pos))

        yield advance


@contextmanager
def hint_at_resume(*paths: Path) -> Iterator[None]:
    """Where ctrl+c stops an export to one of these files, say that it can be gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        left = next((path for path in paths if journal_of(path).exists()), None)
        if left is not None:
            hint = f"{left} is not whole yet: the same command with --resume goes on, without it the export starts anew"
            say(plain_line(hint), err=True)
        raise


class Rate:
    """How much is done in a second, since the first time that it was asked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self.text = ""

    def take(self, done: int) -> None:
        """So much is done now. What was done before the first call (an export that goes on) is no speed of this run."""
        at = self._clock()
        if self._first is None:
            self._first = (at, done)
        elif at > self._first[0]:
            self.text = f"{(done - self._first[1]) / (at - self._first[0]):,.0f}/s"
