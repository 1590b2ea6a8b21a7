from __future__ import annotations

import log_events as make
import pytest

from sessions import events as ev
from sessions.fold.corrections import CorrectionBook, WrittenCall, broken_call, parse_reply

ADA, BEN = "human:ada", "human:ben"
CALL = ev.Target(2, "call", 1)


def book(*said: tuple[str, str]) -> CorrectionBook:
    events = [ev.NewEvent(make.SESSION, ev.CorrectionWritten(target=CALL, text=text), actor=by) for by, text in said]
    return CorrectionBook(make.number_events(make.session_created(), *events))


def test_each_annotator_has_one_word_on_a_target_and_an_empty_one_takes_it_back() -> None:
    both = book((ADA, "wait"), (BEN, "look at the loss"), (ADA, "wait for job 7"))
    assert [(one.by, one.text) for one in both.on(CALL)] == [(BEN, "look at the loss"), (ADA, "wait for job 7")]
    assert both.own(ADA, CALL) == "wait for job 7" and both.own(ADA, ev.Target(2)) == ""
    assert [one.by for one in book((ADA, "wait"), (BEN, "look"), (ADA, "")).all] == [BEN]


@pytest.mark.parametrize(
    ("text", "said", "calls"),
    [
        ('wait {"job": 7}', "", [WrittenCall("wait", '{"job": 7}')]),
        ('It falls.\n\nwait {"job": 7}\nrun {\n "command": "ls"}\n', "It falls.",
         [WrittenCall("wait", '{"job": 7}'), WrittenCall("run", '{\n "command": "ls"}')]),
        ("wait for job 7", "wait for job 7", []),
        ("use {braces} here", "use {braces} here", []),
        ('wait {"job": 7} and then look', 'wait {"job": 7} and then look', []),
        ("wait [7]", "wait [7]", []),
        ("", "", []),
    ],
)  # fmt: skip
def test_a_correction_that_ends_with_calls_is_a_reply_and_all_else_is_words(
    text: str, said: str, calls: list[WrittenCall]
) -> None:
    assert parse_reply(text) == (said, calls)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('wait {"job": 7', "wait"),
        ("Look first.\nrun {'command': 'ls'}", "run"),
        ('run {"command": "ls"} and then wait', "run"),
        ('run {"command": "ls"}', ""),
        ("run ls", ""),
        ("Say {nothing}: no call stands at the beginning", "Say"),
        ("", ""),
    ],
)
def test_what_looks_like_a_call_and_is_none_is_named(text: str, name: str) -> None:
    assert broken_call(text) == name
