"""What is done to several sessions at once: each by a request of its own, all of them one act with one receipt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from apollo_tui.acts.control import request_control, session_name
from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from apollo_tui.state.bulk import Deed, Reach, reach_of, say_refusals
from sessions import events as ev
from sessions.fold.flags import SessionVerdict
from sessions.fold.names_and_tags import check_tag_words, tag_change
from sessions.fold.summary import Summary
from sessions.ulid import new_ulid

VERBS: Final[Mapping[Deed, ev.Verb]] = {
    "pause": "pause", "resume": "resume", "archive": "archive", "unarchive": "unarchive",
}  # fmt: skip
DONE: Final[Mapping[Deed, str]] = {
    "pause": "pause at the boundary",
    "resume": "go on",
    "archive": "are in the archive: `archived` in the filter shows them",
    "unarchive": "are back from the archive",
}
"""What the sessions do then."""

NAMED: Final = 6
"""So many sessions are named in a receipt."""

Do = Callable[[str, str, str], Awaitable[object]]
"""The deed to one session: its id, the id of the bulk, the id of its own request."""


class BulkActs:
    """The deeds of the panel that acts on what is marked."""

    def __init__(self, feed: Feed, state: BoardState) -> None:
        self._feed = feed
        self._state = state

    async def control(self, deed: Deed, sessions: Sequence[str]) -> str:
        """Pause, resume, archive, or bring back."""

        async def ask(session: str, bulk: str, request: str) -> object:
            return await request_control(self._feed, session, VERBS[deed], bulk=bulk, request=request)

        return await self._do(deed, sessions, DONE[deed], ask)

    async def sign_off(self, sessions: Sequence[str], verdict: SessionVerdict) -> str:
        """One word on each."""

        async def say(session: str, bulk: str, request: str) -> object:
            return await send_annotation(self._feed, session, ev.SignedOff(verdict=verdict, bulk=bulk), request)

        return await self._do("sign_off", sessions, f"are signed off: {verdict}", say)

    async def tag(self, sessions: Sequence[str], words: Sequence[str]) -> str:
        """Give each these tags, and take away those with a ``-``; where that changes nothing, nothing is written."""
        check_tags(words)
        change = " ".join(words)
        bodies = {one: tag_change(self._summaries()[one].tags, tuple(words)) for one in sessions}
        changed = [one for one in sessions if bodies[one] != ev.SessionTagged()]
        if not changed:
            raise NotDone(f"{self._names(sessions)}: nothing to change, {change} is so already")

        async def say(session: str, bulk: str, request: str) -> object:
            said = bodies[session]
            body = ev.SessionTagged(added=said.added, removed=said.removed, bulk=bulk)
            return await send_annotation(self._feed, session, body, request)

        return await self._do("tag", changed, f"are tagged {change}", say)

    async def _do(self, deed: Deed, sessions: Sequence[str], done: str, do: Do) -> str:
        """Do it to those to which it can be done. Raises NotDone if that is none of them; of a single session the host
        says why, and what helps."""
        alone = len(sessions) == 1
        reach = Reach(tuple(sessions)) if alone else reach_of(deed, sessions, self._summaries())
        cannot = list(reach.cannot)
        bulk = new_ulid()
        did: list[str] = []
        for at, session in enumerate(reach.can):
            try:
                await do(session, bulk, f"{bulk}-{at}")
            except NotDone as problem:
                if alone:
                    raise
                if problem.cut:  # no host: the others would fail in the same way
                    left = [(one, str(problem)) for one in reach.can[at:]]
                    cannot += left
                    break
                cannot.append((session, str(problem)))
            else:
                did.append(session)
        refused = say_refusals(cannot, lambda session: session_name(self._state, session))
        if not did:
            raise NotDone(refused or "no session is meant")
        one = done.replace("are ", "is ", 1) if len(did) == 1 else done
        if len(did) == 1:
            one = {"pause": "pauses at the boundary", "resume": "goes on"}.get(deed, one)
        return f"{self._names(did)} {one}{' · ' + refused if refused else ''} · u undoes"

    def _names(self, sessions: Sequence[str]) -> str:
        names = [session_name(self._state, session) for session in sessions]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        count = f"{len(names)} sessions, " if len(names) > 1 else ""
        return f"{count}{', '.join(names[:NAMED])}{more}"

    def _summaries(self) -> dict[str, Summary]:
        return {id: now.summary for id, now in self._state.sessions.items()}


def check_tags(words: Sequence[str]) -> None:
    """Raises NotDone, with what is wrong, unless each word is a tag, or a tag to be taken away."""
    if not words:
        raise NotDone("say which tags: words, and -word to take one away")
    if wrong := check_tag_words(words):
        raise NotDone(wrong)


async def rename(feed: Feed, state: BoardState, session: str, title: str) -> str:
    """Call a session by another name."""
    before, new = session_name(state, session), " ".join(title.split())
    if not new:
        raise NotDone(f"{before}: a name has at least one letter")
    await send_annotation(feed, session, ev.SessionRenamed(title=new))
    return f"{before} is called {new} now · u undoes"
