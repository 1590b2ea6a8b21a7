"""What a program writes that is talked to: lines without end, ids that are none, permissions that nobody can give."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from sessions.gateway.acp.job_transport import LINES_PER_TURN, JobTransport, read_message
from sessions.gateway.acp.talk import MOST_NAME, MOST_OPTIONS, Talk
from sessions.jobs.job import Job
from sessions.jobs.manager import JobManager
from sessions.jobs.ring_buffer import Piece


class Program:
    """A job and its manager at once: its output is what the test writes, its input is kept."""

    number = 1

    def __init__(self) -> None:
        self.output = b""
        self.said: list[dict[str, Any]] = []
        self.heard = asyncio.Event()
        self.problem: Exception | None = None
        self.reader = self
        self.child = self
        self.is_removed = False

    def is_cut(self, before: int) -> bool:
        return self.is_removed or len(self.output) < before

    def write(self, *messages: object) -> None:
        self.output += b"".join(json.dumps(message).encode() + b"\n" for message in messages)

    def total(self) -> int:
        return len(self.output) + (self.problem is not None)

    def read(self, offset: int, limit: int) -> Piece:
        if self.problem is not None:
            raise self.problem
        data = self.output[offset : offset + limit]
        return Piece(data, offset, offset + len(data), len(self.output))

    async def send(self, job: object, text: str, *, once: str) -> None:
        self.said.append(json.loads(text))
        self.heard.set()

    async def wait(self, job: object, timeout: float) -> None:
        """It runs on."""

    async def hear(self, count: int) -> list[dict[str, Any]]:
        """The first so many messages that it was sent."""
        async with asyncio.timeout(20):
            while len(self.said) < count:
                self.heard.clear()
                await self.heard.wait()
        return self.said[:count]

    def transport(self, earlier: int = 0) -> JobTransport:
        return JobTransport(cast(JobManager, self), cast(Job, self), earlier)


@pytest.fixture
async def program() -> Program:
    return Program()


def request(number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "session/prompt"}


def answer(number: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": {"of": number}}


# --- lines ---


async def test_empty_lines_cost_next_to_nothing(program: Program) -> None:
    program.output = b"\n" * 262_144
    program.write(answer("theirs"))
    begun = time.process_time()
    assert await program.transport().receive() == answer("theirs")
    assert time.process_time() - begun < 3, "seconds of this process"


async def test_the_host_has_its_turns_while_lines_are_read_that_look_like_messages(program: Program) -> None:
    count = 20_000  # within one chunk
    program.output = b'"id"\n' * count
    program.write(answer("theirs"))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(take_turns())
    assert await program.transport().receive() == answer("theirs")
    other.cancel()
    assert turns >= count // LINES_PER_TURN


async def test_a_line_in_pieces_is_one_and_a_line_that_is_too_long_is_none(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.gateway.acp.job_transport.CHUNK", 16)
    monkeypatch.setattr("sessions.gateway.acp.job_transport.MOST_LINE", 100)
    program.write(answer("one"), answer("x" * 150), answer("two"))
    transport = program.transport()
    assert [await transport.receive(), await transport.receive()] == [answer("one"), answer("two")]


# --- ids ---


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": {}, "result": 1}',
        b'{"id": [1], "method": "x"}',
        b'{"id": true, "result": 1}',
        b'{"id": 1.0, "result": 1}',
        b'{"id": "' + b"x" * 201 + b'", "result": 1}',
        b'{"id": 1, "result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": "\xff", "result": 1}',
    ],
    ids=["object", "list", "bool", "float", "long", "deep", "bytes"],
)
def test_what_names_no_request_is_no_message(line: bytes) -> None:
    assert read_message(line) is None


def test_an_error_that_is_no_object_is_one_all_the_same() -> None:
    message = read_message(b'{"id": 1, "error": "no"}')
    assert message == {"id": 1, "error": {"message": "an error that is none of JSON-RPC"}}


async def test_an_answer_to_what_nobody_asked_is_dropped(program: Program) -> None:
    transport = program.transport(3)
    await transport.send(request(0))
    program.write(answer(7), answer(0))
    async with asyncio.timeout(20):
        assert await transport.receive() == answer(0)


async def test_answers_that_an_earlier_host_had_wait_for_their_requests(program: Program) -> None:
    transport = program.transport(3)
    program.write(answer(1), answer(2), answer(0))
    await transport.send(request(0))
    async with asyncio.timeout(20):
        assert await transport.receive() == answer(0)
        later = asyncio.create_task(transport.receive())
        await asyncio.sleep(0)
        assert not later.done()
        await transport.send(request(1))
        assert await later == answer(1)
        await transport.send(request(2))
        assert await transport.receive() == answer(2)


# --- the talk ---


class Talker:
    """A talk with the program, and when something was new in it."""

    def __init__(self, program: Program) -> None:
        self._moved = asyncio.Event()
        self.talk = Talk(program.transport(3), 1, self._moved.set)

    async def wait(self, met: Callable[[Talk], bool]) -> None:
        async with asyncio.timeout(20):
            while not met(self.talk):
                self._moved.clear()
                await self._moved.wait()


@pytest.fixture
async def talker(program: Program) -> AsyncIterator[Talker]:
    talker = Talker(program)
    yield talker
    await talker.talk.close()


async def open_talk(program: Program, talker: Talker) -> None:
    talker.talk.open("/w", "")
    program.write({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": 1}})
    program.write({"jsonrpc": "2.0", "id": 1, "result": {"sessionId": "it"}})
    await talker.wait(lambda talk: talk.opening is not None)


async def test_a_connection_that_dies_while_the_program_runs_ends_the_turn_and_says_so(
    program: Program, talker: Talker
) -> None:
    await open_talk(program, talker)
    talker.talk.prompt(1, "Write numbers.")
    await program.hear(3)
    program.write(ask("p", [option("yes")]))
    await talker.wait(lambda talk: bool(talk.permissions))
    program.problem = RuntimeError("the disk is gone")
    await talker.wait(lambda talk: talk.rest is not None)
    rest = talker.talk.rest
    assert rest is not None
    assert (rest.prompt, rest.why) == (1, "error")
    assert rest.message == "the host lost its connection to it (Connection closed)"
    assert talker.talk.is_broken
    assert outcome(await program.hear(4)) == {"outcome": "cancelled"}, "nobody hears what it would do then"


@pytest.mark.parametrize("how", ["removed", "cut"])
async def test_a_program_whose_output_file_is_gone_has_ended_its_turn_with_the_reason(
    program: Program, talker: Talker, how: str
) -> None:
    await open_talk(program, talker)
    talker.talk.prompt(1, "Write numbers.")
    await program.hear(3)
    program.output = b""
    program.is_removed = how == "removed"
    if how == "cut":
        program.write({"jsonrpc": "2.0", "method": "session/update"})
    await talker.wait(lambda talk: talk.rest is not None)
    rest = talker.talk.rest
    assert rest is not None and (rest.prompt, rest.why) == (1, "error")
    assert rest.message == "the host lost its connection to it (its output file was removed, or cut)"
    assert talker.talk.is_broken


async def test_of_a_file_that_was_gone_before_anything_was_read_it_says_so_too(
    program: Program, talker: Talker
) -> None:
    program.is_removed = True
    talker.talk.open("/w", "")
    await talker.wait(lambda talk: talk.rest is not None)
    assert talker.talk.is_broken and talker.talk.rest is not None and "was removed" in talker.talk.rest.message


# --- permissions ---


def option(name: str, label: str = "Allow") -> dict[str, Any]:
    return {"optionId": name, "name": label, "kind": "allow_once"}


def ask(number: str, options: list[dict[str, Any]], call: str = "c1") -> dict[str, Any]:
    params = {"sessionId": "it", "toolCall": {"toolCallId": call, "title": "Run it"}, "options": options}
    return {"jsonrpc": "2.0", "id": number, "method": "session/request_permission", "params": params}


def outcome(said: list[dict[str, Any]]) -> object:
    return said[-1]["result"]["outcome"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (ask("p", []), "it has no options, so that there is no answer to it"),
        (ask("p", [option(str(number)) for number in range(MOST_OPTIONS + 1)]), "it has more than 20 options"),
        (ask("p", [option("y" * (MOST_NAME + 1))]), "an id in it has more than 200 characters"),
        (ask("p", [option("y")], "c" * (MOST_NAME + 1)), "an id in it has more than 200 characters"),
    ],
    ids=["none", "many", "id", "call"],
)
async def test_what_no_person_can_be_asked_is_cancelled_with_one_line(
    program: Program, talker: Talker, caplog: pytest.LogCaptureFixture, asked: dict[str, Any], why: str
) -> None:
    caplog.set_level(logging.WARNING)
    program.write(asked, {**asked, "id": "again"})
    said = await program.hear(2)
    assert [outcome([one]) for one in said] == [{"outcome": "cancelled"}] * 2
    assert not talker.talk.permissions
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"job 1: what it asks permission for is not shown, and cancelled: {why}"]


async def test_as_many_options_as_may_be_are_shown(program: Program, talker: Talker) -> None:
    program.write(ask("p", [option(f"{number:0{MOST_NAME}}", "Y" * 4 * MOST_NAME) for number in range(MOST_OPTIONS)]))
    await talker.wait(lambda talk: bool(talk.permissions))
    (permission,) = talker.talk.permissions
    assert len(permission.options) == MOST_OPTIONS
    permission.decide(permission.options[-1].id)
    assert outcome(await program.hear(1)) == {"outcome": "selected", "optionId": f"{MOST_OPTIONS - 1:0{MOST_NAME}}"}


@pytest.mark.parametrize(("chosen", "given"), [(0, ""), (1, "no")])
async def test_an_option_without_an_id_is_answered_by_what_was_chosen(
    program: Program, talker: Talker, chosen: int, given: str
) -> None:
    program.write(ask("p", [option(""), option("no", "Reject")]))
    await talker.wait(lambda talk: bool(talk.permissions))
    (permission,) = talker.talk.permissions
    assert permission.options[chosen].id, "in the log an empty id is none"
    permission.decide(permission.options[chosen].id)
    assert outcome(await program.hear(1)) == {"outcome": "selected", "optionId": given}
