"""Advice that is said again: what went into a request that was no step, and what holds as long as the work goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sessions import events as ev
from sessions.agent.session import Session
from sessions.fold.advice import AdviceBook
from sessions.gateway.units import Unit, text_of
from sessions.log.reader import LogReader

_LIFE: Final = frozenset(
    {
        "advice.queued",
        "advice.edited",
        "advice.withdrawn",
        "advice.delivered",
        "advice.requeued",
        "advice.standing",
    }
)


def read_turns(reader: LogReader, session: str, *, ever: bool = False) -> Mapping[int, str]:
    """The turns of advice that are ours to put in, by seq: not what its harness was told as a prompt.

    Those that went into requests which were no step do not count as delivered; ``ever``: these, too, for who reads such
    a request.
    """
    turns: dict[int, ev.AdviceDelivered] = {}
    for event in reader.events(
        session, kinds={"advice.delivered"} if ever else {"advice.delivered", "advice.requeued"}
    ):
        match event.body:
            case ev.AdviceDelivered(channel="user", as_prompt=False) as body:
                turns[event.seq] = body
            case ev.AdviceRequeued(why="not_delivered", advice=number):
                gone = next((seq for seq, turn in reversed(turns.items()) if number in turn.advice), 0)
                turns.pop(gone, None)
            case _:
                continue
    return {seq: turn.text for seq, turn in turns.items()}


def find_undelivered(session: Session, step: int, units: Sequence[Unit]) -> list[ev.AdviceRequeued]:
    """What is to be queued again of that which went into the request of ``step``, which was no step.

    ``units``: the harness's new conversation; what that has all the same, as it has what it was told as a prompt, is
    not to be said twice.
    """
    found = [
        advice
        for advice in _read_book(session).delivered
        if advice.at_step == step and advice.channel == "user" and not advice.said_again
    ]
    told = _words_of(units) if found else ""
    return [
        ev.AdviceRequeued(advice=advice.number, text=advice.text, why="not_delivered")
        for advice in found
        if _level(advice.text) not in told
    ]


async def requeue_standing(session: Session, units: Sequence[Unit], placed: Collection[int]) -> None:
    """Queue what holds as long as the work goes on and is not in a harness's new conversation.

    ``units``: that conversation; ``placed``: the turns of advice (seqs) that it has at their places.
    """
    delivered = _read_book(session).delivered
    standing = [advice for advice in delivered if advice.standing and advice.withdrawn_at is None]
    told = _words_of(units) if standing else ""
    for advice in standing:
        turns = {advice.delivered_seq, *advice.said_again}
        waits = any(one.advice == advice.number for one in session.summary.open_advice)
        if turns.isdisjoint(placed) and not waits and _level(advice.text) not in told:
            await session.commit(ev.AdviceRequeued(advice=advice.number, text=advice.text, why="standing"))


def _read_book(session: Session) -> AdviceBook:
    return AdviceBook(session.services.reader.events(session.id, kinds=_LIFE))


def _words_of(units: Sequence[Unit]) -> str:
    return _level("\n".join(text_of(unit.value) for unit in units))


def _level(text: str) -> str:
    return " ".join(text.split())
