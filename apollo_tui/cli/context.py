"""What every command is given."""

from __future__ import annotations

import msgspec

from sessions.paths import LogPaths


class Cli(msgspec.Struct, frozen=True):
    """The log, and who asks (``human:NAME``)."""

    paths: LogPaths
    actor: str
    allow_network_fs: bool = False

    @property
    def host_options(self) -> tuple[str, ...]:
        """The options with which a host is started."""
        return ("--allow-network-fs",) if self.allow_network_fs else ()
