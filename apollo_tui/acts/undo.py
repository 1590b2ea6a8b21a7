"""Undo: which act ``u`` and ``U`` mean, what taking it back asks of the host, and the history of one's acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from apollo_tui.acts.control import request_control, session_name
from apollo_tui.acts.flags import describe_flag
from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from apollo_tui.state.bulk import OPPOSITES, can_take_back
from apollo_tui.state.span import words
from sessions import events as ev
from sessions.fold.names_and_tags import change_tags
from sessions.fold.summary import Summary
from sessions.fold.undo import UndoBook
from sessions.host import protocol
from sessions.labels import Taxonomy
from sessions.log.reader import LogReader
from sessions.ulid import new_ulid

UNDOABLE: Final = frozenset(
    {
        "flag.set",
        "flag.removed",
        "advice.queued",
        "session.signed_off",
        "recovery.marked",
        "bookmark.set",
        "session.note",
        "preference.stated",
        "signal.judged",
        "advice.outcome",
        "advice.reach",
        "advice.standing",
        "advice.edited",
        "correction.written",
        "session.renamed",
        "session.tagged",
        "control.requested",
    }
)
"""Kinds that ``u`` can take back; of requests only those of a bulk act: ``p`` is its own opposite."""

LOOKED_AT: Final = UNDOABLE | {"advice.withdrawn"}
"""Kinds that say what was done, undone and done again."""

OF_ADVICE: Final = (ev.AdviceQueued, ev.AdviceEdited)
"""What can be taken back as long as the advice waits."""

NAMED: Final = 5
"""So many sessions of a bulk act are named."""

LOOK_BACK: Final = 300
"""How many of a session's newest acts are looked through."""

Restore = Callable[[Sequence[str], ev.AdviceQueued], None]
"""Makes a draft of advice again, to all the sessions from which it was taken back."""

ActStatus = Literal["in force", "undone", "delivered", "gone"]


class ReplacedFlag(msgspec.Struct, frozen=True):
    """One's own flag in whose place another one was set: its present id, and the seq at which it was removed."""

    flag: str
    removal: int


class Act(msgspec.Struct, frozen=True):
    """One act of one annotator.

    ``flag``: the flag that now stands for it (a flag may have been set again since). ``undone``: it is taken back.
    ``undo``: the seq of the event that took it back last. ``stuck``: it cannot be undone any more (delivered advice).
    ``passed``: a newer act is stuck, so that this one has to be shown first. ``members``: the act on each session,
    where it was done to several at once.
    """

    event: ev.Event
    flag: str = ""
    passed: bool = False
    undone: bool = False
    undo: int | None = None
    stuck: bool = False
    replaced: ReplacedFlag | None = None
    members: tuple[Act, ...] = ()

    @property
    def parts(self) -> tuple[Act, ...]:
        """The act on each session."""
        return self.members or (self,)

    @property
    def sessions(self) -> tuple[str, ...]:
        """All sessions that it was done to."""
        return tuple(part.session for part in self.parts)

    @property
    def session(self) -> str:
        """Where the act was done."""
        return self.event.session

    @property
    def target(self) -> ev.Target | None:
        """What the act was about, if it was about one action."""
        match self.event.body:
            case ev.FlagSet(target=target) | ev.BookmarkSet(target=target) | ev.CorrectionWritten(target=target):
                return target
            case ev.RecoveryMarked(at_step=step):
                return ev.Target(step)
            case ev.AdviceQueued(about=about):
                return about
        return None


def list_acts(
    own: Iterable[ev.Event],
    open_advice: Mapping[str, Collection[int]],
    summaries: Mapping[str, Summary] = MappingProxyType({}),
) -> list[Act]:
    """All acts among this annotator's ``own`` events, oldest first; what was done at once to several sessions is one.

    ``open_advice``: per session, the numbers of the advice that still waits for its boundary; ``summaries``: how the
    sessions stand.
    """
    return _join(_acts(UndoBook(own), open_advice, summaries))


def _join(acts: Sequence[Act]) -> list[Act]:
    """Acts with one ``bulk`` as one, in the place of the newest of them."""
    bulks: dict[str, list[Act]] = {}
    for act in acts:
        bulks.setdefault(_bulk_of(act), []).append(act)
    found: list[Act] = []
    for act in acts:
        parts = bulks[_bulk_of(act)]
        if not _bulk_of(act) or len(parts) == 1:
            found.append(act)
        elif act is parts[-1]:
            left = any(not part.undone and not part.stuck for part in parts)
            undone = not left and any(part.undone for part in parts)
            whole = msgspec.structs.replace(
                parts[0], members=tuple(parts), undone=undone, stuck=not left and not undone
            )
            found.append(whole)
    return found


def _bulk_of(act: Act) -> str:
    body = act.event.body
    return body.bulk if isinstance(body, ev.ReversibleAct | ev.AdviceQueued) else ""


def _acts(book: UndoBook, open_advice: Mapping[str, Collection[int]], summaries: Mapping[str, Summary]) -> list[Act]:
    drafts = {(e.session, e.body.advice) for e in book.events if isinstance(e.body, ev.AdviceWithdrawn)}
    acts: list[Act] = []
    for event in book.events:
        if not book.is_act(event) or event.kind not in UNDOABLE:
            continue
        if isinstance(event.body, ev.ControlRequested) and not event.body.bulk:
            continue
        undone, undo = book.is_undone(event), book.undo_of(event)
        if isinstance(event.body, ev.FlagSet | ev.FlagRemoved):
            flag = book.present_flag(event.session, event.body.flag)
            gone = isinstance(event.body, ev.FlagSet) and not undone and book.is_removed(event.session, flag)
            acts.append(Act(event, flag, undone=undone, undo=undo, stuck=gone, replaced=_replaced(book, event)))
        elif isinstance(event.body, OF_ADVICE):
            # With the advice its later words have become a draft.
            undone = undone or (event.session, event.body.advice) in drafts
            waits = event.body.advice in open_advice.get(event.session, ())
            acts.append(Act(event, undone=undone, undo=undo, stuck=not undone and not waits))
        else:
            summary = summaries.get(event.session)
            stuck = not undone and summary is not None and _is_overtaken(event.body, summary)
            acts.append(Act(event, undone=undone, undo=undo, stuck=stuck))
    return acts


def _is_overtaken(body: ev.Body, s: Summary) -> bool:
    """Whether the session stands otherwise meanwhile, so that there is nothing of the act to take back."""
    match body:
        case ev.ControlRequested(verb=verb):
            return not can_take_back(verb, s)
        case ev.SessionRenamed(title=title):
            return s.title != title
        case ev.SessionTagged():
            return change_tags(s.tags, _swap(body)) == s.tags
        case _:
            return False


def _swap(body: ev.SessionTagged) -> ev.SessionTagged:
    return ev.SessionTagged(added=body.removed, removed=body.added)


def _replaced(book: UndoBook, event: ev.Event) -> ReplacedFlag | None:
    removal = book.removal_of(event)
    if removal is None or not isinstance(removal.body, ev.FlagRemoved):
        return None
    return ReplacedFlag(book.present_flag(event.session, removal.body.flag), removal.seq)


def act_to_undo(
    own: Iterable[ev.Event],
    open_advice: Mapping[str, Collection[int]],
    summaries: Mapping[str, Summary] = MappingProxyType({}),
) -> Act | None:
    """The newest act that is still in force and can be undone, None if there is none."""
    passed = False
    for act in reversed(list_acts(own, open_advice, summaries)):
        if act.undone:
            continue
        if act.stuck:
            # A flag that somebody took back meanwhile is nothing to wait for; advice that was delivered is.
            passed = passed or isinstance(act.event.body, OF_ADVICE)
            continue
        return msgspec.structs.replace(act, passed=passed)
    return None


def act_to_redo(
    own: Iterable[ev.Event],
    open_advice: Mapping[str, Collection[int]] | None = None,
    summaries: Mapping[str, Summary] = MappingProxyType({}),
) -> Act | None:
    """The act that was undone last and can be done again: nothing new was done since. Advice is a draft again."""
    waiting = open_advice or {}
    book = UndoBook(own)
    known = _acts(book, waiting, summaries)
    acts = {(act.event.session, act.event.seq): act for act in known}
    for event in reversed(book.events):
        if (event.session, event.seq) in acts:
            return None
        place = book.act_of(event)
        act = acts.get(place) if place else None
        if act is None or not act.undone or isinstance(act.event.body, ev.AdviceQueued):
            continue
        body = act.event.body
        if not isinstance(body, ev.AdviceEdited) or body.advice in waiting.get(act.session, ()):
            return _join([one for one in known if one is act or (_bulk_of(act) and _bulk_of(one) == _bulk_of(act))])[0]
    return None


def _of_parts(parts: Sequence[Act]) -> Act:
    return msgspec.structs.replace(parts[0], members=tuple(parts) if len(parts) > 1 else ())


def act_status(act: Act) -> ActStatus:
    """How an act stands, in a word."""
    if act.undone:
        return "undone"
    if act.stuck:
        return "delivered" if isinstance(act.event.body, OF_ADVICE) else "gone"
    return "in force"


class UndoHistory:
    """Undo, redo and history over all sessions of the log, of this annotator only."""

    def __init__(self, feed: Feed, state: BoardState, labels: Taxonomy) -> None:
        self._feed = feed
        self._state = state
        self._labels = labels

    async def _own(self) -> list[ev.Event]:
        actor = self._state.actor
        sessions = list(self._state.sessions)

        def ask(reader: LogReader) -> list[ev.Event]:
            found: list[ev.Event] = []
            for session in sessions:
                acts = reader.events(session, kinds=LOOKED_AT, newest_first=True, limit=LOOK_BACK)
                found += [event for event in acts if event.actor == actor]
            return found

        return await self._feed.read(ask)

    def _waiting(self) -> dict[str, set[int]]:
        sessions = self._state.sessions
        return {id: {advice.advice for advice in now.summary.open_advice} for id, now in sessions.items()}

    def _summaries(self) -> dict[str, Summary]:
        return {id: now.summary for id, now in self._state.sessions.items()}

    async def act_to_undo(self) -> Act | None:
        """The act that ``u`` would undo now."""
        return act_to_undo(await self._own(), self._waiting(), self._summaries())

    async def act_to_redo(self) -> Act | None:
        """The act that ``U`` would do again now."""
        return act_to_redo(await self._own(), self._waiting(), self._summaries())

    async def acts(self) -> list[Act]:
        """All acts, newest first."""
        return list_acts(await self._own(), self._waiting(), self._summaries())[::-1]

    def words(self, act: Act) -> str:
        """What the act is, and where."""
        where = self._name_sessions(act.sessions)
        match act.event.body:
            case ev.FlagSet() as body:
                said = f"flag {describe_flag(body, self._labels)}" if body.verdict == "bad" else f"{body.verdict} mark"
                return f"{said} on {where} · {_name(body.target)}"
            case ev.FlagRemoved():
                return f"taking back a flag on {where}"
            case ev.AdviceQueued() as body:
                return f"advice to {where}: {body.text}"
            case ev.SignedOff() as body:
                said = body.verdict or (f"judged up to step {body.up_to_step}" if body.up_to_step else "none")
                return f"sign-off of {where}: {said}"
            case ev.SessionRenamed(title=title):
                return f"the name {title} of {where}"
            case ev.SessionTagged() as body:
                changes = [f"+{tag}" for tag in body.added] + [f"-{tag}" for tag in body.removed]
                return f"tags of {where}: {' '.join(changes)}"
            case ev.ControlRequested(verb=verb):
                return f"{verb} of {where}"
            case ev.AdviceEdited(advice=number, text=text):
                return f"other words for advice {number} to {where}: {text}"
            case ev.AdviceOutcome(advice=number, outcome=None):
                return f"taking back the outcome of advice {number} to {where}"
            case ev.AdviceOutcome(advice=number, outcome=str() as outcome):
                return f"outcome of advice {number} to {where}: {outcome.replace('_', ' ')}"
            case ev.AdviceReach(advice=number, reach=reach):
                return f"reach of advice {number} to {where}: {reach or 'as it was queued'}"
            case ev.AdviceStanding(advice=number, standing=standing):
                return f"advice {number} to {where}: {'standing' if standing else 'done'}"
            case ev.CorrectionWritten(text="") as body:
                return f"taking back the correction of {where} · {_name(body.target)}"
            case ev.CorrectionWritten() as body:
                return f"correction of {where} · {_name(body.target)}: {body.text}"
            case ev.RecoveryMarked() as body:
                return f"{'taking back ' * body.removed}recovery mark on {where} · step {body.at_step}"
            case ev.BookmarkSet() as body:
                return f"{'taking back ' * body.removed}bookmark on {where} · {_name(body.target)}"
            case ev.NoteWritten(text=""):
                return f"taking away the note on {where}"
            case ev.NoteWritten() as body:
                return f"note on {where}: {body.text}"
            case ev.PreferenceStated(verdict=None):
                return f"taking back which is better, {where} or another"
            case ev.PreferenceStated(verdict=str() as verdict, other=other):
                against = self._state.sessions.get(other)
                second = f"{against.summary.address} {against.summary.title}" if against is not None else other
                return f"{where} is {'as good as' if verdict == 'equal' else verdict + ' than'} {second}"
            case ev.SignalJudged() as body:
                return f"{body.verdict.replace('_', ' ')} for the signal {body.signal} of {where}"
            case other:
                return f"{other.kind} on {where}"

    def _name_sessions(self, sessions: Sequence[str]) -> str:
        names = [session_name(self._state, session) for session in sessions]
        if len(names) == 1:
            return names[0]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"{len(names)} sessions ({', '.join(names[:NAMED])}{more})"

    async def undo(self, act: Act, restore: Restore) -> str:
        """Undo ``act``; advice comes back as a draft through ``restore``. Returns the receipt."""
        parts = [part for part in act.parts if not part.undone and not part.stuck]
        done, problems = await self._do_each(parts, self._take_back)
        if isinstance(advice := done[0].event.body, ev.AdviceQueued):
            restore([part.session for part in done], advice)
        return f"undone: {self.words(_of_parts(done))} · U does it again{problems}"

    async def redo(self, act: Act) -> str:
        """Do an act again that was undone. Returns the receipt."""
        done, problems = await self._do_each([part for part in act.parts if part.undone], self._do_again)
        return f"done again: {self.words(_of_parts(done))} · u undoes{problems}"

    async def _do_each(self, parts: Sequence[Act], do: Callable[[Act], Awaitable[None]]) -> tuple[Sequence[Act], str]:
        """Do it to each; those to which it was done, and what went wrong with the others. Raises NotDone if all did."""
        done: list[Act] = []
        problems: list[NotDone] = []
        for part in parts:
            try:
                await do(part)
            except NotDone as problem:
                problems.append(problem)
            else:
                done.append(part)
        if problems and not done:
            raise problems[0]
        return done or parts, "".join(f" · not all: {problem}" for problem in problems[:1])

    async def _take_back(self, act: Act) -> None:
        seq = act.event.seq
        match act.event.body:
            case ev.FlagSet():
                await self._annotate(act, ev.FlagRemoved(flag=act.flag), seq)
                if act.replaced is not None:
                    await self._set_again(act, act.replaced.flag, act.replaced.removal)
            case ev.FlagRemoved():
                await self._set_again(act, act.flag, seq)
            case ev.AdviceQueued(advice=number):
                await self._feed.call(
                    protocol.WithdrawAdvice(
                        request=new_ulid(), session=act.session, advice=number, to_draft=True, undoes=seq
                    )
                )
            case ev.AdviceEdited(advice=number):
                await self._edit_advice(act, number, await self._words_before(act, number), seq)
            case ev.ControlRequested(verb=verb):
                await self._control(act, OPPOSITES[verb], seq)
            case body:
                await self._annotate(act, await self._before(act, body), seq)

    async def _do_again(self, act: Act) -> None:
        match act.event.body:
            case ev.FlagSet() as body:
                replaced = act.replaced.flag if act.replaced is not None else ""
                again = msgspec.structs.replace(body, flag=new_ulid(), replaces=replaced)
                await self._annotate(act, again, act.undo)
                if replaced:
                    await self._annotate(act, ev.FlagRemoved(flag=replaced), None)
            case ev.FlagRemoved():
                await self._annotate(act, ev.FlagRemoved(flag=act.flag), act.undo)
            case ev.AdviceEdited(advice=number, text=text):
                await self._edit_advice(act, number, text, act.undo)
            case ev.AdviceQueued():
                raise NotDone("that advice is a draft again: i opens it")
            case ev.ControlRequested(verb=verb):
                await self._control(act, verb, act.undo)
            case body:
                await self._annotate(act, body, act.undo)

    async def _before(self, act: Act, body: ev.Body) -> ev.Body:
        """What to write so that all is as it was before the act."""
        match body:
            case ev.RecoveryMarked() | ev.BookmarkSet():
                return msgspec.structs.replace(body, removed=not body.removed)
            case ev.SignedOff():
                return await self._earlier(act, lambda _: True) or ev.SignedOff()
            case ev.NoteWritten():
                return await self._earlier(act, lambda _: True) or ev.NoteWritten(text="")
            case ev.PreferenceStated(other=other):
                earlier = await self._earlier(act, lambda e: isinstance(e, ev.PreferenceStated) and e.other == other)
                return earlier or ev.PreferenceStated(other=other)
            case ev.SessionRenamed():
                return ev.SessionRenamed(title=await self._title_before(act))
            case ev.SessionTagged():
                return _swap(body)
            case ev.CorrectionWritten(target=target):
                earlier = await self._earlier(act, lambda e: isinstance(e, ev.CorrectionWritten) and e.target == target)
                return earlier or ev.CorrectionWritten(target=target, text="")
            case ev.AdviceOutcome(advice=number):
                earlier = await self._earlier(act, lambda e: isinstance(e, ev.AdviceOutcome) and e.advice == number)
                return earlier or ev.AdviceOutcome(advice=number, outcome=None)
            case ev.AdviceReach(advice=number):
                earlier = await self._earlier(act, lambda e: isinstance(e, ev.AdviceReach) and e.advice == number)
                return earlier or ev.AdviceReach(advice=number, reach=None)
            case ev.AdviceStanding(advice=number, standing=standing):
                return ev.AdviceStanding(advice=number, standing=not standing)
            case ev.SignalJudged(signal=signal):
                before = await self._earlier(act, lambda e: isinstance(e, ev.SignalJudged) and e.signal == signal)
                return before or ev.SignalJudged(signal=signal, verdict="reopened")
        raise NotDone("that cannot be undone")

    async def _earlier(self, act: Act, same: Callable[[ev.Body], bool]) -> ev.Body | None:
        """This annotator's word of the same kind that stood before the act."""

        def ask(reader: LogReader) -> ev.Body | None:
            events = reader.events(act.session, kinds={act.event.kind}, before=act.event.seq, newest_first=True)
            own = (event.body for event in events if event.actor == act.event.actor)
            return next((body for body in own if same(body)), None)

        return await self._feed.read(ask)

    async def _title_before(self, act: Act) -> str:
        """What the session was called before it was renamed, by whomever."""

        def ask(reader: LogReader) -> str:
            kinds = {"session.created", "session.renamed"}
            for event in reader.events(act.session, kinds=kinds, before=act.event.seq, newest_first=True):
                if isinstance(event.body, ev.SessionCreated | ev.SessionRenamed):
                    return event.body.title
            raise NotDone("the session's first name is not in the log")

        return await self._feed.read(ask)

    async def _control(self, act: Act, verb: ev.Verb, undoes: int | None) -> None:
        await request_control(self._feed, act.session, verb, undoes=undoes)

    async def _words_before(self, act: Act, number: int) -> str:
        """What the advice said before it was edited, by whoever wrote that."""

        def ask(reader: LogReader) -> str:
            kinds = {"advice.queued", "advice.edited"}
            for event in reader.events(act.session, kinds=kinds, before=act.event.seq, newest_first=True):
                if isinstance(event.body, ev.AdviceQueued | ev.AdviceEdited) and event.body.advice == number:
                    return event.body.text
            raise NotDone("the advice is not in the log")

        return await self._feed.read(ask)

    async def _set_again(self, act: Act, flag: str, undoes: int) -> None:
        def ask(reader: LogReader) -> ev.FlagSet | None:
            for event in reader.events(act.session, kinds={"flag.set"}, newest_first=True):
                if isinstance(event.body, ev.FlagSet) and event.body.flag == flag:
                    return event.body
            return None

        found = await self._feed.read(ask)
        if found is None:
            raise NotDone("the flag is not in the log")
        await self._annotate(act, msgspec.structs.replace(found, flag=new_ulid(), replaces=""), undoes)

    async def _edit_advice(self, act: Act, number: int, text: str, undoes: int | None) -> None:
        edit = protocol.EditAdvice(request=new_ulid(), session=act.session, advice=number, text=text, undoes=undoes)
        await self._feed.call(edit)

    async def _annotate(self, act: Act, body: ev.Body, undoes: int | None) -> None:
        linked = msgspec.structs.replace(body, undoes=undoes, bulk="")
        await send_annotation(self._feed, act.session, linked)


def _name(target: ev.Target) -> str:
    """A call by its number, all else in words: ``41`` and ``41.1`` are one character apart."""
    return str(target) if target.part == "call" else words(target)
