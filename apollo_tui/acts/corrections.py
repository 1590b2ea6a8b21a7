"""Corrections: what the agent should have done instead, of a reply or a call. Saving one says what it is good for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from apollo_tui import keys
from apollo_tui.acts.drafts import Draft
from apollo_tui.acts.flags import Flags
from apollo_tui.backend.feed import Feed
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.errors import ApolloError
from sessions.events.messages import CallPart, TextPart
from sessions.fold.corrections import broken_call, call_text
from sessions.fold.released_reply import REPLY_KINDS, released_reply
from sessions.log.reader import LogReader


def own_correction(state: BoardState, session: str, target: ev.Target) -> str:
    """This annotator's word on ``target`` that stands, "" for none."""
    return state.sessions[session].remarks.corrections.own(state.actor, target)


async def save_correction(
    flags: Flags, state: BoardState, keymap: Mapping[str, str], draft: Draft, target: ev.Target
) -> str:
    """Write the draft as a correction of ``target``, and return the receipt. Raises NotDone."""
    text = draft.text.strip()
    receipt = await flags.write_correction(draft.session, target, text, draft.request)
    return (
        receipt + _warn_kept_as_words(text) + _warn_still_trained(state, keymap, draft.session, target)
        if text
        else receipt
    )


async def read_original(feed: Feed, session: str, target: ev.Target) -> list[str]:
    """What the agent did there, as a correction would say it; nothing if the log cannot say."""
    try:
        done = await feed.read(partial(text_of, session=session, target=target))
    except ApolloError:
        return []
    return [done] if done else []


def _warn_still_trained(state: BoardState, keymap: Mapping[str, str], session: str, target: ev.Target) -> str:
    """A correction masks nothing: that is what a flag is for."""
    flags = state.sessions[session].flags.values()
    if any(flag.target.step <= target.step <= (flag.target.to_step or flag.target.step) for _, flag in flags):
        return ""
    return f" · it masks nothing: {keys.key_name('flag', keymap)} flags what the agent did"


def _warn_kept_as_words(text: str) -> str:
    """What looks like a call and is none makes no pair, which nobody would see."""
    name = broken_call(text)
    return f" · kept as words: {name} is followed by no whole JSON object, or by more than calls" if name else ""


def text_of(reader: LogReader, session: str, target: ev.Target) -> str:
    """What the agent did at ``target``, as a correction would say it: its call, or its text and all its calls."""
    replies = reader.events(session, steps=(target.step, target.step), kinds=REPLY_KINDS)
    reply = released_reply(replies, target.step, dropped=True)
    parts = reply.parts if reply is not None else ()
    calls = [call_text(part.name, part.arguments) for part in parts if isinstance(part, CallPart)]
    if target.part == "call":
        return calls[(target.call or 1) - 1] if len(calls) >= (target.call or 1) else ""
    said = "".join(part.text for part in parts if isinstance(part, TextPart)).strip()
    return "\n".join(filter(None, (said, *calls)))
