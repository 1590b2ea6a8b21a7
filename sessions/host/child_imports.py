"""A sub-agent whose file came alone is joined to the session that started it, if the log has that."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from sessions import events as ev
from sessions.fold.summary import Summary
from sessions.importers.base import ImportedSession, Starter
from sessions.log.reader import LogReader


def join_parent(session: ImportedSession, summaries: dict[str, Summary], reader: LogReader | None) -> ImportedSession:
    """The session, which names its parent in the log where the file could not; ``reader`` None: there is no log yet."""
    starter = session.started_by
    if starter is None or reader is None:
        return session
    parent = next((one for name, one in summaries.items() if name.endswith(starter.ending)), None)
    if parent is None or parent.session == session.session:
        return session
    begins = ev.Beginning(parent.session, _find_call(reader, parent, starter), "child")
    created = structs.replace(session.created, begins=begins, task_id=parent.task_id or session.created.task_id)
    return replace(session, events=[structs.replace(session.events[0], body=created), *session.events[1:]])


def _find_call(reader: LogReader, parent: Summary, starter: Starter) -> int:
    """The seq of the call that started it; where none is found, of the parent's last event."""
    for event in reader.events(parent.session, kinds=("action.started",)):
        body = event.body
        if isinstance(body, ev.ActionStarted):
            said = (value.strip() for value in body.arguments.values() if isinstance(value, str))
            if (starter.call and body.call_id == starter.call) or (starter.prompt and starter.prompt in said):
                return event.seq
    return parent.last_seq
