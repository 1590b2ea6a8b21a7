"""What a new runner does first with a session that an earlier host left in the middle of its work."""

from __future__ import annotations

import os

from sessions.agent.scope import Scope
from sessions.log import events as ev
from sessions.log.states import ACTIVE


async def recover(scope: Scope) -> None:
    """Commit that the session was taken over, if it was at work; what comes next follows from its log.

    An attempt that was under way is counted as failed, so that the request is sent again as a new attempt. A wait
    whose action has ended already is over.
    """
    summary = scope.summary
    asking = summary.state == "needs_you" and summary.need == "question"
    if summary.state not in ACTIVE and not asking:
        return
    position = scope.position()
    bodies: list[ev.Body] = [ev.SessionRecovered(last_at=summary.last_at, host_pid=os.getpid())]
    if position.open_request is not None and not position.unfinished and scope.executes:
        bodies.append(
            ev.ModelAttemptFailed(
                request=position.open_request.seq,
                attempt=position.attempts + 1,
                reason="cut",
                message="the host ended while the reply was under way",
                retry_ms=0,
            )
        )
    if (asking or summary.state != "running") and not position.unfinished:
        bodies.append(ev.StateChanged(state="running"))
    await scope.commit(*bodies, step=position.open_request.step if position.open_request else None)
