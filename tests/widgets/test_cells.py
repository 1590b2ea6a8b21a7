from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcswidth

from widgets import cells
from widgets.sanitise import clean_line

TEXT = st.text(st.sampled_from("ab c数値é👩🚀-_,.\u0301"), max_size=120).map(clean_line)


@given(TEXT)
def test_our_width_agrees_with_the_painters_and_with_wcwidth(text: str) -> None:
    assert cells.width(text) == cell_len(text) == wcswidth(text)


@given(TEXT, st.integers(1, 40))
def test_a_cropped_text_fits_and_a_padded_one_fills(text: str, room: int) -> None:
    assert cells.width(cells.crop(text, room)) <= room
    assert cells.width(cells.pad(text, room)) == room


@given(TEXT, st.integers(2, 40))
def test_wrapped_rows_fit_and_lose_nothing_but_spaces(text: str, room: int) -> None:
    rows = cells.wrap(text, room)
    assert all(cells.width(row) <= room for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")


def test_words_stay_whole_where_there_is_room() -> None:
    assert cells.wrap("let it run before you judge", 10) == ["let it run", "before you", "judge"]


@given(TEXT, TEXT, st.integers(2, 30))
def test_a_line_wraps_with_its_roles(first: str, second: str, room: int) -> None:
    line = ((first, "dim"), (second, "text"))
    rows = cells.wrap_line(line, room)
    for role in ("dim", "text"):
        joined = "".join(text for row in rows for text, r in row if r == role)
        source = "".join(text for text, r in line if r == role)
        assert joined.replace(" ", "") == source.replace(" ", "")


def test_spans_take_another_role_and_the_text_stays() -> None:
    line = (("hello ", "dim"), ("world", "text"))
    marked = cells.restyle(line, [(3, 8)], "match")
    assert cells.text_of(marked) == "hello world"
    assert ("lo wo", "match") in marked
