"""What the app knows, folded from events: pure, without Textual. Screens read it, the app alone fills it.

Per session: the summary (the same fold as the host's), a window of the newest entries, the partial reply, and which
entries this annotator has not read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from apollo_tui.state import to_judge
from apollo_tui.state.attention import Attention
from apollo_tui.state.board_filter import SessionFacts
from apollo_tui.state.read_marks import ReadMarks
from sessions import events as ev
from sessions.annotators import shown_name
from sessions.attention.settings import Thresholds
from sessions.attention.signals import Signal
from sessions.events.states import ENDED
from sessions.fold.beginning import say_beginning
from sessions.fold.families import Families
from sessions.fold.flags import FlagBook
from sessions.fold.notes import SessionNotes
from sessions.fold.read_ranges import ReadBook
from sessions.fold.summary import Summary, fold_summary
from sessions.host.protocol import ClientInfo, DeltaFrame
from widgets.cells import text_of
from widgets.entries import EntryBook
from widgets.glyphs import age
from widgets.live import grow
from widgets.models import Entry, HeaderView, LiveReply, SessionView
from widgets.session_list import session_view

MINUTE_MS: Final = 60_000
SLOT_MS: Final = 15 * MINUTE_MS
SLOTS: Final = 8
"""The sparkline of a session shows so many slots of time."""

WINDOW: Final = 400
"""How many events of a session are kept for its pane; the Session screen reads the rest from the log."""

COUNTED: Final = frozenset({"action.started", "action.refused", "eval.scored", "question.asked", "summary.written"})
"""Kinds of entries that count as unread."""

ENDS_LIVE: Final = frozenset({"model.reply", "model.interrupted", "model.attempt_failed"})


class Activity:
    """How many replies came in each of the last slots. Times in Unix ms."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque(maxlen=SLOTS)

    def note(self, at: int) -> None:
        """A reply came; in order of time, repeats of an older slot are left out."""
        slot = at // SLOT_MS
        if self._counts and slot == self._counts[-1][0]:
            self._counts[-1] = (slot, self._counts[-1][1] + 1)
        elif not self._counts or slot > self._counts[-1][0]:
            self._counts.append((slot, 1))

    def slots(self, now: int) -> tuple[int, ...]:
        """Replies per slot, oldest first, the present one last; () if there were none."""
        known = dict(self._counts)
        last = now // SLOT_MS
        found = tuple(known.get(slot, 0) for slot in range(last - SLOTS + 1, last + 1))
        return found if any(found) else ()


class SessionState(msgspec.Struct):
    """One session as this app knows it."""

    summary: Summary
    book: EntryBook
    live: LiveReply | None = None
    unread: list[int] = msgspec.field(default_factory=list)
    """Seqs of unread entries, oldest first; ``read_changes``: what of the reading is taken from them already."""
    unread_known: bool = False
    """Whether it was read what of the log is unread; if not, ``unread`` holds only what came since."""
    read_changes: int = 0
    flags: dict[str, tuple[str, ev.FlagSet]] = msgspec.field(default_factory=dict)
    """Flags in force: id → (actor, body), oldest first."""
    activity: Activity = msgspec.field(default_factory=Activity)
    remarks: SessionNotes = msgspec.field(default_factory=SessionNotes)
    """Sign-offs, notes, bookmarks and recovery marks that stand."""
    advice: dict[int, int] = msgspec.field(default_factory=dict)
    """Advice numbers by the seq of the event that queued them."""
    questions: dict[int, int] = msgspec.field(default_factory=dict)
    """Seqs of the questions in the window, by number."""
    newest: int = 0
    """Seq of the newest action, for the list."""
    annotators: set[str] = msgspec.field(default_factory=set)
    """Who said something of it or to it, by name."""
    loaded: bool = False
    """Whether the window of entries was read from the log."""
    view: tuple[Summary, object, SessionView] | None = None
    """How lists show it, and of what that was made."""


class Change(msgspec.Struct):
    """What ``apply`` changed: for screens to know what to paint. Without ``events``: look at the state anew."""

    sessions: set[str] = msgspec.field(default_factory=set)
    events: list[ev.Event] = msgspec.field(default_factory=list)
    entries: dict[str, set[int]] = msgspec.field(default_factory=dict)
    new: list[str] = msgspec.field(default_factory=list)
    lines: Mapping[tuple[str, int], str] = msgspec.field(default_factory=dict)
    """What jobs (session and number) print now."""


class BoardState:
    """All sessions of one log, as one annotator sees them."""

    def __init__(
        self, actor: str, label_name: Callable[[str], str] = str, thresholds: Thresholds | None = None
    ) -> None:
        self.actor = actor
        self.attention = Attention(thresholds, self.below)
        self.label_name = label_name
        self.sessions: dict[str, SessionState] = {}
        self.position = 0
        self.log_was_read = False
        """Whether it is known what is in the log; one that does not exist yet is read when it does."""
        self.read_marks = ReadMarks()
        self.trouble = ""
        self.writable = False
        self._verdicts: dict[str, FlagBook] = {}
        """What was judged of the sessions of which anything was."""
        self._judged_to = 0
        """Up to the event with this id, what was judged is known."""
        self._judged_since: list[ev.Event] | None = []
        """What was judged while older verdicts were not known yet."""
        self._open_flags: dict[str, int] = {}
        self.clients: tuple[ClientInfo, ...] = ()
        """Who is attached to the host, command lines included."""
        self.show_archived = False
        self._early: OrderedDict[str, list[ev.Event]] = OrderedDict()
        self._families = Families.of(())
        self._related = 0
        """So many sessions are in the families."""
        self._archive_changes = 0
        """How often a session was archived, or came back."""
        self._ordered: tuple[object, list[str]] = (None, [])
        """The order, and of what it was made."""

    # --- filling ------------------------------------------------------------------------------------------------

    def load(self, summaries: Sequence[Summary], position: int) -> None:
        """The first read of the log."""
        self.log_was_read = True
        self.position = max(self.position, position)
        for summary in summaries:
            known = self.sessions.get(summary.session)
            if known is None:
                self.sessions[summary.session] = self._begin(summary)
            elif summary.last_seq > known.summary.last_seq:
                self._archive_changes += known.summary.archived != summary.archived
                known.summary = summary

    def seed(
        self,
        session: str,
        window: Sequence[ev.Event],
        flags: Sequence[ev.Event],
        read: ReadBook,
        unread: Iterable[int],
        queued: Iterable[ev.Event] = (),
        asked: Iterable[ev.Event] = (),
    ) -> None:
        """The newest events of a session (oldest first), all its flag events, what was read, what was not; from before
        them advice that was queued, and requests that some of them answer."""
        now = self.sessions[session]
        first = window[0].seq if window else 0
        # What begins an entry comes with its neighbours: alone it would stand there as if nothing were in between.
        flagged = (event for event in flags if event.seq < first and event.kind not in ev.ANCHORS)
        now.book.add([*flagged, *asked, *window])
        for event in flags:
            _fold_verdict(now, event)
        for event in queued:
            _fold_advice(now, event)
        for event in window:
            _fold_advice(now, event)
            _fold_progress(now, event)
        self.learn_unread(session, read, unread)
        now.loaded = True
        for event in self._early.pop(session, []):
            if not window or event.seq > window[-1].seq:
                now.book.add([event])
                _fold_verdict(now, event)

    def learn_unread(self, session: str, read: ReadBook, unread: Iterable[int]) -> None:
        """What this annotator has read of a session, and which entries (seqs) not."""
        now = self.sessions[session]
        self.read_marks.learn(session, read)
        now.unread, now.read_changes = sorted({*unread, *now.unread}), -1
        now.unread_known = True

    def learn_people(self, people: Mapping[str, Collection[str]]) -> None:
        """Who said something, by session; sessions that are not known here change nothing."""
        for session in people.keys() & self.sessions.keys():
            self.sessions[session].annotators.update(people[session])

    def _begin(self, summary: Summary) -> SessionState:
        return SessionState(summary, EntryBook(label_name=self.label_name, tools=summary.tools))

    def apply(self, events: Iterable[ev.Event]) -> Change:
        """Fold new events in. Events that are known already are skipped."""
        change = Change()
        for event in events:
            self.position = max(self.position, event.id)
            if event.session == ev.HOST_SESSION:
                continue
            now = self.sessions.get(event.session)
            if now is None:
                now = self.sessions[event.session] = self._begin(fold_summary(None, event))
                now.loaded = now.unread_known = True
                change.new.append(event.session)
            elif event.seq <= now.summary.last_seq:
                continue
            else:
                before, now.summary = now.summary, fold_summary(now.summary, event)
                self._archive_changes += before.archived != now.summary.archived
            self._take_in(now, event)
            change.events.append(event)
            change.sessions.add(event.session)
            touched = change.entries.setdefault(event.session, set())
            if now.loaded:
                touched |= now.book.add([event])
            else:
                self._early.setdefault(event.session, []).append(event)
        return change

    def note_lines(self, lines: Mapping[tuple[str, int], str]) -> Change:
        """What jobs print now."""
        change = Change(lines=lines)
        for (session, job), line in lines.items():
            if (now := self.sessions.get(session)) is not None and (seqs := now.book.note_line(job, line)):
                change.entries.setdefault(session, set()).update(seqs)
        return change

    def open_jobs(self, session: str) -> list[tuple[str, int]]:
        """The jobs of our own agent that run in a session; a harness's one job is the harness."""
        summary = self.sessions[session].summary
        return [] if summary.harness else [(session, job.job) for job in summary.open_jobs]

    def _take_in(self, now: SessionState, event: ev.Event) -> None:
        self._take_judgement(event)
        if event.kind in COUNTED:
            now.unread.append(event.seq)
        if event.kind in ENDS_LIVE and (event.step is not None or not now.summary.harness):
            now.live = None  # what a harness asks beside its work ends nothing
        _fold_verdict(now, event)
        _fold_advice(now, event)
        _fold_progress(now, event)
        if len(now.book) > 2 * WINDOW:
            now.book.forget(now.book.entries()[-WINDOW].seq)
        if isinstance(event.body, ev.CursorMoved) and event.actor == self.actor:
            self.read_marks.know(event.session, event.body)
        elif event.actor == self.actor and isinstance(event.body, ev.QuestionAnswered):
            asked = now.questions.get(event.body.question, event.seq)
            self.read_marks.select(event.session, ev.SeqRange(asked, asked), event.at)

    def frame(self, frame: DeltaFrame) -> bool:
        """A piece of a streaming reply; False if it is of a reply that is over or of no session we know."""
        now = self.sessions.get(frame.session)
        if now is None or now.summary.state in ENDED or (frame.step <= now.summary.step and not _model_replies(now)):
            return False
        now.live = grow(
            now.live,
            step=frame.step,
            attempt=frame.attempt,
            index=frame.index,
            channel=frame.channel,
            offset=frame.offset,
            text=frame.text,
            name=frame.name,
        )
        return True

    # --- asking -------------------------------------------------------------------------------------------------

    @property
    def families(self) -> Families:
        """Which sessions are sub-agents of which."""
        if self._related != len(self.sessions):  # how a session began never changes
            self._families = Families.of(now.summary for now in self.sessions.values())
            self._related = len(self.sessions)
        return self._families

    def order(self) -> list[str]:
        """Session ids by number, sub-agents below the one that started them: rows never move by themselves.

        Archived ones only where asked for, and with them all that they started.
        """
        key = (len(self.sessions), self.show_archived, self._archive_changes)
        if self._ordered[0] != key:
            self._ordered = (key, [one for one in self.families.order() if self._is_shown(one)])
        return list(self._ordered[1])

    def _is_shown(self, session: str) -> bool:
        if self.show_archived:
            return True
        return not any(self.sessions[one].summary.archived for one in (session, *self.families.above(session)))

    def all_sessions(self) -> list[str]:
        """Session ids like ``order``, archived ones too."""
        return self.families.order()

    def facts(self, session: str, now: int, *, marked: bool) -> SessionFacts:
        """What a filter can ask of a session."""
        known = self.sessions[session]
        summary = known.summary
        worst, judged = self.attention.worst(summary, now), self._verdicts.get(session)
        return SessionFacts(
            session=session,
            address=summary.address,
            title=summary.title,
            state=summary.state,
            model=summary.model,
            harness=summary.harness,
            task=self.sessions[self.families.root(session)].summary.task_id,
            tags=summary.tags,
            annotators=frozenset(known.annotators),
            needs=worst is not None and not worst.quiet,
            unread=bool(self.unread_seqs(session)) or (False if known.unread_known else None),
            flagged=summary.flags > 0,
            signed=bool(summary.sign_off) or (judged is not None and bool(judged.sign_offs)),
            marked=marked,
        )

    def roots(self) -> list[str]:
        """The sessions of ``order`` that are nobody's sub-agents."""
        return [session for session in self.order() if not self.families.parent(session)]

    def siblings(self, session: str) -> list[str]:
        """The sessions of ``order`` that stand beside this one: the sub-agents of one session, or those of nobody."""
        return [one for one in self.order() if self.families.parent(one) == self.families.parent(session)]

    def summaries(self) -> list[Summary]:
        """The summaries of ``order``."""
        return [self.sessions[session].summary for session in self.order()]

    def signals_by_session(self, now: int) -> dict[str, list[Signal]]:
        """All signals of every session that is not archived, most urgent first."""
        found = {id: self.attention.of(known.summary, now) for id, known in self.sessions.items()}
        return {id: signals for id, signals in found.items() if not self.sessions[id].summary.archived}

    def find_by_address(self, address: str) -> str | None:
        """The session that people call by ``address``: ``3``, ``3.a``."""
        return next((id for id, now in self.sessions.items() if now.summary.address == address), None)

    def unread(self, session: str) -> int:
        """How many entries of a session this annotator has not read."""
        return len(self.unread_seqs(session))

    def unread_seqs(self, session: str) -> list[int]:
        """Seqs of the unread entries, oldest first."""
        now, book = self.sessions[session], self.read_marks.book(session)
        unread = now.unread
        if unread and unread[0] <= book.let_go:
            del unread[: bisect_right(unread, book.let_go)]
        if now.read_changes != book.changes:
            now.read_changes = book.changes
            for part in book:
                del unread[bisect_left(unread, part.first) : bisect_right(unread, part.last)]
        return unread

    def view(self, session: str, now: int) -> SessionView:
        """One session for lists and titles. Of what stands still it is made once a minute: a log may hold thousands."""
        known = self.sessions[session]
        summary, read = known.summary, self.read_marks.book(session)
        moves = summary.state == "sleeping" or summary.begins or self.families.has_relatives(session)
        fresh = now if moves else now // MINUTE_MS
        # Signals are made of the summary and the minute.
        key = (fresh, known.book.entry(known.newest), len(known.unread), read.changes, read.let_go)
        kept = known.view
        if kept is not None and kept[0] is summary and kept[1] == key:
            return kept[2]
        view = self._make_view(session, now)
        key = (*key[:2], len(known.unread), read.changes, read.let_go)  # what is read has left the unread
        known.view = (summary, key, view)
        return view

    def _make_view(self, session: str, now: int) -> SessionView:
        known = self.sessions[session]
        summary = known.summary
        worst = self.attention.worst(summary, now)
        trying = summary.no_reply.words if summary.no_reply else ""
        waits = f"{summary.pending}s at the boundary" if summary.pending else trying
        stands = summary.reason if summary.need == "limit" and summary.state == "paused" else ""
        view = session_view(
            summary,
            now,
            unread=self.unread(session),
            activity=known.activity.slots(now),
            why=stands or (worst.reason if worst else waits),
            can_wait=worst is None or worst.quiet,
        )
        if summary.begins is not None:
            parent = self.sessions.get(summary.begins.session)
            addresses = {summary.begins.session: parent.summary.address} if parent else {}
            view = msgspec.structs.replace(view, begins=say_beginning(summary.begins, addresses))
        view = self._with_family(view, now)
        if summary.open_advice:
            return msgspec.structs.replace(view, last_line=f"{len(summary.open_advice)} advice queued")
        newest = known.book.entry(known.newest)
        return msgspec.structs.replace(view, last_line=text_of(newest.head)) if newest and newest.head else view

    def _with_family(self, view: SessionView, now: int) -> SessionView:
        parent, below = self.families.parent(view.id), list(filter(self._is_shown, self.families.below(view.id)))
        if not parent and not below:
            return view
        signals = (self.attention.worst(self.sessions[one].summary, now) for one in below)
        need = sum(signal is not None and not signal.quiet for signal in signals)
        return msgspec.structs.replace(view, parent=parent, children=len(below), children_need=need)

    def below(self, session: str) -> list[Summary]:
        """The summaries of all sub-agents below a session."""
        if not self.families.children(session):
            return []  # as nearly all of a thousand
        return [self.sessions[one].summary for one in self.families.below(session)]

    def headline_seq(self, session: str) -> int:
        """Seq of the action that the session's line in lists says, 0 if it says something else."""
        known = self.sessions[session]
        newest = known.book.entry(known.newest)
        return known.newest if newest and newest.head and not known.summary.open_advice else 0

    def header(self, now: int, place: str = "") -> HeaderView:
        """The first line of the app."""
        summaries = self.summaries()
        found = self.attention.rank(summaries, now)
        need = {signal.session for signal in found if not signal.quiet}
        first = ""
        if found:
            reason = found[0].reason.removeprefix("needs you: ")
            first = f"{self.sessions[found[0].session].summary.title}: {reason}"
        roots = len(self.roots())
        return HeaderView(
            sessions=roots,
            children=len(summaries) - roots,
            need_you=len(need),
            can_wait=len({signal.session for signal in found} - need),
            first_need=first,
            first_age=age(now - found[0].at) if found else "",
            to_judge=self.count_to_judge([summary.session for summary in summaries], found),
            cost=sum(s.cost for s in summaries),
            who=self.who(),
            trouble=self.trouble,
            place=place,
        )

    def learn_judgement(self, events: Iterable[ev.Event]) -> None:
        """What was judged in all sessions until now. What came while it was read is folded after it, in its order: a
        flag that was taken back meanwhile stays so."""
        judged = {event.id: event for event in (*events, *(self._judged_since or ()))}
        self._verdicts.clear()
        self._open_flags.clear()
        for id in sorted(judged):
            self._fold_judgement(judged[id])
        self._judged_to, self._judged_since = max(judged, default=0), None

    def _take_judgement(self, event: ev.Event) -> None:
        if event.kind in to_judge.KINDS and event.id > self._judged_to:
            self._fold_judgement(event)
            if self._judged_since is not None:
                self._judged_since.append(event)

    def _fold_judgement(self, event: ev.Event) -> None:
        if event.kind in to_judge.KINDS:
            self._verdicts.setdefault(event.session, FlagBook()).fold(event)
            self._open_flags.pop(event.session, None)

    def count_to_judge(self, sessions: Collection[str], signals: Iterable[Signal]) -> int:
        """How many things wait for a verdict in these sessions, of which these are the ``signals``."""
        open_flags = sum(self._count_open_flags(one) for one in self._verdicts.keys() & set(sessions))
        by_session: dict[str, list[Signal]] = {}
        for signal in signals:
            by_session.setdefault(signal.session, []).append(signal)
        return open_flags + sum(
            to_judge.count_open_signals(found, self._verdicts.get(one)) for one, found in by_session.items()
        )

    def _count_open_flags(self, session: str) -> int:
        if session not in self._open_flags:
            self._open_flags[session] = to_judge.count_open_flags(self._verdicts[session], self.actor)
        return self._open_flags[session]

    def others(self) -> list[str]:
        """The other annotators with an app on this log, by name; one's own second window is none."""
        apps = {client.actor for client in self.clients if client.client == "app"}
        return sorted(shown_name(actor) for actor in apps - {self.actor})

    def who(self) -> str:
        """Who one is, and who else is here."""
        me, others = shown_name(self.actor), self.others()
        return f"{me} + {', '.join(others)}" if others else me

    def part_of(self, session: str, seq: int) -> ev.SeqRange:
        """What the entry ``seq`` of a pane shows: also the routine before it, such as a reply of calls only."""
        before = None
        for entry in self.sessions[session].book.entries():
            if entry.seq == seq:
                break
            before = (before or entry.seq) if entry.quiet else None
        return ev.SeqRange(before or seq, seq)

    def entry(self, session: str, seq: int) -> Entry | None:
        """An entry of a session's window."""
        now = self.sessions.get(session)
        return now.book.entry(seq) if now else None


UNSAID: Final = frozenset({"cursor.moved", "effort.spent", "export.written"})
"""Kinds by which a person says nothing of a session."""


def _fold_verdict(now: SessionState, event: ev.Event) -> None:
    _fold_annotator(now, event)
    now.remarks.fold(event)
    if isinstance(event.body, ev.FlagSet):
        now.flags[event.body.flag] = (event.actor, event.body)
    elif isinstance(event.body, ev.FlagRemoved):
        now.flags.pop(event.body.flag, None)


def _fold_annotator(now: SessionState, event: ev.Event) -> None:
    who, _, name = event.actor.partition(":")
    if who == "human" and event.kind not in UNSAID:
        now.annotators.add(name)


def _fold_advice(now: SessionState, event: ev.Event) -> None:
    _fold_annotator(now, event)
    if isinstance(event.body, ev.AdviceQueued):
        now.advice[event.seq] = event.body.advice
    elif isinstance(event.body, ev.QuestionAsked):
        now.questions[event.body.question] = event.seq


def _fold_progress(now: SessionState, event: ev.Event) -> None:
    if event.kind in ("action.started", "action.refused"):
        now.newest = event.seq
    if event.kind == "model.reply":
        now.activity.note(event.at)


def _model_replies(now: SessionState) -> bool:
    return now.summary.doing == "model"
