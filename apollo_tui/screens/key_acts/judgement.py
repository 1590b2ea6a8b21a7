"""The keys that judge: flags, labels, recovery, spans, sign-off, note, bookmarks, and the way to the review."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

from apollo_tui.acts.flags import JustFlagged, Subject, Word
from apollo_tui.acts.signoffs import find_entry, sign_off, toggle_bookmark, write_note
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import ToReview, View
from sessions import events as ev
from widgets.models import Entry

LABELLED_SOON_MS: Final = 5_000
"""``F`` right after ``f`` is about what was just flagged, also where the newest is another one meanwhile."""


def flag(view: View) -> None:
    """Flag as bad, without a label; or take one's own bare flag back."""
    found, keys = view.subject(), view.context.presses

    async def do(subject: Subject) -> str:
        assert found is not None
        return await _flag(view, view.context.flags.as_shown(subject), found[1].seq, keys)

    _judge(view, do, opens=_has_own_flag(view))


def _has_own_flag(view: View) -> bool:
    """Whether this annotator has flagged what is selected: a picker may open."""
    found, actor = view.subject(), view.context.feed.actor
    if found is None:
        return False
    session, entry = found
    flags = view.context.state.sessions[session].flags.values()
    return any(who == actor and _is_about(body.target, entry) for who, body in flags)


def _is_about(target: ev.Target, entry: Entry) -> bool:
    if target.part == "span":
        return target.step <= (entry.step or 0) <= (target.to_step or target.step)
    return (target.step, target.call) == (entry.step, entry.call)


async def _flag(view: View, subject: Subject, seq: int, keys: int) -> str:
    flags = view.context.flags
    bare = flags.own_bare_flag(subject)
    if bare is not None:
        return await flags.remove_flag(subject, bare)
    if flags.own_flag(subject) is not None:
        _pick_label(view, await flags.find_aftermath(subject))
        return ""
    receipt = await flags.set_flag(subject, seen=_evidence(view, subject.session))
    flags.just_flagged = JustFlagged(subject, seq, view.context.clock(), keys)
    return receipt


def label(view: View) -> None:
    """Flag with a label and a note: what ``f`` flagged with the key before, else what is selected."""
    found, flags = view.subject(), view.context.flags
    keys, now = view.context.presses, view.context.clock()

    async def pick() -> str:
        just = flags.just_flagged
        if just is not None and keys == just.keys + 1 and now - just.at <= LABELLED_SOON_MS:
            chosen = await view.selected_entry() if view.place != "review" else None
            if chosen in (None, (just.subject.session, just.seq)):
                _pick_label(view, await flags.find_aftermath(just.subject), just.seq)
                return ""
        if found is None:
            raise NotDone("nothing is selected here")
        subject = await flags.find_aftermath(await view.find_subject(*found))
        _pick_label(view, flags.as_shown(subject), found[1].seq)
        return ""

    if found is not None or flags.just_flagged is not None:
        view.act(pick(), opens=True)


def repeat_label(view: View) -> None:
    """The last label once more."""
    _judge_shown(view, lambda subject: _repeat_label(view, subject, Word(), _evidence(view, subject.session)))


async def _repeat_label(view: View, subject: Subject, more: Word, seen: ev.Seen | None) -> str:
    last = await view.context.flags.last_word()
    word = Word(last.verdict, last.label, more.note, more.severity, more.until_recovery)
    return await view.context.flags.set_flag(subject, word, seen=seen)


def good(view: View) -> None:
    """The action is good."""
    _say(view, Word("good"))


def unsure(view: View) -> None:
    """Nobody can tell yet."""
    _say(view, Word("unsure"))


def _say(view: View, word: Word) -> None:
    _judge_shown(
        view, lambda subject: view.context.flags.set_flag(subject, word, seen=_evidence(view, subject.session))
    )


def set_label(view: View, label: str, note: str) -> None:
    """Flag the action as bad, with this label."""
    _say(view, Word("bad", label, note))


def mark_recovery(view: View) -> None:
    """From this step on the agent is on its feet again."""
    _judge(view, view.context.flags.toggle_recovery)


def begin_span(view: View) -> None:
    """A span begins here."""

    async def begin(subject: Subject) -> str:
        return view.context.flags.begin_span(subject)

    _judge(view, begin)


def this_loop(view: View) -> None:
    """The loop that the selected action is in becomes the span, and is shown before anything is said of it."""
    _judge(view, view.context.flags.find_loop)


def bookmark(view: View) -> None:
    """Set or take away a bookmark."""
    context = view.context
    _judge(view, lambda subject: toggle_bookmark(context.feed, context.state, subject))


def _judge_shown(view: View, work: Callable[[Subject], Awaitable[str]]) -> None:
    """Say something of all that is shown as selected: the action, the span, the run."""
    _judge(view, lambda subject: work(view.context.flags.as_shown(subject)))


def _judge(view: View, work: Callable[[Subject], Awaitable[str]], *, opens: bool = False) -> None:
    """Do something with what is selected; its receipt is shown. ``opens``: it may open a picker."""
    found = view.subject()

    async def do() -> str:
        assert found is not None
        return await work(await view.find_subject(*found))

    if found is not None:
        view.act(do(), opens=opens)


def _evidence(view: View, session: str) -> ev.Seen | None:
    """What of the session was on the screen when a verdict was given; None: nothing."""
    return view.context.note_sight(view.in_sight()).evidence(session, view.context.clock())


def _pick_label(view: View, subject: Subject, seq: int | None = None) -> None:
    from apollo_tui.screens.panels.labels import LabelChoice, LabelPanel

    context, flags = view.context, view.context.flags
    seen = _evidence(view, subject.session)

    def take(picked: LabelChoice | None) -> None:
        if picked is None:
            return
        if picked.remove is not None:
            view.act(flags.remove_flag(picked.subject, picked.remove))
        elif picked.recovery:
            view.act(flags.toggle_recovery(picked.subject))
        elif picked.repeat:
            view.act(_repeat_label(view, picked.subject, picked.word, seen))
        else:
            view.act(flags.set_flag(picked.subject, picked.word, seen=seen))

    view.ask(LabelPanel(subject, context.labels, flags.flags_on, context.feed.actor, seq), take)


# --- the session ------------------------------------------------------------------------------------------------------


def sign_off_session(view: View) -> None:
    """A word on the whole session."""
    from apollo_tui.screens.panels.signoff import SignOffChoice, SignOffPanel

    session = view.session
    if session is None:
        return
    context = view.context
    held = context.state.sessions[session]
    found = view.subject()
    entry = found[1] if found is not None and found[0] == session else None
    step = (entry.step if entry is not None else None) or held.summary.step

    def take(signed: SignOffChoice | None) -> None:
        if signed is None:
            return
        if signed.note:
            ask_note(view, session)
        else:
            view.act(sign_off(context.feed, context.state, session, signed.verdict, signed.up_to))

    view.ask(SignOffPanel(context.name(session), step, held.remarks, context.feed.actor), take)


def ask_note(view: View, session: str) -> None:
    """One's note on the session, in one line."""
    from apollo_tui.screens.panels.prompt import LinePrompt

    context = view.context
    before = context.state.sessions[session].remarks.notes.get(context.feed.actor, "")

    def take(text: str | None) -> None:
        if text is not None and text.strip() != before:
            view.act(write_note(context.feed, context.state, session, text))

    prompt = LinePrompt(f"note on {context.name(session)}", "colleagues see it, the agent does not", before)
    view.ask(prompt, take)


def list_bookmarks(view: View) -> None:
    """All bookmarks, to jump to."""
    from apollo_tui.screens.panels.signoff import BookmarkPanel
    from sessions.fold.notes import Bookmark

    context = view.context
    first = [view.session] if view.session else []
    order = [*first, *(one for one in context.state.order() if one != view.session)]
    marks = [
        (session, context.name(session), mark)
        for session in order
        for mark in context.state.sessions[session].remarks.bookmarks
    ]
    if not marks:
        view.say("no bookmark yet: B sets one on the selected entry")
        return

    def take(place: tuple[str, Bookmark] | None) -> None:
        if place is not None:
            view.act(show_target(view, place[0], place[1].target), opens=True)

    view.ask(BookmarkPanel(marks), take)


async def show_target(view: View, session: str, target: ev.Target) -> str:
    """Go to the entry that ``target`` is about. Raises NotDone if it has none."""
    view.show_entry(session, await find_entry(view.context.feed, view.context.state, session, target))
    return ""


class Sittings(Protocol):
    """A review: fifty items, then the next fifty."""

    def next_sitting(self) -> None:
        """The next ones, once these are done."""
        ...


def open_review(view: View) -> None:
    """One queue over all sessions; in it, the next sitting."""
    if view.place == "review":
        cast("Sittings", view).next_sitting()
    else:
        view.apollo.open(ToReview())


def compare_sessions(view: View) -> None:
    """Two sessions of one task side by side."""
    from apollo_tui.screens.compare import compare_sessions as compare

    compare(view)
