import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.cells import width
from widgets.sanitise import clean, clean_line, is_clean, last_line

FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
NASTY = st.text(
    st.one_of(
        st.sampled_from(
            "\x1b[]0;52PX^_\\?mKHJ\x07\x9b\x9d\x9c\x90\r\n\t\x08\x00\u202e\u200b\ud800é数👩\u200d\ufe0f\u0301"
        ),
        st.characters(codec=None),
    ),
    max_size=200,
)


@given(NASTY)
def test_nothing_that_a_terminal_acts_on_is_left_in_a_cleaned_text(text: str) -> None:
    assert not FORBIDDEN.search(clean(text))


@given(NASTY)
def test_cleaning_twice_changes_nothing_more_and_a_cleaned_text_counts_as_clean(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


@given(NASTY, st.integers(1, 80))
def test_a_cleaned_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = clean_line(text, limit)
    assert "\n" not in line
    assert len(line) <= limit
    assert not FORBIDDEN.search(line)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b]52;c;aGVsbG8=\x07hello", "hello"),
        ("\x1b]52;c;aGVsbG8=\x1b\\hello", "hello"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1bP1$r0m\x1b\\dcs", "dcs"),
        ("\x1b[?1049lleave", "leave"),
        ("\x1b]52;c;never ended", "␛]52;c;never ended"),
        ("a\x00b", "a␀b"),
        ("bell\x07", "bell␇"),
        ("10%\r50%\r100%", "100%"),
        ("loading...\rdone", "doneing..."),
        ("loading...\r\x1b[Kdone", "done"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("a\tb", "a   b"),
        ("wrong\x08\x08ly", "wroly"),
        ("rtl\u202egnp.exe", "rtl\ufffdgnp.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("\ud800x", "\ufffdx"),
        ("👩\u200d👩\u200d👧", "👩👩👧"),
        ("🇩🇪", "DE"),
        ("[/foo] [bold [@click=app.quit]x", "[/foo] [bold [@click=app.quit]x"),
        ("数値", "数値"),
    ],
)
def test_known_tricks_are_shown_as_their_harmless_selves(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_megabyte_in_one_line_costs_nothing_when_only_a_headline_is_wanted() -> None:
    huge = "x" * 1_000_000
    started = time.process_time()
    for _ in range(100):
        clean_line(huge, 200)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "hostile", ["\x1b]" * 200_000, "\x1b[" * 200_000, "\r" * 400_000, "a\rb" * 150_000, "\x1bP" * 99_999]
)
def test_hostile_repetitions_take_linear_time(hostile: str) -> None:
    started = time.process_time()
    clean(hostile)
    assert time.process_time() - started < 3


def test_the_last_line_that_says_something_is_found() -> None:
    assert last_line("epoch 1\nepoch 2\n\n  \n") == "epoch 2"
    assert last_line("") == ""
    for silent in ('"', "}", "-----", "[exit code 0]", "(exit 0)", "[root:workspace]$", "me@host:~#", "me@host: ~/x$"):
        assert last_line(f"loss 0.4\n{silent}\n") == "loss 0.4", silent
        assert last_line(silent) == silent
    assert last_line("cost\n5$ and 3 #") == "5$ and 3 #"


def test_a_mark_at_the_beginning_does_not_reach_the_cell_before_it() -> None:
    assert clean("\u0301x").startswith("◌")
    assert width(clean("a" + "\u0301" * 50)) == 1


@pytest.mark.parametrize("mark", ["\u0301", "\u0e47", "\u093c", "\u05b0", "\u064b", "\u0f71", "\U0001e8d0"])
def test_at_most_three_marks_of_any_script_stand_on_a_letter(mark: str) -> None:
    piled = f"a{mark * 40}b"
    assert not is_clean(piled)
    assert clean(piled) == f"a{mark * 3}b"
    assert clean(f"a{mark}b────") == f"a{mark}b────"


def test_plain_text_is_returned_as_it_is() -> None:
    text = "plain\ntext " * 1000
    assert clean(text) is text
    assert is_clean(text)
