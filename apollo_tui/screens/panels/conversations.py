"""``M``: the conversations of a harness. Which of them is its work can be put right, from its next request on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from apollo_tui.screens.panels.base import ChoicePanel
from sessions.gateway.main_line import KINDS, Conversation, read_conversations, say_steps
from widgets.models import Choice

if TYPE_CHECKING:
    from apollo_tui.context import View


async def show_conversations(view: View, session: str) -> str:
    """Open the list; what is chosen there is asked about once more, then done."""
    known = await view.context.feed.read(partial(read_conversations, session=session))
    if not known:
        return "its harness has asked for nothing yet"
    rows = {each.name: each for each in known}

    def take(name: str | None) -> None:
        if name is not None:
            _ask(view, session, rows[name])

    choices = [Choice(name, _words(each), note=each.words) for name, each in rows.items()]
    title = f"conversations of {view.context.name(session)}"
    view.ask(ChoicePanel(title, choices, "enter: it is something else, and what · esc closes"), take)
    return ""


def _ask(view: View, session: str, chosen: Conversation) -> None:
    control = view.context.control
    if chosen.kind == "main":
        step = chosen.steps[0]
        what = Choice("yes", "It is a sub-agent's", note=f"{say_steps(chosen.steps)} left out: no targets, no context")
        act = partial(control.assign_thread, session, step=step)
    else:
        what = Choice(
            "yes", "It is the main line", note="from its next request on; what it said so far stays where it is"
        )
        act = partial(control.assign_thread, session, thread=chosen.thread)

    def take(answer: str | None) -> None:
        if answer is not None:
            view.act(act())

    view.ask(ChoicePanel(chosen.words or chosen.name, [what], "enter does it · esc leaves it as it is"), take)


def _words(each: Conversation) -> str:
    what = say_steps(each.steps) if each.kind == "main" else f"{each.name}, requests: {len(each.requests)}"
    return f"{KINDS[each.kind]:<9}  {what}{' · newest' * each.is_newest}"
