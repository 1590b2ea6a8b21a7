"""A harness that replaces its conversation, and says so only by what the next one begins with."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
from apollo_process import Apollo, wait_for
from wire_model import WireModel, turn

SUMMARY = "The first number is written into the file.\nWhat is left: to write the other nineteen numbers, one by one."
Ask = Callable[..., httpx2.Response]


def compact(ask: Ask, model: WireModel, *talk: dict[str, object]) -> dict[str, object]:
    """Ask for a summary as Claude Code does, with all its tools; returns the turn that the next one begins with."""
    model.silences, model.words = {1: 1}, f"<analysis>A long look back.</analysis>\n<summary>\n{SUMMARY}\n</summary>"
    ask(*talk, {"role": "user", "content": "Respond with text only: a summary."})
    return {"role": "user", "content": f"This goes on from an earlier conversation. Summary:\n{SUMMARY}\nGo on."}


def test_a_summary_that_only_the_next_conversation_shows_is_no_step(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    talk = turn(ask())
    told = compact(ask, model, *talk)
    last = ask(told)
    ask(told, *turn(last))
    replies = [(event["step"], event["seq"]) for event in apollo.events(session, "model.reply")]
    assert [step for step, _ in replies] == [1, 2, 3, 4], "a number is not given again"
    (gone,) = apollo.events(session, "reply.superseded")
    assert (gone["step"], gone["body"]["old"], gone["body"]["why"]) == (2, replies[1][1], "summary")
    (assigned,) = apollo.events(session, "thread.assigned")
    requests = [event["seq"] for event in apollo.events(session, "model.request")]
    assert (assigned["body"]["line"], assigned["body"]["requests"]) == ("summary", [requests[1]])
    (written,) = apollo.events(session, "summary.written")
    assert (written["body"]["from_step"], written["body"]["to_step"]) == (1, 1)
    assert SUMMARY in written["body"]["text"]["text"] and written["body"]["request"] == requests[1]


def test_it_is_a_target_only_where_the_policy_says_so(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    talk = turn(ask())
    told = compact(ask, model, *talk)
    ask(told, *turn(ask(told)))

    def steps(*options: str) -> list[str]:
        target = apollo.folder / f"rows{len(options)}.jsonl"
        words = ["export", session, "--format", "steps", "--advice", "kept", "--out", str(target)]
        apollo.run(*words, *options)
        return [json.loads(line)["meta"]["step"] for line in target.read_text().splitlines()]

    policy = apollo.folder / "summaries.toml"
    policy.write_text("version = 2\n[targets]\nsummaries = true\ntext_only = true\n")
    assert steps() == ["1", "3", "4"]
    assert steps("--policy", str(policy)) == ["1", "S1", "3", "4"]


def test_advice_that_went_into_it_alone_is_said_in_the_next_step(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    talk = turn(ask())
    apollo.run("advise", session, "Write words instead.")
    told = compact(ask, model, *talk)
    assert model.bodies[-1].count(b"Write words instead.") == 1
    last = ask(told)
    assert model.bodies[-1].count(b"Write words instead.") == 1, "once, not twice"
    ask(told, *turn(last))
    assert model.bodies[-1].count(b"Write words instead.") == 1, "and it stays"
    delivered = [event["body"]["at_step"] for event in apollo.events(session, "advice.delivered")]
    assert delivered == [2, 3]
    (again,) = apollo.events(session, "advice.requeued")
    assert again["body"]["why"] == "not_delivered"


def test_standing_advice_is_said_again_once_and_only_where_the_summary_does_not_say_it(
    apollo: Apollo, model: WireModel, session: str, ask: Ask
) -> None:
    first = ask()
    for text in ("Never touch the other files.", "Say hello first.", SUMMARY.splitlines()[0]):
        apollo.run("advise", session, text)
    apollo.run("standing", session, "1")
    apollo.run("standing", session, "3")
    second = ask(*turn(first))
    talk = [*turn(first), *turn(second)]
    model.silences, model.words = {2: 1}, SUMMARY
    ask(*talk, {"role": "user", "content": "Respond with text only: a summary."})
    told = {"role": "user", "content": f"Summary:\n{SUMMARY}"}
    last = ask(told)
    sent = model.bodies[-1].decode()
    assert sent.count("Never touch the other files.") == 1
    assert "Say hello first." not in sent, "it does not stand"
    assert sent.count(SUMMARY.splitlines()[0]) == 1, "the summary says it"
    ask(told, *turn(last))
    assert model.bodies[-1].count(b"Never touch the other files.") == 1
    assert [e["body"]["advice"] for e in apollo.events(session, "advice.requeued")] == [1]
    assert wait_for("its life", lambda: apollo.session("there")["advice_waiting"] == [])


def test_advice_that_is_done_is_not_said_again(apollo: Apollo, model: WireModel, session: str, ask: Ask) -> None:
    first = ask()
    apollo.run("advise", session, "Never touch the other files.")
    apollo.run("standing", session, "1")
    second = ask(*turn(first))
    ask(*turn(first), *turn(second))
    apollo.run("standing", session, "1", "--done")
    ask({"role": "user", "content": "Quite another beginning."})
    assert b"Never touch the other files." not in model.bodies[-1]
    assert not apollo.events(session, "advice.requeued")
