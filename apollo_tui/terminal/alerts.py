"""Bell, window title and the terminal's own notifications: what bytes go out, and where. Pure.

Inside tmux and screen only the bell and the title of one's own pane are used: what is wrapped for the terminal around
them would show over whatever pane is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from sessions.attention.notify_when import SignalMemory
from sessions.attention.signals import Signal
from widgets.sanitise import clean_line

Channel = Literal["auto", "off", "bell", "osc9", "osc777", "osc99"]
"""``auto``: the bell, and the notification that the terminal is known to take. The title comes with all but off."""

BELL: Final = "\x07"
PUSH_TITLE: Final = "\x1b[22;2t"
POP_TITLE: Final = "\x1b[23;2t"
MOST: Final = 120

TERMS: Final[tuple[tuple[str, Channel], ...]] = (
    ("xterm-kitty", "osc99"),
    ("foot", "osc777"),
    ("rxvt-unicode", "osc777"),
    ("xterm-ghostty", "osc777"),
    ("wezterm", "osc777"),
)
"""What a TERM takes; TERM is what gets through SSH."""
PROGRAMS: Final[Mapping[str, Channel]] = {"iTerm.app": "osc9", "WezTerm": "osc777", "ghostty": "osc777"}
"""What a TERM_PROGRAM takes."""


def channel(wanted: Channel, env: Mapping[str, str]) -> Channel:
    """Which way a notification goes here: ``bell`` where nothing better is known to work."""
    if wanted == "off":
        return "off"
    if env.get("TMUX") or env.get("STY") or env.get("TERM", "").startswith(("tmux", "screen")):
        return "bell"
    if wanted != "auto":
        return wanted
    term = env.get("TERM", "")
    for begins, known in TERMS:
        if term.startswith(begins):
            return known
    return PROGRAMS.get(env.get("TERM_PROGRAM", ""), "bell")


def notification(by: Channel, text: str) -> str:
    """The bytes of one notification: the bell and, where the terminal takes it, the text."""
    # A semicolon parts the fields of these sequences.
    said = clean_line(text, MOST).replace(";", ",")
    if by == "off":
        return ""
    if by == "osc9":
        return f"{BELL}\x1b]9;{said}{BELL}"
    if by == "osc777":
        return f"{BELL}\x1b]777;notify;Apollo;{said}{BELL}"
    if by == "osc99":
        return f"{BELL}\x1b]99;;{said}\x1b\\"
    return BELL


def title_text(need: int) -> str:
    """What the title says."""
    return f"{need} need you · Apollo" if need > 1 else ("1 needs you · Apollo" if need else "Apollo")


class Titles:
    """The bytes that set the title of the window: in tmux of one's own pane, in GNU screen of one's own window.

    Screen takes its own sequence, has no stack of titles and names a window after what runs in it. TERM says that it
    is screen also where SSH has lost its variables; it may then be tmux as well, which takes both sequences.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        family = env.get("TERM", "").startswith("screen") and not env.get("TMUX")
        self._screen = bool(env.get("STY")) or family
        # One of the two may run in the other, and each leaves its variable behind.
        self._osc = not env.get("STY") or bool(env.get("TMUX"))
        self._shell = clean_line(env.get("SHELL", "").rpartition("/")[2], 40) or "sh"

    def begin(self) -> str:
        """Keep the title for later, where that can be done."""
        return PUSH_TITLE if self._osc else ""

    def set(self, text: str) -> str:
        """Show ``text``."""
        osc = f"\x1b]2;{text}{BELL}" if self._osc else ""
        return osc + (f"\x1bk{text}\x1b\\" if self._screen else "")

    def end(self) -> str:
        """Give the title back: in screen, the one that a new window has."""
        return (POP_TITLE if self._osc else "") + (f"\x1bk{self._shell}\x1b\\" if self._screen else "")


class Alerts:
    """What the app writes besides its screen: a new title when the count changes, a bell for a new acute signal."""

    def __init__(self, wanted: Channel, env: Mapping[str, str]) -> None:
        self.by = channel(wanted, env)
        self._titles = Titles(env) if self.by != "off" else None
        self._memory = SignalMemory()
        self._begun = False
        self._need = -1

    def begin(self) -> str:
        """Keep the terminal's title for later."""
        return self._titles.begin() if self._titles else ""

    def end(self) -> str:
        """Give the terminal its title back."""
        return self._titles.end() if self._titles else ""

    def update(self, standing: Mapping[str, Sequence[Signal]], now: int, key_at: int, names: Mapping[str, str]) -> str:
        """The bytes to write now, mostly none. ``standing``: the signals of every session; ``names``: their names.

        What was there when the app began rings no bell: whoever began it sees it.
        """
        acute = {session: [s for s in signals if s.acute] for session, signals in standing.items()}
        if not self._begun:
            self._begun = True
            for signals in acute.values():
                self._memory.mark_seen(signals)
        told = self._memory.take_due(acute, now, key_at)
        out = ""
        need = sum(any(not signal.quiet for signal in signals) for signals in standing.values())
        if self._titles and need != self._need:
            self._need = need
            out += self._titles.set(title_text(need))
        if told and self.by != "off":
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            out += notification(self.by, f"{names.get(told[0].session, '')}: {told[0].reason}{more}")
        return out
