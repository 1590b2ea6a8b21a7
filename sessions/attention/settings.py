"""The thresholds of the rules; the ``[attention]`` table of the config overrides them by name."""

from __future__ import annotations

import msgspec


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts are of actions in a row, times are minutes, shares are of 1. Frozen on seeds 0-9 (docs/attention.md)."""

    malformed_streak: int = 3
    repeated_action: int = 4
    repeated_error: int = 3
    polling_streak: int = 12
    idle_polls: int = 5
    """Polls in a row that show the same."""
    silent_minutes: float = 12.0
    silent_on_job_minutes: float = 120.0
    edit_rollbacks: int = 2
    score_drop: float = 0.05
    """By how much of the best score a new one must be worse."""
    budget_share: float = 0.8
    context_share: float = 0.95
    advice_steps: int = 3
    off: tuple[str, ...] = ()
    """Rules that never fire, by name."""
