"""Keys that were not pressed yet, in the order in which they came; what came faster than any hand may be a text.

A letter waits for what comes with it. What a burst is is decided when its turn has come: the keys before it may have
opened another screen, or a text field.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

import msgspec
from textual import events

from apollo_tui import keys
from apollo_tui.state.key_burst import HOLD_S, KeyStroke, pasted_text, split_bursts


class Burst(msgspec.Struct):
    """Keys that came at once. ``waking``: the first of them only wakes the screen, unless they are a text."""

    left: deque[events.Key | events.Paste]
    waking: bool = False
    judged: bool = False
    """Whether it was asked if they are a text."""


class KeyQueue:
    """``takes_text``: whether a text field has the focus; ``here``: what keys may need now, None where no key of the
    table works; ``tell`` is called when keys that were waited for can be pressed."""

    def __init__(
        self,
        keymap: Mapping[str, str],
        takes_text: Callable[[], bool],
        here: Callable[[], keys.KeyContext | None],
        tell: Callable[[], object],
    ) -> None:
        self._keymap = keymap
        self._takes_text = takes_text
        self._here = here
        self._tell = tell
        self._held: list[events.Key] = []
        self._waking: events.Key | None = None
        self._bursts: deque[Burst] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        """Whether something can be pressed."""
        return bool(self._bursts)

    def take(self, event: events.Key, *, waking: bool = False) -> None:
        """A key came. ``waking``: it only wakes the screen, unless a text begins with it."""
        self._held.append(event)
        if waking:
            self._waking = event
        if self._timer is not None:
            self._timer.cancel()
        if len(self._held) == 1 and (self._takes_text() or not stroke_of(event).is_letter):
            self.release()
        else:
            self._timer = asyncio.get_running_loop().call_later(HOLD_S, self._release_and_tell)

    def take_paste(self, event: events.Paste) -> None:
        """A text came that the terminal marked as one."""
        self.release()
        self._bursts.append(Burst(deque([event]), judged=True))

    def release(self) -> None:
        """Nothing more is waited for: what is held can be pressed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for group in split_bursts([stroke_of(event) for event in self._held]):
            came = self._held[: len(group)]
            del self._held[: len(group)]
            self._bursts.append(Burst(deque(came), came[0] is self._waking))
        self._waking = None

    def next(self) -> events.Key | events.Paste | None:
        """What is to be pressed, or pasted, now; None: nothing."""
        while self._bursts:
            burst = self._bursts[0]
            if not burst.judged:
                burst.judged = True
                if text := self._text_of(burst):
                    self._bursts.popleft()
                    return events.Paste(text)
                if burst.waking:
                    burst.left.popleft()
            if burst.left:
                return burst.left.popleft()
            self._bursts.popleft()
        return None

    def _text_of(self, burst: Burst) -> str:
        """The text that the burst is, "" for keys; a field takes them as they are."""
        if len(burst.left) == 1 or self._takes_text():
            return ""
        strokes = [stroke_of(event) for event in burst.left if isinstance(event, events.Key)]
        return pasted_text(strokes, self._here(), self._keymap)

    def _release_and_tell(self) -> None:
        self.release()
        self._tell()


def stroke_of(event: events.Key) -> KeyStroke:
    """The event as the fold of bursts knows it."""
    return KeyStroke(event.key, event.character or "", event.time)
