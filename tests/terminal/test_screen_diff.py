from __future__ import annotations

import itertools
import random

import pyte
import pytest
from emulator import halves
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from apollo_tui.terminal.screen_diff import ScreenDiff

WIDTH, HEIGHT = 40, 6
CUTS = [0, 12, 13, 26, WIDTH]
STYLES = [
    Style.parse(text)
    for text in ("#e0e0e0 on #121212", "italic #a0a0a0 on #121212", "bold #ffc473 on #121212", "#57a5e2 on #303030",
                 "reverse #e0e0e0 on #121212", "underline #e0e0e0 on #121212", "dim", "")
]  # fmt: skip
CONSOLE = Console(force_terminal=True, color_system="truecolor")
NARROW = ["the loss", "●", " ", "        ", "│", "…", "metrics", "              ", "a b"]
ODD = [*NARROW, "漢字", "e\u0301", "a漢", "字 ｂ"]


def strip(chance: random.Random, width: int, texts: list[str]) -> Strip:
    made = Strip([])
    while made.cell_length < width:
        made = Strip.join([made, Strip([Segment(chance.choice(texts), chance.choice(STYLES))])])
    return made.adjust_cell_length(width, STYLES[0])


def full(chance: random.Random, texts: list[str]) -> LayoutUpdate:
    return LayoutUpdate([[strip(chance, WIDTH, texts)] for _ in range(HEIGHT)], Region(0, 0, WIDTH, HEIGHT))


def partial(chance: random.Random, rows: list[Strip], texts: list[str]) -> ChopsUpdate:
    """Changes a piece of some rows; like Textual, gives the whole of what stands between two cuts."""
    spans = []
    for y in sorted(chance.sample(range(HEIGHT), chance.randint(1, HEIGHT))):
        start, stop = sorted(chance.sample(range(WIDTH + 1) if texts is NARROW else CUTS, 2))
        before, after = rows[y].crop(0, start), rows[y].crop(stop, WIDTH)
        rows[y] = Strip.join([before, strip(chance, stop - start, texts), after])
        spans.append((y, start, stop))
    chops = [{x: row.crop(x, end) for x, end in itertools.pairwise(CUTS)} for row in rows]
    return ChopsUpdate(chops, spans, [CUTS[1:]] * HEIGHT)


def looks(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    def look(cell: pyte.screens.Char) -> tuple[object, ...]:
        inked = (cell.underscore, cell.reverse, cell.strikethrough)
        if cell.data == " " and not any(inked):
            return (" ", cell.bg)
        return (cell.data, cell.fg, cell.bg, cell.bold, cell.italics, *inked)

    return [[look(screen.buffer[y][x]) for x in range(WIDTH)] for y in range(HEIGHT)]


def terminals() -> tuple[pyte.Screen, pyte.Stream, pyte.Screen, pyte.Stream]:
    one, other = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT)
    return one, pyte.Stream(one), other, pyte.Stream(other)


@pytest.mark.parametrize("erase", [True, False])
@pytest.mark.parametrize("texts", [NARROW, ODD], ids=["narrow", "odd"])
@pytest.mark.parametrize("seed", range(8))
def test_a_thinned_terminal_looks_like_one_that_textual_wrote_to(erase: bool, texts: list[str], seed: int) -> None:
    chance = random.Random(seed)
    plain, plain_stream, thinned, thin_stream = terminals()
    screen = ScreenDiff(erase=erase)
    rows: list[Strip] = []
    for turn in range(40):
        if turn % 20 == 0:
            update = full(chance, texts)
            rows = [next(iter(strips)) for strips in update.strips]
        else:
            update = partial(chance, rows, texts)
        plain_stream.feed(update.render_segments(CONSOLE).replace("\n", ""))
        thin_stream.feed(screen.render(update, CONSOLE))
        assert looks(thinned) == looks(plain)


@pytest.mark.parametrize("erase", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_no_update_leaves_half_of_a_wide_letter(erase: bool, seed: int) -> None:
    """While the edges of widgets stay where they are. Where one moved, this is left to the terminal, as by Textual."""
    chance = random.Random(seed)
    terminal = pyte.Screen(WIDTH, HEIGHT)
    stream, screen = pyte.Stream(terminal), ScreenDiff(erase=erase)
    rows: list[Strip] = []
    for turn in range(60):
        if turn % 20 == 0:
            update = full(chance, ODD)
            cut = [[row.crop(x, end) for x, end in itertools.pairwise(CUTS)] for (row,) in update.strips]
            rows = [Strip.join(pieces) for pieces in cut]
            stream.feed(screen.render(LayoutUpdate(cut, update.region), CONSOLE))
        else:
            stream.feed(screen.render(partial(chance, rows, ODD), CONSOLE))
        assert halves(terminal) == []


def test_what_stands_there_already_is_not_written_again() -> None:
    screen = ScreenDiff()
    update = full(random.Random(1), NARROW)
    assert screen.render(update, CONSOLE)
    chops = [{0: strips[0]} for strips in update.strips]
    same = ChopsUpdate(chops, [(y, 0, WIDTH) for y in range(HEIGHT)], [[WIDTH]] * HEIGHT)
    assert screen.render(same, CONSOLE) == ""


def test_one_letter_more_costs_a_move_a_colour_and_the_letter() -> None:
    screen = ScreenDiff(erase=True)
    screen.render(
        LayoutUpdate([[Strip([Segment("I look at t" + " " * 29, STYLES[0])])]], Region(0, 0, WIDTH, 1)), CONSOLE
    )
    longer = Strip([Segment("I look at th" + " " * 28, STYLES[0])])
    written = screen.render(ChopsUpdate([{0: longer}], [(0, 0, WIDTH)], [[WIDTH]]), CONSOLE)
    assert written == "\x1b[1;12H\x1b[38;2;224;224;224;48;2;18;18;18mh\x1b[0m"


def test_a_full_update_mends_a_terminal_that_something_else_wrote_to() -> None:
    plain, plain_stream, thinned, thin_stream = terminals()
    screen = ScreenDiff(erase=True)
    update = full(random.Random(3), NARROW)
    thin_stream.feed(screen.render(update, CONSOLE))
    thin_stream.feed("\x1b[2J\x1b[Hwall: the machine goes down")
    thin_stream.feed(screen.render(update, CONSOLE))
    plain_stream.feed(update.render_segments(CONSOLE).replace("\n", ""))
    assert looks(thinned) == looks(plain)


def test_gnu_screen_is_not_asked_to_erase_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "screen")
    monkeypatch.delenv("TMUX", raising=False)
    update = LayoutUpdate([[Strip([Segment(" " * WIDTH, STYLES[0])])]], Region(0, 0, WIDTH, 1))
    assert "X" not in ScreenDiff().render(update, CONSOLE)
    monkeypatch.setenv("TMUX", "/tmp/tmux")
    assert f"\x1b[{WIDTH}X" in ScreenDiff().render(update, CONSOLE)
