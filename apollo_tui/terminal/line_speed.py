"""How much goes over the line to the terminal, whether the line keeps up, and whether the app should say less."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

Mode = Literal["auto", "on", "off"]

MODES: Final[tuple[Mode, ...]] = ("auto", "on", "off")
WINDOW_MS: Final = 10_000
"""The rate is that of the last ten seconds."""
LOOKED_AT: Final = 40
"""So many of the last looks at the line decide (at ten a second)."""
STUCK: Final = 15
"""So many of them found it full: the line is slow."""
FRAME_BYTES: Final = 24
"""Of each update, besides the cells: the marks around it and the cursor's place."""


class LineSpeed:
    """Bytes and fullness of the line to one terminal. ``fd`` None: there is no terminal. Times in Unix ms."""

    def __init__(
        self,
        fd: int | None,
        mode: Mode = "auto",
        ready: Callable[[int], bool] | None = None,
        hung_up: Callable[[int], bool] | None = None,
    ) -> None:
        self._fd = fd
        self._ready = ready or _takes_more
        self._hung_up = hung_up or _has_hung_up
        self._written: deque[tuple[int, int]] = deque()
        self._looks: deque[bool] = deque(maxlen=LOOKED_AT)
        self._began = 0
        self.mode: Mode = mode
        self.total = 0
        """Bytes since the start."""
        self.peak = 0.0
        """The most KB/s over ten seconds."""
        self._full = False

    def count(self, count: int, now: int) -> None:
        """Count ``count`` bytes of cells, written in one update."""
        if count:
            self._written.append((now, count + FRAME_BYTES))
            self.total += count + FRAME_BYTES
            self.peak = max(self.peak, self.rate(now))

    def rate(self, now: int) -> float:
        """KB/s over the last ten seconds."""
        while self._written and self._written[0][0] <= now - WINDOW_MS:
            self._written.popleft()
        return sum(count for _, count in self._written) / WINDOW_MS

    def look(self) -> bool:
        """Whether the line takes more. Called ten times a second; what is found decides whether the line is slow."""
        ready = self._fd is None or self._ready(self._fd)
        self._looks.append(ready)
        if self._looks.count(False) >= STUCK:
            self._full = True
        return ready

    @property
    def hung_up(self) -> bool:
        return self._fd is not None and self._hung_up(self._fd)

    @property
    def slow(self) -> bool:
        """Whether the app says less: by hand, or because the line did not keep up. It stays so until by hand."""
        return self.mode == "on" or (self.mode == "auto" and self._full)

    def set(self, mode: Mode) -> None:
        """By hand; ``auto`` looks anew."""
        self.mode = mode
        self._full = False
        self._looks.clear()

    def report(self, now: int) -> list[str]:
        """What a person may want to know, line by line."""
        full = self._looks.count(False)
        keeps = "keeps up" if not full else f"was full at {full} of the last {len(self._looks)} looks"
        by = {"on": "on, by hand", "off": "off, by hand"}.get(self.mode, "")
        by = by or ("on, because the line did not keep up" if self._full else "off; it comes by itself if need be")
        return [
            f"{self.rate(now):.1f} KB/s over the last 10 s, {self.peak:.1f} KB/s at most, "
            f"{self.total / 1000:,.0f} KB since the start",
            f"the line {keeps}",
            f"slow-link mode is {by}",
        ]


def _takes_more(fd: int) -> bool:
    return bool(select.select([], [fd], [], 0)[1])


def _has_hung_up(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return any(flags & select.POLLHUP for _, flags in poll.poll(0))
