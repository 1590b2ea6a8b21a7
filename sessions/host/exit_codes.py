"""How a host process ends, as its watcher reads it."""

from __future__ import annotations

from typing import Final

STOPPED: Final = 0
"""In order: nobody starts it again but a person."""

RESTART: Final = 75
"""In order, and to be started again at once (EX_TEMPFAIL)."""

REFUSED: Final = 78
"""It cannot start, and trying again does not help (EX_CONFIG): the log is too new, another host runs."""

PREFIX: Final = "apollo host: "
"""Lines for a person in the host's log file begin with this."""
