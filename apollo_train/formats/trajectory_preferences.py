"""Which of two whole sessions of one task is better, as people said (``preferences``): never a pair of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, Self

from apollo_train.formats.base import Format, Line, Unit
from apollo_train.formats.trajectories import turns_of
from apollo_train.masks.annotations import Annotations
from apollo_train.masks.reply_masks import mask_replies
from apollo_train.masks.session_events import read_events
from apollo_train.policy import FilterPolicy
from apollo_train.samples.chat import Chat, dumps
from apollo_train.samples.row_meta import split_of_session, task_of
from apollo_train.samples.session_selection import SessionExclusion, check_session
from apollo_train.samples.step_samples import Exclusion, Source
from apollo_train.samples.token_counts import count
from sessions.annotators import shown_name
from sessions.fold.preferences import Preference, standing_preferences
from sessions.log.reader import LogReader

KINDS: Final = frozenset({"preference.stated"})

REASONS: Final = {
    "equal": "somebody said that both sessions are equally good, and nobody that one is better",
    "preference_disputed": "people disagree on which of the two sessions is better",
    "other_session": "the other session of the pair takes no part in this export",
    "no_reply": "one of the two sessions has no reply",
}
"""Why a word on two sessions makes no row."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """What people say of two sessions: one word each."""

    sessions: tuple[str, str]
    words: tuple[Preference, ...]

    @property
    def reason(self) -> str:
        """Why it makes no row, "" if it does."""
        sides = {word.better for word in self.words if not word.equal}
        return "" if len(sides) == 1 else "preference_disputed" if sides else "equal"

    @property
    def better(self) -> Preference:
        """A word that says which is better."""
        return next(word for word in self.words if not word.equal)


class TrajectoryPreferences(Format):
    """``prompt`` (what both sessions begin with), ``chosen`` and ``rejected``: all that was said in the two of them."""

    name = "preferences"
    version = 1
    unit: Unit = "verdict"
    about = "two whole sessions of one task, and which one people say is better (reward models)"
    tells_all = True
    weighs = True  # each pair is written once
    paged = False
    chosen: frozenset[str] | None = None
    """The sessions that take part; None: all of the log."""

    def with_ancestors(self, reader: LogReader, sessions: Sequence[str]) -> tuple[Self, list[str]]:
        """The format, which has to know whether both of a pair are in the export."""
        made = copy(self)
        made.chosen = frozenset(sessions)
        return made, [*sessions]

    def refusal(self, policy: FilterPolicy) -> str:
        """What happened in two sessions cannot be told without the advice."""
        if policy.advice.modes == {"kept"}:
            return ""
        return f"{self.name} compares what happened, and the policy takes advice out: choose a policy that keeps advice"

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per pair whose older session this is; the twin file has each pair that makes none, and why."""
        for pair in _find_pairs(source):
            name = f"{pair.sessions[0]}:{pair.sessions[1]}"
            reason = pair.reason
            other = self._other(source, pair.sessions[1]) if not reason else None
            if not reason and other is None:
                reason = "other_session"
            if other is None:
                yield Exclusion(name, source.judged.session, "", reason, 0)
                continue
            made = _row(source, other, pair, name)
            yield made if made is not None else Exclusion(name, source.judged.session, "", "no_reply", 0)

    def _other(self, source: Source, session: str) -> Source | None:
        if self.chosen is not None and session not in self.chosen:
            return None
        judged = check_session(source.reader, session, source.policy, source.judged.position)
        if isinstance(judged, SessionExclusion):
            return None
        return Source(source.reader, judged, source.policy, source.weigher)


def _find_pairs(source: Source) -> Iterator[_Pair]:
    """The pairs of this session and a younger one, in the order of their ids."""
    judged = source.judged
    found: dict[str, list[Preference]] = {}
    for word in standing_preferences(read_events(source.reader, judged.session, judged.position, KINDS)):
        if word.by.startswith("human:"):
            found.setdefault(word.worse if word.better == judged.session else word.better, []).append(word)
    for other, words in sorted(found.items()):
        yield _Pair((judged.session, other), tuple(words))


def _row(one: Source, other: Source, pair: _Pair, name: str) -> Line | None:
    word = pair.better
    better, worse = (one, other) if word.better == one.judged.session else (other, one)
    chosen, rejected = ([chat for _, chat, _ in turns_of(side)] for side in (better, worse))
    same = [left for left, _ in takewhile(lambda two: two[0] == two[1], zip(chosen, rejected, strict=False))]
    same = _before_first_reply(same)
    rest = chosen[len(same) :], rejected[len(same) :]
    if not all(any(chat["role"] == "assistant" for chat in side) for side in rest):
        return None
    row = {"prompt": same, "chosen": rest[0], "rejected": rest[1], "meta": _meta(better, worse, pair, name)}
    masks = [mask for mask in mask_replies(better.reader, better.judged, better.policy) if not mask.summary]
    counts = [count(mask) for mask in masks]
    tokens = sum(one.reply for one in counts)
    return Line(
        dumps(row),
        trained=len(masks),
        trained_tokens=tokens,
        processed_tokens=max((one.prompt + one.reply for one in counts), default=0),
        unseen_tokens=sum(one.reply for one, mask in zip(counts, masks, strict=True) if not mask.seen),
        exact_tokens=all(one.exact for one in counts),
        id=name,
        actions=sum(mask.calls for mask in masks),
        models=tuple([mask.model for mask in masks]),
    )


def _before_first_reply(chats: Sequence[Chat]) -> list[Chat]:
    """What was said before the agent said anything: replies belong to the trajectories, also equal ones."""
    return list(takewhile(lambda chat: chat["role"] != "assistant", chats))


def _meta(better: Source, worse: Source, pair: _Pair, name: str) -> dict[str, Any]:
    judged = better.judged
    notes = [f"{shown_name(word.by)}: {word.note}" for word in pair.words if word.note]
    return {
        "id": name,
        "task": task_of(judged.created, better.policy),
        "split": split_of_session(judged.created, better.policy),
        "chosen_session": judged.session,
        "rejected_session": worse.judged.session,
        "by": [shown_name(word.by) for word in pair.words if not word.equal],
        "why": notes,
        "chosen_model": judged.created.model.id,
        "rejected_model": worse.judged.created.model.id,
        "chosen_score": _score(judged),
        "rejected_score": _score(worse.judged),
    }


def _score(judged: Annotations) -> float | None:
    return judged.best_score
