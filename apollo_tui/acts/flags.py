"""Verdicts: flag, label, take back, mark a recovery. The log decides what a key means; acts return a receipt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from apollo_tui.state.span import OpenSpan, span_of_loop
from apollo_tui.state.span import words as target_words
from sessions import events as ev
from sessions.events.messages import ReasoningPart, TextPart
from sessions.events.states import ENDED
from sessions.fold.flags import Verdict
from sessions.fold.released_reply import REPLY_KINDS, released_reply
from sessions.labels import RIGHT_THERE_TOO, UNSPECIFIED, Taxonomy
from sessions.log.reader import LogReader
from sessions.queries.repeats import read_loop, read_repeats
from sessions.ulid import new_ulid
from widgets.glyphs import VERDICTS


def step_done_over(reader: LogReader, session: str, step: int, flagged: Iterable[int]) -> int | None:
    """The newest of the ``flagged`` steps that ``step`` did over: no other advice came between the two.

    None where ``step`` is not the first one after advice, or nothing before it is flagged. It is what training looks
    for: the action after the next advice.
    """
    before = [number for number in flagged if number < step]
    if not before:
        return None
    turns = [event.body.at_step for event in reader.events(session, kinds={"advice.delivered"})
             if isinstance(event.body, ev.AdviceDelivered)]  # fmt: skip
    last = max(before)
    return last if next((at for at in sorted(turns) if at > last), None) == step else None


class Aftermath(msgspec.Struct, frozen=True):
    """What followed an action until the recovery. ``last``: the last step of it; ``by``: how that is known.

    ``mark``: somebody marked the recovery; ``rule``: the same call with the same outcome was over at ``ended``;
    ``open``: that loop may go on.
    """

    last: int
    by: Literal["mark", "rule", "open"]
    ended: int = 0

    def words(self, first: int) -> str:
        """Which steps it is, for a flag that ends with step ``first``."""
        steps = f"step {self.last}" if self.last == first + 1 else f"steps {first + 1} to {self.last}"
        if self.by == "open":
            return f"{steps if self.last > first else 'nothing'} so far, open while it does the same again"
        if self.last > first:
            return steps + (f", until the recovery at step {self.ended}" if self.by == "mark" else "")
        if self.by == "mark":
            return f"nothing: step {self.ended} is the recovery"
        if not self.ended:
            return "nothing: the session ended there"
        return f"until somebody marks the recovery (R): step {self.ended} is no repetition"


class Subject(msgspec.Struct, frozen=True):
    """What a verdict is about: one entry of one session. ``parts``: what else of it, and around it, could be meant."""

    session: str
    address: str
    title: str
    target: ev.Target
    name: str
    parts: tuple[ev.Target, ...] = ()
    last_step: int = 0
    """The last step of it: of a run that is shown as one row, not of its first action."""
    row: ev.Target | None = None
    """All of the run that its row stands for, where that is more than the one action."""
    redoes: int | None = None
    """The step that somebody flagged and that this one did over, after advice."""
    loops_on: bool = False
    """It is the beginning of a loop that has not ended: a flag on it is open at its end."""
    aftermaths: dict[ev.Target, Aftermath] = {}
    """What followed each part until the recovery, where that was asked for."""

    @property
    def aftermath(self) -> Aftermath | None:
        """What followed it until the recovery; None where nobody asked, or that cannot be said."""
        return self.aftermaths.get(self.target)

    @property
    def words(self) -> str:
        """``1 tune-lr · 40.1 job_kill``, ``1 tune-lr · the whole reply of step 40``: for receipts."""
        what = f"{self.target} {self.name}".rstrip() if self.target.part == "call" else target_words(self.target)
        return f"{self.address} {self.title} · {what}"


class FlagInForce(msgspec.Struct, frozen=True):
    """A flag that is in force on a subject."""

    flag: str
    actor: str
    body: ev.FlagSet


class JustFlagged(msgspec.Struct, frozen=True):
    """What ``f`` flagged last: the entry, when (Unix ms), and how many keys had been pressed."""

    subject: Subject
    seq: int
    at: int
    keys: int


class Word(msgspec.Struct, frozen=True):
    """What an annotator says of a subject: verdict, label and what is optional."""

    verdict: Verdict = "bad"
    label: str = UNSPECIFIED
    note: str = ""
    severity: int | None = None
    until_recovery: bool = False

    @property
    def again(self) -> Word:
        """What of it can be said of another action: that one was right earlier too is said of this one alone."""
        return Word(self.verdict, UNSPECIFIED if self.label == RIGHT_THERE_TOO else self.label)


class Flags:
    """What the keys f, F, ``.``, + and = do."""

    def __init__(self, feed: Feed, state: BoardState, labels: Taxonomy) -> None:
        self.feed = feed
        self.state = state
        self.labels = labels
        self.span: OpenSpan | None = None
        """What ``V`` began, or the loop that ``l`` found."""
        self.just_flagged: JustFlagged | None = None
        self._last: Word | None = None

    async def find_subject(self, session: str, seq: int, to_step: int | None = None) -> Subject:
        """What a verdict on the entry at ``seq`` is about. Raises NotDone for entries that cannot be judged.

        ``to_step``: the last step of the row that shows it, where that stands for a run of steps.
        """

        flags = self.state.sessions[session].flags.values()
        flagged = {body.target.step for who, body in flags if body.verdict == "bad" and who.startswith("human:")}

        def ask(reader: LogReader) -> tuple[ev.Event | None, ev.ModelReplied | None, int | None]:
            event = read_act(reader, session, seq)
            if event is None or not event.step:
                return event, None, None
            replies = reader.events(session, steps=(event.step, event.step), kinds=REPLY_KINDS)
            reply = released_reply(replies, event.step, dropped=True)
            return event, reply, step_done_over(reader, session, event.step, flagged)

        event, reply, redoes = await self.feed.read(ask)
        found = target_of(event) if event else None
        if event is None or found is None:
            raise NotDone("only replies, actions and summaries can be flagged")
        summary = self.state.sessions[session].summary
        last = max(to_step or 0, found.step)
        parts = (found, *self._around(session, found, reply, last))
        row = None
        if to_step is not None and found.part == "call":
            # Several calls of one step are its reply.
            row = ev.Target(found.step, "span", to_step=last) if last > found.step else ev.Target(found.step)
            parts = parts if row in parts else (row, *parts)
        return Subject(session, summary.address, summary.title, found, name_of(event), parts, last, row, redoes)

    def _around(self, session: str, found: ev.Target, reply: ev.ModelReplied | None, last: int) -> list[ev.Target]:
        """What else a verdict could be about: the whole reply, its reasoning, its text, a span."""
        if found.part == "summary":
            return []
        said = reply.parts if reply is not None else ()
        parts = [ev.Target(found.step)] if found.part == "call" and reply is not None else []
        if any(isinstance(part, ReasoningPart) for part in said):
            parts.append(ev.Target(found.step, "reasoning"))
        if any(isinstance(part, TextPart) and part.text.strip() for part in said):
            parts.append(ev.Target(found.step, "text"))
        steps = self.span.steps(found.step, last) if self.span is not None and self.span.session == session else None
        if steps is not None:
            parts.insert(0, ev.Target(steps[0], "span", to_step=steps[1]))
        return parts

    async def find_aftermath(self, subject: Subject) -> Subject:
        """The subject with what followed each of its parts until the recovery."""
        targets = [target for target in subject.parts or (subject.target,) if target.part != "summary"]
        now = self.state.sessions[subject.session]
        marks, ended = tuple(now.remarks.recoveries), now.summary.state in ENDED

        def ask(reader: LogReader) -> dict[ev.Target, Aftermath]:
            return {target: read_aftermath(reader, subject.session, target, marks, ended=ended) for target in targets}

        return msgspec.structs.replace(subject, aftermaths=await self.feed.read(ask))

    def begin_span(self, subject: Subject) -> str:
        """From here: the next verdict on a later or earlier step means all between. Again on the same step: no span."""
        step = subject.target.step
        if subject.target.part == "summary":
            raise NotDone("a span is of steps, not of summaries")
        before = self.span
        if before is not None and before.loop is None and (before.session, before.first) == (subject.session, step):
            self.span = None
            return "no span"
        self.span = OpenSpan(subject.session, step, max(step, subject.last_step))
        where = f"{subject.address} {subject.title}"
        return f"span from step {step} of {where}: go to its end, then F (or f, +, =); or type how many steps it has"

    async def find_loop(self, subject: Subject) -> str:
        """The loop that the subject is in becomes the span; again: no span. Raises NotDone where nothing repeats."""
        if subject.target.part == "summary":
            raise NotDone("a loop is of steps, not of summaries")
        session, step = subject.session, subject.target.step
        if self.span is not None and self.span.loop is not None and self.span.session == session:
            again = self.span.steps(step, step) is not None
            self.span = None
            if again:
                return "no span"
        loop = await self.feed.read(lambda reader: read_loop(reader, session, subject.target))
        ended = self.state.sessions[session].summary.state in ENDED
        first, last = loop.steps
        if last == first and subject.row is not None and subject.row.to_step:
            # Looks that fold are a loop to the eye, though each came to something else.
            self.span = OpenSpan(session, step, subject.row.to_step, subject.target)
        elif last == first:
            raise NotDone(f"step {step} is in no loop: neither neighbour made the same call with the same outcome")
        else:
            self.span = span_of_loop(session, loop, ended=ended)
        found = self.span
        so_far = " so far" if found.going_on else ""
        where = f"{subject.address} {subject.title}"
        return f"{found.last - found.first + 1} steps, {found.first} to {found.last}{so_far}, of {where}: F labels them"

    def span_steps(self, session: str, first: int, last: int) -> tuple[int, int] | None:
        """The steps that a verdict would be about while ``first`` to ``last`` are selected; None: no span is open."""
        span = self.span
        return span.steps(first, last) if span is not None and span.session == session else None

    def as_shown(self, subject: Subject) -> Subject:
        """The same subject, about all that is shown as selected: the span, else the run that is folded in its row."""
        if subject.target.part == "summary":
            return subject
        span = self.span
        steps = self.span_steps(subject.session, subject.target.step, subject.last_step)
        if span is None or steps is None:
            return about_part(subject, subject.row) if subject.row is not None else subject
        if span.loop is not None and span.going_on:
            so_far = {**subject.aftermaths, span.loop: Aftermath(span.last, "open")}
            parts = subject.parts if span.loop in subject.parts else (span.loop, *subject.parts)
            return msgspec.structs.replace(
                subject, target=span.loop, parts=parts, aftermaths=so_far, loops_on=True, redoes=None
            )
        return about_part(subject, ev.Target(steps[0], "span", to_step=steps[1]))

    def flags_on(self, subject: Subject) -> list[FlagInForce]:
        """The flags in force on exactly this subject, oldest first."""
        flags = self.state.sessions[subject.session].flags
        return [FlagInForce(flag, who, body) for flag, (who, body) in flags.items() if body.target == subject.target]

    def own_bare_flag(self, subject: Subject) -> FlagInForce | None:
        """This annotator's flag without label and note, which ``f`` may take back."""
        for flag in self.flags_on(subject):
            bare = flag.body.label == UNSPECIFIED and flag.body.verdict == "bad" and not flag.body.note
            if flag.actor == self.state.actor and bare:
                return flag
        return None

    def own_flag(self, subject: Subject) -> FlagInForce | None:
        """This annotator's newest flag on the subject."""
        return next((flag for flag in reversed(self.flags_on(subject)) if flag.actor == self.state.actor), None)

    async def set_flag(self, subject: Subject, word: Word | None = None, *, seen: ev.Seen | None) -> str:
        """Set a flag, in place of one's own earlier one on the same target, and return the receipt."""
        word = word or Word()
        if subject.loops_on:
            word = msgspec.structs.replace(word, until_recovery=True)
        before = self.own_flag(subject)
        subject, open_end = _work_out(subject, word)
        before = before or self.own_flag(subject)
        body = ev.FlagSet(
            flag=new_ulid(),
            target=subject.target,
            verdict=word.verdict,
            label=word.label,
            note=word.note,
            severity=word.severity,
            until_recovery=open_end,
            seen=seen,
            replaces=before.flag if before is not None else "",
        )
        await send_annotation(self.feed, subject.session, body)
        if before is not None:
            await send_annotation(self.feed, subject.session, ev.FlagRemoved(flag=before.flag))
        if word.verdict != "bad" or word.label != UNSPECIFIED:
            self._last = word.again
        if subject.target.part == "span" or subject.loops_on:
            self.span = None
        reach = ""
        if open_end:
            last, after = subject.target.to_step or subject.target.step, subject.aftermath
            reach = (
                f" and what followed: {after.words(last)}" if after is not None else " and what followed until recovery"
            )
        return f"{VERDICTS[word.verdict]} {subject.words}{reach}: {describe_flag(body, self.labels)} · u undoes"

    async def remove_flag(self, subject: Subject, flag: FlagInForce) -> str:
        """Take one's own flag back and return the receipt."""
        await send_annotation(self.feed, subject.session, ev.FlagRemoved(flag=flag.flag))
        return f"{name_of_verdict(flag.body.verdict)} taken back: {subject.words} · u undoes"

    async def last_word(self) -> Word:
        """The label or verdict that this annotator gave last, also before a restart. Raises NotDone for none."""
        if self._last is None:
            self._last = await self.feed.read(self._find_last)
        if self._last is None:
            raise NotDone("no label to repeat yet: F chooses one")
        return self._last

    def _find_last(self, reader: LogReader) -> Word | None:
        newest: ev.Event | None = None
        for session in list(self.state.sessions):
            for event in reader.events(session, kinds={"flag.set"}, newest_first=True, limit=50):
                body = event.body
                if not isinstance(body, ev.FlagSet) or event.actor != self.state.actor:
                    continue
                if (body.verdict != "bad" or body.label != UNSPECIFIED) and (newest is None or event.id > newest.id):
                    newest = event
        last = newest.body if newest else None
        return Word(last.verdict, last.label).again if isinstance(last, ev.FlagSet) else None

    async def toggle_recovery(self, subject: Subject) -> str:
        """From this step on the agent is on its feet again; a second time takes the mark back."""
        step = subject.target.to_step or subject.target.step
        if subject.target.part == "summary":
            raise NotDone("a recovery is marked on a step, not on a summary")
        marked = step in self.state.sessions[subject.session].remarks.recoveries
        await send_annotation(self.feed, subject.session, ev.RecoveryMarked(at_step=step, removed=marked))
        where = f"{subject.address} {subject.title} · step {step}"
        return f"recovery mark taken back: {where}" if marked else f"recovered from here: {where} · u undoes"

    async def write_correction(self, session: str, target: ev.Target, text: str, request: str) -> str:
        """Say what the agent should have done instead; an empty text takes one's word back. Returns the receipt."""
        now = self.state.sessions[session]
        before = now.remarks.corrections.own(self.state.actor, target)
        where = f"{now.summary.address} {now.summary.title} · {target}"
        if text == before:
            return f"correction of {where}: nothing is changed"
        await send_annotation(self.feed, session, ev.CorrectionWritten(target=target, text=text), request)
        return f"correction of {where} {'written' if text else 'taken back'} · u undoes"


def name_of_verdict(verdict: Verdict) -> str:
    """What a verdict is called: a good mark is no flag."""
    return {"bad": "flag", "good": "good mark", "unsure": "mark of doubt"}[verdict]


def describe_flag(flag: ev.FlagSet, labels: Taxonomy) -> str:
    """A flag in a word: its verdict where that is not bad, else its label."""
    if flag.verdict == "bad":
        return labels.name(flag.label)
    return f"{flag.verdict}, there too" if flag.label == RIGHT_THERE_TOO else flag.verdict


def read_aftermath(
    reader: LogReader, session: str, target: ev.Target, marks: Iterable[int], *, ended: bool
) -> Aftermath:
    """What followed ``target`` until the recovery. ``marks``: steps with a mark; ``ended``: the session has ended."""
    last = target.to_step or target.step
    mark = min((step for step in marks if step > last), default=None)
    if mark is not None:
        return Aftermath(mark - 1, "mark", mark)
    loop = read_repeats(reader, session, target)
    if loop.closed_at is None:
        return Aftermath(loop.last, "rule" if ended else "open")
    return Aftermath(loop.last, "rule", loop.closed_at)


def _work_out(subject: Subject, word: Word) -> tuple[Subject, bool]:
    """What the word is about, and whether it is open where that ends."""
    if not word.until_recovery or subject.aftermath is None:
        return subject, word.until_recovery
    target, is_open = take_in(subject.target, subject.aftermath)
    return about_part(subject, target), is_open


def take_in(target: ev.Target, after: Aftermath) -> tuple[ev.Target, bool]:
    """What a flag on ``target`` and what followed is about, and whether it is open where that ends.

    A loop that is over is a span, as it was shown; one that still runs, and what a mark ends, stays with what began it.
    """
    if target.part not in ("reasoning", "text") and after.by == "rule" and after.last > (target.to_step or target.step):
        return ev.Target(target.step, "span", to_step=after.last), False
    return target, True


def about_part(subject: Subject, target: ev.Target) -> Subject:
    """The same subject, about another part."""
    return msgspec.structs.replace(subject, target=target)


def read_act(reader: LogReader, session: str, seq: int) -> ev.Event | None:
    """The event at ``seq``; of a score or a question the call that it is a part of: that is what is judged."""
    event = reader.event(session, seq)
    if event is None or not isinstance(event.body, ev.EvalScored | ev.QuestionAsked) or not event.step:
        return event
    begun = reader.events(session, kinds={"action.started", "action.refused"}, steps=(event.step, event.step))
    return next((one for one in begun if one.call == event.call), event)


def target_of(event: ev.Event) -> ev.Target | None:
    """What a verdict on the entry of this anchor event is about, None if it cannot be judged."""
    match event.body:
        case ev.ActionStarted() | ev.ActionRefused() if event.step and event.call:
            return ev.Target(event.step, "call", event.call)
        case ev.ModelReplied() if event.step:
            return ev.Target(event.step)
        case ev.SummaryWritten(number=number):
            return ev.Target(number, "summary")
    return None


def name_of(event: ev.Event) -> str:
    """What the entry is called in receipts."""
    match event.body:
        case ev.ActionStarted(name=name) | ev.ActionRefused(name=name):
            return name
        case ev.ModelReplied():
            return "reply"
        case _:
            return ""
