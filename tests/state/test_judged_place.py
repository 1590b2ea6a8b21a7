from __future__ import annotations

import pytest

from apollo_tui.state.judged_place import judged_seq, places_of_anchors
from widgets.models import Anchor

ANCHORS = [
    Anchor(1, None, None, "session.created"),
    Anchor(2, None, None, "session.state"),
    Anchor(4, 1, None, "model.reply"),
    Anchor(5, 1, 1, "action.started"),
    Anchor(6, 1, 2, "action.started"),
    Anchor(9, 1, 1, "eval.scored"),
    Anchor(11, None, None, "advice.delivered"),
    Anchor(13, 2, None, "model.reply"),
    Anchor(14, 2, 1, "action.started"),
    Anchor(15, 2, 1, "question.asked"),
    Anchor(16, 2, 1, "session.state"),
    Anchor(18, 3, None, "eval.scored"),
    Anchor(20, None, None, "session.state"),
    Anchor(21, None, None, "advice.delivered"),
]


@pytest.mark.parametrize(
    ("event", "judged"),
    [
        (5, 5),  # an action is judged itself
        (7, 6),  # a result, of the action before it
        (9, 5),  # a score, of the call that made it, not of the one beside it
        (11, 13),  # advice, of what followed it
        (15, 14),  # a question, of the call that asks
        (16, 14),
        (18, 14),  # a score of the whole run has no call: the newest step before it
        (20, 14),  # where it stands still, the newest step
        (21, 14),  # nothing followed yet
        (2, None),  # nothing was done yet
        (0, None),
    ],
)
def test_what_an_event_is_about_can_be_judged(event: int, judged: int | None) -> None:
    assert judged_seq(places_of_anchors(ANCHORS), event) == judged
