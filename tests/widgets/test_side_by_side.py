from __future__ import annotations

from widgets import cells
from widgets.models import PairRow
from widgets.side_by_side import MOST_LINES, side_by_side


def text(rows: list[PairRow], width: int) -> list[tuple[str, int]]:
    return [(cells.text_of(line).rstrip(), at) for line, at in side_by_side(rows, width)]


def test_each_side_is_wrapped_in_its_half_and_every_line_names_its_row() -> None:
    rows = [
        PairRow(whole=(("the same so far", "dim"),)),
        PairRow(left=(("run python train.py now", "text"),), right=(("finish", "text"),)),
        PairRow(right=(("only here", "text"),)),
    ]
    assert text(rows, 35) == [
        ("the same so far", 0),
        ("run python       │ finish", 1),
        ("train.py now     │", 1),
        ("                 │ only here", 2),
    ]


def test_what_follows_the_first_line_begins_below_what_follows_its_head() -> None:
    rows = [PairRow(left=(("  12 ", "dim"), ("run python train.py now", "text")), head=5)]
    assert text(rows, 43) == [("  12 run python      │", 0), ("     train.py now    │", 0)]


def test_what_is_too_long_is_cut_and_says_so() -> None:
    rows = [PairRow(left=(("word " * 100, "text"),))]
    shown = text(rows, 43)
    assert len(shown) == MOST_LINES
    assert shown[-1][0].split("│")[0].rstrip().endswith("…")


def test_no_line_is_wider_than_the_screen() -> None:
    rows = [PairRow(left=(("漢字 " * 30, "text"),), right=(("x" * 300, "text"),), whole=())]
    for width in (40, 79, 199):
        assert all(cells.line_width(line) <= width for line, _ in side_by_side(rows, width))
