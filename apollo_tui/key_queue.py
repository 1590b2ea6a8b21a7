"""Keys that were not pressed yet, in the order in which they came; what came faster than any hand may be a text.

A letter waits for what comes with it. What a burst is is decided when its turn has come: the keys before it may have
opened another screen, or opened or left a text field.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import takewhile

import msgspec
from textual import events
from textual.widget import Widget
from textual.widgets import Input

from apollo_tui import keys
from apollo_tui.state.key_burst import FEWEST, GAP_S, HOLD_S, REST_S, KeyStroke, pasted_text, split_bursts


class TextOfKeys(events.Paste):
    """A text that came as keys. ``for_field``: the field that has the focus takes it."""

    def __init__(self, text: str, *, for_field: bool = False) -> None:
        super().__init__(text)
        self.for_field = for_field


class Burst(msgspec.Struct):
    """Keys that came at once. ``waking``: the first of them only wakes the screen, unless they are a text."""

    left: deque[events.Key | events.Paste]
    waking: bool = False
    judged: bool = False
    """Whether it was asked if they are a text."""
    is_text: bool = False
    """Whether a text begins before it, in the field that it is for."""
    for_field: bool = False
    """Whether a text field took them: when one of them has left it, those behind it are judged anew."""


class KeyQueue:
    """``field``: the text field that has the focus; ``here``: what keys may need now, None where no key of the table
    works; ``tell`` is called when keys that were waited for can be pressed."""

    def __init__(
        self,
        keymap: Mapping[str, str],
        field: Callable[[], Widget | None],
        here: Callable[[], keys.KeyContext | None],
        tell: Callable[[], object],
    ) -> None:
        self._keymap = keymap
        self._field = field
        self._here = here
        self._tell = tell
        self._held: list[events.Key] = []
        self._waking: events.Key | None = None
        self._bursts: deque[Burst] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_at = -1.0
        self._quick_letters = 0
        """So many letters came before this key, each at once with the one before it."""
        self._text_ended = -1.0
        """When the last letter came of what was a text,"""
        self._field_text_ended = -1.0
        """and of a text that came at once in a field."""

    def __bool__(self) -> bool:
        """Whether something can be pressed."""
        return bool(self._bursts)

    def take(self, event: events.Key, *, waking: bool = False) -> None:
        """A key came. ``waking``: it only wakes the screen, unless a text begins with it."""
        stroke = stroke_of(event)
        if stroke.at - self._last_at >= GAP_S or not stroke.text:
            self._quick_letters = 0
        self._last_at = stroke.at
        self._held.append(event)
        if waking:
            self._waking = event
        if len(self._held) == 1 and not self._waits(stroke):
            self.release()
        else:
            self._wait()
        self._quick_letters += stroke.is_letter
        goes_on = stroke.is_letter and stroke.at - self._field_text_ended < REST_S
        if self._field() is not None and (goes_on or self._quick_letters >= FEWEST):
            self._field_text_ended = stroke.at

    def take_paste(self, event: events.Paste) -> None:
        """A text came that the terminal marked as one."""
        self.release()
        self._bursts.append(Burst(deque([event]), judged=True))

    def release(self) -> None:
        """Nothing more is waited for: what is held can be pressed."""
        in_field, waited = self._field() is not None, self._timer is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        goes_on = self._quick_letters >= FEWEST
        for group in split_bursts([stroke_of(event) for event in self._held]):
            came = self._held[: len(group)]
            del self._held[: len(group)]
            is_text = in_field and waited and (goes_on or any(stroke.text for stroke in group[1:]))
            self._bursts.append(Burst(deque(came), came[0] is self._waking, is_text=is_text, for_field=in_field))
            goes_on = False
        self._waking = None

    def next(self) -> events.Key | events.Paste | None:
        """What is to be pressed, or pasted, now; None: nothing."""
        while self._bursts:
            burst = self._bursts[0]
            in_field = self._field() is not None
            if burst.for_field and not in_field:
                self._hold_again()
                continue
            if not burst.judged:
                burst.judged = True
                if text := self._text_of(burst):
                    self._bursts.popleft()
                    return TextOfKeys(text)
                if burst.waking:
                    burst.left.popleft()
            if burst.left:
                burst.for_field = in_field
                return (_take_letters(burst.left) if in_field else None) or burst.left.popleft()
            self._bursts.popleft()
        return None

    def _waits(self, stroke: KeyStroke) -> bool:
        """Whether what comes with the key decides what it is."""
        if self._field() is None or self._quick_letters >= FEWEST:
            return bool(stroke.text)
        return stroke.name == "enter" and self._has_one_line()

    def _text_of(self, burst: Burst) -> str:
        """The text that the burst is, "" for keys; a field takes them as they are."""
        pressed = [event for event in burst.left if isinstance(event, events.Key)]
        strokes = [stroke_of(event) for event in pressed]
        if self._field() is not None:
            letters = sum(stroke.is_letter for stroke in strokes)
            is_rest = strokes[0].at - max(self._text_ended, self._field_text_ended) < REST_S
            if self._has_one_line() and (is_rest or burst.is_text or letters >= FEWEST):
                # Its returns do nothing, they are blanks: the field has one line.
                burst.left = deque(events.Key("space", " ") if stroke_of(e).text == "\n" else e for e in pressed)
            return ""
        is_rest = strokes[0].at - self._text_ended < REST_S and all(stroke.text for stroke in strokes)
        text = "".join(stroke.text for stroke in strokes) if is_rest else ""
        if not text and len(strokes) > 1:
            text = pasted_text(strokes, self._here(), self._keymap)
        if text:
            self._text_ended = strokes[-1].at
        return text

    def _has_one_line(self) -> bool:
        return isinstance(self._field(), Input)

    def _hold_again(self) -> None:
        """The field that the keys were for has been left: the first keys up to a paste are what they are elsewhere."""
        again: list[events.Key] = []
        while self._bursts and not isinstance(self._bursts[0].left[0] if self._bursts[0].left else None, events.Paste):
            again += [event for event in self._bursts.popleft().left if isinstance(event, events.Key)]
        if not self._bursts:
            self._held = [*again, *self._held]
            self._wait()
            return
        groups = split_bursts([stroke_of(event) for event in again])
        for group in reversed(groups):
            self._bursts.appendleft(Burst(deque(again[-len(group) :])))
            del again[-len(group) :]

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(HOLD_S, self._release_and_tell)

    def _release_and_tell(self) -> None:
        self.release()
        self._tell()


def _take_letters(left: deque[events.Key | events.Paste]) -> TextOfKeys | None:
    """The letters that are first in line as one text, None if it is one at most: a field takes long texts letter by
    letter in a time that grows with their square."""
    letters = list(takewhile(lambda event: isinstance(event, events.Key) and stroke_of(event).is_letter, left))
    if len(letters) < 2:
        return None
    for _ in letters:
        left.popleft()
    typed = "".join(event.character or "" for event in letters if isinstance(event, events.Key))
    return TextOfKeys(typed, for_field=True)


def stroke_of(event: events.Key) -> KeyStroke:
    """The event as the fold of bursts knows it."""
    return KeyStroke(event.key, event.character or "", event.time)
