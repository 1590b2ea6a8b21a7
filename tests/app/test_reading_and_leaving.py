from __future__ import annotations

import msgspec
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.acts.leave_check import budget_end, exit_message, morning, nothing_stops_text, worries
from apollo_tui.state.read_marks import ReadMarks, parts_of
from sessions.events import Beginning, CursorMoved, Limits, SeqRange
from sessions.fold.summary import NoReply, Summary
from sessions.host import protocol
from widgets.models import Anchor

NOW = 1_800_000_000_000
HOUR = 3_600_000


def summary(**more: object) -> Summary:
    base = Summary("s", 1, "tune", "demo:x", state="running", active_at=NOW)
    return msgspec.structs.replace(base, **more)


def one(seq: int) -> SeqRange:
    return SeqRange(seq, seq)


def seqs(reading: ReadMarks) -> list[int]:
    return [seq for part in reading.book("s") for seq in range(part.first, part.last + 1)]


def test_what_is_selected_is_read_and_told_once_after_a_while() -> None:
    reading = ReadMarks()
    reading.select("s", one(5), 0)
    reading.select("s", one(9), 1_000)
    assert seqs(reading) == [5, 9] and reading.due(4_000) == {}
    told = CursorMoved(read_seq=9, read=(one(5), one(9)))
    assert reading.due(5_000) == {"s": told} and reading.due(9_000) == {}


def test_what_is_on_screen_counts_after_a_second_near_a_key_only() -> None:
    reading = ReadMarks()
    reading.key(0)
    reading.show("s", [one(6), one(7)], 0)
    reading.show("s", [one(6), one(7)], 900)
    assert seqs(reading) == []
    reading.show("s", [one(7), one(8)], 1_000)
    assert seqs(reading) == [7], "what came is new, what stayed has had its second"
    reading.show("s", [one(8)], 61_500)
    reading.show("s", [one(8)], 63_000)
    assert seqs(reading) == [7], "nobody was there"
    reading.key(63_500)
    reading.show("s", [one(8)], 63_600)
    assert seqs(reading) == [7, 8]


def test_another_session_on_screen_has_to_earn_its_second_too() -> None:
    reading = ReadMarks()
    reading.key(0)
    reading.show("s", [one(6)], 0)
    reading.show("t", [one(6)], 1_500)
    assert seqs(reading) == [] and list(reading.book("t")) == []


def test_a_cursor_never_goes_back_and_a_failed_report_is_made_again() -> None:
    reading = ReadMarks()
    reading.know("s", CursorMoved(read_seq=9, read=(SeqRange(1, 9),)))
    reading.select("s", one(5), 0)
    assert reading.due(10_000) == {}
    reading.select("s", one(12), 0)
    told = CursorMoved(read_seq=12, read=(one(12),))
    assert reading.due(10_000) == {"s": told}
    reading.put_back("s", told, 10_000)
    assert reading.due(15_000) == {"s": told}


def test_what_is_let_go_is_told_and_is_not_said_to_be_read() -> None:
    reading = ReadMarks()
    reading.let_go("s", 40, 0)
    told = CursorMoved(read_seq=0, let_go=40)
    assert reading.due(5_000) == {"s": told} and reading.book("s").unread([30, 50]) == [50]
    reading.put_back("s", told, 5_000)
    assert reading.due(10_000) == {"s": told}


def test_parts_take_the_routine_before_them_along_and_neighbours_touch() -> None:
    anchors = [Anchor(seq, None, None, "x") for seq in (1, 3, 6, 7, 10, 12)]
    quiet = {3, 6, 10}.__contains__
    assert parts_of(anchors, [7, 12], quiet) == [SeqRange(2, 7), SeqRange(8, 12)]
    assert parts_of(anchors, [1], quiet) == [SeqRange(1, 1)]
    assert parts_of(anchors, [12], {7}.__contains__) == [SeqRange(11, 12)], "what a filter hides was not read"


def test_what_will_stand_still_is_listed_worst_first_with_the_reason() -> None:
    found = worries(
        [
            summary(session="a", number=1, state="paused", state_by="human:bob", reason="lunch", active_at=None),
            summary(session="b", number=2, state="needs_you", reason="no key", active_at=None),
            summary(session="c", number=3, open_question="Which rate?"),
            summary(session="d", number=4),
            summary(session="e", number=5, state="finished", active_at=None),
        ],
        {"d", "e"},
        NOW,
    )
    said = [(worry.session, worry.what, worry.why) for worry in found]
    assert said == [
        ("b", "needs you", "no key"),
        ("c", "question", "asks: Which rate?"),
        ("a", "paused", "by bob: lunch"),
        ("d", "unsent draft", "advice was written and not sent"),
    ]


def test_where_nothing_worries_it_says_how_many_work_or_that_nothing_runs() -> None:
    ended = summary(session="b", number=2, state="finished", active_at=None)
    assert nothing_stops_text([ended]) == nothing_stops_text([]) == "nothing runs, so nothing will stop"
    assert exit_message(0, "apollo", host=True) == "nothing runs; the host waits for work, `apollo host stop` ends it"
    assert exit_message(0, "apollo", host=False) == "nothing runs, and no host is connected"
    stuck = exit_message(2, "apollo --log x.db", host=False)
    assert stuck == "no host is connected: 2 sessions stand still until `apollo --log x.db host start`"
    assert nothing_stops_text([summary(), ended]) == "nothing will stop before morning: 1 session at work"


def test_a_model_that_gives_no_reply_is_a_worry() -> None:
    trying = summary(no_reply=NoReply("connection", 7, seq=9, since=NOW))
    assert [(worry.what, worry.why) for worry in worries([trying], set(), NOW)] == [
        ("no reply", "its model gives none; retrying: connection, attempt 8")
    ]


def test_without_a_host_everything_that_runs_stands_still() -> None:
    assert [worry.what for worry in worries([summary()], set(), NOW, host=False)] == ["no host"]


def test_a_budget_that_ends_before_morning_is_told_at_its_present_rate() -> None:
    fast = summary(step=100, limits=Limits(steps=150), active_ms=HOUR, active_at=None)
    assert budget_end(fast, NOW) == ("steps", NOW + HOUR // 2)
    running = msgspec.structs.replace(fast, active_at=NOW)
    assert [worry.what for worry in worries([running], set(), NOW)] == ["budget"]
    slow = msgspec.structs.replace(running, limits=Limits(steps=100_000))
    assert worries([slow], set(), NOW) == []
    child = summary(session="c", number=2, step=99_000, begins=Beginning(slow.session, 1, "child"))
    assert [worry.what for worry in worries([slow, child], set(), NOW)] == ["budget"], "its sub-agents use it, too"
    young = msgspec.structs.replace(running, active_ms=60_000)
    assert budget_end(young, NOW) is None


def test_the_morning_lies_ahead_within_a_day() -> None:
    assert NOW < morning(NOW) <= NOW + 24 * HOUR


async def test_unread_is_let_go_by_command_is_not_read_for_that_and_can_be_taken_up_again(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    for step in range(1, 4):
        await feed.step(session, step, ("run", {"command": "ls"}, "a"))
    async with open_app(feed) as (app, pilot):
        assert app.context.state.unread(session) == 3
        await pilot.press("colon", *"letgo", "enter")
        await until(pilot, lambda: "3 entries count as unread no more" in screen_text(app))
        assert app.context.state.unread(session) == 0 and not list(app.context.state.read_marks.book(session))
        await feed.step(session, 4, ("run", {"command": "ls"}, "a"))
        await until(pilot, lambda: app.context.state.unread(session) == 1)
        ahead = app.context.clock() + 6_000
        app.context.clock = lambda: ahead
        await until(pilot, lambda: [c for c in feed.calls if isinstance(c, protocol.Annotate)])
    async with open_app(feed) as (app, pilot):
        assert app.context.state.unread(session) == 1, "also after a restart"
        await pilot.press("colon", *"letgo", "space", *"none", "enter")
        await until(pilot, lambda: "4 entries are unread again" in screen_text(app))
        assert app.context.state.unread(session) == 4
