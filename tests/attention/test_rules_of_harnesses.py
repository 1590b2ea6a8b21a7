"""The rules over what harnesses do: by what their tools are for, and by what only they do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from session_in_memory import Story

from sessions import events as ev
from sessions.attention.signals import signals_of
from sessions.events.messages import CallPart, TextPart

TOOLS = {"Bash": "run", "BashOutput": "wait", "Edit": "edit", "MultiEdit": "edit", "Write": "edit"}
HOUR = 3_600_000


def harness_story(**more: Any) -> Story:
    return Story(harness=ev.Harness(name="claude-code", tools=TOOLS), **more)  # type: ignore[arg-type]


def fired(story: Story, later: int = 0) -> dict[str, str]:
    assert story.summary is not None
    return {signal.rule: signal.reason for signal in signals_of(story.summary, story.at + later)}


def test_polls_of_a_harness_are_polls_whatever_they_are_called() -> None:
    story = harness_story()
    for number in range(12):
        name, arguments = ("BashOutput", {"bash_id": "b1"}) if number % 2 else ("Bash", {"command": f"sleep {number}"})
        story.act(name, arguments, f"epoch {number}")
    assert fired(story)["polling_streak"] == "polling 12×, since step 1"
    ours = Story()
    for number in range(12):
        ours.act("BashOutput", {"bash_id": "b1"}, f"epoch {number}")
    assert "polling_streak" not in fired(ours), "nothing says that it is one"


def test_the_same_command_is_the_same_whatever_the_agent_says_of_it() -> None:
    story = harness_story()
    for number in range(4):
        story.act("Bash", {"command": "make", "description": f"Try {number}"}, "no rule 12", "error")
    found = fired(story)
    assert found["repeated_action"] == "same command 4 times, same error"
    assert found["repeated_error"] == "same error 4 times, since step 1"


def test_calls_that_run_side_by_side_keep_their_own_results() -> None:
    story = harness_story()
    for _ in range(4):
        story.step += 1
        for call, command in ((1, "make"), (2, "ls")):
            story.tell(ev.ActionStarted(call_id=str(call), name="Bash", arguments={"command": command}), call=call)
        for call, (outcome, said) in ((1, ("error", "no rule")), (2, ("ok", "a b"))):
            result = ev.ActionResult(call_id=str(call), outcome=outcome, output=ev.LongText(said))  # type: ignore[arg-type]
            story.tell(result, call=call)
    assert story.summary is not None
    assert [print_.name for print_ in story.summary.watch.actions] == ["Bash"] * 8
    assert not story.summary.watch.started
    assert "repeated_action" not in fired(story), "two commands in turn are no repetition"


@pytest.mark.parametrize(
    ("kill", "killed"), [("KillShell", True), ("Bash", False)], ids=["it ends it", "it does something else"]
)
def test_ending_a_program_whose_loss_was_falling_is_told(kill: str, killed: bool) -> None:
    story = harness_story()
    for loss in (2.5, 1.9, 1.4):
        story.act("BashOutput", {"bash_id": "b1"}, f"step 5 loss {loss}", after=1)
    story.act(kill, {"shell_id": "b1"}, "killed")
    reason = "killed job b1, which it had watched for 9 s, while its loss was falling (2.5 → 1.4)"
    assert fired(story).get("killed_healthy_job") == (reason if killed else None)


def test_a_file_that_goes_back_and_forth_is_told_and_the_same_change_in_many_places_is_not() -> None:
    story = harness_story()
    there, back = ({"file_path": "a.py", "old_string": old, "new_string": new} for old, new in (("x", "y"), ("y", "x")))
    for _ in range(4):
        story.act("Edit", there, "ok")
    assert "edit_rolled_back" not in fired(story)
    story.act("Edit", back, "ok")
    story.act("MultiEdit", {"file_path": "a.py", "edits": [there]}, "no such text", "error")
    assert "edit_rolled_back" not in fired(story), "what failed has changed nothing"
    story.act("MultiEdit", {"file_path": "a.py", "edits": [there]}, "ok")
    assert fired(story)["edit_rolled_back"] == "a.py rolled back 2 times"
    whole = harness_story()
    for content in ("1", "1", "2", "1", "2"):
        whole.act("Write", {"file_path": "b.py", "content": content}, "ok")
    assert fired(whole)["edit_rolled_back"] == "b.py rolled back 2 times"


def test_a_sub_agent_that_has_answered_is_not_silent_and_needs_no_sign_off() -> None:
    child = harness_story(begins=ev.Beginning("P", 3, "child"))
    child.act("Bash", {"command": "ls"}, "a b")
    assert "silent" in fired(child, HOUR)
    child.step += 1
    child.tell(ev.ModelReplied(request=1, parts=(TextPart("There are two."),), finish="stop"))
    assert fired(child, HOUR) == {}
    child.tell(ev.ModelReplied(request=1, parts=(CallPart("c", "Bash", "{}"),), finish="calls"))
    assert "silent" in fired(child, HOUR), "it goes on"
    child.tell(ev.StateChanged(state="finished"))
    assert fired(child, HOUR) == {}


def test_a_context_that_a_harness_shortens_itself_is_no_signal() -> None:
    for story, told in ((harness_story(), False), (Story(), True)):
        story.tell(ev.ModelRequested(adapter="x", adapter_version=1, envelope={}, sha256="", estimate_tokens=99_000))
        assert ("context_full" in fired(story)) is told


def test_a_session_whose_sub_agents_work_is_not_silent() -> None:
    parent, child = harness_story(), harness_story(begins=ev.Beginning("P", 3, "child"))
    assert parent.summary is not None and child.summary is not None
    now = parent.at + HOUR
    at_work = msgspec.structs.replace(child.summary, progress_at=now - 1000)
    assert [signal.rule for signal in signals_of(parent.summary, now, below=[at_work])] == []
    assert [signal.rule for signal in signals_of(parent.summary, now, below=[child.summary])] == ["silent"]


def test_a_budget_that_sub_agents_use_up_is_nearly_used_up() -> None:
    parent, child = harness_story(limits=ev.Limits(tokens=1000)), harness_story(begins=ev.Beginning("P", 3, "child"))
    assert parent.summary is not None and child.summary is not None
    used = msgspec.structs.replace(child.summary, input_tokens=850, step=7)
    own = msgspec.structs.replace(parent.summary, input_tokens=50)
    assert signals_of(own, parent.at) == []
    (signal,) = signals_of(own, parent.at, below=[used])
    assert (signal.rule, signal.reason, signal.step) == ("budget", "90 % of its tokens used", own.step)
