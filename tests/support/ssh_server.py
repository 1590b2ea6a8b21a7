"""A real ``sshd`` on loopback, and the command line that leads to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions import processes

SSHD: Final = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else "")
CONFIG: Final = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
AuthorizedKeysFile {place}/user_key.pub
StrictModes no
PidFile none
UsePAM no
PermitRootLogin yes
"""


def missing() -> str:
    """Why there can be none here; "" where there can."""
    return "" if SSHD and shutil.which("ssh-keygen") and shutil.which("ssh") else "there is no sshd here"


@dataclass(frozen=True, slots=True)
class SshServer:
    """One that listens. ``prefix`` leads to it."""

    pid: int
    prefix: str

    def signal_lines(self, number: signal.Signals) -> None:
        """Send a signal to all that serves its connections now; commands that have left them go on."""
        processes.send_all(processes.descendants(self.pid), number)


@contextmanager
def ssh_server(place: Path) -> Iterator[SshServer]:
    """A server whose keys and configuration lie in ``place``, which is made."""
    place.mkdir()
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (place / "config").write_text(CONFIG.format(port=port, place=place))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", place / "config"], stderr=subprocess.DEVNULL)
    prefix = (
        f"ssh -p {port} -i {place}/user_key -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no "
        "-o LogLevel=ERROR -o BatchMode=yes 127.0.0.1"
    )
    try:
        while subprocess.run([*prefix.split(), "true"], capture_output=True, check=False).returncode:
            assert server.poll() is None, "sshd does not run"
        yield SshServer(server.pid, prefix)
    finally:
        server.kill()
        server.wait()
