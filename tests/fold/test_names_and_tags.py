from __future__ import annotations

import log_events as make
import pytest

from sessions import events as ev
from sessions.fold.names_and_tags import change_tags, is_tag, tag_change
from sessions.fold.summary import Summary, fold_summary


def folded(*bodies: ev.Body) -> Summary:
    summary = None
    for seq, new in enumerate([make.session_created(tags=("a",)), *(ev.NewEvent(make.SESSION, b) for b in bodies)], 1):
        event = ev.Event(seq, new.session, seq, None, None, new.body.kind, 1, seq, "human:ada", None, new.body)
        summary = fold_summary(summary, event)
    assert summary is not None
    return summary


def test_a_session_has_the_name_and_the_tags_that_it_was_given_last() -> None:
    found = folded(
        ev.SessionRenamed(title="tune-lr"), ev.SessionTagged(added=("lr", "keep"), removed=("a",)),
        ev.SessionTagged(removed=("keep", "never")),
    )  # fmt: skip
    assert (found.title, found.tags) == ("tune-lr", ("lr",))


def test_what_is_so_already_is_no_change() -> None:
    assert tag_change(("a", "b"), ("a", "+c", "-b", "-d")) == ev.SessionTagged(added=("c",), removed=("b",))
    assert change_tags(("a",), tag_change(("a",), ("a", "-b"))) == ("a",)


@pytest.mark.parametrize("word", ["", "two words", "a,b", "-a", "+a", "x" * 61, "a\nb"])
def test_what_lists_could_not_tell_apart_is_no_tag(word: str) -> None:
    assert not is_tag(word)


@pytest.mark.parametrize(("before", "back"), [("finished", "finished"), ("paused", "")])
def test_an_archived_session_knows_what_it_was(before: ev.Body, back: str) -> None:
    found = folded(
        ev.StateChanged(state="running"), ev.StateChanged(state=before), ev.StateChanged(state="archived"),  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.archived and found.archived_from == before
    assert folded(
        ev.StateChanged(state="running"), ev.StateChanged(state=before), ev.StateChanged(state="archived"),  # type: ignore[arg-type]
        ev.StateChanged(state=back or "paused"),  # type: ignore[arg-type]
    ).archived_from == ""  # fmt: skip
