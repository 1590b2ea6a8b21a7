from __future__ import annotations

import pytest
from emulator import Emulator

FRAMES = (
    b"\x1b[?1049h\x1b[?2026$p\x1b[>1u\x1b[?2048$p\x1b[1;1H",
    "\x1b[38;5;247m数値 ab\x1b[0m\x1b[2;1H👩 字e\u0301 |\x1b[?25l".encode(),
    "\x1b[1;1Hthe loss\x1b[2;1H\x1b[4X\x1b[4C數…\x1b[?2026$p".encode(),
    "\x1b[1;2H漢字\x1b[2;6Hx".encode(),
)
"""Wide letters, written over by narrow ones and by each other, between questions that no cell shows."""


def show(*pieces: bytes) -> list[str]:
    """The rows that stand when each piece was looked at, as in a wait."""
    emulator = Emulator(12, 2)
    text = ""
    for piece in pieces:
        emulator.feed(piece)
        text = emulator.text()
    return text.split("\n")


@pytest.mark.parametrize(
    ("over", "row"),
    [
        ("\x1b[1;1Hx", "x 値ab"),
        ("\x1b[1;2Hx", " x値ab"),
        ("\x1b[1;3Hx", "数x ab"),
        ("\x1b[1;4Hx", "数 xab"),
        ("\x1b[1;2H漢", " 漢 ab"),
        ("\x1b[1;4H漢", "数 漢b"),
        ("\x1b[1;1H\x1b[1X", "  値ab"),
        ("\x1b[1;2H\x1b[2X", "    ab"),
        ("\x1b[1;4H\x1b[K", "数"),
    ],
)
def test_what_is_left_of_a_wide_letter_is_blank(over: str, row: str) -> None:
    assert show("数値ab".encode(), over.encode())[0] == row


def test_a_screen_can_be_looked_at_wherever_a_read_ends() -> None:
    """The first cut is what a busy machine once met: a row erased as far as the first half of a wide letter."""
    assert show("漢字|".encode(), b"\x1b[1;1H\x1b[1X\x1b[1C", b"\x1b[2;1H")[0] == "  字|"
    raw = b"".join(FRAMES)
    whole = show(*FRAMES)
    assert whole == ["t漢字oss", "     x…|"]
    for cut in range(len(raw) + 1):
        assert show(raw[:cut], raw[cut:]) == whole, raw[:cut]
    assert show(*(raw[at : at + 1] for at in range(len(raw)))) == whole
