"""Python's garbage collector, kept out of the way: off while the app starts, and seldom after.

A full collection takes 20 ms of a start, and later as long between a key and its echo. What is there when the app has
started lives as long as the app does, so it is never looked at again. A command of ``apollo`` starts the same way.
"""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 50)


def begin() -> None:
    """Collect nothing until ``settle`` or ``resume``."""
    gc.disable()


def resume() -> None:
    """A command has been loaded, and lives for as long as it runs: leave that out, and collect as usual."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def settle() -> None:
    """The app has started: collect once, leave out what remains, and go on with seldom collections."""
    if gc.isenabled():
        return
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
