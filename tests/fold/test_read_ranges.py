from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sessions import events as ev
from sessions.fold.read_ranges import ReadBook


def ranges(book: ReadBook) -> list[tuple[int, int]]:
    return [(part.first, part.last) for part in book]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6))))
def test_ranges_say_of_each_event_whether_it_was_read_and_neighbours_are_one_range(
    parts: list[tuple[int, int]],
) -> None:
    book = ReadBook()
    expected: set[int] = set()
    for first, more in parts:
        new = not set(range(first, first + more + 1)) <= expected
        assert book.add(first, first + more) == new
        expected |= set(range(first, first + more + 1))
    assert [seq for seq in range(60) if seq in book] == sorted(expected)
    found = ranges(book)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


def test_looking_at_the_newest_moves_the_cursor_and_leaves_what_lies_before_it_unread() -> None:
    book = ReadBook()
    book.take(ev.CursorMoved(read_seq=90, read=(ev.SeqRange(90, 90),)))
    assert book.cursor == 90 and book.unread([10, 50, 90, 91]) == [10, 50, 91]
    book.take(ev.CursorMoved(read_seq=40, read=(ev.SeqRange(40, 50),)))
    assert book.cursor == 90 and book.unread([10, 50, 90, 91]) == [10, 91]


def test_what_is_let_go_counts_as_unread_no_more_and_was_not_read_until_it_is_taken_back() -> None:
    book = ReadBook()
    book.take(ev.CursorMoved(read_seq=90, let_go=60))
    assert book.unread([10, 50, 70]) == [70] and 50 not in book
    book.take(ev.CursorMoved(read_seq=90, let_go=0))
    assert book.unread([10, 50, 70]) == [10, 50, 70]
