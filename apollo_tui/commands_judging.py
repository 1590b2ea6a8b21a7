"""The commands of ``:`` that find, judge and count."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from apollo_tui.feed import NotDone
from apollo_tui.screens.command import Command, Deed
from apollo_tui.screens.judge_verbs import JudgeVerbs
from apollo_tui.screens.training import TrainingMode
from apollo_tui.screens.verbs import Verbs
from sessions.errors import ApolloError
from widgets.glyphs import duration

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen


def _key(name: str) -> Deed:
    def run(screen: ApolloScreen, _: list[str]) -> None:
        screen.run_worker(screen.run_key(name))

    return run


def _find(screen: ApolloScreen, words: list[str]) -> None:
    if isinstance(screen, Verbs) and words:
        screen.find_everywhere(" ".join(words))
    elif isinstance(screen, Verbs):
        screen.action_find()


def _note(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, JudgeVerbs) or not screen.session:
        return
    if words:
        screen.act(screen.desk.signing.note(screen.session, " ".join(words)))
    else:
        screen.write_note(screen.session)


def _train(screen: ApolloScreen, words: list[str]) -> None:
    if not isinstance(screen, TrainingMode):
        raise NotDone("open a session first: the training view colours a transcript")
    try:
        screen.train_by(words[0] if words else "default")
    except ApolloError as problem:
        raise NotDone(str(problem)) from problem


def _who(screen: ApolloScreen, _: list[str]) -> None:
    desk = screen.desk
    now = desk.clock()
    apps = [client for client in desk.state.clients if client.client == "app"]
    if not apps:
        raise NotDone("nobody is attached: no host is connected")
    said = [
        f"{client.actor.removeprefix('human:')}{' (you)' if client.actor == desk.actor else ''}"
        f" for {duration(max(0, now - client.since))}"
        for client in apps
    ]
    screen.say("here: " + ", ".join(said))


def _effort(screen: ApolloScreen, _: list[str]) -> None:
    from apollo_tui.screens.effort import show_effort

    show_effort(screen)


def _unskip(screen: ApolloScreen, _: list[str]) -> None:
    count = screen.desk.reviewing.unskip_all()
    screen.say(f"{count} skipped items are in the queue again")
    screen.on_screen_resume()


def _let_go(screen: ApolloScreen, words: list[str]) -> None:
    desk = screen.desk
    if words not in ([], ["all"], ["none"]):
        raise NotDone("letgo: this session; letgo all: every one; letgo none: what nobody looked at is unread again")
    sessions = desk.state.order() if words == ["all"] else [screen.session] if screen.session else []
    if words == ["none"]:
        screen.act(_take_up(screen, sessions))
        return
    count = sum(desk.state.unread(session) for session in sessions)
    for session in sessions:
        desk.state.reading.let_go(session, desk.state.sessions[session].summary.last_seq, desk.clock())
    screen.on_screen_resume()
    screen.say(
        f"{count:,} entries count as unread no more; for training they stay unseen · `:letgo none` brings them back"
    )


async def _take_up(screen: ApolloScreen, sessions: list[str]) -> str:
    from apollo_tui.seeding import unread_of

    desk = screen.desk
    count = 0
    for session in sessions:
        desk.state.reading.let_go(session, 0, desk.clock())
        read = desk.state.reading.book(session)
        unread = await desk.feed.read(partial(unread_of, session=session, read=read))
        desk.state.sessions[session].unread = unread
        count += len(unread)
    screen.on_screen_resume()
    return f"{count:,} entries are unread again"


def _edit(screen: ApolloScreen, _: list[str]) -> None:
    if isinstance(screen, Verbs):
        screen.open_in_editor()


JUDGING: Final[tuple[Command, ...]] = (
    Command("find", "WORDS", 'Search all sessions: `find tool:run label:impatience "loss is nan"`.', _find),
    Command("review", "", "One queue of what is unseen or suspicious.", _key("review")),
    Command("unskip", "", "Put what you skipped back into the review.", _unskip),
    Command("letgo", "all|none", "What is unread here counts as unread no more, and as seen by nobody.", _let_go),
    Command("signoff", "", "A word on the whole session.", _key("sign_off"), True, True),
    Command("note", "TEXT", "Your note: colleagues see it, the agent does not.", _note, True, True),
    Command("bookmarks", "", "All bookmarks, to jump to.", _key("bookmarks")),
    Command("history", "", "Everything that you did on this log.", _key("history")),
    Command("train", "POLICY", "Training view by a preset or a file.", _train, True),
    Command("effort", "", "What supervision cost, per session and label.", _effort),
    Command("who", "", "Who else is here.", _who),
    Command("edit", "", "Open the selected entry in $EDITOR, to read or copy from.", _edit, True),
)
