"""Of which session another one is a branch or a child, in words."""

from __future__ import annotations

from collections.abc import Mapping

from sessions import events as ev


def say_beginning(begins: ev.Beginning | None, addresses: Mapping[str, str]) -> str:
    """``branch of 3``, or "" for a session that began by itself; ``addresses``: what sessions are called by, by id."""
    if begins is None:
        return ""
    address = addresses.get(begins.session)
    return f"{begins.kind} of {address}" if address else f"{begins.kind} of a session that is not in this log"
