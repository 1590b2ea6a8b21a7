"""What the tests of other sides share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ssh_server import SshServer, missing, ssh_server


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A real server, in a folder of its own: a test may ask that no process names its folder any more."""
    if missing():
        pytest.skip(missing())
    with ssh_server(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def ssh(sshd: SshServer) -> str:
    """The command line that leads there."""
    return sshd.prefix
