from __future__ import annotations

from itertools import count

from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.fold.read_ranges import ReadBook
from sessions.fold.summary import Summary, fold_summary
from sessions.host.protocol import DeltaFrame

ME = "human:ada"


class Log:
    def __init__(self) -> None:
        self.ids = count(1)
        self.seqs: dict[str, int] = {}

    def __call__(
        self,
        body: ev.Body,
        *,
        session: str = "s",
        step: int | None = None,
        call: int | None = None,
        actor: str = "agent",
    ) -> ev.Event:
        self.seqs[session] = self.seqs.get(session, 0) + 1
        number = next(self.ids)
        return ev.Event(number, session, self.seqs[session], step, call, body.kind, 1, number, actor, None, body)

    def begin(self, session: str = "s", number: int = 1) -> list[ev.Event]:
        spec = ev.ModelSpec("demo", "x")
        body = ev.SessionCreated(number=number, title=f"t{number}", task="t", model=spec)
        return [self(body, session=session), self(ev.StateChanged(state="running"), session=session)]

    def action(self, step: int, session: str = "s") -> ev.Event:
        return self(ev.ActionStarted(call_id="c", name="run"), session=session, step=step, call=1)


def folded(events: list[ev.Event]) -> Summary:
    summary: Summary | None = None
    for event in events:
        summary = fold_summary(summary, event)
    assert summary is not None
    return summary


def test_events_that_the_first_read_held_already_are_not_counted_twice() -> None:
    log = Log()
    known = [*log.begin(), log.action(1)]
    state = BoardState(ME)
    state.load([folded(known)], known[-1].id)
    state.seed("s", known, [], ReadBook(), [known[-1].seq])
    later = log.action(2)
    change = state.apply([*known, later])
    assert change.events == [later]
    assert state.sessions["s"].summary == folded([*known, later])
    assert state.unread("s") == 2


def test_events_that_come_before_the_window_is_read_are_in_it_once_it_is() -> None:
    log = Log()
    known = log.begin()
    state = BoardState(ME)
    state.load([folded(known)], known[-1].id)
    early = log.action(1)
    state.apply([early])
    assert state.entry("s", early.seq) is None
    state.seed("s", known, [], ReadBook(), [])
    assert state.entry("s", early.seq) is not None
    assert state.unread("s") == 1


def test_ones_own_cursor_lowers_unread_and_a_colleagues_does_not() -> None:
    log = Log()
    events = [*log.begin(), log.action(1), log.action(2)]
    state = BoardState(ME)
    state.apply(events)
    assert state.unread("s") == 2
    state.apply([log(ev.CursorMoved.up_to(events[-1].seq), actor="human:bob")])
    assert state.unread("s") == 2
    state.apply([log(ev.CursorMoved.up_to(events[-2].seq), actor=ME)])
    assert state.unread("s") == 1


def test_who_reads_the_newest_only_has_the_rest_unread_until_it_is_let_go() -> None:
    log = Log()
    events = [*log.begin(), *(log.action(step) for step in range(1, 5))]
    state = BoardState(ME)
    state.apply(events)
    state.read_marks.select("s", ev.SeqRange(events[-1].seq, events[-1].seq), 0)
    assert state.unread_seqs("s") == [event.seq for event in events[-4:-1]]
    state.read_marks.let_go("s", events[-2].seq, 0)
    assert state.unread("s") == 0
    state.apply([log.action(5)])
    assert state.unread("s") == 1


def test_the_reply_of_a_call_is_read_with_the_call_that_is_all_it_says() -> None:
    log = Log()
    reply = ev.ModelReplied(request=1, parts=(CallPart("c1.1", "run", "{}"),), finish="calls")
    state = BoardState(ME)
    before = log.begin()
    state.apply([*before, said := log(reply, step=1), called := log.action(1)])
    assert state.part_of("s", called.seq) == ev.SeqRange(before[-1].seq, called.seq), "and that it runs"
    assert before[-1].seq < said.seq
    state.apply([other := log.action(2)])
    assert state.part_of("s", other.seq) == ev.SeqRange(other.seq, other.seq)


def test_rows_stand_by_number_and_archived_ones_are_out_of_sight() -> None:
    log = Log()
    state = BoardState(ME)
    state.apply([*log.begin("b", 2), *log.begin("a", 1), *log.begin("c", 3)])
    assert state.order() == ["a", "b", "c"]
    state.apply(
        [log(ev.StateChanged(state="paused"), session="b"), log(ev.StateChanged(state="archived"), session="b")]
    )
    assert state.order() == ["a", "c"]
    state.show_archived = True
    assert state.order() == ["a", "b", "c"]


def test_a_partial_reply_ends_with_its_reply_and_late_frames_are_dropped() -> None:
    log = Log()
    state = BoardState(ME)
    request = ev.ModelRequested(adapter="x", adapter_version=1, envelope={}, sha256="")
    state.apply([*log.begin(), log(request, step=1)])
    frame = DeltaFrame("s", 1, 1, 0, "text", 0, "hel")
    assert state.frame(frame)
    assert state.sessions["s"].live is not None
    state.apply([log(ev.ModelReplied(request=3, parts=(), finish="stop"), step=1)])
    assert state.sessions["s"].live is None
    assert not state.frame(frame)


def test_the_header_names_the_one_that_waits_longest_and_why() -> None:
    log = Log()
    state = BoardState(ME)
    state.apply([*log.begin("a", 1), *log.begin("b", 2)])
    state.apply([log(ev.StateChanged(state="needs_you", reason="no key"), session="b")])
    state.apply([log(ev.StateChanged(state="needs_you", reason="later"), session="a")])
    header = state.header(10 * 60_000)
    assert header.need_you == 2 and header.first_need.startswith("t2: no key")
    assert state.view("b", 0).needs_you


def test_a_silent_session_says_where_it_is_silent() -> None:
    log = Log()
    state = BoardState(ME)
    state.apply([*log.begin(), log.action(1)])
    assert state.view("s", 5 * 60_000).why == ""
    assert state.view("s", 14 * 60_000 + 10).why == "silent for 14 min in `run`"


def test_the_view_of_a_session_that_stands_still_is_made_once_a_minute_and_anew_for_what_happens() -> None:
    log = Log()
    state = BoardState(ME)
    state.apply([*log.begin(), log.action(1)])
    first = state.view("s", 60_000)
    assert state.view("s", 119_000) is first
    assert state.view("s", 120_000) is not first
    state.apply([log.action(2)])
    assert state.view("s", 121_000).unread == 2


def test_the_order_follows_who_comes_and_who_is_archived() -> None:
    log = Log()
    state = BoardState(ME)
    state.apply(log.begin("a", 2))
    assert state.order() == ["a"]
    state.apply(log.begin("b", 1))
    assert state.order() == ["b", "a"]
    state.apply([log(ev.StateChanged(state=to), session="b") for to in ("stopped", "archived")])  # type: ignore[arg-type]
    assert state.order() == ["a"]
    state.show_archived = True
    assert state.order() == ["b", "a"]


def test_what_was_judged_while_older_verdicts_were_read_is_folded_after_them_and_none_of_it_twice() -> None:
    log = Log()
    begun = log.begin()
    proposed = log(ev.FlagSet(flag="r", target=ev.Target(1), label="x/loop"), actor="judge:night")
    state = BoardState(ME)
    state.load([folded([*begun, proposed])], proposed.id)
    taken_back = log(ev.FlagRemoved(flag="r"), actor="judge:night")
    state.apply([taken_back])
    state.learn_judgement([proposed])
    assert state.count_to_judge(["s"], ()) == 0
    again = log(ev.FlagSet(flag="q", target=ev.Target(2), label="x/loop"), actor="judge:night")
    gone = log(ev.FlagRemoved(flag="q"), actor="judge:night")
    state.apply([again, gone])
    assert state.count_to_judge(["s"], ()) == 0


def test_a_live_verdict_that_the_first_look_held_already_does_not_come_back() -> None:
    log = Log()
    begun = log.begin()
    proposed = log(ev.FlagSet(flag="r", target=ev.Target(1), label="x/loop"), actor="judge:night")
    taken_back = log(ev.FlagRemoved(flag="r"), actor="judge:night")
    state = BoardState(ME)
    state.load([folded(begun)], begun[-1].id)
    state.learn_judgement([proposed, taken_back])
    state.apply([proposed])
    assert state.count_to_judge(["s"], ()) == 0
