"""The main job over the command line: demo, advise, flag, export, import, host life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path)
    yield product
    product.close()


def test_advice_changes_the_course_of_a_drifting_session_and_flags_mask_its_actions(apollo: Apollo) -> None:
    made = apollo.json("demo", "--headless", "--pace", "0.1")
    assert len(made) == 5
    tune = made[0]["id"]
    killed = wait_for(
        "the impatient session kills a job",
        lambda: [e for e in apollo.events(tune, "action.started") if e["body"]["name"] == "job_kill"],
    )
    answer = apollo.json("advise", tune, "Let the run end before you judge it.")
    assert answer["number"] == 1
    delivered = wait_for("delivery", lambda: apollo.events(tune, "advice.delivered"))[0]["body"]
    wait_for("the end", lambda: apollo.session(tune)["state"] == "finished", seconds=60)
    after = [e for e in apollo.events(tune, "action.started") if e["step"] >= delivered["at_step"]]
    assert "wait" in [e["body"]["name"] for e in after]
    assert "job_kill" not in [e["body"]["name"] for e in after]
    assert apollo.session(tune)["scores"][-1] > 0.8

    first, other = killed[0], apollo.events(tune, "action.started")[0]
    apollo.run("flag", tune, f"{first['step']}.{first['call']}", "--label", "x/impatience")
    apollo.run("flag", tune, f"{other['step']}.{other['call']}")
    apollo.run("unflag", tune, f"{other['step']}.{other['call']}")
    out = apollo.folder / "out.jsonl"
    apollo.run("export", "--format", "openai", "--advice", "kept", "--out", str(out), "--session", tune)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    weights = [
        (message["weight"], [call["function"]["name"] for call in message.get("tool_calls") or ()])
        for row in rows
        for message in row["messages"]
        if message["role"] == "assistant"
    ]
    assert [names for weight, names in weights if weight == 0] == [["job_kill"]]
    again = apollo.run(
        "export", "--format", "openai", "--advice", "kept", "--out", str(out), "--session", tune, check=False
    )
    assert again.returncode != 0
    assert len(again.stderr.splitlines()) == 1


def test_a_stopped_host_holds_its_sessions_and_only_a_person_lets_them_go_on(apollo: Apollo) -> None:
    tune = apollo.json("demo", "--headless", "--pace", "0.3")[0]["id"]
    wait_for("a few steps", lambda: apollo.session(tune)["step"] >= 2)
    apollo.run("host", "stop")
    assert apollo.host_pid() is None
    held = apollo.session(tune)
    assert held["state"] == "paused"
    assert apollo.run("doctor").returncode == 0
    assert apollo.host_pid() is None
    apollo.run("host", "start")
    assert apollo.session(tune)["state"] == "paused"
    apollo.run("resume", tune)
    wait_for("it goes on", lambda: apollo.session(tune)["step"] > held["step"])


def test_a_killed_host_comes_back_and_its_sessions_go_on_without_a_second_start_of_a_job(apollo: Apollo) -> None:
    poller = apollo.json("demo", "--headless", "--pace", "0.1")[1]["id"]
    wait_for("the job", lambda: apollo.events(poller, "job.started"))
    first = apollo.kill_host()
    wait_for("another host", lambda: (pid := apollo.host_pid()) and pid != first and pid, seconds=20)
    before = apollo.session(poller)["step"]
    wait_for("the session goes on", lambda: apollo.session(poller)["step"] > before)
    apollo.run("advise", poller, "Use wait instead of polling.")
    wait_for("the end", lambda: apollo.session(poller)["state"] == "finished", seconds=90)
    builds = [e for e in apollo.events(poller, "job.started") if "build_index" in e["body"]["command"]]
    assert len(builds) == 1
