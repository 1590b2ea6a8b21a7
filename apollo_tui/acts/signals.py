"""A person's words on signals and on what became of advice. Each act returns a receipt of one line."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from apollo_tui.acts.flags import Judging
from apollo_tui.backend.feed import NotDone
from sessions import events as ev
from sessions.attention.signals import Signal
from sessions.ulid import new_ulid
from widgets.glyphs import duration

SNOOZE_MS: Final = 30 * 60_000
UNITS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

Word = Literal["done", "snoozed", "false_alarm"]
Outcome = Literal["followed", "ignored", "made_it_worse"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class Watching:
    """What the keys z, d and D do, and the outcome panel."""

    def __init__(self, judging: Judging) -> None:
        self.judging = judging

    async def judge(self, signal: Signal, word: Word, now: int, snooze_ms: int = SNOOZE_MS) -> str:
        """Snooze a signal, call it done or false. ``u`` opens it again."""
        until = now + snooze_ms if word == "snoozed" else None
        body = ev.SignalJudged(signal=signal.id, verdict=word, until=until)
        await self.judging.annotate(signal.session, body, new_ulid())
        said = f"snoozed for {duration(snooze_ms)}" if word == "snoozed" else word.replace("_", " ")
        return f"{self._name(signal.session)}: {said}: {signal.reason} · u undoes"

    async def outcome(self, session: str, advice: int, outcome: Outcome, note: str = "") -> str:
        """Say what became of a piece of advice. A later word takes its place."""
        body = ev.AdviceOutcome(advice=advice, outcome=outcome, note=note)
        await self.judging.annotate(session, body, new_ulid())
        return f"{self._name(session)}: advice {advice} {outcome.replace('_', ' ')} · u undoes"

    def _name(self, session: str) -> str:
        summary = self.judging.state.sessions[session].summary
        return f"{summary.number} {summary.title}"


def span_ms(text: str) -> int:
    """``90m``, ``2h``, ``1d`` as milliseconds. Raises NotDone."""
    found = re.fullmatch(r"(\d{1,4})([mhd])", text)
    if found is None or not int(found[1]):
        raise NotDone(f"{text}: expected a time such as 90m, 2h or 1d")
    return int(found[1]) * UNITS[found[2]]
