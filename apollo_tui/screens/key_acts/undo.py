"""The keys that take back: undo, redo, and the history of one's acts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from apollo_tui.acts.control import find_queued, read_advice_text
from apollo_tui.acts.drafts import Draft, join_drafts
from apollo_tui.acts.signoffs import find_entry
from apollo_tui.acts.undo import Act
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import View
from apollo_tui.screens.key_acts.judgement import show_target
from sessions import events as ev


def undo(view: View) -> None:
    """Undo this annotator's last act; off screen it is shown first."""
    view.act(_undo(view), opens=True)


async def _undo(view: View) -> str:
    selected = await view.selected_entry()
    if selected is not None and (receipt := await _withdraw_selected(view, *selected)):
        return receipt
    history = view.context.undo
    act = await history.act_to_undo()
    if act is None:
        return "nothing of yours can be undone"
    if (act.passed or not any(map(view.shows, act.sessions))) and view.undo_preview != act.event.id:
        view.undo_preview = act.event.id
        return f"u again undoes: {history.words(act)}"
    view.undo_preview = None
    return await history.undo(act, partial(bring_back, view))


def redo(view: View) -> None:
    """Do again what was undone last; off screen it is shown first."""
    view.act(_redo(view))


async def _redo(view: View) -> str:
    history = view.context.undo
    act = await history.act_to_redo()
    if act is None:
        return "nothing of yours to do again"
    if not any(map(view.shows, act.sessions)) and view.undo_preview != -act.event.id:
        view.undo_preview = -act.event.id
        return f"U again does again: {history.words(act)}"
    view.undo_preview = None
    return await history.redo(act)


def list_history(view: View) -> None:
    """Everything that this annotator did on this log."""
    view.act(_list_history(view), opens=True)


async def _list_history(view: View) -> str:
    from apollo_tui.screens.panels.signoff import HistoryPanel

    def take(act: Act | None) -> None:
        if act is not None:
            view.act(_go_to_act(view, act), opens=True)

    history = view.context.undo
    acts = await history.acts()
    if not acts:
        view.say("you did nothing on this log yet")
        return ""
    if view.typing:
        raise NotDone("leave the text field first")
    view.ask(HistoryPanel(acts, history, view.act, partial(bring_back, view, opened=False)), take)
    return ""


async def _go_to_act(view: View, act: Act) -> str:
    if act.target is not None and act.target.part != "span":
        return await show_target(view, act.session, act.target)
    context = view.context
    step = act.target.step if act.target is not None else None
    seq = await find_entry(context.feed, context.state, act.session, ev.Target(step)) if step else act.event.seq
    view.show_entry(act.session, seq)
    return ""


async def _withdraw_selected(view: View, session: str, seq: int) -> str:
    """On queued advice that is selected, ``u`` means that one; "" if it does not wait."""
    now = view.context.state.sessions[session]
    number = now.advice.get(seq)
    if number is None or all(advice.advice != number for advice in now.summary.open_advice):
        return ""
    return await _withdraw(view, session, number)


async def _withdraw(view: View, session: str, number: int) -> str:
    """Take advice that waits back, whoever wrote it and however much came after it. Raises NotDone."""
    context = view.context
    if all(advice.advice != number for advice in context.state.sessions[session].summary.open_advice):
        raise NotDone(f"advice {number} of {context.name(session)} does not wait")
    event = await find_queued(context.feed, session, number)
    text = await read_advice_text(context.feed, session, number)
    own = event is not None and event.actor == context.feed.actor
    receipt = await context.control.withdraw(session, number, undoes=event.seq if own and event is not None else None)
    if event is not None and isinstance(event.body, ev.AdviceQueued):
        bring_back(view, [session], msgspec.structs.replace(event.body, text=text or event.body.text))
    return receipt


def take_back(view: View, session: str, number: int) -> None:
    """Take advice that waits back, as a draft."""
    view.act(_withdraw(view, session, number), opens=True)


def list_queued(view: View) -> None:
    """The advice to this session that waits: to edit, or to take back."""
    from apollo_tui.screens.panels.queued_advice import QueuedAdvicePanel, QueuedChoice

    session = view.session
    if session is None:
        return
    name, waiting = view.context.name(session), view.context.state.sessions[session].summary.open_advice
    if not waiting:
        view.say(f"no advice to {name} waits")
        return

    def take(chosen: QueuedChoice | None) -> None:
        if chosen is None:
            return
        if chosen.back:
            take_back(view, session, chosen.advice)
        elif not view.composer.edit_queued(session, chosen.advice):
            view.say(f"advice {chosen.advice} to {name} waits no more", "warning")

    view.ask(QueuedAdvicePanel(name, waiting), take)


def bring_back(view: View, sessions: Sequence[str], advice: ev.AdviceQueued, *, opened: bool = True) -> None:
    """Withdrawn advice is a draft to ``sessions`` again; in the composer, if the first of them is on screen and it may
    be ``opened``."""
    context = view.context
    started, reach = advice.drafted_at or context.clock(), advice.reach or ""
    session, *others = sessions
    draft = Draft(session, advice.text, started, about=advice.about, also=tuple(others), reach=reach)
    draft = join_drafts(context.drafts.load(session, draft.slot), draft)
    context.drafts.save(draft)
    if opened and view.shows(session) and not view.typing:
        view.composer.open(session, draft)
