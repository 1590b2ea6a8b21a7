from __future__ import annotations

import itertools
import random

import pyte
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from apollo_tui.terminal.screen_diff import ScreenDiff
from widgets.disputed import ambiguous_is_wide, clusters, is_disputed
from widgets.sanitise import clean

WIDTH, LEFT = 44, 20
CONSOLE = Console(force_terminal=True, color_system="truecolor")
STYLES = [Style.parse(text) for text in ("#e0e0e0 on #121212", "bold #ffc473 on #121212", "")]
DISPUTED = {
    "indic": "हिन्दी क्षि",
    "tamil": "நிகொ",
    "thai": "ที่นี้",
    "unassigned": "\U0001faff\u0378\U0003fffe",
    "private": "\ue0b0\uf8ff",
    "newest emoji": "\U0001fae9\U0001fadc",
    "joined": clean("👩\u200d👩\u200d👧\u200d👦"),
    "flags": clean("🇩🇪🇯🇵"),
    "variation": clean("❤\ufe0f☎\ufe0e1\ufe0f\u20e3"),
    "jamo": "\u1112\u1161\u11ab",
    "symbols": "⌚⚡⭐",
    "wide": "数値",
}
NEIGHBOUR = ["│pane two", "│the loss", "│ok 0.1 s", "│字 wide "]


def foreign(chance: random.Random, text: str) -> Strip:
    """A row of the left pane, of exactly its width, with these letters somewhere in it, or at its very edge."""
    lead = "x" * chance.choice([0, 1, 5, max(0, LEFT - cell_len(text))])
    pieces = [Segment(lead, STYLES[0]), Segment(text, chance.choice(STYLES)), Segment("|end", STYLES[0])]
    return Strip([piece for piece in pieces if piece.text]).adjust_cell_length(LEFT, STYLES[0])


def neighbour(chance: random.Random) -> Strip:
    return Strip([Segment(chance.choice(NEIGHBOUR), STYLES[1])]).adjust_cell_length(WIDTH - LEFT, STYLES[1])


def right_cells(strip: Strip) -> list[str]:
    """What must stand in the right pane, cell by cell; the second cell of a wide letter is empty."""
    cells: list[str] = []
    for char in strip.text:
        cells += [char, *[""] * (cell_len(char) - 1)]
    return cells


@pytest.mark.parametrize("thinks", [0, 1, 2])
@pytest.mark.parametrize("name", DISPUTED)
def test_a_terminal_that_thinks_of_another_width_moves_nothing_beside_it(
    name: str, thinks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = DISPUTED[name]
    ours = pyte.screens.wcwidth
    others = {char for char in text if is_disputed(char)}
    assert others or name in ("wide", "flags"), "these are not disputed: the test would show nothing"
    monkeypatch.setattr(pyte.screens, "wcwidth", lambda char: thinks if char in others else ours(char))
    chance = random.Random(name)
    terminal = pyte.Screen(WIDTH, 3)
    terminal.reset_mode(pyte.modes.DECAWM)  # as the app has it
    stream, screen = pyte.Stream(terminal), ScreenDiff(erase=True, wide=False)
    left, right = [Strip([])] * 3, [Strip([])] * 3
    for turn in range(60):
        right_is_new = turn % 3 == 0
        for y in range(3):
            if turn % 20 == 0 or chance.random() < 0.5:
                left[y] = foreign(chance, text)
            if turn % 20 == 0 or right_is_new:
                right[y] = neighbour(chance)
        if turn % 20 == 0:
            rows = [[left[y], right[y]] for y in range(3)]
            stream.feed(screen.render(LayoutUpdate(rows, Region(0, 0, WIDTH, 3)), CONSOLE))
        else:
            chops = [{0: left[y], LEFT: right[y]} for y in range(3)]
            # Often the left pane alone is painted: what it spills must be mended all the same.
            spans = [(y, 0, WIDTH if right_is_new else LEFT) for y in range(3)]
            stream.feed(screen.render(ChopsUpdate(chops, spans, [[LEFT, WIDTH]] * 3), CONSOLE))
        for y in range(3):
            assert [terminal.buffer[y][x].data for x in range(LEFT, WIDTH)] == right_cells(right[y]), (turn, y)
            end = left[y].text.find("|end")
            if end >= 0 and cell_len(left[y].text[:end]) + 4 <= LEFT:
                at = cell_len(left[y].text[:end])
                assert "".join(terminal.buffer[y][x].data for x in range(at, at + 4)) == "|end", (turn, y)


def test_what_is_written_without_such_letters_costs_no_more() -> None:
    for text in ("plain", "数値", "é naïve", "── ● …"):
        assert not any(is_disputed(char) for char in text), text
    for text in itertools.chain(*[DISPUTED[name] for name in ("unassigned", "private", "newest emoji", "jamo")]):
        assert is_disputed(text), hex(ord(text))


@pytest.mark.parametrize(
    ("env", "wide"),
    [
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "ja_JP.UTF-8"}, True),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"}, False),
        ({"RUNEWIDTH_EASTASIAN": "1"}, True),
        ({"VTE_CJK_WIDTH": "wide"}, True),
    ],
)
def test_ambiguous_letters_are_disputed_where_terminals_may_make_them_wide(env: dict[str, str], wide: bool) -> None:
    assert ambiguous_is_wide(env) is wide
    assert is_disputed("●", wide) is wide
    assert is_disputed("д", wide) is wide


def test_where_ambiguous_letters_are_wide_every_cell_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = pyte.screens.wcwidth
    monkeypatch.setattr(pyte.screens, "wcwidth", lambda char: 2 if is_disputed(char, True) else ours(char))
    terminal = pyte.Screen(WIDTH, 1)
    terminal.reset_mode(pyte.modes.DECAWM)
    stream, screen = pyte.Stream(terminal), ScreenDiff(erase=True, wide=True)
    row = Strip([Segment("● running │ шаг 41 │ the loss", STYLES[0])]).adjust_cell_length(WIDTH, STYLES[0])
    stream.feed(screen.render(LayoutUpdate([[row]], Region(0, 0, WIDTH, 1)), CONSOLE))
    shown = "".join(terminal.buffer[0][x].data or " " for x in range(WIDTH))
    for word in ("running", "41", "the loss"):
        assert shown.index(word) == row.text.index(word)


def cost_of_a_letter(*before: str) -> int:
    """Bytes of one letter more in a row, after these were shown in it, one after the other."""
    screen = ScreenDiff(erase=True, wide=False)
    first, *later = (
        Strip([Segment(text, STYLES[0])]).adjust_cell_length(WIDTH, STYLES[0])
        for text in (*before, before[-1].replace("end", "enD"))
    )
    written = screen.render(LayoutUpdate([[first]], Region(0, 0, WIDTH, 1)), CONSOLE)
    for row in later:
        written = screen.render(ChopsUpdate([{0: row}], [(0, 0, WIDTH)], [[WIDTH]]), CONSOLE)
    return len(written.encode())


def test_a_row_is_written_whole_only_while_a_disputed_letter_stands_in_it() -> None:
    plain = cost_of_a_letter("a line and its end")
    assert cost_of_a_letter("✓ 0.1 s ⚑ a line and its end") <= plain + 1, "the app's own marks cost nothing"
    assert cost_of_a_letter("⭐ a line and its end") > plain
    assert cost_of_a_letter("⭐ a line and its end", "a line and its end") == plain


def test_marks_go_with_their_letter() -> None:
    assert list(clusters("ae\u0301नि字x")) == ["a", "e\u0301", "नि", "字", "x"]
    assert "".join(clusters("\u0301ab")) == "\u0301ab"
    assert list(clusters("")) == []
