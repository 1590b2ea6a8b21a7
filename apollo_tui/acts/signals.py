"""A person's words on signals and on what became of advice. Each act returns a receipt of one line."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from apollo_tui.acts.control import session_name
from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.attention.signals import Signal
from widgets.glyphs import duration

SNOOZE_MS: Final = 30 * 60_000
UNITS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

SignalWord = Literal["done", "snoozed", "false_alarm"]
Outcome = Literal["followed", "ignored", "made_it_worse"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


async def judge_signal(
    feed: Feed, state: BoardState, signal: Signal, word: SignalWord, now: int, snooze_ms: int = SNOOZE_MS
) -> str:
    """Snooze a signal, call it done or false. ``u`` opens it again."""
    until = now + snooze_ms if word == "snoozed" else None
    await send_annotation(feed, signal.session, ev.SignalJudged(signal=signal.id, verdict=word, until=until))
    receipt = f"snoozed for {duration(snooze_ms)}" if word == "snoozed" else word.replace("_", " ")
    return f"{session_name(state, signal.session)}: {receipt}: {signal.reason} · u undoes"


async def set_outcome(feed: Feed, state: BoardState, session: str, advice: int, outcome: Outcome) -> str:
    """Say what became of a piece of advice. A later word takes its place."""
    await send_annotation(feed, session, ev.AdviceOutcome(advice=advice, outcome=outcome))
    return f"{session_name(state, session)}: advice {advice} {outcome.replace('_', ' ')} · u undoes"


def span_ms(text: str) -> int:
    """``90m``, ``2h``, ``1d`` as milliseconds. Raises NotDone."""
    found = re.fullmatch(r"(\d{1,4})([mhd])", text)
    if found is None or not int(found[1]):
        raise NotDone(f"{text}: expected a time such as 90m, 2h or 1d")
    return int(found[1]) * UNITS[found[2]]
