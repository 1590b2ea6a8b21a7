"""The keys that say where to look: the next that needs somebody, snooze, done, false alarm; advice and its outcome."""

from __future__ import annotations

from functools import partial
from typing import Final

from apollo_tui.acts import error_hints
from apollo_tui.acts.signals import OUTCOMES, SNOOZE_MS, SignalWord, judge_signal, set_outcome, span_ms
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import ToAction, View
from apollo_tui.screens.key_acts.advice import advise
from apollo_tui.state.advice_outcome import number_at, read_aftermath
from sessions.attention.notify_when import key_of
from sessions.attention.signals import Signal
from widgets import cells
from widgets.models import Entry

RECEIPT_ROOM: Final = 210
"""Cells that a receipt surely has on a screen of 80 columns."""
LEAST_REASON: Final = 40
"""Cells of a reason that are said at least."""


def next_need(view: View) -> None:
    """To the next that needs somebody: the worst first."""
    context = view.context
    attention, now = context.state.attention, context.clock()
    summaries = context.state.summaries()
    found = attention.next(summaries, now, view.session)
    if found is None:
        view.say("nobody needs you, and nothing waits to be looked at")
        return
    every = [key_of(signal) for signal in attention.round(summaries, now)]
    view.attend(found.session, found.place)
    place = f"{every.index(key_of(found)) + 1} of {len(every)} · {context.name(found.session)}: "
    ways = error_hints.ways(context.state.sessions[found.session].summary, context.config.keys) if found.acute else ""
    reason = found.reason
    if ways:
        # What lets it go on is whole, however many words its reason has.
        reason = f"{cells.crop(reason, max(LEAST_REASON, RECEIPT_ROOM - cells.width(place + ways)))}: {ways}"
    view.apollo.say(place + reason)
    if found.rule == "advice_outcome":
        view.act(_ask_outcome_of(view, found), opens=True)


def snooze(view: View) -> None:
    """Not now: it comes back in half an hour."""
    _judge_signal(view, "snoozed")


def snooze_for(view: View, text: str) -> None:
    """``:snooze 2h``. Raises NotDone."""
    _judge_signal(view, "snoozed", span_ms(text))


def signal_done(view: View) -> None:
    """It was seen to."""
    _judge_signal(view, "done")


def false_alarm(view: View) -> None:
    """There was nothing to see; it counts against the rule."""
    _judge_signal(view, "false_alarm")


def _judge_signal(view: View, word: SignalWord, snooze_ms: int = SNOOZE_MS) -> None:
    """Say it of the signal that ``!`` led to here, else of the worst of this session."""
    context = view.context
    held = context.state.sessions.get(view.session or "")
    signal = context.state.attention.current(held.summary, context.clock()) if held else None
    if signal is None:
        view.say("nothing wants you here")
    else:
        view.act(judge_signal(context.feed, context.state, signal, word, context.clock(), snooze_ms))


def ask_outcome(view: View) -> None:
    """``:outcome``: of the oldest advice here whose outcome nobody has set. Raises NotDone."""
    held = view.context.state.sessions.get(view.session or "")
    waiting = held.summary.watch.delivered if held else ()
    if not waiting or view.session is None:
        raise NotDone("no advice here waits for its outcome; enter on delivered advice opens it")
    view.act(_ask_outcome(view, view.session, waiting[0].advice), opens=True)


def open_entry(view: View, session: str, seq: int, entry: Entry | None) -> None:
    """Edit advice that waits, at once; open delivered advice beside what followed, and all else by itself."""
    if entry is None or entry.kind != "advice":
        view.apollo.open(ToAction(session, seq))
    elif not view.composer.edit_advice(session, seq):
        view.act(_open_delivered(view, session, seq), opens=True)


async def _open_delivered(view: View, session: str, seq: int) -> str:
    number = await view.context.feed.read(partial(number_at, session=session, seq=seq))
    if number is None:
        view.apollo.open(ToAction(session, seq))
        return ""
    return await _ask_outcome(view, session, number)


async def _ask_outcome_of(view: View, signal: Signal) -> str:
    waiting = view.context.state.sessions[signal.session].summary.watch.delivered
    number = next((given.advice for given in waiting if given.seq == signal.seq), None)
    return "" if number is None else await _ask_outcome(view, signal.session, number)


async def _ask_outcome(view: View, session: str, advice: int) -> str:
    from apollo_tui.screens.panels.advice_outcome import Answer, OutcomePanel

    context, apollo = view.context, view.apollo
    read = partial(read_aftermath, session=session, advice=advice, label_name=context.labels.name)
    followed = await context.feed.read(read)
    if followed is None:
        raise NotDone(f"advice {advice} of {context.name(session)} has not been delivered")

    def take(answer: Answer | None) -> None:
        # The answer is for the view that is there now: another one may have come with the signal.
        now = apollo.current_view()
        if now is None or answer is None:
            return
        if answer == "next":
            next_need(now)
        elif answer == "advise":
            advise(now)
        elif answer == "session":
            now.attend(session, followed.record.delivered_seq or 0)
        elif answer == "snooze":
            snooze(now)
        elif answer in OUTCOMES:
            now.act(set_outcome(context.feed, context.state, session, advice, answer))

    if apollo.at_rest:
        step = context.state.sessions[session].summary.step
        view.ask(OutcomePanel(context.name(session), followed, step), take)
    return ""
