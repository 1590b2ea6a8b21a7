"""A person's shell in a session's workspace: its space is made ready, and what changed meanwhile is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from sessions import events as ev
from sessions.containment.choice import is_remote
from sessions.containment.errors import SpaceError
from sessions.containment.workspace_view import CannotLook, WorkspaceView
from sessions.containment.workspace_walk import FOLDER, Listing, Wish
from sessions.events.states import ENDED
from sessions.events.text import valid_unicode
from sessions.fold.summary import Summary
from sessions.host.handlers.context import HandlerContext, refusal, require_person
from sessions.host.protocol import CloseShell, Done, OpenShell

MOST_NAMED: Final = 200
"""Files that one event names."""
MOST_BEFORE: Final = 16
"""Shells whose workspaces are remembered as they were."""
LOOK_SECONDS: Final = 3.0
"""For each of the two looks at a workspace."""
SLACK_NS: Final = 20_000_000
"""A file system's clock lags a little behind."""

_before: dict[tuple[str, int], Listing] = {}
"""By session and opening, as the workspace was then; gone with the host."""


async def open_shell(context: HandlerContext, call: OpenShell, actor: str) -> Done:
    """Make the space ready, and say that a person goes in."""
    require_person(actor, "open a shell")
    async with context.turn(call.session) as s:
        context.check_runs_here(s)
        created = await asyncio.to_thread(context.spaces.created, call.session)
        view = _view(context, created, call.session)
        if not view.elsewhere and not await asyncio.to_thread(view.root.is_dir):
            raise refusal(f"the workspace {view.root} of session {s.number} is gone; bring it back first")
        try:
            await context.spaces.of(call.session).open()
        except SpaceError as error:
            raise refusal(f"the space of session {s.number} cannot be made: {error}") from error
        words = (created.contained or ev.Containment()).words
        try:
            was = await view.list(Wish(seconds=LOOK_SECONDS))
        except CannotLook as problem:
            if not view.elsewhere:
                raise refusal(str(problem)) from problem
            was = None  # files are listed by a program that the other side need not have
        done = await context.commit(s.session, actor, call.request, ev.ShellOpened(inside=words), note=words)
        while len(_before) >= MOST_BEFORE:
            del _before[next(iter(_before))]
        if was is not None:
            _before[s.session, done.seq] = was
        return done


async def close_shell(context: HandlerContext, call: CloseShell, actor: str) -> Done:
    """Look what changed since it was opened, and let its space end with its session, where that has ended."""
    require_person(actor, "close a shell")
    async with context.turn(call.session) as s:
        told = await context.events(call.session, ("shell.opened", "shell.closed"))
        opened = next((one for one in told if one.seq == call.opened and one.kind == "shell.opened"), None)
        if opened is None:
            raise refusal(f"session {s.number} has no shell that was opened at event {call.opened}")
        closed = {one.body.opened for one in told if isinstance(one.body, ev.ShellClosed)}
        if call.opened in closed:
            raise refusal(f"that shell of session {s.number} was closed already")
        body = await _look(context, s, opened)
        others = {one.seq for one in told if one.kind == "shell.opened"} - closed - {call.opened}
        if s.state in ENDED and not s.open_jobs and not others:
            await context.spaces.of(call.session).close()
        return await context.commit(s.session, actor, call.request, body, note=_say(body))


async def _look(context: HandlerContext, s: Summary, opened: ev.Event) -> ev.ShellClosed:
    took = max(0, context.clock() - opened.at)
    before = _before.pop((s.session, opened.seq), None)
    try:
        created = await asyncio.to_thread(context.spaces.created, s.session)
        after = await _view(context, created, s.session).list(Wish(seconds=LOOK_SECONDS))
    except CannotLook as problem:
        return ev.ShellClosed(opened=opened.seq, unknown=str(problem), duration_ms=took)
    # The other side's clock may go otherwise.
    ahead = (
        after.clock // 1_000_000 - context.clock() if created.contained and is_remote(created.contained.inside) else 0
    )
    found = sorted(touched_files(before, after, opened.at + ahead), key=lambda file: file.path)
    unknown = ""
    if before is None:
        unknown = "nobody looked when it was opened (or another host did): removed files cannot be told"
    elif not all(one.whole and not one.more for one in (before, after)):
        unknown = "the workspace is too large to look at all of it"
    return ev.ShellClosed(
        opened=opened.seq,
        files=tuple(found[:MOST_NAMED]),
        more=max(0, len(found) - MOST_NAMED),
        unknown=unknown,
        duration_ms=took,
    )


def touched_files(before: Listing | None, after: Listing, opened_at: int) -> Iterator[ev.TouchedFile]:
    """What is another one in ``after``. Without a ``before`` the time of a change (since ``opened_at``, Unix ms) tells;
    so it does where one of the two was too large, and what is missing may have been left out."""
    if before is None or not (before.whole and after.whole and not before.more and not after.more):
        for one in after.found:
            if one.kind != FOLDER and one.changed > opened_at * 1_000_000 - SLACK_NS:
                yield ev.TouchedFile(valid_unicode(one.path))
        return
    was = {one.path: one for one in before.found if one.kind != FOLDER}
    there = {one.path: one for one in after.found if one.kind != FOLDER}
    for path, one in there.items():
        if path not in was:
            yield ev.TouchedFile(valid_unicode(path), "new")
        elif (was[path].changed, was[path].size) != (one.changed, one.size):
            yield ev.TouchedFile(valid_unicode(path))
    for path in was.keys() - there.keys():
        yield ev.TouchedFile(valid_unicode(path), "removed")


def _view(context: HandlerContext, created: ev.SessionCreated, session: str) -> WorkspaceView:
    try:
        return WorkspaceView(created, context.paths.session_folder(session))
    except CannotLook as problem:
        raise refusal(str(problem)) from problem


def _say(body: ev.ShellClosed) -> str:
    count = len(body.files) + body.more
    if body.unknown and not count:
        return f"what changed is not known: {body.unknown}"
    named = ", ".join(file.path for file in body.files[:3])
    if not count:
        return "no file changed meanwhile"
    return f"{count:,} file{'s' * (count != 1)} changed meanwhile: {named}{', …' if count > 3 else ''}"
