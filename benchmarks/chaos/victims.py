"""Who can be killed now, by kind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Final

from benchmarks.chaos.product import Product
from sessions import events as ev
from sessions.events.states import ENDED
from sessions.log.reader import LogReader
from sessions.processes import Identity, descendants

KINDS: Final = ("host", "watcher", "app", "holder", "tool", "keeper")
"""The background process, who restarts it, the terminal, who owns a command, the command, who keeps a space."""


def find_victims(product: Product, kind: str) -> list[int]:
    """Pids of this kind that live."""
    return _FIND[kind](product)


def kill(pid: int) -> bool:
    """SIGKILL; False if it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _module(name: str) -> Callable[[Product], list[int]]:
    return lambda product: [pid for pid, line in product.processes() if name in line]


def _apps(product: Product) -> list[int]:
    return [product.app.pid] if product.app is not None and product.app.alive else []


def _holders(product: Product) -> list[int]:
    found = []
    with LogReader(product.paths.log) as reader:
        for summary in reader.summaries():
            if summary.state in ENDED:
                continue
            jobs = reader.events(summary.session, kinds=("job.started",), limit=3, newest_first=True)
            for event in jobs:
                if isinstance(event.body, ev.JobStarted):
                    who = Identity(event.body.pid, event.body.start_time, event.body.boot_id)
                    found += [who.pid] if who.alive() else []
    return found


def _tools(product: Product) -> list[int]:
    return [pid for holder in _holders(product) for pid in descendants(holder)]


def _keepers(product: Product) -> list[int]:
    found = []
    for file in product.paths.folder.glob("sessions/*/space/keeper.json"):
        try:
            said = json.loads(file.read_bytes())
        except (OSError, ValueError):
            continue
        who = Identity(said["pid"], said["start_time"], said["boot_id"])
        found += [who.pid] if who.alive() else []
    return found


_FIND: Final[dict[str, Callable[[Product], list[int]]]] = {
    "host": _module("sessions.host.main"),
    "watcher": _module("sessions.host.watcher"),
    "app": _apps,
    "holder": _holders,
    "tool": _tools,
    "keeper": _keepers,
}
