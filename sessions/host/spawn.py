"""Starting our own processes so that they outlive the terminal and never import somebody else's ``sessions``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sessions.host.version import package_root
from sessions.paths import LogPaths

ROTATE_BYTES: Final = 2 << 20
KEPT_LOGS: Final = 3

PASSED_ON: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|XDG_\w+|APOLLO_\w+|TIKTOKEN_CACHE_DIR"
    r"|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY"
    r"|(DY)?LD_LIBRARY_PATH|PYTHON(HOME|UTF8|MALLOC|WARNINGS|DONTWRITEBYTECODE|PYCACHEPREFIX|FAULTHANDLER)|COVERAGE_\w+"
)
"""What a host inherits. Keys do not: those of a session come from its client, and stay in memory."""

_started: list[subprocess.Popen[bytes]] = []  # kept, so that Python does not complain of children that live on


def command_line(module: str, log: Path, *options: str) -> list[str]:
    """The command line that runs ``module`` of ours for ``log``."""
    return [sys.executable, "-P", "-m", module, "--log", str(log), *options]


def child_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a host: what it needs of ``base``, and our package first on the path of a checkout."""
    env = {name: value for name, value in (base or os.environ).items() if PASSED_ON.fullmatch(name)}
    root = str(package_root())
    installed = {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    if root not in installed:
        env["PYTHONPATH"] = root
    env["PYTHONSAFEPATH"] = "1"
    env["PYTHONUNBUFFERED"] = "1"
    return env


def spawn(paths: LogPaths, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Run ``argv`` in a session of its own, without a terminal, its output in the host's log file."""
    paths.prepare()
    rotate(paths.host_log)
    with paths.host_log.open("ab", buffering=0) as output:
        paths.host_log.chmod(0o600)
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=paths.folder,
            env=child_environment(),
            start_new_session=True,
            close_fds=True,
            umask=0o077,
        )
    _started[:] = [child for child in _started if child.poll() is None]
    _started.append(process)
    return process


def spawn_host(paths: LogPaths, *options: str) -> subprocess.Popen[bytes]:
    """Start a watcher, which runs the host (or watches over the one that runs). Returns at once."""
    return spawn(paths, command_line("sessions.host.watcher", paths.log, *options))


def rotate(path: Path, limit: int = ROTATE_BYTES) -> None:
    """Move ``path`` to ``path.1`` (and that to ``.2`` …) once it has reached ``limit`` bytes."""
    try:
        if path.stat().st_size < limit:
            return
    except FileNotFoundError:
        return
    for number in range(KEPT_LOGS - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
