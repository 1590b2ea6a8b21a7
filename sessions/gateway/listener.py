"""The listening socket of a log's endpoints: the watcher holds it, so that a host that dies leaves no closed door.

Clients of a dead host wait in the kernel's queue until the next one accepts them, and notice nothing but time.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.json_files import read_json, write_json

FILE: Final = "gateway.json"
"""In the log's folder: its port, for life; harnesses are told it once."""
HANDLE: Final = "APOLLO_GATEWAY_HANDLE"
"""The variable that names the inherited socket's descriptor."""
BACKLOG: Final = 512


def bind_port(folder: Path) -> socket.socket:
    """The listening socket of a log, at the port that it has for life. Raises ApolloError."""
    path = folder / FILE
    known = known_port(folder)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", known))
        listener.listen(BACKLOG)
        if not known:
            write_json(path, {"port": listener.getsockname()[1]})
    except OSError as problem:
        listener.close()
        where = f"port {known}" if known else "a port"
        raise ApolloError(f"the gateway cannot have {where} of 127.0.0.1: {problem.strerror}") from problem
    return listener


def known_port(folder: Path) -> int:
    """The port of a log's endpoints, 0 if it has none yet."""
    told = (read_json(folder / FILE) or {}).get("port")
    return told if isinstance(told, int) and 0 < told < 1 << 16 else 0


def inherited_listener() -> socket.socket | None:
    """The socket that the watcher holds, None if it holds none. A second call finds none."""
    handle = os.environ.pop(HANDLE, "")
    if not handle.isdecimal():
        return None
    try:
        listener = socket.socket(fileno=int(handle))
        listener.getsockname()
    except OSError:
        return None
    listener.set_inheritable(False)
    return listener
