from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.terminal_text import plain_line, plain_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, 漢字 and é", "plain text, 漢字 and é"),
        ("[/foo] [bold [@click=app.quit]x", "[/foo] [bold [@click=app.quit]x"),
        ("a\x1b[2Jb\x1b[1;31mc\x9b0md", "abcd"),
        ("\x1b]0;title\x07a\x1b]52;c;QQ==\x1b\\b\x9d8;;x\x9cc", "abc"),
        ("\x1bPq#0\x1b\\a\x1b(Bb\x1bcc", "abc"),
        ("\x1b]0;never ended", ""),
        ("a\x00b\x08\x7fc\ud800", "a�b��c�"),
        ("a\u202eb\u2066c\u200bd\ufeff\U000e0041", "abcd"),
        (" 10 %\r 50 %\r100 %\r\nnext\r", "100 %\nnext"),
        ("tab\tstays\nand lines", "tab\tstays\nand lines"),
    ],
)
def test_foreign_text_is_harmless_and_still_says_what_it_said(text: str, expected: str) -> None:
    assert plain_text(text) == expected


def test_one_line_is_one_line() -> None:
    assert plain_line("a\nb\tc\r\nd\u2028e") == "a b c d e"


@given(st.text(st.sampled_from("\x1b[]P;0123mJ\x07\\\x9b\x9d\x9c\r\n\tab\x00\ud800\u202e")))
def test_no_text_whatever_leaves_a_control_character(text: str) -> None:
    clean = plain_text(text)
    assert all(character in "\n\t" or (character >= " " and not "\x7f" <= character <= "\x9f") for character in clean)
    clean.encode()
    assert plain_text(clean) == clean
