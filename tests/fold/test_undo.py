from __future__ import annotations

from itertools import count

from sessions import events as ev
from sessions.fold.undo import UndoBook

TARGET = ev.Target(1, "call", 1)


class Log:
    """Events of one annotator, numbered as they come."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self._seqs: dict[str, count[int]] = {}

    def add(self, body: ev.Body, request: str | None = None, session: str = "s") -> ev.Event:
        seq = next(self._seqs.setdefault(session, count(1)))
        id = len(self.events) + 101
        event = ev.Event(id, session, seq, None, None, body.kind, 1, id, "human:ada", request, body)
        self.events.append(event)
        return event

    def set(self, flag: str, request: str | None = None, session: str = "s", **more: object) -> ev.Event:
        return self.add(ev.FlagSet(flag=flag, target=TARGET, **more), request, session)  # type: ignore[arg-type]

    def remove(self, flag: str, request: str | None = None, session: str = "s", **more: object) -> ev.Event:
        return self.add(ev.FlagRemoved(flag=flag, **more), request, session)  # type: ignore[arg-type]

    @property
    def book(self) -> UndoBook:
        return UndoBook(reversed(self.events))


def acts(log: Log) -> list[tuple[ev.Event, bool]]:
    book = log.book
    return [(event, book.is_undone(event)) for event in log.events if book.is_act(event)]


def test_an_undo_a_redo_and_an_undo_of_a_redo_are_no_acts_and_say_how_the_act_stands() -> None:
    log = Log()
    note = log.add(ev.NoteWritten(text="leaks?"), "x")
    assert acts(log) == [(note, False)] and log.book.undo_of(note) is None
    undo = log.add(ev.NoteWritten(text="", undoes=note.seq), "undo-this-please")
    assert acts(log) == [(note, True)] and log.book.undo_of(note) == undo.seq
    redo = log.add(ev.NoteWritten(text="leaks?", undoes=undo.seq), "")
    assert acts(log) == [(note, False)]
    log.add(ev.NoteWritten(text="", undoes=redo.seq))
    assert acts(log) == [(note, True)]
    assert {log.book.act_of(event) for event in log.events[1:]} == {("s", note.seq)}


def test_the_ids_of_requests_say_it_for_an_older_client() -> None:
    log = Log()
    note = log.add(ev.NoteWritten(text="leaks?"), "01J")
    undo = log.add(ev.NoteWritten(text=""), f"undo-{note.id}-01K")
    assert acts(log) == [(note, True)] and log.book.undo_of(note) == undo.seq
    log.add(ev.NoteWritten(text="leaks?"), f"redo-{note.id}-01L")
    assert acts(log) == [(note, False)]
    log.add(ev.NoteWritten(text="", undoes=note.seq), "01M")
    assert acts(log) == [(note, True)]


def test_a_flag_in_place_of_another_one_is_one_act_with_the_removal_of_that() -> None:
    log = Log()
    first = log.set("a")
    second = log.set("b", replaces="a")
    removal = log.remove("a")
    assert acts(log) == [(first, False), (second, False)] and log.book.removal_of(second) is removal
    undo = log.remove("b", undoes=second.seq)
    log.set("a2", undoes=removal.seq)
    assert acts(log) == [(first, False), (second, True)]
    assert log.book.present_flag("s", "a") == "a2"
    log.set("b2", undoes=undo.seq, replaces="a2")
    log.remove("a2")
    assert acts(log) == [(first, False), (second, False)]
    assert (log.book.present_flag("s", "a"), log.book.present_flag("s", "b")) == ("a2", "b2")
    assert log.book.is_removed("s", "a2") and not log.book.is_removed("s", "b2")


def test_so_it_is_where_the_ids_of_requests_say_it() -> None:
    log = Log()
    first = log.set("a", "one")
    second = log.set("b", "two")
    removal = log.remove("a", "two-replaced")
    assert acts(log) == [(first, False), (second, False)] and log.book.removal_of(second) is removal
    log.remove("b", f"undo-{second.id}-x")
    log.set("a2", f"undo-{second.id}-x-replaced")
    assert acts(log) == [(first, False), (second, True)]
    assert log.book.present_flag("s", "a") == "a2"
    log.set("b2", f"redo-{second.id}-y")
    log.remove("a2", f"redo-{second.id}-y-replaced")
    assert acts(log) == [(first, False), (second, False)]
    assert (log.book.present_flag("s", "a"), log.book.present_flag("s", "b")) == ("a2", "b2")


def test_a_removal_by_hand_after_the_undo_is_an_act_of_its_own() -> None:
    log = Log()
    first, second = log.set("a"), log.set("b", replaces="a")  # the host died before it took back a
    log.remove("b", undoes=second.seq)
    by_hand = log.remove("a")
    assert acts(log) == [(first, False), (second, True), (by_hand, False)]


def test_what_is_undone_may_be_older_than_the_events_that_are_known() -> None:
    log = Log()
    log.set("a", "undo-7-x")
    log.set("b", "redo-7-y")
    log.remove("b", undoes=900)
    assert acts(log) == []


def test_a_copied_session_has_flags_of_the_same_names() -> None:
    log = Log()
    for session in ("s", "copy"):
        first = log.set("a", session=session)
        undo = log.remove("a", session=session, undoes=first.seq)
        log.set("b", session=session, undoes=undo.seq)
    assert [undone for _, undone in acts(log)] == [False, False]
    assert [log.book.present_flag(session, "a") for session in ("s", "copy", "t")] == ["b", "b", "a"]
