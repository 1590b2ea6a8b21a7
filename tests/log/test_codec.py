from __future__ import annotations

import event_bodies
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.events import KINDS, AdviceOutcome, Body, CursorMoved, NoteWritten, SeqRange
from sessions.log import codec
from sessions.log.codec import UnknownEvent, decode_body, encode_body


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_comes_back_as_it_went_in(kind: str) -> None:
    body = event_bodies.example(KINDS[kind])
    data, seen = encode_body(body)
    assert seen == body
    assert decode_body(kind, KINDS[kind].v, data) == body


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_body_comes_back_as_it_went_in(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    body = data.draw(event_bodies.bodies(KINDS[kind]))
    stored, seen = encode_body(body)
    assert seen == body
    assert decode_body(kind, body.v, stored) == body
    assert encode_body(seen)[0] == stored


def test_kinds_are_named_once_and_have_a_version_and_a_docstring() -> None:
    for kind, body in KINDS.items():
        assert body.kind == kind != ""
        assert body.v >= 1
        assert body.__doc__


@pytest.mark.parametrize(
    ("kind", "v", "data"),
    [
        ("from.the_future", 1, b'{"a":1}'),
        ("session.note", 2, b'{"text":"newer"}'),
        ("session.note", 1, b'{"text":3}'),
        ("session.note", 1, b'{"text":'),
        ("session.note", 1, b'{"text":"\xff"}'),
        ("session.note", 0, b'{"text":"no upcaster"}'),
    ],
)
def test_what_cannot_be_read_is_kept_and_never_raises(kind: str, v: int, data: bytes) -> None:
    body = decode_body(kind, v, data)
    assert isinstance(body, UnknownEvent)
    assert (body.kind_name, body.version) == (kind, v)
    assert body.raw == data.decode(errors="replace")
    assert body.problem


def test_an_older_body_is_upcast_through_every_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class Renamed(Body, frozen=True, kw_only=True):
        kind = "test.renamed"
        v = 3
        words: str
        loud: bool

    def to_2(body: dict[str, str]) -> dict[str, str]:
        return {"words": body["text"]}

    def to_3(body: dict[str, str]) -> dict[str, object]:
        return {**body, "loud": body["words"].isupper()}

    monkeypatch.setitem(KINDS, "test.renamed", Renamed)
    monkeypatch.setitem(codec.UPCASTERS, ("test.renamed", 1), to_2)
    monkeypatch.setitem(codec.UPCASTERS, ("test.renamed", 2), to_3)

    assert decode_body("test.renamed", 1, b'{"text":"HI"}') == Renamed(words="HI", loud=True)
    assert decode_body("test.renamed", 2, b'{"words":"hi"}') == Renamed(words="hi", loud=False)


def test_every_older_version_of_a_kind_has_an_upcaster() -> None:
    missing = [(kind, v) for kind, body in KINDS.items() for v in range(1, body.v) if (kind, v) not in codec.UPCASTERS]
    assert missing == []


def test_fields_that_a_later_version_may_add_do_not_harm() -> None:
    data = msgspec.json.encode({"text": "x", "added": 1})
    assert decode_body("session.note", 1, data) == NoteWritten(text="x")


def test_a_cursor_of_the_first_version_claims_only_the_event_that_was_looked_at() -> None:
    moved = codec.decode_body("cursor.moved", 1, b'{"read_seq":90}')
    assert moved == CursorMoved(read_seq=90, read=(SeqRange(90, 90),), let_go=90)
    assert codec.decode_body("cursor.moved", 1, b'{"read_seq":0}') == CursorMoved(read_seq=0, let_go=0)
    outcome = codec.decode_body("advice.outcome", 1, b'{"advice":1,"outcome":"followed"}')
    assert outcome == AdviceOutcome(advice=1, outcome="followed")
