"""Advice at the boundary: what is ready, and the one user turn that it becomes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.fold.released_reply import REPLY_KINDS, Replies, released_reply
from sessions.fold.summary import OpenAdvice, Summary

if TYPE_CHECKING:
    from sessions.log.reader import LogReader

_LOOK_ALIKE: Final = re.compile(r"[<\uff1c\u2039\u3008](?=\s*[/\u2044\u2215]?\s*advice\b)", re.IGNORECASE)
_ESCAPED: Final = re.compile(r"&lt;(?=\s*[/\u2044\u2215]?\s*advice\b)", re.IGNORECASE)


def escape_tags(text: str) -> str:
    """``text`` in which no tag can be taken for the one that advice arrives in."""
    return _LOOK_ALIKE.sub("&lt;", text)


def level_tags(text: str) -> str:
    """``text`` with all look-alikes of the tag, escaped or not, in one form: to find what else differs."""
    return _LOOK_ALIKE.sub("<", _ESCAPED.sub("<", text))


def ready_advice(summary: Summary, now: int) -> tuple[OpenAdvice, ...]:
    """Advice that may be delivered now: urgent, or no longer held back."""
    return tuple(advice for advice in summary.open_advice if advice.now or advice.not_before <= now)


def seconds_to_delivery(summary: Summary, now: int) -> float | None:
    """Seconds until the next piece of advice may be delivered (0: now), None if there is none."""
    waits = [0 if advice.now else max(0, advice.not_before - now) for advice in summary.open_advice]
    return min(waits) / 1000 if waits else None


def read_queued(reader: LogReader, session: str, numbers: Iterable[int]) -> list[ev.AdviceQueued]:
    """The queued advice with these numbers, in order, with its newest text."""
    wanted = set(numbers)
    found: dict[int, ev.AdviceQueued] = {}
    for event in reader.events(session, kinds={"advice.queued", "advice.edited"}):
        match event.body:
            case ev.AdviceQueued() as body if body.advice in wanted:
                found[body.advice] = body
            case ev.AdviceEdited() as body if body.advice in found:
                before = found[body.advice]
                found[body.advice] = msgspec.structs.replace(before, text=body.text, now=before.now or body.now)
            case _:
                continue
    return [found[number] for number in sorted(found)]


def user_turn(nonce: str, pieces: Sequence[ev.AdviceQueued], form: str = "") -> str:
    """The text of the user turn: each piece in the session's tag, in order, or in a ``form`` that has ``{advice}``."""
    if form:
        return "\n\n".join(form.replace("{advice}", _text_in_tag(piece)) for piece in pieces)
    tag = f"advice-{nonce}" if nonce else "advice"
    return "\n\n".join(f"<{tag}>\n{_text_in_tag(piece)}\n</{tag}>" for piece in pieces)


def describe_target(reader: LogReader, session: str, target: ev.Target) -> str:
    """How the model is told what advice is about: ``About step 40 (`job_kill`, job 7):``. One short read."""
    if target.part == "span":
        return f"About steps {target.step} to {target.to_step}:"
    if target.part == "summary":
        return f"About your summary {target.step}:"
    calls: list[CallPart] = []
    events = reader.events(session, kinds=REPLY_KINDS, steps=(target.step, target.step))
    if (reply := released_reply(events, target.step, dropped=True)) is not None:
        calls = [part for part in reply.parts if isinstance(part, CallPart)]
    number = target.call or (1 if len(calls) == 1 else None)
    if number is None or number > len(calls) or target.part in ("reasoning", "text"):
        return f"About step {target.step}:"
    job = _job_number(calls[number - 1])
    return f"About step {target.step} (`{calls[number - 1].name}`{f', job {job}' if job else ''}):"


def read_advice_before(reader: LogReader, session: str, *, to_step: int) -> str:
    """All advice up to the turn before step ``to_step + 1``, and answers up to ``to_step``, word for word.

    It is what a summary that ends with ``to_step`` takes out of view: the turn before the next step goes with it.
    Question and answer go together: the answer of a step that was left out of the context is left out with it.
    """
    texts: list[str] = []
    dropped = read_dropped_steps(reader, session)
    asked: dict[int, int] = {}
    for event in reader.events(session, kinds={"advice.delivered", "question.asked", "question.answered"}):
        match event.body:
            case ev.AdviceDelivered() as body if body.channel == "user" and body.at_step <= to_step + 1:
                if not body.without_effect:
                    texts.append(body.text)
            case ev.QuestionAsked() as body:
                asked[body.question] = event.step or 0
            case ev.QuestionAnswered() as body if not body.timed_out and asked.get(body.question, 0) <= to_step:
                if asked.get(body.question) in dropped:
                    continue
                texts.append(f"Answer to your question {body.question}: {body.text}")
            case _:
                continue
    return "\n\n".join(texts)


def read_dropped_steps(reader: LogReader, session: str) -> frozenset[int]:
    """The steps that were left out of the context; one short read where there are none."""
    if not reader.events(session, kinds={"reply.superseded"}, limit=1):
        return frozenset()
    return Replies(reader.events(session, kinds=REPLY_KINDS)).dropped_steps


def _text_in_tag(piece: ev.AdviceQueued) -> str:
    about = piece.about_text or (f"About step {piece.about}:" if piece.about else "")
    # The tag is the host's alone: a copied one inside the text must not end it.
    text = escape_tags(piece.text.strip())
    return f"{about}\n{text}" if about else text


def _job_number(part: CallPart) -> int | None:
    try:
        arguments = msgspec.json.decode(part.arguments)
    except (msgspec.DecodeError, UnicodeError):
        return None
    job = arguments.get("job") if isinstance(arguments, dict) else None
    return job if isinstance(job, int) else None
