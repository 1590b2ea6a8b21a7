from __future__ import annotations

import pytest
from textual.keys import _character_to_key

from apollo_tui import keys
from apollo_tui.state.key_burst import KeyStroke, pasted_text, split_bursts

BOARD = keys.KeyContext("board", session=True, live=True, action=True, signal=True)
SESSION = keys.KeyContext("session", session=True, live=True, action=True, signal=True)
NAMED = {"⏎": ("enter", "\r"), "⇥": ("tab", "\t"), "␛": ("escape", "\x1b"), "↓": ("down", ""), "↲": ("ctrl+j", "\n")}


def strokes(typed: str, gap: float = 0.0002) -> list[KeyStroke]:
    found = [NAMED.get(letter) or (_character_to_key(letter), letter) for letter in typed]
    return [KeyStroke(name, character, at * gap) for at, (name, character) in enumerate(found)]


@pytest.mark.parametrize(
    "typed",
    [
        "fix the flags first",
        "Fix it",
        "flag",
        "fix",
        "xx stop pausing",
        "the loss is nan, so stop",
        "please",
        "quit",
        "down",
        "1e-3",
        "f(x)",
        "0.001",
        "a = b",
        "lr 3e-4⏎batch 32⏎",
        "uid 1000",
        "/data/run/1/log.txt",
        "'quoted'",
        ": see the log",
        "so use sgd",
        "continue⇥",
        "i think it is stuck",
        "git status",
        "ää öö ßß",
        "训练失败了",
        "- one⏎- two",
        "x = 1↲y = 2",
        "[F] flag it",
        "]]fF",
        "import the module",
        "ipoll less",
        "[ino",
        "[info] no data⏎",
        "⏎import os⏎",
        "rqino",
        ":quit⏎",
        ":param lr: a rate",
        ":limit steps +20⏎",
        "/needle⏎",
        "/data⏎",
        "'12 monkeys'",
        "'til noon⏎",
        "c⇥d⏎e⇥f⏎",
        "1⏎2⏎3⏎",
        "12 of 40",
        "ntp",
        "tbd",
        "bbq",
        "rqf",
        "F1 score",
        "qqx",
        "q⏎q⏎",
        "x⏎y",
        "👨\u200d👩\u200d👧 fam",
        "e\u0301tat",
    ],
)
@pytest.mark.parametrize("here", [BOARD, SESSION])
def test_a_text_that_comes_at_once_is_a_text(typed: str, here: keys.KeyContext) -> None:
    wanted = typed.replace("⏎", "\n").replace("⇥", "\t").replace("↲", "\n")
    assert pasted_text(strokes(typed), here, {}) == wanted


@pytest.mark.parametrize(
    "typed",
    [
        "3⏎[",
        "3⏎[f",
        "⏎]]]f",
        "2ilet the run end",
        "2iexxpqfu1:/?'2",
        "jjjjjjjj",
        "jjkkjj",
        "]]]]]]",
        "]]F",
        "]Fx",
        "fx",
        "!f",
        "!!!d",
        "uuu",
        "'12⏎",
        "'7",
        "c⇥demo:wait",
        "␛␛2iand so",
        "↓↓↓↓f",
        "ggG",
    ],
)
def test_what_may_have_been_typed_ahead_is_keys(typed: str) -> None:
    here = BOARD if typed[:1] in "3c" else SESSION
    assert pasted_text(strokes(typed), here, {}) == ""


def test_over_a_panel_no_key_of_the_table_works_and_a_text_is_a_text() -> None:
    assert pasted_text(strokes("stop it"), None, {}) == "stop it"
    assert pasted_text(strokes("ipoll less"), None, {}) == "ipoll less"
    assert pasted_text(strokes("4x"), None, {}) == "" and pasted_text(strokes("xxx"), None, {}) == ""


def test_the_keys_of_the_config_decide_what_is_typed_ahead() -> None:
    assert pasted_text(strokes("2Ypoll less"), BOARD, {"advise": "Y"}) == ""
    assert pasted_text(strokes("2ipoll less"), BOARD, {"advise": "Y"}) == "2ipoll less"


def test_control_characters_are_no_text() -> None:
    burst = [*strokes("stop "), KeyStroke("ctrl+a", "\x01", 0.001), KeyStroke("up", "", 0.001), *strokes("it")]
    assert pasted_text(burst, BOARD, {}) == "stop it"


def test_a_hand_makes_no_burst_and_a_pause_ends_one() -> None:
    assert [len(group) for group in split_bursts(strokes("flag", gap=0.03))] == [1, 1, 1, 1]
    slow = [stroke._replace(at=stroke.at + 0.5) for stroke in strokes("xy")]
    assert [len(group) for group in split_bursts([*strokes("abc"), *slow])] == [3, 2]
