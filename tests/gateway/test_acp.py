"""A program that is talked to: told its task, asked, advised, cancelled, gone on with by a later program and host."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from training_log import kept_policy
from wire_model import WireModel

from apollo_train.masks.annotations import read_annotations
from apollo_train.samples.advice_removal import AdviceRemover
from apollo_train.samples.prompts import Prompts
from sessions.jobs.files import ERRORS, INPUT, OUTPUT
from sessions.log.reader import LogReader

AGENT = Path(__file__).parents[1] / "support" / "harnesses" / "acp_agent.py"


@pytest.fixture
def model() -> Iterator[WireModel]:
    with WireModel(2).serving() as model:
        yield model


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path)
    product.write_config()
    yield product
    product.close()


Start = Callable[..., str]


@pytest.fixture
def start(apollo: Apollo, model: WireModel) -> Start:
    def run(*words: str) -> str:
        apollo.run("run", "--acp", "--model", "openai:m", "--base-url", model.url, "--task", "Write numbers.",
                   "--inside", "none", "--name", "it", "--", sys.executable, str(AGENT), *words)  # fmt: skip
        return str(apollo.session("it")["id"])

    return run


def state(apollo: Apollo) -> str:
    return str(apollo.session("it")["state"])


def seen(apollo: Apollo) -> list[str]:
    """What the agent has noted."""
    files = list(apollo.folder.rglob("seen.txt"))
    return files[0].read_text().splitlines() if files else []


def steps(apollo: Apollo) -> list[str]:
    """What it has noted, without its details and the further lines of prompts."""
    words = ("initialize", "new", "load", "prompt", "may", "cancel", "lingers", "end of input")
    return [word for line in seen(apollo) for word in words if line.partition(":")[0] == word]


def bodies(apollo: Apollo, session: str, kind: str) -> list[dict[str, Any]]:
    return [event["body"] for event in apollo.events(session, kind)]


def last_turn_without(apollo: Apollo, session: str, seq: int, advice: int) -> str:
    """How the prompt of the request at ``seq`` ends, where this advice is left out of it."""
    with LogReader(apollo.log) as reader:
        judged = read_annotations(reader, session, reader.position())
        assert judged is not None
        prompt = Prompts(reader, judged).of(seq)
        remover = AdviceRemover(reader, judged, kept_policy())
        assert remover.find_advice(prompt) == {advice}
        return str(remover.remove(prompt, frozenset({advice})).turns[-1].chat["content"])


def test_its_task_is_its_first_prompt_and_the_end_of_its_turn_is_the_end(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start()
    wait_for("its end", lambda: state(apollo) == "finished")
    assert seen(apollo)[0] == "initialize"
    assert seen(apollo)[2:] == ["prompt: Write numbers.", "end of input"]
    assert apollo.session("it")["step"] == 3
    (opened,) = bodies(apollo, it, "harness.opened")
    assert (opened["agent"], opened["can_load"], opened.get("loaded", False)) == ("little 1.2", True, False)
    assert [(one["prompt"], one["why"]) for one in bodies(apollo, it, "harness.rested")] == [(1, "end_turn")]
    (ended,) = bodies(apollo, it, "job.ended")
    assert (ended["exit_code"], ended.get("how", "exited")) == (0, "exited")
    assert ended["last_line"] == "hello, I am no message", "its standard error is kept apart from what it says to us"
    (told,) = bodies(apollo, it, "harness.turn")
    assert told["role"] == "system", "what it says beside its replies is not logged a second time"
    assert len(bodies(apollo, it, "model.reply")) == len(model.bodies) == 3


def test_what_it_asks_takes_one_of_its_own_options(apollo: Apollo, model: WireModel, start: Start) -> None:
    it = start("--ask")
    wait_for("its question", lambda: apollo.session("it")["question"])
    assert state(apollo) == "needs_you"
    assert apollo.session("it")["question"] == ("Run echo 1 alone >> trace.txt\n1 Allow once\n2 Always allow\n3 Reject")
    (asked,) = apollo.events(it, "question.asked")
    assert (asked["step"], asked["call"], asked["body"]["until"]) == (1, 1, None)
    refused = apollo.run("answer", it, "maybe", check=False)
    assert refused.returncode == 1
    assert refused.stderr == (
        "apollo: question 1 of session 1 takes one of its options, by number or name: 1 Allow once, 2 Always allow, "
        "3 Reject\n"
    )
    apollo.run("answer", it, "1")
    wait_for("its second question", lambda: len(bodies(apollo, it, "question.asked")) == 2)
    apollo.run("answer", it, "reject")
    wait_for("its end", lambda: state(apollo) == "finished")
    assert [line for line in seen(apollo) if line.startswith("may")] == ["may: once", "may: no"]
    answered = bodies(apollo, it, "question.answered")
    assert [(one["text"], one["option"]) for one in answered] == [("Allow once", "once"), ("Reject", "no")]
    outputs = [event["body"]["output"]["text"] for event in apollo.events(it, "action.result")]
    assert outputs == ["exit 0", "The user rejected it."]


def test_a_question_stays_open_through_a_pause_and_an_interrupt_withdraws_it(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start("--ask")
    wait_for("its question", lambda: state(apollo) == "needs_you")
    apollo.run("pause", it)
    wait_for("the pause", lambda: state(apollo) == "paused")
    assert apollo.session("it")["question"]
    apollo.run("resume", it)
    wait_for("it asks on", lambda: state(apollo) == "needs_you")
    apollo.run("interrupt", it)
    wait_for("it is interrupted", lambda: state(apollo) == "paused")
    assert "may: cancelled" in seen(apollo)
    assert not apollo.session("it")["question"]
    apollo.run("advise", it, "Write letters.")
    apollo.run("resume", it)
    wait_for("it is told", lambda: any("Write letters." in line for line in seen(apollo)))


def test_advice_during_its_turn_goes_in_at_the_boundary_and_later_advice_is_its_next_prompt(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    model.free.clear()
    it = start()
    wait_for("its first request", lambda: model.bodies)
    apollo.run("advise", it, "Use capitals.")
    model.free.set()
    wait_for("its end", lambda: state(apollo) == "finished")
    assert [line for line in seen(apollo) if "prompt" in line] == ["prompt: Write numbers."]
    assert b"Use capitals." in model.bodies[1], "the gateway put it in"

    apollo.run("advise", it, "And a poem.", "--reopen")
    wait_for("it goes on", lambda: len(model.bodies) == 4)
    wait_for("its end", lambda: state(apollo) == "finished")
    sent = json.loads(model.bodies[3])["messages"]
    assert [message["role"] for message in sent].count("user") == 3
    assert sent[-1]["content"].count("And a poem.") == 1, "it has it in its own history, and once"
    begun, later = ["initialize", "new"], ["initialize", "load"]
    assert steps(apollo) == [*begun, "prompt", "end of input", *later, "prompt", "end of input"]
    delivered = bodies(apollo, it, "advice.delivered")
    assert [one.get("as_prompt", False) for one in delivered] == [False, True]


def test_advice_that_waits_when_its_turn_ends_is_the_next_prompt_of_the_same_process(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start("--lingers")
    wait_for("its last reply", lambda: "lingers" in seen(apollo))
    apollo.run("advise", it, "And a poem.")
    (workspace,) = {path.parent for path in apollo.folder.rglob("seen.txt")}
    (workspace / "go").touch()
    wait_for("its end", lambda: state(apollo) == "finished")
    assert steps(apollo) == ["initialize", "new", "prompt", "lingers", "prompt", "lingers", "end of input"]
    assert len(bodies(apollo, it, "job.started")) == 1
    prompts = bodies(apollo, it, "harness.prompted")
    assert [one["prompt"] for one in prompts] == [1, 2]
    sent = json.loads(model.bodies[3])["messages"]
    assert sent[-1]["content"] == prompts[1]["text"]
    assert apollo.session("it")["step"] == 4
    (request,) = [event for event in apollo.events(it, "model.request") if event.get("step") == 4]
    (delivered,) = apollo.events(it, "advice.delivered")
    assert request["body"]["append"][-1]["sources"] == [delivered["seq"]], "the turn is known as what the person said"
    assert last_turn_without(apollo, it, request["seq"], 1) == "Go on.", "what it would have been told"


def test_a_stop_cancels_its_turn_and_a_later_program_loads_its_conversation(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    model.free.clear()
    it = start()
    wait_for("its first request", lambda: model.bodies)
    apollo.run("stop", it)
    wait_for("the stop", lambda: state(apollo) == "stopped")
    assert "cancel" in seen(apollo)
    assert [one["why"] for one in bodies(apollo, it, "harness.rested")] == ["cancelled"]
    model.free.set()
    apollo.run("resume", it)
    wait_for("its end", lambda: state(apollo) == "finished")
    assert seen(apollo).count("load: " + bodies(apollo, it, "harness.opened")[0]["conversation"]) == 1
    assert "prompt: Go on." in seen(apollo)
    assert [one.get("loaded", False) for one in bodies(apollo, it, "harness.opened")] == [False, True]


def test_of_one_that_cannot_load_its_conversation_the_log_says_what_is_lost(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start("--forgets")
    wait_for("its end", lambda: state(apollo) == "finished")
    apollo.run("advise", it, "And a poem.", "--reopen")
    wait_for("it is told", lambda: len(bodies(apollo, it, "harness.prompted")) == 2)
    wait_for("its end", lambda: state(apollo) == "finished")
    opened = bodies(apollo, it, "harness.opened")
    assert opened[1]["why"] == "it has no way to load its earlier conversation"
    assert "And a poem." in bodies(apollo, it, "harness.prompted")[1]["text"]


def test_a_killed_host_goes_on_with_the_same_program_and_asks_no_question_twice(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start("--ask")
    wait_for("its question", lambda: state(apollo) == "needs_you")
    dead = apollo.kill_host()
    wait_for("another host", lambda: apollo.host_pid() not in (None, dead))
    apollo.run("answer", it, "1")
    wait_for("its second question", lambda: len(bodies(apollo, it, "question.asked")) == 2)
    model.free.clear()
    apollo.run("answer", it, "1")
    wait_for("its last request", lambda: len(model.bodies) == 3)
    dead = apollo.kill_host()
    wait_for("another host", lambda: apollo.host_pid() not in (None, dead))
    model.free.set()
    wait_for("its end", lambda: state(apollo) == "finished")
    assert len(bodies(apollo, it, "job.started")) == 1
    assert steps(apollo) == ["initialize", "new", "prompt", "may", "may", "end of input"]
    assert len(bodies(apollo, it, "question.asked")) == 2


def test_a_killed_host_leaves_its_second_turn_alone(apollo: Apollo, model: WireModel, start: Start) -> None:
    it = start("--lingers")
    wait_for("its last reply", lambda: "lingers" in seen(apollo))
    apollo.run("advise", it, "And a poem.")
    model.free.clear()
    (workspace,) = {path.parent for path in apollo.folder.rglob("seen.txt")}
    (workspace / "go").touch()
    wait_for("its next prompt", lambda: len(model.bodies) == 4)
    (workspace / "go").unlink()
    model.free.set()
    wait_for("its next reply", lambda: seen(apollo).count("lingers") == 2)
    dead = apollo.kill_host()
    wait_for("another host", lambda: apollo.host_pid() not in (None, dead))
    (workspace / "go").touch()
    wait_for("its end", lambda: state(apollo) in ("finished", "stopped"))
    assert (state(apollo), apollo.session("it")["reason"]) == ("finished", "")
    assert [(one["prompt"], one["why"]) for one in bodies(apollo, it, "harness.rested")] == [
        (1, "end_turn"),
        (2, "end_turn"),
    ]
    assert len(bodies(apollo, it, "job.started")) == 1


def test_what_it_writes_that_is_no_message_harms_no_talk(apollo: Apollo, model: WireModel, start: Start) -> None:
    it = start("--babbles")
    wait_for("its end", lambda: state(apollo) == "finished")
    assert [(one["prompt"], one["why"]) for one in bodies(apollo, it, "harness.rested")] == [(1, "end_turn")]


def test_of_a_program_that_can_be_told_nothing_more_the_session_says_so(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start("--lingers")
    wait_for("its last reply", lambda: "lingers" in seen(apollo))
    apollo.run("advise", it, "And a poem.")
    (workspace,) = {path.parent for path in apollo.folder.rglob("seen.txt")}
    (entrance,) = [path for path in apollo.folder.rglob(INPUT) if path.is_fifo()]
    entrance.unlink()
    (workspace / "go").touch()
    wait_for("its end", lambda: state(apollo) == "stopped")
    assert apollo.session("it")["reason"] == (
        "ended early: the host lost its connection to it (job 1 is not running any more, or has spoilt its input), "
        "and it had its last reply"
    )
    assert [(one["prompt"], one["why"]) for one in bodies(apollo, it, "harness.rested")] == [
        (1, "end_turn"),
        (2, "error"),
    ]


def test_of_a_program_whose_output_file_was_removed_the_session_says_so(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    start("--lingers")
    wait_for("its last reply", lambda: "lingers" in seen(apollo))
    (kept,) = [path for path in apollo.folder.rglob(OUTPUT) if path.parent.name != ERRORS]
    kept.unlink()
    wait_for("its end", lambda: state(apollo) == "stopped")
    assert apollo.session("it")["reason"] == (
        "ended early: the host lost its connection to it (its output file was removed, or cut), and it had its last "
        "reply"
    )


def test_a_stopped_host_cancels_it_and_a_person_lets_it_go_on(apollo: Apollo, model: WireModel, start: Start) -> None:
    model.free.clear()
    it = start()
    wait_for("its first request", lambda: model.bodies)
    said = apollo.run("host", "stop").stdout
    assert said.endswith("; the program of session 1 (python) was ended, and is started again then\n"), said
    assert "cancel" in seen(apollo)
    model.free.set()
    apollo.run("host", "start")
    wait_for("its death is known", lambda: apollo.events(it, "job.ended"))
    apollo.run("resume", it)
    wait_for("its end", lambda: state(apollo) == "finished")
    assert [one.get("loaded", False) for one in bodies(apollo, it, "harness.opened")] == [False, True]


def test_a_program_that_dies_in_its_turn_has_ended_early_and_asks_nothing_more(
    apollo: Apollo, model: WireModel, start: Start
) -> None:
    it = start("--ask")
    wait_for("its question", lambda: state(apollo) == "needs_you")
    (opened,) = bodies(apollo, it, "harness.opened")
    os.kill(int(opened["conversation"].removeprefix("talk-")), signal.SIGKILL)
    wait_for("its end", lambda: state(apollo) == "stopped")
    assert apollo.session("it")["reason"] == "ended early: exit code 137, and it had its last reply"
    assert not apollo.session("it")["question"]
    (answered,) = bodies(apollo, it, "question.answered")
    assert answered["text"] == "The question was withdrawn: its program has ended."


def test_a_program_that_does_not_speak_acp_is_told_by_its_last_line(apollo: Apollo, model: WireModel) -> None:
    apollo.run("run", "--acp", "--model", "openai:m", "--base-url", model.url, "--task", "Write numbers.",
               "--inside", "none", "--name", "it", "--", "sh", "-c", "echo no such option >&2; exit 2")  # fmt: skip
    wait_for("its end", lambda: state(apollo) == "stopped")
    assert apollo.session("it")["reason"] == "ended early: exit code 2, without a last reply"
    (ended,) = bodies(apollo, str(apollo.session("it")["id"]), "job.ended")
    assert ended["last_line"] == "no such option"


def test_acp_needs_a_task_and_a_program_that_the_host_starts(apollo: Apollo) -> None:
    without = apollo.run("run", "--acp", "--model", "openai:m", "--", "true", check=False)
    assert "--acp needs --task: it is what the program is told first" in without.stderr
    elsewhere = apollo.run("run", "--acp", "--elsewhere", "--task", "x", "--model", "openai:m", check=False)
    assert "--acp talks to a program that the host starts" in elsewhere.stderr
    unknown = apollo.run("run", "--acp", "--agent", "aider", "--task", "x", "--model", "openai:m", check=False)
    assert (
        "it is not known how aider is started for ACP: give the command (apollo run --acp -- COMMAND), or "
        in unknown.stderr
    )


def test_a_task_file_starts_a_program_that_is_talked_to(apollo: Apollo, model: WireModel, tmp_path: Path) -> None:
    # Its preset knows no other way to start it, so nobody need say that it is talked to.
    (apollo.folder / "config" / "apollo-tui" / "agents.toml").write_text(
        f'[little]\ntitle = "Little"\ndialect = "chat"\nacp = ["{sys.executable}", "{AGENT}"]\n'
        'env = { OPENAI_BASE_URL = "{url}/v1" }\n'
    )
    start = tmp_path / "start"
    start.mkdir()
    (start / "data.txt").write_text("1\n")
    task = tmp_path / "task.md"
    task.write_text("---\ntitle: It\nworkspace: ./start\nlimits: {steps: 2}\ntags: [numbers]\n---\nWrite numbers.\n")
    words = ("new", "--anyway", str(task), "--model", "openai:m", "--base-url", model.url, "--inside", "none")
    apollo.run(*words, "--agent", "little")
    wait_for("its limit", lambda: apollo.session("It")["state"] == "paused")
    it = str(apollo.session("It")["id"])
    (created,) = bodies(apollo, it, "session.created")
    assert created["harness"]["acp"] and created["task_id"] == "task" and created["tags"] == ["numbers"]
    assert (Path(created["workspace"]) / "data.txt").read_text() == "1\n"
    apollo.run("limit", it, "steps=9")
    apollo.run("resume", it)
    wait_for("its end", lambda: apollo.session("It")["state"] == "finished")
    assert seen(apollo)[2] == "prompt: Write numbers.", "its task is its first prompt"

    nobody = apollo.run(*words, "--acp", check=False)
    assert "--acp is for agent programs: name one with --agent" in nobody.stderr
    silent = apollo.run(*words, "--agent", "aider", "--acp", check=False)
    assert "it is not known how aider is started for ACP" in silent.stderr
