"""Which conversation of its harness the session of a sub-agent is."""

from __future__ import annotations

from typing import Final

from sessions import events as ev

THREAD: Final = "thread"
"""Key in a child's ``meta``: what its harness, or the tree of prefixes, calls its conversation."""


def thread_of_child(created: ev.SessionCreated) -> str:
    """The conversation that a child's session is, "" for a session that is no child of a harness."""
    is_child = created.harness is not None and created.begins is not None and created.begins.kind == "child"
    return str(created.meta.get(THREAD, "")) if is_child else ""
