"""Advice for a model whose server takes no two turns of the user in a row: joined to one that is there already."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
from apollo_process import Apollo, wait_for
from wire_model import WireModel

from sessions.events import ModelRequested
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request

ADVICE, MORE = "Write words from now on.", "Leave the rest alone."


def turn(reply: httpx2.Response, seen: str) -> list[dict[str, Any]]:
    """What an agent that acts by words makes of a reply: the message, and what came of it as the user's turn."""
    said = reply.json()["choices"][0]["message"]["content"]
    return [{"role": "assistant", "content": said}, {"role": "user", "content": seen}]


def told(body: bytes) -> list[str]:
    return [str(message["content"]) for message in json.loads(body)["messages"] if message["role"] == "user"]


def test_advice_that_is_refused_as_a_turn_of_its_own_is_joined_to_the_users_and_stays_there(
    apollo: Apollo, model: WireModel, session: str, ask: Callable[..., httpx2.Response]
) -> None:
    model.alternates, model.silences, model.words = True, {0: 100}, "Very well."
    talk = turn(ask(), "one file")
    apollo.run("advise", session, ADVICE)
    second = ask(*talk)
    assert second.status_code == 200, "the harness hears nothing of it"
    (joined,) = apollo.events(session, "advice.joined")
    assert joined["body"]["why"].endswith("Conversation roles must alternate user/assistant/user/assistant/...")
    assert len(apollo.events(session, "model.attempt_failed")) == 1
    assert [event["step"] for event in apollo.events(session, "model.reply")] == [1, 2]
    tagged = told(model.bodies[-1])[1].removeprefix("one file\n\n")
    assert ADVICE in tagged and tagged.startswith("<advice-")

    pid = apollo.kill_host()
    wait_for("another host", lambda: (apollo.host_pid() or pid) != pid)
    apollo.run("advise", session, MORE)
    talk += turn(second, "two files")
    third = ask(*talk)
    assert told(model.bodies[-1])[1] == f"one file\n\n{tagged}", "it is where it was"
    assert told(model.bodies[-1])[2].startswith("two files\n\n<advice-")
    assert len(model.bodies) == 4, "known from then on"
    talk += turn(third, "three files")
    ask(*talk)
    assert told(model.bodies[-1])[1:3] == told(model.bodies[-2])[1:3]
    assert told(model.bodies[-1])[3] == "three files"
    # A conversation that was rewritten keeps it where the turn that it is in still stands.
    ask({"role": "assistant", "content": "So far."}, talk[1])
    assert told(model.bodies[-1])[1] == f"one file\n\n{tagged}"

    with LogReader(apollo.log) as reader:
        asked = [e for e in reader.events(session, kinds={"model.request"}) if isinstance(e.body, ModelRequested)]
        assert [rebuild_request(reader, session, event.seq) for event in asked] == model.bodies
    policy = apollo.folder / "policy.toml"
    policy.write_text("version = 2\n[targets]\ntext_only = true\n")
    apollo.run("reach", session, "1", "general")
    for advice, expected in (("kept", f"one file\n\n{tagged}"), ("dropped", "one file")):
        target = apollo.folder / f"{advice}.jsonl"
        words = ("--policy", str(policy), "--format", "steps", "--advice", advice, "--out", str(target))
        apollo.run("export", session, *words)
        rows = [json.loads(line) for line in target.read_text().splitlines()]
        assert [row["prompt"][3]["content"] for row in rows if row["meta"]["step"] == "2"] == [expected]
