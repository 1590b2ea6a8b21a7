"""The terminal of a job, as a pair of handles: opened here, or given by who started the holder. Stdlib only.

Who has given up its rights by Landlock cannot open one: that would take the right to open those of others, too.
"""

from __future__ import annotations

import contextlib
import os

_given: list[int] = []


def accept(handles: list[int]) -> None:
    """From now on the terminal of this process is this pair, master and slave; none if ``handles`` is empty."""
    for handle in handles:
        os.set_inheritable(handle, False)
    _given[:] = handles


def take() -> tuple[int, int]:
    """Master and slave of a terminal that is the caller's own. Raises OSError."""
    if not _given:
        return os.openpty()
    master, slave = _given
    _given.clear()
    return master, slave


def refuse() -> None:
    """Close what was given and is not needed."""
    for handle in _given:
        with contextlib.suppress(OSError):
            os.close(handle)
    _given.clear()
