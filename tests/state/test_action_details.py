from __future__ import annotations

from typing import Any

import pytest
from session_in_memory import Story

from apollo_tui.state.action_details import EntryDetails, details_lines
from sessions import events as ev
from sessions.labels import load_labels


@pytest.mark.parametrize(
    ("outcome", "data", "said"),
    [
        ("timeout", {"job": 1, "background": "timeout"}, "◔ in background"),
        ("ok", {"job": 1, "background": "asked"}, "◔ in background"),
        ("timeout", {}, "✗ timed out"),
        ("ok", {}, "✓ ok"),
        ("error", {}, "✗ error"),
    ],
)
def test_the_action_screen_says_how_a_result_stands_as_the_transcript_does(
    outcome: Any, data: dict[str, Any], said: str
) -> None:
    story = Story()
    story.act("run", {"command": "train"}, "epoch 1", outcome, **data)
    started, result = story.events[-2:]
    assert isinstance(result.body, ev.ActionResult)
    head = details_lines(EntryDetails(anchor=started, related=(result,)), load_labels())[0]
    assert said in "".join(text for text, _ in head)
