"""A person says which of a harness's conversations is its work: also afterwards, also after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
from apollo_process import Apollo, wait_for
from wire_model import WireModel, turn

Ask = Callable[..., httpx2.Response]
OTHER = {"role": "user", "content": "Write numbers. Look into the file first, and do nothing else."}


def steps_of(apollo: Apollo, session: str) -> list[str]:
    """The steps that an export trains."""
    target = apollo.folder / "rows.jsonl"
    target.unlink(missing_ok=True)
    apollo.run("export", session, "--format", "steps", "--advice", "kept", "--out", str(target))
    return [json.loads(line)["meta"]["step"] for line in target.read_text().splitlines()]


def begin_wrongly(apollo: Apollo, session: str, ask: Ask) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two steps of the work, then two of a sub-agent's that look like a segment; what both have said so far."""
    first = ask()
    apollo.run("advise", session, "Write words instead.")
    second = ask(*turn(first))
    talk = [*turn(first), *turn(second)]
    other = ask(OTHER)
    aside = [OTHER, *turn(other)]
    aside += turn(ask(*aside))
    assert [event["step"] for event in apollo.events(session, "model.reply")] == [1, 2, 3, 4]
    return talk, aside


def child_named(apollo: Apollo, words: str) -> dict[str, Any]:
    """The row of the session whose title begins so."""
    return next(row for row in apollo.json("ls") if row["title"].startswith(words))


def listed(apollo: Apollo, session: str) -> list[tuple[str, list[int]]]:
    """The conversations, by kind, and the steps of each."""
    return [(each["kind"], each["steps"]) for each in apollo.json("conversations", session)]


def test_a_sub_agent_that_was_taken_for_a_segment_gives_its_steps_back(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    talk, aside = begin_wrongly(apollo, session, ask)
    assert listed(apollo, session) == [("main", [1, 2]), ("main", [3, 4])]
    said = apollo.run("conversations", session, "--sub-agent", "4").stdout
    assert "steps 3 to 4 left out" in said
    ask(*aside)
    child = child_named(apollo, "Write numbers. Look")
    assert (child["step"], child["state"]) == (1, "running")
    ask(*talk)
    assert model.bodies[-1].count(b"Write words instead.") == 1, "advice stays where it was"
    assert [event["step"] for event in apollo.events(session, "model.reply")] == [1, 2, 3, 4, 5]
    results = [(event["step"], event["call"]) for event in apollo.events(session, "action.result")]
    assert results.count((2, 1)) == 1, "what the second step's call said is its result"
    assert steps_of(apollo, session) == ["1", "2", "5"]
    assert ("child", []) in listed(apollo, session)


def test_it_holds_after_a_kill_of_the_host(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    talk, aside = begin_wrongly(apollo, session, ask)
    apollo.run("conversations", session, "--sub-agent", "3")
    aside += turn(ask(*aside))
    pid = apollo.kill_host()
    wait_for("another host", lambda: apollo.host_pid() not in (None, pid))
    ask(*aside)
    ask(*talk)
    child = child_named(apollo, "Write numbers. Look")
    assert child["step"] == 2, "the same session"
    assert [event["step"] for event in apollo.events(session, "model.reply")] == [1, 2, 3, 4, 5]


def test_a_conversation_that_was_taken_for_a_sub_agents_is_the_main_line(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    first = ask()
    ask(*turn(first))
    begin = {"role": "user", "content": "This goes on from an earlier conversation."}
    plain = {"messages": [begin]}
    talk = [begin, *turn(ask(**plain))]
    talk += turn(ask(messages=talk))
    child = child_named(apollo, "This goes on")
    assert child["step"] == 1, "its first request was a side call, its second made a session"
    said = apollo.run("conversations", session, "--main", child["address"]).stdout
    assert "is the main line" in said
    ask(messages=talk)
    wait_for("its end", lambda: child_named(apollo, "This goes on")["state"] == "finished")
    assert "main line" in child_named(apollo, "This goes on")["reason"]
    assert apollo.session("there")["step"] == 3
    assert len(apollo.events(session, "summary.written")) == 1, "it is a segment of the main line"


def test_a_request_that_waits_goes_to_whom_it_is_from(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    _, aside = begin_wrongly(apollo, session, ask)
    apollo.run("pause", session)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, *aside)
        wait_for("the pause", lambda: apollo.session("there")["state"] == "paused")
        apollo.run("conversations", session, "--sub-agent", "3")
        wait_for("its own session", lambda: "Write numbers. Look" in str(apollo.json("ls")))
        assert len(model.bodies) == 4, "a pause of its parent holds it"
        apollo.run("resume", session)
        assert asked.result().status_code == 200


def test_what_cannot_be_put_right_is_said(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    ask()
    for words, why in (
        (("--main", "side 1"), "no conversation beside the main line is called 'side 1'"),
        (("--sub-agent", "7"), "step 7 of session 1 is in no conversation of its main line"),
    ):
        done = apollo.run("conversations", session, *words, check=False)
        assert done.returncode and why in done.stderr, done.stderr


def test_what_was_put_right_twice_can_be_opened_again(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    ask()
    begin = {"role": "user", "content": "This goes on from an earlier conversation."}
    talk = [begin, *turn(ask(messages=[begin]))]
    talk += turn(ask(messages=talk))
    child = child_named(apollo, "This goes on")
    apollo.run("conversations", session, "--main", child["address"])
    apollo.run("conversations", session, "--sub-agent", "1")
    pid = apollo.kill_host()
    wait_for("another host", lambda: apollo.host_pid() not in (None, pid))
    assert ask(messages=talk).status_code == 200
    assert apollo.session("there")["step"] == 2


def test_a_sub_agent_that_its_harness_marks_can_be_the_main_line(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    ask()
    begin = {"role": "user", "content": "This goes on from an earlier conversation."}
    marked = {"x-claude-code-agent-id": "main"}
    talk = [begin, *turn(ask(messages=[begin], headers=marked))]
    ask(*turn(ask()))
    assert apollo.session("there")["step"] == 2, "a name of a harness's is not one of ours"
    child = child_named(apollo, "This goes on")
    apollo.run("conversations", session, "--main", child["address"])
    for _ in range(2):
        talk += turn(ask(messages=talk, headers=marked))
    assert apollo.session("there")["step"] == 4
    assert len(apollo.json("ls")) == 2, "no session more"


def test_a_reply_that_is_held_is_let_go_first(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    talk, _ = begin_wrongly(apollo, session, ask)
    del talk
    apollo.run("hold", session)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, OTHER, {"role": "user", "content": "Again."})
        wait_for("the hold", lambda: apollo.session("there")["state"] == "needs_you")
        step = str(apollo.session("there")["step"])
        done = apollo.run("conversations", session, "--sub-agent", step, check=False)
        apollo.run("resume", session)
        assert other.result().status_code == 200
    assert done.returncode and "is held: let it go first" in done.stderr
