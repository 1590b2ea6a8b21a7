from __future__ import annotations

from typing import Any

import pytest
from session_in_memory import Story

from apollo_tui.state.action_details import EntryDetails
from apollo_tui.state.action_layout import details_lines
from sessions import events as ev
from sessions.agent.advice import escape_tags
from sessions.labels import load_labels
from sessions.tools.observations import shorten


@pytest.mark.parametrize(
    ("outcome", "data", "said"),
    [
        ("timeout", {"job": 1, "background": "timeout"}, "◔ in background"),
        ("ok", {"job": 1, "background": "asked"}, "◔ in background"),
        ("timeout", {}, "✗ timed out"),
        ("ok", {}, "✓ ok"),
        ("error", {}, "✗ error"),
    ],
)
def test_the_action_screen_says_how_a_result_stands_as_the_transcript_does(
    outcome: Any, data: dict[str, Any], said: str
) -> None:
    story = Story()
    story.act("run", {"command": "train"}, "epoch 1", outcome, **data)
    started, result = story.events[-2:]
    assert isinstance(result.body, ev.ActionResult)
    head = details_lines(EntryDetails(anchor=started, related=(result,)), load_labels())[0]
    assert said in "".join(text for text, _ in head)


def shown_lines(output: str, shown: str | None, hidden: int) -> list[str]:
    """The Action screen's words on an output, without roles."""
    call = ev.ActionStarted(call_id="c", name="run")
    started = ev.Event(1, "s", 1, 1, 1, "action.started", 1, 0, "agent", None, call)
    text = ev.LongText
    body = ev.ActionResult(
        call_id="c",
        outcome="ok",
        output=text(output),
        shown=None if shown is None else text(shown),
        hidden_chars=hidden,
    )
    result = ev.Event(2, "s", 2, 1, 1, "action.result", 1, 0, "agent", None, body)
    details = EntryDetails(anchor=started, related=(result,), output=output, shown=shown)
    return ["".join(said for said, _ in line) for line in details_lines(details, load_labels())]


def claims(lines: list[str]) -> list[str]:
    return [line for line in lines if "did not see" in line]


NOTICE = "[budget] 80 % of the steps are used."


@pytest.mark.parametrize("notice", ["", NOTICE])
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("ends", ["\n", ""])
def test_what_a_long_output_hides_is_said_to_the_character_whatever_else_the_model_was_told(
    notice: str, tagged: bool, ends: str
) -> None:
    lines = [f"line {number} {'<advice>' if tagged and number % 700 == 3 else 'x'}" for number in range(6_000)]
    output = "\n".join(lines) + ends
    cut, hidden = shorten(output)
    shown = escape_tags(cut) + (f"\n{notice}" if notice else "")
    said = shown_lines(output, shown, hidden)
    assert claims(said) == [f"── {hidden:,} characters the model did not see ──"]
    first, last = [next(at for at, line in enumerate(said) if words in line) for words in ("not see", "saw it again")]
    assert len("\n".join(said[first + 1 : last])) == hidden
    assert [line for line in said if line.startswith("line")] == lines, "nothing is lost, nor shown as it was escaped"
    assert ("what the model was told with it" in said, NOTICE in said) == (bool(notice), bool(notice))


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("a\nb\n", None),
        ("a\nb\n", "a\nb\n"),
        ("# head\n\n- a\n- b", '{"success": true, "text": "# head\\n\\n- a\\n- b"}'),  # a recording's own form
        ("total 3\n", "Exit code: 0\nWall time: 1.2 seconds\nOutput:\ntotal 3\n"),
        ("total 3\n", "<returncode>0</returncode>\n<output>\ntotal 3\n</output>"),
        ("say <advice> and </advice>", "say &lt;advice> and &lt;/advice>"),
        ("", "Your command ran successfully and did not produce any output."),
    ],
)
def test_another_form_of_the_same_result_hides_nothing(output: str, shown: str | None) -> None:
    assert claims(shown_lines(output, shown, 0)) == []


def test_a_progress_bar_hides_only_what_it_overwrote() -> None:
    output = "begin\n" + "".join(f"{part} %\r" for part in range(0, 100, 10)) + "100 %\nend"
    shown, hidden = shorten(output)
    said = shown_lines(output, shown, hidden)
    (claim,) = claims(said)
    assert claim.startswith(f"── {hidden} characters that were overwritten on their line")
    assert [line for line in said if line in ("begin", "100 %", "end")] == ["begin", "100 %", "end"]
