"""Undo: which act ``u`` and ``U`` mean, what taking it back asks of the host, and the history of one's acts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Literal

import msgspec

from apollo_tui.acts.flags import describe_flag
from apollo_tui.acts.requests import send_annotation
from apollo_tui.backend.feed import Feed, NotDone
from apollo_tui.state.board import BoardState
from apollo_tui.state.span import words
from sessions import events as ev
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
    }
)
"""Kinds that ``u`` can take back."""

LOOKED_AT: Final = UNDOABLE | {"advice.withdrawn"}
"""Kinds that say what was done, undone and done again."""

OF_ADVICE: Final = (ev.AdviceQueued, ev.AdviceEdited)
"""What can be taken back as long as the advice waits."""

LOOK_BACK: Final = 300
"""How many of a session's newest acts are looked through."""

Restore = Callable[[ev.AdviceQueued], None]

ActStatus = Literal["in force", "undone", "delivered", "gone"]


class ReplacedFlag(msgspec.Struct, frozen=True):
    """One's own flag in whose place another one was set: its present id, and the seq at which it was removed."""

    flag: str
    removal: int


class Act(msgspec.Struct, frozen=True):
    """One act of one annotator.

    ``flag``: the flag that now stands for it (a flag may have been set again since). ``undone``: it is taken back.
    ``undo``: the seq of the event that took it back last. ``stuck``: it cannot be undone any more (delivered advice).
    ``passed``: a newer act is stuck, so that this one has to be shown first.
    """

    event: ev.Event
    flag: str = ""
    passed: bool = False
    undone: bool = False
    undo: int | None = None
    stuck: bool = False
    replaced: ReplacedFlag | None = None

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


def list_acts(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]]) -> list[Act]:
    """All acts among this annotator's ``own`` events, oldest first.

    ``open_advice``: per session, the numbers of the advice that still waits for its boundary.
    """
    return _acts(UndoBook(own), open_advice)


def _acts(book: UndoBook, open_advice: Mapping[str, Collection[int]]) -> list[Act]:
    drafts = {(e.session, e.body.advice) for e in book.events if isinstance(e.body, ev.AdviceWithdrawn)}
    acts: list[Act] = []
    for event in book.events:
        if not book.is_act(event) or event.kind not in UNDOABLE:
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
            acts.append(Act(event, undone=undone, undo=undo))
    return acts


def _replaced(book: UndoBook, event: ev.Event) -> ReplacedFlag | None:
    removal = book.removal_of(event)
    if removal is None or not isinstance(removal.body, ev.FlagRemoved):
        return None
    return ReplacedFlag(book.present_flag(event.session, removal.body.flag), removal.seq)


def act_to_undo(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]]) -> Act | None:
    """The newest act that is still in force and can be undone, None if there is none."""
    passed = False
    for act in reversed(list_acts(own, open_advice)):
        if act.undone:
            continue
        if act.stuck:
            # A flag that somebody took back meanwhile is nothing to wait for; advice that was delivered is.
            passed = passed or isinstance(act.event.body, OF_ADVICE)
            continue
        return msgspec.structs.replace(act, passed=passed)
    return None


def act_to_redo(own: Iterable[ev.Event], open_advice: Mapping[str, Collection[int]] | None = None) -> Act | None:
    """The act that was undone last and can be done again: nothing new was done since. Advice is a draft again."""
    waiting = open_advice or {}
    book = UndoBook(own)
    acts = {(act.event.session, act.event.seq): act for act in _acts(book, waiting)}
    for event in reversed(book.events):
        if (event.session, event.seq) in acts:
            return None
        place = book.act_of(event)
        act = acts.get(place) if place else None
        if act is None or not act.undone or isinstance(act.event.body, ev.AdviceQueued):
            continue
        body = act.event.body
        if not isinstance(body, ev.AdviceEdited) or body.advice in waiting.get(act.session, ()):
            return act
    return None


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

    async def act_to_undo(self) -> Act | None:
        """The act that ``u`` would undo now."""
        return act_to_undo(await self._own(), self._waiting())

    async def act_to_redo(self) -> Act | None:
        """The act that ``U`` would do again now."""
        return act_to_redo(await self._own(), self._waiting())

    async def acts(self) -> list[Act]:
        """All acts, newest first."""
        return list_acts(await self._own(), self._waiting())[::-1]

    def words(self, act: Act) -> str:
        """What the act is, and where."""
        summary = self._state.sessions[act.session].summary
        where = f"{summary.address} {summary.title}"
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

    async def undo(self, act: Act, restore: Restore) -> str:
        """Undo ``act``; advice comes back as a draft through ``restore``. Returns the receipt."""
        seq = act.event.seq
        match act.event.body:
            case ev.FlagSet():
                await self._annotate(act, ev.FlagRemoved(flag=act.flag), seq)
                if act.replaced is not None:
                    await self._set_again(act, act.replaced.flag, act.replaced.removal)
            case ev.FlagRemoved():
                await self._set_again(act, act.flag, seq)
            case ev.AdviceQueued(advice=number) as advice:
                await self._feed.call(
                    protocol.WithdrawAdvice(
                        request=new_ulid(), session=act.session, advice=number, to_draft=True, undoes=seq
                    )
                )
                restore(advice)
            case ev.AdviceEdited(advice=number):
                await self._edit_advice(act, number, await self._words_before(act, number), seq)
            case body:
                await self._annotate(act, await self._before(act, body), seq)
        return f"undone: {self.words(act)} · U does it again"

    async def redo(self, act: Act) -> str:
        """Do an act again that was undone. Returns the receipt."""
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
            case body:
                await self._annotate(act, body, act.undo)
        return f"done again: {self.words(act)} · u undoes"

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
        linked = msgspec.structs.replace(body, undoes=undoes)
        await send_annotation(self._feed, act.session, linked)


def _name(target: ev.Target) -> str:
    """A call by its number, all else in words: ``41`` and ``41.1`` are one character apart."""
    return str(target) if target.part == "call" else words(target)
