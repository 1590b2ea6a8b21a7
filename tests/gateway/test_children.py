"""Sub-agents: sessions of their own, that stand still, are limited and end with the one that started them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel, turn

Ask = Callable[..., httpx2.Response]
SYSTEM = {"role": "system", "content": "You explore."}


def child(number: int, *talk: dict[str, Any]) -> dict[str, Any]:
    """What a harness sends for its sub-agent of this number."""
    task = {"role": "user", "content": f"Look into part {number}."}
    return {"messages": [SYSTEM, task, *talk], "headers": {"x-claude-code-agent-id": f"agent-{number}"}}


def children(apollo: Apollo) -> dict[str, dict[str, Any]]:
    """The sessions that are children, by title."""
    return {row["title"]: row for row in apollo.json("ls") if row["title"].startswith("Look into")}


def test_a_sub_agent_is_a_session_of_its_own_with_steps_flags_and_exports(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    first = ask()
    reply = ask(**child(1))
    ask(**child(1, *turn(reply, "seen")))
    ask(*turn(first))
    (found,) = children(apollo).values()
    assert (found["title"], found["step"], found["address"]) == ("Look into part 1.", 2, "1.a")
    assert apollo.session("there")["step"] == 2
    assert all(event["body"].get("purpose", "step") == "step" for event in apollo.events(session, "model.request"))
    (created,) = apollo.events(found["id"], "session.created")
    assert created["body"]["begins"] | {"seq": 0} == {"session": session, "seq": 0, "as": "child"}
    assert not apollo.events(found["id"], "session.recovered"), "it began, and nobody took it over"
    apollo.run("flag", "1.a", "1.1", "--label", "impatience")
    target = apollo.folder / "rows.jsonl"
    policy = apollo.folder / "policy.toml"
    policy.write_text("version = 2\n\n[sessions]\nchildren = true\n")
    apollo.run(
        "export", found["id"], "--format", "steps", "--advice", "kept", "--policy", str(policy), "--out", str(target)
    )
    assert [json.loads(line)["meta"]["step"] for line in target.read_text().splitlines()] == ["2"]


def test_a_pause_holds_three_children_and_lets_nothing_upstream(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    ask()
    replies = [ask(**child(number)) for number in (1, 2, 3)]
    asked = len(model.bodies)
    apollo.run("pause", session)
    with ThreadPoolExecutor(3) as pool:
        going = [pool.submit(ask, **child(n, *turn(reply))) for n, reply in enumerate(replies, 1)]
        wait_for("the pause", lambda: apollo.session("there")["state"] == "paused")
        apollo.run("advise", children(apollo)["Look into part 2."]["id"], "Look closer.")
        assert len(model.bodies) == asked
        assert not any(future.done() for future in going)
        apollo.run("resume", session)
        assert [future.result().status_code for future in going] == [200] * 3
    assert sum(b"Look closer." in body for body in model.bodies[asked:]) == 1


def test_a_limit_of_the_parent_stops_its_child(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    apollo.run("limit", session, "tokens=250")
    ask()
    reply = ask(**child(1))
    reply_2 = ask(**child(1, *turn(reply)))
    asked = len(model.bodies)
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(ask, **child(1, *turn(reply), *turn(reply_2)))
        wait_for("the limit", lambda: apollo.session("there")["state"] == "paused")
        assert "330 of 250 tokens" in apollo.session("there")["reason"]
        assert len(model.bodies) == asked
        apollo.run("limit", session, "tokens=10000")
        apollo.run("resume", session)
        assert going.result().status_code == 200


def test_steps_of_sub_agents_count_to_the_limit_of_the_session_that_started_them(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    apollo.run("limit", session, "steps=3")
    first = ask()
    reply = ask(**child(1))
    reply_2 = ask(**child(1, *turn(reply)))
    asked = len(model.bodies)
    with ThreadPoolExecutor(2) as pool:
        of_child = pool.submit(ask, **child(1, *turn(reply), *turn(reply_2)))
        wait_for("the limit", lambda: apollo.session("there")["state"] == "paused")
        assert "3 of 3 steps" in apollo.session("there")["reason"]
        of_parent = pool.submit(ask, *turn(first))
        again = apollo.run("resume", session, check=False)
        assert again.returncode == 1 and "would be paused again at once" in again.stderr
        assert len(model.bodies) == asked
        apollo.run("limit", session, "steps=5")
        apollo.run("resume", session)
        assert {of_child.result().status_code, of_parent.result().status_code} == {200}
    assert "steps: 5; 5 are used already: it pauses" in apollo.run("limit", session, "steps=5").stdout
    assert "  with its 1 sub-agent: 5 steps, 550 tokens\n" in apollo.run("show", session).stdout


def test_a_child_is_known_again_after_a_crash_and_ends_with_its_parent(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    ask()
    reply = ask(**child(1))
    pid = apollo.kill_host()
    wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    assert ask(**child(1, *turn(reply))).status_code == 200
    (found,) = children(apollo).values()
    assert found["step"] == 2
    apollo.run("stop", session)
    wait_for("its end", lambda: next(iter(children(apollo).values()))["state"] == "finished")
    assert ask(**child(1, *turn(reply))).status_code == 403


@pytest.mark.parametrize("again", [False, True])
def test_a_side_call_that_goes_on_is_a_sub_agent_though_nothing_marks_it(
    apollo: Apollo, model: WireModel, session: str, ask: Ask, again: bool
) -> None:
    ask()
    plain = child(1) | {"headers": {}}
    reply = ask(**plain)
    assert not children(apollo)
    plain["messages"] = [*plain["messages"], *turn(reply)]
    second = ask(**plain)
    (found,) = children(apollo).values()
    assert found["step"] == 1
    if again:
        pid = apollo.kill_host()
        wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    plain["messages"] = [*plain["messages"], *turn(second)]
    ask(**plain)
    (found,) = children(apollo).values()
    assert found["step"] == 2


def test_a_reviewer_is_none(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    ask()
    guardian = child(1) | {"headers": {"x-openai-subagent": "guardian"}}
    reply = ask(**guardian)
    guardian["messages"] = [*guardian["messages"], *turn(reply)]
    ask(**guardian)
    assert not children(apollo)
    assert [e["body"]["purpose"] for e in apollo.events(session, "model.request")[1:]] == ["side", "side"]


def test_two_sub_agents_of_one_claude_session_are_two(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    ask()
    of_all = {"metadata": {"user_id": json.dumps({"session_id": "the same for all"})}}
    replies = [ask(**child(number), **of_all) for number in (1, 2)]
    for number, reply in enumerate(replies, 1):
        ask(**child(number, *turn(reply)), **of_all)
    assert {title: row["step"] for title, row in children(apollo).items()} == {
        "Look into part 1.": 2,
        "Look into part 2.": 2,
    }


def test_children_that_a_stopped_host_held_go_on_and_end_with_their_parent(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    ask()
    reply = ask(**child(1))
    apollo.run("host", "stop")
    apollo.run("host", "start")
    assert {row["state"] for row in apollo.json("ls")} == {"paused"}
    apollo.run("resume", session)
    second = ask(**child(1, *turn(reply)))
    (found,) = children(apollo).values()
    apollo.run("pause", found["id"])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, **child(1, *turn(reply), *turn(second)))
        wait_for("its pause", lambda: next(iter(children(apollo).values()))["state"] == "paused")
        apollo.run("stop", session)
        assert asked.result().status_code == 403
    assert next(iter(children(apollo).values()))["state"] == "stopped"
    refused = apollo.run("gateway", found["id"], check=False)
    assert "a sub-agent's, which asks by the endpoint of session 1" in refused.stderr
