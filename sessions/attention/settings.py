"""The thresholds of the rules; the ``[attention]`` table of the config overrides them by name."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Minutes = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


RULE_NAMES: Final = (
    "needs_human", "budget_used_up", "failed", "no_reply", "killed_healthy_job", "malformed_streak",
    "repeated_error", "repeated_action", "score_drop", "edit_rolled_back", "polling_streak", "silent", "budget",
    "context_full", "advice_outcome", "finished",
)  # fmt: skip
"""The rules, most urgent first; ``rules.RULES`` says when each fires."""


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts are of actions in a row, times are minutes, shares are of 1. Frozen on seeds 0-9 (docs/attention.md)."""

    failed_attempts: Count = 6
    """Attempts at one reply that failed: the waits between six come to 15 to 31 seconds."""
    malformed_streak: Count = 3
    repeated_action: Count = 4
    repeated_error: Count = 3
    polling_streak: Count = 12
    idle_polls: Count = 5
    """Polls in a row that show the same."""
    silent_minutes: Minutes = 12.0
    silent_on_job_minutes: Minutes = 120.0
    edit_rollbacks: Count = 2
    score_drop: Share = 0.05
    """By how much of the best score a new one must be worse."""
    budget_share: Share = 0.8
    context_share: Share = 0.95
    advice_steps: Count = 3
    off: tuple[str, ...] = ()
    """Rules that never fire, by name."""
