"""The keys that say where to look: the next that needs somebody, snooze, done, false alarm, advice and its outcome."""

from __future__ import annotations

from functools import partial

from apollo_tui.acts.signals import OUTCOMES, SNOOZE_MS, Word, span_ms
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.composer import Editing
from apollo_tui.state.advice_outcome import number_at, read_aftermath
from sessions.attention.notify_when import key_of
from sessions.attention.signals import Signal
from widgets.models import Entry


class Attending(Editing):
    """Over all views; each says how it goes to a place."""

    def attend(self, session: str, seq: int) -> None:
        """Go to the event ``seq`` of a session (0: its newest), so that ``ctrl+o`` leads back."""
        raise NotImplementedError

    def signal(self) -> Signal | None:
        """What z, d and D are about here."""
        now = self.desk.state.sessions.get(self.session or "")
        return self.desk.state.attention.current(now.summary, self.desk.clock()) if now else None

    def has_signal(self) -> bool:
        """Whether there is one."""
        return self.signal() is not None

    # --- going there ------------------------------------------------------------------------------------------------

    def action_next_need(self) -> None:
        """To the next that needs somebody: the worst first."""
        attention, now = self.desk.state.attention, self.desk.clock()
        summaries = self.desk.state.summaries()
        found = attention.next(summaries, now, self.session)
        if found is None:
            self.say("nobody needs you, and nothing waits to be looked at")
            return
        every = [key_of(signal) for signal in attention.round(summaries, now)]
        self.attend(found.session, found.place)
        name = self.desk.steering.name(found.session)
        self.apollo.say(f"{every.index(key_of(found)) + 1} of {len(every)} · {name}: {found.reason}")
        if found.rule == "advice_outcome":
            self.act(self._ask_outcome_of(found))

    # --- words on signals -------------------------------------------------------------------------------------------

    def action_snooze(self) -> None:
        """Not now: it comes back in half an hour."""
        self.judge_signal("snoozed")

    def action_signal_done(self) -> None:
        """It was seen to."""
        self.judge_signal("done")

    def action_false_alarm(self) -> None:
        """There was nothing to see; it counts against the rule."""
        self.judge_signal("false_alarm")

    def judge_signal(self, word: Word, snooze_ms: int = SNOOZE_MS) -> None:
        """Say it of the signal that ``!`` led to here, else of the worst of this session."""
        signal = self.signal()
        if signal is None:
            self.say("nothing wants you here")
        else:
            self.act(self.desk.watching.judge(signal, word, self.desk.clock(), snooze_ms))

    def snooze_for(self, text: str) -> None:
        """``:snooze 2h``. Raises NotDone."""
        self.judge_signal("snoozed", span_ms(text))

    # --- outcomes ---------------------------------------------------------------------------------------------------

    def ask_outcome(self) -> None:
        """``:outcome``: of the oldest advice here whose outcome nobody has set. Raises NotDone."""
        now = self.desk.state.sessions.get(self.session or "")
        waiting = now.summary.watch.delivered if now else ()
        if not waiting or self.session is None:
            raise NotDone("no advice here waits for its outcome; enter on delivered advice opens it")
        self.act(self._ask_outcome(self.session, waiting[0].advice))

    def open_entry(self, session: str, seq: int, entry: Entry | None) -> None:
        """Edit advice that waits, at once; open delivered advice beside what followed, and all else by itself."""
        if entry is None or entry.kind != "advice":
            self.apollo.open.action(session, seq)
        elif not self.edit_advice(session, seq):
            self.run_worker(self._open_delivered(session, seq), group="open")

    async def _open_delivered(self, session: str, seq: int) -> None:
        number = await self.desk.feed.read(partial(number_at, session=session, seq=seq))
        if number is None:
            self.apollo.open.action(session, seq)
        else:
            await self._ask_outcome(session, number)

    async def _ask_outcome_of(self, signal: Signal) -> str:
        waiting = self.desk.state.sessions[signal.session].summary.watch.delivered
        number = next((given.advice for given in waiting if given.seq == signal.seq), None)
        return "" if number is None else await self._ask_outcome(signal.session, number)

    async def _ask_outcome(self, session: str, advice: int) -> str:
        from apollo_tui.screens.panels.advice_outcome import Answer, OutcomePanel

        read = partial(read_aftermath, session=session, advice=advice, label_name=self.desk.labels.name)
        followed = await self.desk.feed.read(read)
        if followed is None:
            raise NotDone(f"advice {advice} of {self.desk.steering.name(session)} has not been delivered")

        def chosen(answer: Answer | None) -> None:
            view = self.apollo.view
            if not isinstance(view, Attending) or answer is None:
                return
            if answer == "next":
                view.action_next_need()
            elif answer == "advise":
                view.action_advise()
            elif answer == "session":
                view.attend(session, followed.record.delivered_seq or 0)
            elif answer == "snooze":
                view.judge_signal("snoozed")
            elif answer in OUTCOMES:
                view.act(self.desk.watching.outcome(session, advice, answer))

        if self.apollo.at_rest:
            step = self.desk.state.sessions[session].summary.step
            self.app.push_screen(OutcomePanel(self.desk.steering.name(session), followed, step), chosen)
        return ""
