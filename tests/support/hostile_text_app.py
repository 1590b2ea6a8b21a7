"""An app that shows hostile text in every widget; run as a script behind a pty, it leaves by itself."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from widget_events import ESCAPES, START, Told

from sessions import events as ev
from widgets.chrome import HintBar, ReceiptLine, TitleBar
from widgets.composer import Composer
from widgets.document import Document
from widgets.entries import EntryBook
from widgets.facts import FactsPanel
from widgets.live import grow
from widgets.models import (
    Anchor,
    Choice,
    ComposerTarget,
    EarlierText,
    Entry,
    FactsView,
    HeaderView,
    Hint,
    JobView,
    PlanLine,
    SessionView,
)
from widgets.picker import ChoiceList
from widgets.session_list import SessionList
from widgets.transcript import Transcript
from widgets.wall import Wall

HOSTILE = SessionView(
    id="s", number=1, title=ESCAPES, state="needs_you", model=ESCAPES, state_words=ESCAPES, step=3, why=ESCAPES,
    last_line=ESCAPES, sign_off=ESCAPES, context_limit=10,
)  # fmt: skip


def hostile_events() -> Told:
    told = Told()
    told.add(ev.SessionCreated(number=1, title=ESCAPES, task=ESCAPES, model=ev.ModelSpec("demo", ESCAPES)))
    told.reply(1, text=ESCAPES, reasoning=ESCAPES)
    told.action(1, name=ESCAPES, output=ESCAPES, command=ESCAPES)
    told.add(
        ev.FlagSet(flag="f", target=ev.Target(1, "call", 1), label=ESCAPES, note=ESCAPES), 1, 1, f"human:{ESCAPES}"
    )
    told.add(ev.AdviceQueued(advice=1, text=ESCAPES, about_text=ESCAPES), actor=f"human:{ESCAPES}")
    return told


class ForeignApp(App[None]):
    """Every widget, every text of it hostile: in the cleaned form that builders give, and raw."""

    CSS = "Vertical, Horizontal { height: 1fr; } Composer, ChoiceList { height: 5; }"
    seconds = 0.0

    def compose(self) -> ComposeResult:
        yield TitleBar()
        with Horizontal():
            yield SessionList()
            yield Wall()
            yield Transcript()
        with Horizontal():
            yield Document()
            yield FactsPanel()
            with Vertical():
                yield ChoiceList([Choice("a", ESCAPES, note=ESCAPES, value=ESCAPES, group=ESCAPES)])
        yield Composer()
        yield ReceiptLine()
        yield HintBar()

    def on_mount(self) -> None:
        book = EntryBook()
        told = hostile_events()
        book.add(told.events)
        raw = Entry(90, "action", START, 9, 1, ESCAPES, ((ESCAPES, "text"),), ((((ESCAPES, "text"),)),), tail=ESCAPES)
        entries = [*book.entries(), raw]
        wall = self.query_one(Wall)
        wall.set_session(HOSTILE)
        wall.put("s", entries)
        wall.live("s", grow(None, step=9, attempt=1, index=0, channel="text", offset=0, text=ESCAPES, name=ESCAPES))
        wall.show(["s"])
        wall.flush(START)
        transcript = self.query_one(Transcript)
        transcript.append([Anchor(entry.seq, entry.step, entry.call, "x") for entry in entries])
        transcript.supply(entries)
        self.query_one(SessionList).update([HOSTILE])
        self.query_one(TitleBar).update(HeaderView(1, 1, ESCAPES, who=ESCAPES, trouble=ESCAPES, place=ESCAPES))
        facts = FactsView(
            HOSTILE,
            plan=(PlanLine(ESCAPES),),
            jobs=(JobView(1, ESCAPES, ESCAPES),),
            files=((ESCAPES, 1, 1),),
            limits=((ESCAPES, ESCAPES, ESCAPES),),
            advice=(ESCAPES,),
            extra=((ESCAPES, ESCAPES),),
        )
        self.query_one(FactsPanel).update(facts)
        document = self.query_one(Document)
        document.set_lines([*entries[2].detail, ((ESCAPES, "text"),), (("y" * 1_000_000, "text"),)])
        self.query_one(ReceiptLine).show(ESCAPES, "error")
        self.query_one(HintBar).update([Hint("x", ESCAPES)])
        self.query_one(Composer).bind(
            ComposerTarget("s", "1", ESCAPES, about=ESCAPES), draft=ESCAPES, earlier=[EarlierText(ESCAPES)]
        )
        if self.seconds:
            self.set_timer(self.seconds, self.exit)


if __name__ == "__main__":
    ForeignApp.seconds = 0.7
    ForeignApp().run()
