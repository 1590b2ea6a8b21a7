from __future__ import annotations

import pytest

from apollo_tui.state.board_filter import FoundSessions, SessionFacts, complete_filter, parse_filter

KNOWN = [
    SessionFacts("a", "1", "tune-lr", "running", "openai:glm", task="lr-sweep", tags=("keep", "lr"), needs=True),
    SessionFacts("b", "2", "poller", "paused", "demo:x", task="lr-sweep", annotators=frozenset({"ada"}), unread=True),
    SessionFacts("c", "3", "steady", "finished", "openai:glm", harness="codex", signed=True, tags=("old",)),
    SessionFacts("d", "12", "put away", "archived", "demo:x", tags=("keep",)),
    SessionFacts("e", "5", "asks", "needs_you", "demo:x", flagged=True, marked=True),
]


def found(text: str) -> str:
    wanted = parse_filter(text)
    return "".join(facts.session for facts in KNOWN if wanted.matches(facts))


@pytest.mark.parametrize(
    ("text", "sessions"),
    [
        ("", "abcde"), ("TUNE", "a"), ("lr", "ab"), ("12", "d"), ("codex", "c"),
        ("tag:keep", "ad"), ("tag:kee", ""), ("tag:keep,old", "acd"), ("-tag:keep", "bce"),
        ("tag:keep state:running", "a"),
        ("state:paused,finished", "bc"), ("state:need", "e"), ("state:p", ""), ("state:nonsense", ""),
        ("archived", "d"), ("-archived", "abce"), ("task:sweep", "ab"), ("model:glm", "ac"), ("model:codex", "c"),
        ("annotator:ada", "b"), ("annotator:ben", ""), ("is:need", "a"), ("is:unread", "b"), ("is:flagged", "e"),
        ("is:signed", "c"), ("is:unsigned is:live", "abe"), ("is:ended", "cd"), ("is:marked", "e"), ("is:what", ""),
        ("tag:", "abcde"), ("fix:", ""), ("-", "abcde"),
    ],
)  # fmt: skip
def test_words_mean_these_sessions(text: str, sessions: str) -> None:
    assert found(text) == sessions


def test_who_asks_what_is_unread_finds_no_session_of_which_nobody_knows_and_hears_of_how_many_that_is_so() -> None:
    known = [SessionFacts("a", "1", "x", "running", unread=None, tags=("keep",)), SessionFacts("b", "2", "y", "paused")]

    def find(text: str) -> str:
        wanted = parse_filter(text)
        return "".join(facts.session for facts in known if wanted.matches(facts))

    assert [find(text) for text in ("", "is:unread", "-is:unread", "tag:keep")] == ["ab", "", "b", "a"]
    offered = complete_filter("is:un", known)
    assert [(one.word, one.count) for one in offered] == [("is:unsigned", 2), ("is:unread", 0)]
    assert offered[1].about.endswith("1 not looked up yet")


def test_only_who_asks_for_archived_sessions_means_them() -> None:
    assert [parse_filter(text).archived for text in ("archived", "state:arch", "-archived", "tag:keep", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_what_a_word_may_become_comes_with_how_many_it_would_leave() -> None:
    tags = complete_filter("tag:", KNOWN)
    assert [(one.word, one.count) for one in tags] == [("tag:keep", 2), ("tag:lr", 1), ("tag:old", 1)]
    assert [one.word for one in complete_filter("tag:keep st", KNOWN)] == ["state:archived", "state:running"]
    assert [one.word for one in complete_filter("glm", KNOWN)] == []  # it is no beginning of openai:glm
    assert [one.word for one in complete_filter("pau", KNOWN)] == ["state:paused"]
    assert [one.word for one in complete_filter("-tag:o", KNOWN)] == ["-tag:old"]
    assert "text" not in {one.word.partition(":")[0] for one in complete_filter("", KNOWN)}


def test_what_was_found_stays_until_somebody_asks_anew_and_what_comes_to_match_joins() -> None:
    sessions = FoundSessions()
    assert not sessions and sessions.keep(["a", "b"]) == ["a", "b"]
    sessions.ask("state:paused", KNOWN)
    assert sessions and sessions.keep("abcde") == ["b"]
    gone_on = SessionFacts("b", "2", "poller", "running")
    paused = SessionFacts("a", "1", "tune-lr", "paused")
    sessions.look([gone_on, paused])
    assert sessions.keep("abcde") == ["a", "b"]
    sessions.ask("state:paused", [gone_on, paused])
    assert sessions.keep("abcde") == ["a"]
    sessions.ask("", KNOWN)
    assert sessions.keep("abcde") == list("abcde")
