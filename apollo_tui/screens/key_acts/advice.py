"""The keys that open the composer: advice, an answer, a correction; and a paste, which is text for it."""

from __future__ import annotations

from typing import Protocol

from apollo_tui.acts.drafts import Draft
from apollo_tui.context import View
from sessions import events as ev


def advise(view: View) -> None:
    """Write to this session."""
    if view.session:
        view.composer.open(view.session)


class Marks(View, Protocol):
    """A view on which sessions can be marked."""

    def marked_sessions(self) -> list[str]:
        """The marked sessions that are in sight."""
        ...


def advise_marked(view: Marks) -> None:
    """Write the same advice to all marked sessions that are in sight."""
    context, chosen = view.context, view.marked_sessions()
    if chosen:
        view.composer.open(chosen[0], Draft(chosen[0], "", context.clock(), also=tuple(chosen[1:])))


def answer(view: View) -> None:
    """Answer what the agent asks."""
    if view.session:
        question = view.context.state.sessions[view.session].summary.question
        view.composer.open(view.session, Draft(view.session, "", view.context.clock(), answers=question))


def correct(view: View) -> None:
    """Bind the composer to what is selected, with one's word on it so far; saved empty, that is taken back."""
    found = view.subject()
    if found is None:
        return
    session, entry = found
    if entry.step is None or (entry.kind not in ("action", "reply") and not entry.call):
        view.say("only replies and actions can be corrected", "error")
        return
    context = view.context
    target = ev.Target(entry.step, "call", entry.call) if entry.call else ev.Target(entry.step)
    text = context.state.sessions[session].remarks.corrections.own(context.feed.actor, target)
    view.composer.open(session, Draft(session, text, context.clock(), corrects=target))


def paste(view: View, text: str) -> None:
    """Begin advice to this session with a text that was pasted, after what its draft says."""
    advise(view)
    view.composer.put_after(text)
    draft = view.composer.draft
    if draft is not None:
        view.say(f"pasted into a draft to {view.context.name(draft.session)}; nothing is sent yet")
