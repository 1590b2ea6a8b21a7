from __future__ import annotations

import asyncio

import msgspec
from host_in_process import until

from sessions import events as ev
from sessions.host import wire
from sessions.host.notifications import Notifications, Throttle
from sessions.host.partial_replies import EVERY, Cursor, PartialReplies
from sessions.host.protocol import ClientInfo, DeltaFrame
from sessions.providers.base import Delta


class FakePeer:
    def __init__(self) -> None:
        self.info = ClientInfo("human:ada", "app", 0)
        self.congested = False
        self.sent: list[wire.Message] = []

    def send(self, line: bytes) -> None:
        self.sent.append(wire.decode(line))

    def frames(self) -> list[DeltaFrame]:
        return [msgspec.json.decode(m.params, type=DeltaFrame) for m in self.sent if m.method == "delta"]

    def methods(self) -> list[str]:
        return [message.method for message in self.sent]


def event(id: int, body: ev.Body) -> ev.Event:
    return ev.Event(id, "S", id, 1, None, body.kind, 1, 0, "agent", None, body)


async def test_a_congested_client_is_sent_nothing_and_then_one_frame_with_all_it_missed() -> None:
    feed, peer = Notifications(), FakePeer()
    peer.congested = True
    feed.attach(peer)
    feed.subscribe(peer, (EVERY,))
    for letter in "abcdef":
        feed.delta("S", 1, 1, Delta("text", letter))
        feed.on_commit([event(ord(letter), ev.NoteWritten(text="x"))])
        await asyncio.sleep(0.03)
    assert peer.sent == []
    peer.congested = False
    await until("caught up", lambda: len(peer.sent) == 2)
    assert [(frame.offset, frame.text) for frame in peer.frames()] == [(0, "abcdef")]
    assert [m.params for m in peer.sent if m.method == "changed"] == [msgspec.Raw(b'{"position":102}')]
    feed.close()


async def test_many_commits_are_told_in_few_notifications_with_the_newest_position() -> None:
    feed, peer = Notifications(), FakePeer()
    feed.attach(peer)
    feed.subscribe(peer, ())
    began = asyncio.get_running_loop().time()
    for number in range(1, 201):
        feed.on_commit([event(number, ev.NoteWritten(text="x"))])
        await asyncio.sleep(0.001)
    await until("newest", lambda: peer.sent and peer.sent[-1].params == msgspec.Raw(b'{"position":200}'))
    took = asyncio.get_running_loop().time() - began
    assert len(peer.sent) <= took / 0.05 + 2
    feed.close()


async def test_a_reply_that_is_in_the_log_is_no_longer_streamed() -> None:
    feed, peer = Notifications(), FakePeer()
    feed.delta("S", 1, 1, Delta("text", "hm"))
    feed.on_commit([event(1, ev.ModelReplied(request=1, parts=(), finish="stop"))])
    feed.attach(peer)
    assert feed.subscribe(peer, (EVERY,)).frames == ()
    feed.close()


async def test_who_did_not_subscribe_is_told_nothing() -> None:
    feed, peer, other = Notifications(), FakePeer(), FakePeer()
    feed.attach(peer)
    feed.attach(other)
    feed.subscribe(other, (EVERY,))
    feed.delta("S", 1, 1, Delta("text", "hm"))
    feed.on_commit([event(1, ev.NoteWritten(text="x"))])
    await until("the other", lambda: {"delta", "changed"} <= set(other.methods()))
    assert peer.sent == []
    feed.close()


def test_a_new_attempt_begins_at_nothing() -> None:
    replies, cursor = PartialReplies(), Cursor((EVERY,))
    replies.add("S", 1, 1, Delta("text", "first try"))
    assert [frame.text for frame in replies.frames(cursor)] == ["first try"]
    replies.add("S", 1, 2, Delta("text", "again"))
    assert [(f.attempt, f.offset, f.text) for f in replies.frames(cursor)] == [(2, 0, "again")]
    assert list(replies.frames(cursor)) == []


def test_a_part_that_begins_empty_is_shown_once() -> None:
    replies, cursor = PartialReplies(), Cursor(("S",))
    replies.add("S", 1, 1, Delta("call", "", index=2, name="run"))
    assert [(f.index, f.name, f.text) for f in replies.frames(cursor)] == [(2, "run", "")]
    assert list(replies.frames(cursor)) == []


async def test_a_throttle_acts_at_once_and_then_not_before_its_time() -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()

    def act() -> bool:
        times.append(loop.time())
        return False

    throttle = Throttle(0.05, act)
    throttle.poke()
    await until("first", lambda: times)
    for _ in range(5):
        throttle.poke()
    await until("second", lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.045
    throttle.close()
