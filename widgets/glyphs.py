"""Glyphs with their words: never a glyph alone, because colour and shape do not reach everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from sessions.events.states import State
from widgets.models import EntryKind, FlagMark, Line, Outcome, Role


class Mark(msgspec.Struct, frozen=True):
    """A glyph, the word beside it, and the role that both are painted in."""

    glyph: str
    word: str
    role: Role

    @property
    def text(self) -> str:
        """Glyph and word."""
        return f"{self.glyph} {self.word}"


STATES: Final[dict[State, Mark]] = {
    "created": Mark("○", "created", "dim"),
    "running": Mark("●", "running", "accent"),
    "sleeping": Mark("◌", "sleeping", "text"),
    "on_job": Mark("◔", "on a job", "text"),
    "needs_you": Mark("!", "needs you", "need"),
    "paused": Mark("‖", "paused", "strong"),
    "finished": Mark("✓", "finished", "text"),
    "stopped": Mark("■", "stopped", "dim"),
    "failed": Mark("✗", "failed", "need"),
    "archived": Mark("▫", "archived", "dim"),
}

OUTCOMES: Final[dict[Outcome, Mark]] = {
    "": Mark(" ", "", "dim"),
    "ok": Mark("✓", "", "dim"),
    "error": Mark("✗", "error", "error"),
    "timeout": Mark("✗", "timed out", "error"),
    "interrupted": Mark("⊘", "interrupted", "strong"),
    "unknown": Mark("?", "outcome unknown", "strong"),
    "running": Mark("…", "running", "accent"),
    "background": Mark("◔", "in background", "text"),
    "malformed": Mark("✗", "malformed", "error"),
    "skipped": Mark("⊘", "skipped", "dim"),
}
"""``ok`` needs no word: its duration stands there ("✓ 12 s"), or nothing does."""

PLAN: Final[dict[str, Mark]] = {
    "todo": Mark("[ ]", "", "text"),
    "doing": Mark("[>]", "", "accent"),
    "done": Mark("[x]", "", "dim"),
    "dropped": Mark("[-]", "", "dim"),
}
"""Marks of the lines of a plan, as they are written in text files."""

KIND_GLYPHS: Final[dict[EntryKind, str]] = {
    "task": "◆",
    "reply": "·",
    "action": "▸",
    "advice": "»",
    "summary": "≡",
    "state": "─",
    "nudge": "›",
    "eval": "◎",
    "question": "?",
    "problem": "!",
    "fold": "▸",
    "side": "∘",
}

KIND_WORDS: Final[dict[EntryKind, str]] = {
    "task": "task",
    "reply": "says",
    "action": "",
    "advice": "advice",
    "summary": "summary",
    "state": "",
    "nudge": "nudge",
    "eval": "eval",
    "question": "asks",
    "problem": "problem",
    "fold": "",
    "side": "",
}

VERDICTS: Final[dict[str, str]] = {"bad": "⚑", "good": "✚", "unsure": "⚐"}

SPARKS: Final = "▁▂▃▄▅▆▇█"


def state_mark(state: State, words: str = "") -> Mark:
    """The mark of a state; ``words`` ("on job 3") replaces its general word."""
    mark = STATES[state]
    return Mark(mark.glyph, words, mark.role) if words else mark


def outcome_mark(outcome: Outcome) -> Mark:
    """The mark of an outcome."""
    return OUTCOMES[outcome]


def flag_line(flags: Sequence[FlagMark]) -> Line:
    """``⚑ impatience`` for each flag, at most two by name."""
    if not flags:
        return ()
    names = [
        f"{VERDICTS[flag.verdict]} {flag.label if flag.label != 'unspecified' else flag.verdict}" for flag in flags
    ]
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ((" ".join(names[:2]) + more, "flag"),)


UNKNOWN: Final = "–"
"""Stands for a time that nobody knows: a recording does not say it."""


def duration(ms: int | None) -> str:
    """A duration as people say it: ``0.1 s``, ``12 s``, ``22 min``, ``2 h 05 min``, ``3 d 4 h``."""
    if ms is None:
        return ""
    seconds = max(0, ms) / 1000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


STEP_MS: Final = 10_000
"""In its first minute, what runs says its time in steps of so long: a screen is not painted every second for it."""


def running_time(ms: int) -> str:
    """How long something has been under way, as it stands on a screen that nobody touches: ``20 s``, ``22 min``; "" for
    the first seconds."""
    ms = max(0, ms)
    return duration(ms // STEP_MS * STEP_MS if ms < 60_000 else ms) if ms >= STEP_MS else ""


def next_running_time(since: int, now: int) -> int:
    """When (Unix ms) ``running_time`` of what began at ``since`` says something else."""
    ran = max(0, now - since)
    step = STEP_MS if ran < 60_000 else 60_000
    return since + (ran // step + 1) * step


def clock(ms: int) -> str:
    """An active time in little room: ``0h09``, ``2h12``, ``47h54``."""
    minutes = max(0, ms) // 60_000
    return f"{minutes // 60}h{minutes % 60:02}"


def age(ms: int) -> str:
    """How long ago, in whole minutes: ``now``, ``2 min``, ``6 h``, ``3 d``."""
    minutes = max(0, ms) // 60_000
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def count(number: int) -> str:
    """A count in little room: ``950``, ``18.2k``, ``1.3M``."""
    if number < 1000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1000:.1f}k" if number < 100_000 else f"{number // 1000}k"
    return f"{number / 1_000_000:.1f}M"


def money(dollars: float) -> str:
    """Money in US dollars: ``$0.84``, ``$12.30``; "" for nothing."""
    if dollars <= 0:
        return ""
    return f"${dollars:.2f}" if dollars >= 0.01 else "<$0.01"


def sparkline(values: Sequence[float], cells: int) -> str:
    """The newest ``cells`` values as eighth blocks between their least and their greatest."""
    shown = list(values)[-cells:] if cells > 0 else []
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high <= low:
        return SPARKS[0 if high == 0 else 3] * len(shown)
    return "".join(SPARKS[round((value - low) / (high - low) * (len(SPARKS) - 1))] for value in shown)
