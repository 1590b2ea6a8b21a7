"""One scripted model a module; the registry of their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sessions.demo.script import Script
from sessions.demo.scripts.errors import errors
from sessions.demo.scripts.formats import formats
from sessions.demo.scripts.poller import poller
from sessions.demo.scripts.steady import steady
from sessions.demo.scripts.tune_lr import tune_lr

SCRIPTS: Final[dict[str, Callable[[], Script]]] = {
    "tune-lr": tune_lr,
    "poller": poller,
    "formats": formats,
    "steady": steady,
    "errors": errors,
}
"""``demo:NAME`` to its script."""
