from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions.gateway.threads import Place, Shape, Threads, hash_chain

SHAPES = Path(__file__).parents[1] / "cases" / "gateway" / "shapes.jsonl"
SESSIONS: list[dict[str, Any]] = [json.loads(line) for line in SHAPES.read_text().splitlines()]


def shape(request: dict[str, Any], rename: str = "") -> Shape:
    units = [hashlib.sha256((rename + unit).encode()).hexdigest() for unit in request["units"]]
    return Shape(
        units=units if rename else request["units"],
        prompts=request["host_prompt"],
        tools=request["tools"],
        thread=request["thread"] or "",
        child=bool(request["marked_subagent"]),
        compacts=request["marked_kind"] == "compaction",
    )


def word(place: Place) -> str:
    """A place in the words of the recorded shapes."""
    if place.line == "child":
        return "side:subagent"
    if place.line == "side":
        return "side:root"
    return {"next": "main", "again": "main:retry", "segment": "main:segment", "compaction": "main:compaction-call"}[
        place.step
    ]


@pytest.mark.parametrize("rename", ["", "other names"])
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session["session"])
def test_each_recorded_request_is_where_it_belongs(session: dict[str, Any], rename: str) -> None:
    threads = Threads()
    for request in session["requests"]:
        threads.take(shape(request, rename))
    told = [word(threads.place_of(number)) for number in range(len(session["requests"]))]
    assert told == [request["expect"] for request in session["requests"]]


def test_sessions_that_ask_in_turns_do_not_mix() -> None:
    all_threads = [Threads() for _ in SESSIONS]

    def in_turns() -> Iterator[tuple[int, dict[str, Any]]]:
        for number in range(max(len(session["requests"]) for session in SESSIONS)):
            for at, session in enumerate(SESSIONS):
                if number < len(session["requests"]):
                    yield at, session["requests"][number]

    for at, request in in_turns():
        all_threads[at].take(shape(request))
    for session, threads in zip(SESSIONS, all_threads, strict=True):
        told = [word(threads.place_of(number)) for number in range(len(session["requests"]))]
        assert told == [request["expect"] for request in session["requests"]]


def test_what_an_earlier_host_was_asked_is_known_again() -> None:
    session = next(s for s in SESSIONS if [r["expect"] for r in s["requests"]].count("main") > 3)
    requests = session["requests"]
    threads = Threads()
    for request in requests[:3]:
        units = shape(request).units
        threads.restore(hash_chain(units)[-1], "main", "main", "step")
    assert threads.take(shape(requests[2])).step == "again"
    place = threads.take(shape(requests[3]))
    assert (place.line, place.step, place.parent) == ("main", "next", 2)


def test_a_compaction_that_is_asked_for_again_is_one_still() -> None:
    threads = Threads()
    threads.take(Shape(["task"], prompts=[0], tools=3))
    threads.take(Shape(["task", "reply", "result"], prompts=[0], tools=3))
    for _ in range(2):
        asked = threads.take(Shape(["task", "reply", "result", "summarise"], prompts=[0], compacts=True))
        assert (asked.line, asked.step, asked.parent) == ("main", "compaction", 1)


def test_a_reviewer_that_quotes_the_task_takes_nothing_over_after_a_restart() -> None:
    threads = Threads()
    threads.restore(hash_chain(["system", "task"])[-1], "main", "main", "step")
    threads.remember(0, ["system", "task"], ["call-1"])
    reviewer = threads.take(Shape(["review", "task"], prompts=[1], tools=1))
    assert reviewer.line == "side"
    goes_on = threads.take(Shape(["system", "task", "reply", "result"], prompts=[1], tools=5))
    assert (goes_on.line, goes_on.step) == ("main", "next")


def test_a_request_that_was_rewritten_before_anybody_answered_it_is_the_same() -> None:
    threads = Threads()
    threads.take(Shape(["system", "task, 9:59 left"], prompts=[1], tools=1))
    assert threads.take(Shape(["system", "task, 9:58 left"], prompts=[1], tools=1)).step == "again"


def test_equal_conversations_under_two_system_prompts_are_two() -> None:
    threads = Threads()
    title = threads.take(Shape(["task"], prompts=[0], frame="you name things"))
    work = threads.take(Shape(["task"], prompts=[0], tools=5, frame="you are an agent"))
    assert (work.line, work.step) == ("main", "next")
    assert threads.place_of(title.number).line == "side", "it has fewer tools"
    assert threads.take(Shape(["task"], prompts=[0], tools=5, frame="you are an agent")).step == "again"
    goes_on = threads.take(Shape(["task", "reply", "result"], prompts=[0], tools=5, frame="you are an agent"))
    assert (goes_on.line, goes_on.parent) == ("main", work.number)


def test_of_earlier_requests_little_is_kept() -> None:
    threads = Threads()
    units: list[str] = []
    for number in range(50):
        units += [f"reply {number}", f"result {number}"]
        threads.take(Shape(["task", *units], prompts=[0], tools=1, calls=frozenset(units)))
    kept = [len(seen.shape.units) for seen in threads._seen]
    assert kept == [0] * 49 + [101]


def test_where_nobody_here_knows_the_prompt_what_goes_on_first_is_the_main_line() -> None:
    threads = Threads()
    probe = threads.take(Shape(["probe"]))
    first = threads.take(Shape(["system", "task"], tools=2))
    assert {probe.line, first.line} == {"side"}, "nothing tells them apart yet"
    following = threads.take(Shape(["system", "task", "reply", "result"], tools=2))
    assert following.line == "main"
    assert threads.place_of(first.number).line == "main"
    assert threads.place_of(probe.number).line == "side"
