"""How a helper of ours gets into a space: its code is loaded outside, then it enters and goes on there. Stdlib only.

So nothing of ours has to be visible inside, and what the helper starts sees the space alone. ``entry`` is made by
``spaces``: ``{"kind": "namespaces", "pid", "start_time"}`` or ``{"kind": "keeper", "folder"}``, each with ``limits``,
``detach``, and the path of the session's control ``group`` ("": none, or the keeper is in it).
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import os
import signal
import socket
from typing import Any, Final, NoReturn

from sessions import processes
from sessions.containment.control_groups import join_group
from sessions.containment.landlock_keeper import HOLDER, SOCKET, STREAMS
from sessions.containment.limits import set_limits
from sessions.containment.privileges import drop_privileges

NAMESPACES: Final = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
NS_GET_USERNS: Final = 0xB701
"""From linux/nsfs.h: the user namespace that a namespace belongs to."""
PR_SET_PDEATHSIG: Final = 1


class CannotEnter(Exception):
    """The space cannot be entered; one line."""


def main(entry_text: str, module: str, *arguments: str) -> None:
    """Enter the space and run ``main(*arguments)`` of ``module`` there."""
    entry = json.loads(entry_text)
    if entry["group"]:
        join_group(entry["group"])
    if entry["kind"] == "keeper":
        _ask_keeper(entry, module, arguments)
    helper = importlib.import_module(module)
    who = _enter_namespaces(entry, detach=entry["detach"]) if entry["kind"] == "namespaces" else None
    set_limits(entry["limits"])
    if who is None:
        helper.main(*arguments)
    else:
        helper.main(*arguments, who=who)


def _ask_keeper(entry: dict[str, Any], module: str, arguments: tuple[str, ...]) -> NoReturn:
    """Have the keeper of the space run the helper on our own standard streams; ends as the helper does."""
    wish = {"module": module, "arguments": arguments, "limits": entry["limits"]}
    os.chdir(entry["folder"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as keeper:
        try:
            keeper.connect(SOCKET)
        except OSError as error:
            raise CannotEnter(f"the space of this session has ended ({error.strerror})") from None
        terminal = _open_terminal() if module == HOLDER else ()
        socket.send_fds(keeper, [json.dumps(wish).encode()], [*range(STREAMS), *terminal])
        if entry["detach"]:
            os._exit(0)
        os._exit(int(keeper.recv(16) or b"1"))


def _open_terminal() -> tuple[int, ...]:
    """A terminal for a job that may want one: who is inside can open none. Nothing where there are none to be had."""
    try:
        return os.openpty()
    except OSError:
        return ()


def _enter_namespaces(entry: dict[str, Any], *, detach: bool) -> processes.Identity | None:
    """Go into the namespaces of the process that keeps the space. Returns, in a new process inside, who that is to
    those outside; None for a helper whose caller waits for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    keeper = processes.Identity(entry["pid"], entry["start_time"], processes.boot_id())
    outside = os.open(processes.PROC, os.O_RDONLY | os.O_DIRECTORY)
    rooms = {name: os.open(f"/proc/{keeper.pid}/ns/{name}", os.O_RDONLY) for name in NAMESPACES}
    if not keeper.alive():
        raise CannotEnter("the space of this session has ended")
    # The other namespaces belong to the user namespace that made them, which need not be the one that things run in:
    # an ordinary user's bwrap goes into a second one to have its own number back.
    owner = fcntl.ioctl(rooms["mnt"], NS_GET_USERNS)
    been = {_identity(os.stat(f"/proc/self/ns/{name}")) for name in NAMESPACES}  # noqa: PTH116
    for room in (owner, *(rooms[name] for name in NAMESPACES if name != "user"), rooms["user"]):
        # Entering where one is already is refused for some.
        if _identity(os.fstat(room)) not in been and libc.setns(room, 0):
            raise CannotEnter(f"the space of this session cannot be entered: {os.strerror(ctypes.get_errno())}")
        been.add(_identity(os.fstat(room)))
    for room in (owner, *rooms.values()):
        os.close(room)
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(told)
        os.write(tell, json.dumps([child, _start_time(outside, child)]).encode())
        os.close(tell)
        os._exit(0 if detach else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    # Nothing that leads outside stays open in here.
    os.close(outside)
    os.close(tell)
    os.chdir("/")
    drop_privileges()
    if not detach:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with os.fdopen(told, "rb") as pipe:
        pid, start_time = json.loads(pipe.read())
    return processes.Identity(pid, start_time, processes.boot_id()) if detach else None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _start_time(proc: int, pid: int) -> str:
    handle = os.open(f"{pid}/stat", os.O_RDONLY, dir_fd=proc)
    try:
        text = os.read(handle, 4096).decode(errors="replace")
    finally:
        os.close(handle)
    return text[text.rindex(")") + 2 :].split()[19]
