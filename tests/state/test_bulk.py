from __future__ import annotations

from typing import Any

import pytest

from apollo_tui.state.bulk import OPPOSITES, can_take_back, reach_of, say_refusals
from sessions.events import Limits
from sessions.fold.summary import OpenJob, Summary
from sessions.host.handlers.control import EFFECTS
from sessions.host.wire import RpcError

STANDS: dict[str, dict[str, Any]] = {
    "created": {"state": "created"},
    "running": {"state": "running"},
    "pausing": {"state": "running", "pending": "pause"},
    "stopping": {"state": "running", "pending": "stop"},
    "held": {"state": "running", "pending": "hold"},
    "on_job": {"state": "on_job", "on_job": 3},
    "asks": {"state": "needs_you", "need": "question", "open_question": "?"},
    "no_key": {"state": "needs_you", "need": "key"},
    "paused": {"state": "paused"},
    "at_limit": {
        "state": "paused",
        "need": "limit",
        "limits": Limits(steps=1),
        "reason": "budget used up: 1 of 1 steps",
    },
    "raised": {"state": "paused", "need": "limit", "limits": Limits(steps=9), "reason": "budget used up: 1 of 1 steps"},
    "with_job": {"state": "paused", "open_jobs": (OpenJob(1, "make", 0),)},
    "finished": {"state": "finished"},
    "stopped": {"state": "stopped"},
    "archived": {"state": "archived", "archived_from": "finished"},
}


def known() -> dict[str, Summary]:
    return {
        name: Summary(session=name, number=number, title=name, model="demo:x", step=1, **how)
        for number, (name, how) in enumerate(STANDS.items(), 1)
    }


@pytest.mark.parametrize("verb", ["pause", "resume", "archive", "unarchive"])
def test_what_the_panel_says_can_be_done_the_host_does(verb: Any) -> None:
    """`resume` of what has ended, or is archived, the host takes for something else: that has a row of its own."""
    summaries = known()
    other = {"finished", "stopped", "archived"} if verb == "resume" else set()
    does = set()
    for name, summary in summaries.items():
        try:
            EFFECTS[verb](summary)
        except RpcError:
            continue
        does.add(name)
    reach = reach_of(verb, summaries, summaries)
    assert set(reach.can) == does - other
    assert all(why for _, why in reach.cannot) and len(reach.can) + len(reach.cannot) == len(summaries)


def test_sessions_with_one_reason_are_said_together() -> None:
    reach = reach_of("pause", ["finished", "running", "paused", "archived", "with_job"], known())
    assert reach.can == ("running",)
    assert say_refusals(reach.cannot, lambda session: session.upper()) == (
        "not FINISHED: finished; PAUSED, WITH_JOB: paused already; ARCHIVED: archived"
    )
    assert say_refusals((), str) == ""


def test_an_act_can_be_taken_back_as_long_as_it_holds() -> None:
    summaries = known()
    for verb, opposite in OPPOSITES.items():
        for summary in summaries.values():
            if can_take_back(verb, summary):
                EFFECTS[opposite](summary)  # else the host refuses, and this raises
    assert can_take_back("pause", summaries["pausing"]) and not can_take_back("pause", summaries["running"])
    assert not can_take_back("stop", summaries["stopped"])
