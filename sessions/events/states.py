"""The states of a session and the table of allowed transitions (design: a session can live for days)."""

from __future__ import annotations

from typing import Final, Literal, get_args

State = Literal[
    "created",
    "running",
    "sleeping",
    "on_job",
    "needs_you",
    "paused",
    "finished",
    "stopped",
    "failed",
    "archived",
]

STATES: Final[tuple[State, ...]] = get_args(State)

ACTIVE: Final[frozenset[State]] = frozenset({"running", "sleeping", "on_job"})
"""Active time runs in these states only."""

ENDED: Final[frozenset[State]] = frozenset({"finished", "stopped", "failed", "archived"})
"""Nothing more happens in these states until a person reopens the session."""

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    "created": frozenset({"running", "paused", "needs_you", "stopped", "failed", "finished", "archived"}),
    "running": frozenset({"sleeping", "on_job", "needs_you", "paused", "finished", "stopped", "failed"}),
    "sleeping": frozenset({"running", "on_job", "needs_you", "paused", "finished", "stopped", "failed"}),
    "on_job": frozenset({"running", "sleeping", "needs_you", "paused", "finished", "stopped", "failed"}),
    "needs_you": frozenset({"running", "paused", "finished", "stopped", "failed", "archived"}),
    "paused": frozenset({"running", "needs_you", "stopped", "failed", "archived"}),
    "finished": frozenset({"running", "paused", "archived"}),
    "stopped": frozenset({"running", "paused", "archived"}),
    "failed": frozenset({"running", "paused", "stopped", "archived"}),
    "archived": frozenset({"paused", "finished", "stopped", "failed"}),
}
"""``finished``, ``stopped`` and ``failed`` go back to ``running`` or ``paused`` when a person reopens the session; from
the archive a session comes back ended if it had ended, else paused."""


def may_change(before: State | None, after: State) -> bool:
    """Whether a session may go from ``before`` (None: it does not exist yet) to ``after``."""
    if before is None:
        return after == "created"
    return after in TRANSITIONS[before]


RESTARTING: Final = "the host restarts"
"""Reason of the pause in which a session waits for a restart of its host; it goes on by itself after that."""
STOPPED: Final = "the host was stopped; resume it to let it go on"
"""Reason of the pause in which a session is left by a host that was stopped for good."""
REBOOTED: Final = "the machine was rebooted; resume it to let it go on"
"""The same, where the machine took the host with it."""
