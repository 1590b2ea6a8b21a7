"""Shortens a context that grew too long: its earlier half becomes a summary that the model writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from sessions import events as ev
from sessions.agent.advice import read_advice_before
from sessions.agent.attempts import (
    ContextTooLong,
    ReplyCut,
    RequestRefused,
    RestRequest,
    add_estimate,
    receive_reply,
)
from sessions.agent.prompts import SUMMARY_REQUEST, Prompts
from sessions.agent.session import NeedsPerson, Session
from sessions.events.messages import TextPart
from sessions.fold.prompt import context_of

ENOUGH: Final = 0.6
"""Summaries are repeated until the context is below this share of the threshold."""
TRIES: Final = 2
"""How often the model is asked for one summary before a person is."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a summary is to cover: steps ``first``..``last``, whose newest reply is ``reply``.

    ``plain``: the model is given it as one text, because the server refuses the conversation.
    """

    first: int
    last: int
    reply: ev.Event
    cover: tuple[ev.Event, ...]
    plain: bool = False


class Summariser:
    """Writes the summaries of one session."""

    def __init__(self, session: Session, prompts: Prompts, yields: Callable[[], bool]) -> None:
        self._session = session
        self._prompts = prompts
        self._yields = yields

    async def shorten(self, tokens: int) -> None:
        """Summarise, from ``tokens`` down to well below the threshold.

        Ends early where a person asks for it. Raises NeedsPerson where nothing more can be left out.
        """
        goal = ENOUGH * self._session.model.summary_threshold
        first = True
        while first or tokens >= goal:
            cut = await self._cut()
            if cut is None:
                raise NeedsPerson("context", self._too_long(tokens))
            try:
                tokens = await self._replace(cut, tokens)
            except (ReplyCut, RestRequest):
                return
            first = False

    async def replace_all(self, tokens: int) -> None:
        """Put a summary in the place of all steps in view, asked for in plain words. Raises NeedsPerson."""
        events = context_of(self._prompts.context())
        replies = [event for event in events if event.kind == "model.reply"]
        if not replies:
            raise NeedsPerson("context", self._too_long(tokens))
        cover = tuple(events)
        cut = Coverage(replies[0].step or 1, replies[-1].step or 1, replies[-1], cover, plain=True)
        try:
            await self._replace(cut, tokens)
        except (ReplyCut, RestRequest):
            return

    async def _cut(self) -> Coverage | None:
        """The earlier half of the context by tokens, cut between steps; None if there is only one step."""
        events = context_of(self._prompts.context())
        replies = [event for event in events if event.kind == "model.reply"]
        if len(replies) < 2:
            return None
        messages = self._prompts.messages(events)
        counts = await self._prompts.count([msgspec.json.encode(message).decode() for message in messages])
        at = {message.sources[0]: count for message, count in zip(messages, counts, strict=True)}
        half, seen = sum(counts) / 2, 0
        newest, following = replies[-2], replies[-1]
        for reply, after in pairwise(replies):
            seen = sum(count for seq, count in at.items() if seq < after.seq)
            if seen >= half:
                newest, following = reply, after
                break
        cover = tuple(event for event in events if event.seq < following.seq or event.kind == "summary.written")
        return Coverage(replies[0].step or 1, newest.step or 1, newest, cover)

    async def _replace(self, cut: Coverage, before: int) -> int:
        """Have the summary written and commit it; returns the tokens of the new context."""
        session = self._session
        for _ in range(TRIES):
            if cut.plain:
                prompt = await self._prompts.for_plain_summary(cut.cover, SUMMARY_REQUEST)
            else:
                prompt = await self._prompts.for_summary(cut.reply, cut.cover, SUMMARY_REQUEST)
            request = (await session.commit(prompt.request, blobs=prompt.blobs))[0]
            try:
                received = await receive_reply(session, request.seq, prompt.body, step=None, yields=self._yields)
            except ContextTooLong:
                raise NeedsPerson("context", self._too_long(before)) from None
            except RequestRefused as refused:
                if cut.plain:
                    raise NeedsPerson("provider", f"{session.model.id} refused the request: {refused}") from None
                return await self._replace(dataclasses.replace(cut, plain=True), before)
            except ReplyCut as ended:
                await session.commit(
                    ev.ReplyInterrupted(request=request.seq, parts=ended.partial, why=ended.why or "host")
                )
                raise
            replied = await add_estimate(session, received.event(request.seq, session.model), prompt.tokens)
            words = "".join(part.text for part in replied.parts if isinstance(part, TextPart)).strip()
            if words:
                return await self._commit(cut, request.seq, replied, words, before)
            await session.commit(replied, actor="agent")
        raise NeedsPerson("context", f"{session.model.id} wrote no summary when asked for one; resume to ask again")

    async def _commit(self, cut: Coverage, request: int, replied: ev.ModelReplied, words: str, before: int) -> int:
        session = self._session
        text, blobs = session.text(words)
        advice = read_advice_before(session.services.reader, session.id, to_step=cut.last)
        covered = {event.seq for event in cut.cover}
        kept = [e for e in self._prompts.context() if e.seq not in covered or e.kind == "session.created"]
        counts = await self._prompts.count([words, advice, *self._texts(kept)])
        fixed = max(0, before - sum(await self._prompts.count(self._texts(self._prompts.context()))))
        after = fixed + sum(counts)
        written = ev.SummaryWritten(
            number=session.summary.summaries + 1,
            from_step=cut.first,
            to_step=cut.last,
            text=text,
            advice=advice,
            request=request,
            tokens_before=before,
            tokens_after=after,
        )
        await session.commit(replied, written, actor="agent", blobs=blobs)
        return after

    def _texts(self, events: Sequence[ev.Event]) -> list[str]:
        return [msgspec.json.encode(message).decode() for message in self._prompts.messages(events)]

    def _too_long(self, tokens: int) -> str:
        return (
            f"the context of about {tokens:,} tokens is too long for {self._session.model.id} and cannot be shortened "
            "any further; stop the session, or reopen it with a larger context"
        )
