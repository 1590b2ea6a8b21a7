"""A person's judgement: appended as it is, after a check that its target exists. It never touches a running agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.fold.names_and_tags import MOST_TAG, MOST_TAGS, MOST_TITLE, change_tags, is_tag
from sessions.fold.preferences import can_compare
from sessions.fold.summary import Summary
from sessions.host.handlers.context import HandlerContext, refusal, require_person, text_of
from sessions.host.handlers.targets import check_target, check_undoes
from sessions.host.protocol import ANNOTATIONS, Annotate, Done
from sessions.host.wire import RpcError

MAY_BE_EMPTY: Final = (ev.NoteWritten, ev.CorrectionWritten, ev.TermsSet)
"""Bodies whose empty text takes back what was written."""

MOST_ACTIVE_MS: Final = 86_400_000
MOST_KEYS: Final = 1_000_000
"""Of one event about effort: an app tells of it every few minutes."""

VERDICTS_OF_MACHINES: Final = frozenset({"flag.set", "flag.removed"})
"""What a rule or a judge may write; everything else is a human's word."""


async def annotate(context: HandlerContext, call: Annotate, actor: str) -> Done:
    """Append one event of a kind in protocol.ANNOTATIONS."""
    if call.kind not in ANNOTATIONS:
        raise RpcError("params", f"{call.kind!r} cannot be annotated; possible are {', '.join(ANNOTATIONS)}")
    if call.kind not in VERDICTS_OF_MACHINES:
        require_person(actor, f"write {call.kind}")
    try:
        body = msgspec.convert(call.body, type=ev.KINDS[call.kind])
    except msgspec.ValidationError as error:
        raise RpcError("params", f"{call.kind}: {error}") from error
    async with context.turn(call.session) as summary:
        body = _with_valid_text(body)
        if isinstance(body, ev.ReversibleAct):
            check_undoes(summary, body.undoes)
        check = CHECKS.get(type(body))
        if check is not None:
            await check(context, summary, body)
        return await context.commit(call.session, actor, call.request, body)


def _with_valid_text(body: ev.Body) -> ev.Body:
    texts: dict[str, Any] = {}
    for name in ("text", "title", "note", "label", "flag", "signal", *ev.Terms.__struct_fields__):
        value = getattr(body, name, None)
        if isinstance(value, str):
            texts[name] = text_of(value, f"the {name}", empty=name == "note" or isinstance(body, MAY_BE_EMPTY))
    return msgspec.structs.replace(body, **texts)


async def _check_flag(context: HandlerContext, s: Summary, body: ev.FlagSet) -> None:
    await check_target(context, s, body.target)
    if body.severity is not None and not 1 <= body.severity <= 5:
        raise refusal(f"severity goes from 1 to 5, not {body.severity}")
    flags = await _read_flags(context, s)
    if body.flag in flags:
        raise refusal(f"session {s.address} has a flag {body.flag} already; choose another id")
    if body.replaces and body.replaces not in flags:
        raise refusal(f"session {s.address} has no flag {body.replaces}")


async def _check_unflag(context: HandlerContext, s: Summary, body: ev.FlagRemoved) -> None:
    flags = await _read_flags(context, s)
    if body.flag not in flags:
        raise refusal(f"session {s.address} has no flag {body.flag}")
    if not flags[body.flag]:
        raise refusal(f"flag {body.flag} of session {s.address} was taken back already")


async def _read_flags(context: HandlerContext, s: Summary) -> dict[str, bool]:
    """Every flag that the session ever had, and whether it still stands."""
    flags: dict[str, bool] = {}
    for event in await context.events(s.session, ("flag.set", "flag.removed")):
        match event.body:
            case ev.FlagSet(flag=flag):
                flags[flag] = True
            case ev.FlagRemoved(flag=flag):
                flags[flag] = False
    return flags


async def _check_body_target(context: HandlerContext, s: Summary, body: ev.CorrectionWritten | ev.BookmarkSet) -> None:
    await check_target(context, s, body.target)


async def _check_recovery(context: HandlerContext, s: Summary, body: ev.RecoveryMarked) -> None:
    await check_target(context, s, ev.Target(step=body.at_step))


async def _check_sign_off(_: HandlerContext, s: Summary, body: ev.SignedOff) -> None:
    if body.up_to_step is not None and not 1 <= body.up_to_step <= s.step:
        raise refusal(f"session {s.address} has no step {body.up_to_step}; it is at step {s.step}")


async def _check_preference(context: HandlerContext, s: Summary, body: ev.PreferenceStated) -> None:
    other = context.summary(body.other)
    if other.session < s.session:
        raise RpcError("params", "a word on two sessions is written in the older one, whose id is less")
    if not can_compare(s, other):
        raise refusal(
            f"sessions {s.address} and {other.address} are not of one task, and none began in the other: which is "
            "better says nothing"
        )


async def _check_outcome(context: HandlerContext, s: Summary, body: ev.AdviceOutcome) -> None:
    delivered = await context.events(s.session, ("advice.delivered",))
    if not any(isinstance(event.body, ev.AdviceDelivered) and body.advice in event.body.advice for event in delivered):
        raise refusal(f"advice {body.advice} of session {s.address} has not been delivered: it has no outcome yet")


async def _check_number(_: HandlerContext, s: Summary, body: ev.AdviceReach | ev.AdviceStanding) -> None:
    if not 1 <= body.advice <= s.advice:
        raise refusal(f"session {s.address} has no advice {body.advice}; it has {s.advice}")


async def _check_cursor(_: HandlerContext, s: Summary, body: ev.CursorMoved) -> None:
    if not 0 <= body.read_seq <= s.last_seq:
        raise refusal(f"session {s.address} has {s.last_seq} events; nobody can have read up to {body.read_seq}")
    if body.let_go is not None and not 0 <= body.let_go <= s.last_seq:
        raise refusal(f"session {s.address} has {s.last_seq} events; up to {body.let_go} nothing can be let go")
    for part in body.read:
        if not 1 <= part.first <= part.last <= s.last_seq:
            raise refusal(
                f"session {s.address} has {s.last_seq} events; nobody can have read {part.first} to {part.last}"
            )


async def _check_effort(_: HandlerContext, s: Summary, body: ev.EffortSpent) -> None:
    if body.active_ms < 0 or body.keys < 0:
        raise refusal(f"effort on session {s.address} cannot be negative")
    if body.active_ms > MOST_ACTIVE_MS or body.keys > MOST_KEYS:
        raise refusal(f"effort on session {s.address} is told piece by piece: at most a day and {MOST_KEYS:,} keys")


async def _check_title(_: HandlerContext, s: Summary, body: ev.SessionRenamed) -> None:
    if len(body.title) > MOST_TITLE or len(body.title.splitlines()) != 1:
        raise refusal(f"a title is one line of at most {MOST_TITLE} characters")
    if body.title == s.title:
        raise refusal(f"session {s.address} is called so already")


async def _check_tags(_: HandlerContext, s: Summary, body: ev.SessionTagged) -> None:
    for tag in body.added:  # what a task file brought may be taken away, whatever it is
        if not is_tag(tag):
            raise refusal(f"{tag[:MOST_TAG]!r} is no tag: one word of at most {MOST_TAG} characters, without a comma")
    after = change_tags(s.tags, body)
    if after == s.tags:
        said = ", ".join((*body.added, *body.removed)) or "nothing"
        raise refusal(f"session {s.address} stays as it was: its tags are {', '.join(s.tags) or 'none'}, not {said}")
    if len(after) > MOST_TAGS:
        raise refusal(f"session {s.address} would have {len(after)} tags; {MOST_TAGS} are the most")


async def _check_terms(_: HandlerContext, s: Summary, body: ev.TermsSet) -> None:
    if body == ev.TermsSet():
        raise refusal(f"nothing is said of session {s.address}: give {', '.join(ev.Terms.__struct_fields__)}")


CHECKS: Final[dict[type[ev.Body], Callable[[HandlerContext, Summary, Any], Awaitable[None]]]] = {
    ev.FlagSet: _check_flag,
    ev.FlagRemoved: _check_unflag,
    ev.RecoveryMarked: _check_recovery,
    ev.SignedOff: _check_sign_off,
    ev.SessionRenamed: _check_title,
    ev.SessionTagged: _check_tags,
    ev.CorrectionWritten: _check_body_target,
    ev.BookmarkSet: _check_body_target,
    ev.PreferenceStated: _check_preference,
    ev.CursorMoved: _check_cursor,
    ev.AdviceOutcome: _check_outcome,
    ev.AdviceReach: _check_number,
    ev.AdviceStanding: _check_number,
    ev.EffortSpent: _check_effort,
    ev.TermsSet: _check_terms,
}
"""Body to check; a check raises RpcError with one line if what the body is about does not exist."""
