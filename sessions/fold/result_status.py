"""How a result stands: what lists, counts and rules take it for."""

from __future__ import annotations

from typing import Literal

from sessions import events as ev

ResultStatus = Literal["ok", "error", "timeout", "interrupted", "unknown", "background"]


def result_status(result: ev.ActionResult) -> ResultStatus:
    """The outcome; "background" for a command that runs on as a job, whether that was asked for or came of time."""
    if result.outcome in ("ok", "timeout") and result.data.get("background"):
        return "background"
    return result.outcome


def went_wrong(result: ev.ActionResult) -> bool:
    """Whether it counts as an error."""
    return result_status(result) not in ("ok", "background")
