"""What a session may be used for, and that one was taken out of the log for good."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from sessions.events.base import Body


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """On which terms a session's words may be used, in free words: ``license`` and ``source`` of its material, and
    ``consent`` of the people in it."""

    license: str = ""
    source: str = ""
    consent: str = ""


class TermsSet(Body, frozen=True, kw_only=True):
    """The terms of the session from now on; a field that is None stays as it was, "" takes it away."""

    kind: ClassVar[str] = "terms.set"
    license: str | None = None
    source: str | None = None
    consent: str | None = None


class SessionPurged(Body, frozen=True, kw_only=True):
    """A tombstone, among the host's events: a session was taken out of the log, with all that it alone had.

    ``sha256`` is that of its events (docs/log.md), ``blobs`` how many went with it, ``dependants`` which sessions
    began in it."""

    kind: ClassVar[str] = "session.purged"
    session: str
    number: int
    events: int
    blobs: int
    sha256: str
    why: str
    dependants: tuple[str, ...] = ()


class BeginningPurged(Body, frozen=True, kw_only=True):
    """The session that this one is a branch or a child of was taken out of the log."""

    kind: ClassVar[str] = "beginning.purged"
    session: str
    why: str
