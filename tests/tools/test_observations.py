from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sessions.tools.observations import SHOWN_CHARS, shorten


def test_what_is_short_is_shown_whole() -> None:
    assert shorten("hello\n") == ("hello\n", 0)


def test_the_middle_is_left_out_and_counted() -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    seen, hidden = shorten(text)
    head, note, tail = seen.partition("\n[… ")
    assert note
    count, _, tail = tail.partition(" characters in the middle were left out …]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert int(count.replace(",", "")) == hidden == len(text) - len(head) - len(tail)
    assert head.endswith("9") or head.rsplit("\n", 1)[-1].startswith("line ")
    assert tail.startswith("line ")
    assert len(head) + len(tail) <= SHOWN_CHARS


def test_a_line_of_a_megabyte_is_cut_too() -> None:
    seen, hidden = shorten("x" * 1_000_000)
    assert len(seen) < SHOWN_CHARS + 100
    assert hidden == 1_000_000 - SHOWN_CHARS


def test_overwritten_progress_is_not_shown_and_counts_as_hidden() -> None:
    assert shorten("1%\r2%\r100%\n") == ("100%\n", 6)


@given(st.text(alphabet="ab\r\n", max_size=200), st.integers(10, 50))
def test_no_more_than_the_limit_is_shown_and_every_character_is_accounted_for(text: str, limit: int) -> None:
    seen, hidden = shorten(text, limit)
    assert 0 <= hidden <= len(text)
    note = "[… "
    if note not in seen:
        assert len(seen) == len(text) - hidden <= limit
