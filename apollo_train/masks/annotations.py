"""What people, rules and judges said about one session, read from the log in one pass over its judging events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from apollo_train.masks.session_events import read_events
from sessions import events as ev
from sessions.fold.advice import AdviceBook
from sessions.fold.corrections import CorrectionBook
from sessions.fold.flags import Flag, FlagBook
from sessions.fold.names_and_tags import change_tags
from sessions.fold.notes import set_terms
from sessions.fold.read_ranges import ReadBook
from sessions.fold.recording import RecordingBook
from sessions.fold.released_reply import REPLY_KINDS, Replies
from sessions.fold.repeats import Repeats
from sessions.log.reader import LogReader
from sessions.queries.repeats import read_repeats

KINDS: Final = frozenset(
    {
        "session.created",
        "session.state",
        "flag.set",
        "flag.removed",
        "recovery.marked",
        "session.signed_off",
        "session.tagged",
        "cursor.moved",
        "effort.spent",
        "correction.written",
        "eval.scored",
        "advice.queued",
        "advice.edited",
        "advice.withdrawn",
        "advice.delivered",
        "advice.reach",
        "advice.requeued",
        "summary.written",
        "question.asked",
        "question.answered",
        "recording.loss",
        "reply.superseded",
        "terms.set",
    }
)


@dataclass(slots=True)
class Annotations:
    """All that was said about a session up to a position of the log, and the few facts that filters ask for."""

    session: str
    created: ev.SessionCreated
    created_at: int
    position: int
    state: str = "created"
    terms: ev.Terms = field(default_factory=ev.Terms)
    """On which terms it may be used, as somebody said."""
    tags: tuple[str, ...] = ()
    """Those that it was made with, and what people changed of them."""
    flags: FlagBook = field(default_factory=FlagBook)
    advice: AdviceBook = field(default_factory=AdviceBook)
    read: ReadBook = field(default_factory=ReadBook)
    """What any human has read."""
    read_steps: set[int] = field(default_factory=set)
    """Steps of which a human has read the reply or one of its calls."""
    best_score: float | None = None
    better: str = "higher"
    delivered: dict[int, ev.AdviceDelivered] = field(default_factory=dict)
    """Delivered turns by the seq of their event."""
    summaries: dict[int, ev.SummaryWritten] = field(default_factory=dict)
    """Summaries by the seq of their event."""
    answers: dict[int, ev.QuestionAnswered] = field(default_factory=dict)
    """What humans answered to questions that are in the context, by the seq of the event."""
    asked: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The step and the call of each question."""
    superseded: set[int] = field(default_factory=set)
    """Seqs of replies that gave way to another one, or were left out of the context."""
    found_summaries: set[int] = field(default_factory=set)
    """Seqs of replies that were a step's until the harness went on from them as from a summary."""
    humans: set[str] = field(default_factory=set)
    """Names of the annotators who flagged, advised or signed off."""
    corrections: CorrectionBook = field(default_factory=CorrectionBook)
    """What humans say the agent should have done instead."""
    recording: RecordingBook = field(default_factory=RecordingBook)
    """What an import could not keep of its file."""
    effort_ms: int = 0
    """Active time that annotators spent on it."""
    read_repeats: Callable[[ev.Target], Repeats] = lambda target: Repeats(target.to_step or target.step)
    """How far a loop goes that begins with this target: see sessions.fold.repeats."""
    _repeats: dict[str, Repeats] = field(default_factory=dict)

    def repeats_of(self, flag: Flag) -> Repeats:
        """How far the loop goes that ``flag`` is about, up to the position."""
        if flag.id not in self._repeats:
            self._repeats[flag.id] = self.read_repeats(flag.target)
        return self._repeats[flag.id]

    def is_signed_off(self, step: int) -> bool:
        """Whether a human's good or partial word, or a "judged up to here", covers ``step``."""
        return any(
            word.verdict in ("good", "partial", None) and (word.up_to_step is None or step <= word.up_to_step)
            for word in self.flags.sign_offs.values()
        )


def read_annotations(reader: LogReader, session: str, position: int) -> Annotations | None:
    """What was said about ``session`` by ``position``; None if it did not exist then."""
    found: Annotations | None = None
    for event in read_events(reader, session, position, KINDS):
        if isinstance(event.body, ev.SessionCreated):
            found = Annotations(session, event.body, event.at, position, terms=event.body.terms, tags=event.body.tags)
            found.read_repeats = partial(read_repeats, reader, session, position=position)
        if found is not None:
            _take(found, event)
    if found is not None and found.superseded and found.answers:
        # Question and answer go together, also out of the context.
        dropped = Replies(read_events(reader, session, position, REPLY_KINDS)).dropped_steps
        gone = {number for number, (step, _) in found.asked.items() if step in dropped}
        found.answers = {seq: said for seq, said in found.answers.items() if said.question not in gone}
    if found is not None and found.read:
        replies = reader.anchors(session, kinds=("model.reply", "action.started", "action.refused"))
        found.read_steps = {step for seq, step, _, _ in replies if step is not None and seq in found.read}
    return found


def _take(found: Annotations, event: ev.Event) -> None:
    found.flags.fold(event)
    found.advice.fold(event)
    human = event.actor.partition(":")[2] if event.actor.startswith("human:") else ""
    if human and event.kind in ("flag.set", "session.signed_off", "advice.queued"):
        found.humans.add(human)
    match event.body:
        case ev.StateChanged() as body:
            found.state = body.state
        case ev.TermsSet() as body:
            found.terms = set_terms(found.terms, body)
        case ev.SessionTagged() as body:
            found.tags = change_tags(found.tags, body)
        case ev.EffortSpent() as body:
            found.effort_ms += body.active_ms
        case ev.CorrectionWritten() if human:
            found.corrections.fold(event)
        case ev.CursorMoved() as body if human:
            found.read.take(body)
        case ev.EvalScored(score=float() as score, better=better):
            found.better = better
            best = max if better == "higher" else min
            found.best_score = score if found.best_score is None else best(found.best_score, score)
        case ev.ReplySuperseded(old=old, why="summary"):
            found.found_summaries.add(old)
        case ev.ReplySuperseded(old=old, new=new):
            found.superseded.add(old)
            found.superseded.discard(new or 0)
        case ev.AdviceDelivered() as body:
            found.delivered[event.seq] = body
        case ev.SummaryWritten() as body:
            found.summaries[event.seq] = body
        case ev.QuestionAsked() as body:
            found.asked[body.question] = (event.step or 0, event.call or 0)
        case ev.QuestionAnswered(timed_out=False, option="") as body:
            found.answers[event.seq] = body
        case ev.RecordingLoss():
            found.recording.fold(event)
        case _:
            pass
