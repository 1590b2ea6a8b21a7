from __future__ import annotations

import log_events as make
import pytest

from sessions import events as ev
from sessions.events import Target
from sessions.fold.flags import FlagBook

S = make.SESSION


def event(body: ev.Body, actor: str = "human:ada") -> ev.NewEvent:
    return ev.NewEvent(S, body, actor=actor)


def flag(id: str, target: Target, **more: object) -> ev.NewEvent:
    actor = str(more.pop("actor", "human:ada"))
    return event(ev.FlagSet(flag=id, target=target, **more), actor)  # type: ignore[arg-type]


def book(*events: ev.NewEvent) -> FlagBook:
    return FlagBook(make.number_events(make.session_created(), *events))


def covered(flags: FlagBook, step: int, call: int | None = None) -> list[str]:
    return [found.id for found in flags.covers(step, call)]


CALL = Target(41, "call", 2)


def test_a_flag_says_by_whom_and_stands_until_it_is_taken_back() -> None:
    flags = book(flag("a", CALL, label="impatience"), flag("b", CALL, verdict="good", actor="rule:polling"))
    assert [(f.id, f.by, f.human, f.verdict) for f in flags.on(CALL)] == [
        ("a", "human:ada", True, "bad"),
        ("b", "rule:polling", False, "good"),
    ]
    (removed,) = make.number_events(event(ev.FlagRemoved(flag="a"), "human:bob"))
    flags.fold(removed)
    flags.fold(removed)
    assert [f.id for f in flags.active] == ["b"]
    taken = flags.get("a")
    assert taken is not None
    assert (taken.active, taken.removed_by) == (False, "human:bob")
    assert [f.id for f in flags.all] == ["a", "b"]


@pytest.mark.parametrize(
    ("target", "covers", "spares"),
    [
        (CALL, [(41, 2)], [(41, 1), (41, None), (42, 2)]),
        (Target(41), [(41, None), (41, 1), (41, 9)], [(40, None), (42, 1)]),
        (Target(41, "span", to_step=43), [(41, 1), (42, None), (43, 5)], [(40, 1), (44, None)]),
        (Target(41, "reasoning"), [], [(41, None), (41, 1)]),
        (Target(41, "text"), [], [(41, None), (41, 1)]),
        (Target(41, "summary"), [], [(41, None), (41, 1)]),
    ],
)
def test_what_a_flag_covers(
    target: Target, covers: list[tuple[int, int | None]], spares: list[tuple[int, int | None]]
) -> None:
    flags = book(flag("f", target))
    assert all(covered(flags, *place) == ["f"] for place in covers)
    assert all(covered(flags, *place) == [] for place in spares)


def test_until_recovery_reaches_to_the_mark_and_not_over_it() -> None:
    flags = book(flag("f", CALL, until_recovery=True), event(ev.RecoveryMarked(at_step=44)))
    assert all(covered(flags, *place) == ["f"] for place in [(41, 2), (41, 3), (42, None), (42, 1), (43, 1)])
    assert all(covered(flags, *place) == [] for place in [(41, 1), (41, None), (44, 1), (45, None)])
    assert flags.without_recovery == []


def test_without_a_mark_only_the_flagged_action_is_covered_and_counted_as_unresolved() -> None:
    flags = book(
        flag("f", CALL, until_recovery=True),
        event(ev.RecoveryMarked(at_step=30)),
        event(ev.RecoveryMarked(at_step=44)),
        event(ev.RecoveryMarked(at_step=44, removed=True)),
    )
    assert covered(flags, 41, 2) == ["f"]
    assert covered(flags, 42) == []
    assert [f.id for f in flags.without_recovery] == ["f"]
    assert flags.recoveries == {30: "human:ada"}


def test_sign_offs_stand_per_person_and_can_be_taken_back() -> None:
    flags = book(event(ev.SignedOff(up_to_step=10)), event(ev.SignedOff(verdict="good"), "human:bob"))
    assert flags.is_signed_off(99)
    assert {by: sign.verdict for by, sign in flags.sign_offs.items()} == {"human:ada": None, "human:bob": "good"}
    flags.fold(make.number_events(event(ev.SignedOff(), "human:bob"))[0])
    assert flags.is_signed_off(10)
    assert not flags.is_signed_off(11)
