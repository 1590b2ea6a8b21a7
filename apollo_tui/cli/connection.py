"""What every command is given, and how it reaches the log and the host."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sessions.annotators import know_logins
from sessions.paths import LogPaths

if TYPE_CHECKING:
    from sessions.host import protocol
    from sessions.log.reader import LogReader

A = TypeVar("A")


class Cli(msgspec.Struct, frozen=True):
    """The log, and who asks (``human:NAME``)."""

    paths: LogPaths
    actor: str
    allow_network_fs: bool = False

    @property
    def host_options(self) -> tuple[str, ...]:
        """The options with which a host is started."""
        return ("--allow-network-fs",) if self.allow_network_fs else ()


def open_log(cli: Cli) -> LogReader:
    """Open the log for reading; raises an ApolloError that says how to make one if there is none."""
    from sessions.log.reader import LogReader  # ``apollo --help`` reads none

    reader = LogReader(cli.paths.log)
    know_logins(reader.logins())
    return reader


def find_session(cli: Cli, prefix: str) -> str:
    """The session that ``prefix`` (of its id, or its number) names."""
    reader = open_log(cli)
    try:
        return reader.find(prefix)
    finally:
        reader.close()


def new_request_id() -> str:
    """A new id for a request, unique in the log."""
    return uuid.uuid4().hex


def ask_host(cli: Cli, params: protocol.Call[A], *, start: bool = True) -> A:
    """Make one request to the host. ``start``: start a host if none runs."""
    from sessions.host.client import call_once

    return call_once(cli.paths, params, actor=cli.actor, start=start, options=cli.host_options)
