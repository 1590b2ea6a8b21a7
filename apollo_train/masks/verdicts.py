"""What the flags on a session come to under a policy: who overrules whom, and how far a bad flag reaches."""

from __future__ import annotations

from typing import Final, Literal

from apollo_train.masks.judgement import Judgement
from apollo_train.policy import FilterPolicy, FlagRules, Source
from sessions.fold.flags import Flag

Cell = Literal["reply", "reasoning", "text", "call"]
Word = Literal["bad", "good", "kept", "unsure", "disputed", ""]
"""What flags come to; ``kept``: bad, but not by the agent's fault."""

_PRECEDENCE: Final[tuple[Word, ...]] = ("bad", "good", "kept", "unsure")
_ALL: Final = 1 << 31
"""A call after all calls of a reply."""
_NEVER: Final = 1 << 62
"""A step that no session reaches."""


def is_environment(label: str) -> bool:
    """Whether a label says that the fault was not the agent's: ``environment`` and all below it."""
    return label.split("/")[0] == "environment"


def source_of(flag: Flag) -> Source:
    """Who judged: a rule, a judge model, or (anybody else) a human."""
    if flag.by.startswith("rule:"):
        return "rule"
    return "judge" if flag.by.startswith("judge:") else "human"


def _last(flag: Flag) -> int:
    """The last step that the flag's target covers."""
    return flag.target.to_step or flag.target.step


def excuses(flag: Flag, rules: FlagRules) -> bool:
    """Whether the flag calls it bad and says that it was not the agent's fault: what it is about keeps its loss."""
    kept = flag.label in rules.kept_labels or (rules.environment_kept and is_environment(flag.label))
    return flag.verdict == "bad" and kept


def counts(flag: Flag, rules: FlagRules) -> bool:
    """Whether the policy listens to this flag at all."""
    if source_of(flag) not in rules.sources:
        return False
    if flag.verdict != "bad" or excuses(flag, rules):
        return True
    if rules.labels and flag.label not in rules.labels:
        return False
    return flag.severity is None or flag.severity >= rules.min_severity


class Verdicts:
    """Answers for one session: the reason why a cell is masked by flags, or ""."""

    def __init__(self, judged: Judgement, policy: FilterPolicy) -> None:
        self.judged = judged
        self.policy = policy
        flags = [flag for flag in judged.flags.active if counts(flag, policy.flags)]
        self._by_step: dict[int, list[Flag]] = {}
        self._by_summary: dict[int, list[Flag]] = {}
        self._spans: list[Flag] = []
        for flag in flags:
            match flag.target.part:
                case "span":
                    self._spans.append(flag)
                case "summary":
                    self._by_summary.setdefault(flag.target.step, []).append(flag)
                case _:
                    self._by_step.setdefault(flag.target.step, []).append(flag)
        self._human_steps = {flag.target.step for flag in judged.flags.active if source_of(flag) == "human"}
        self._errors = [flag for flag in flags if self._is_error(flag)]
        self._ranges, self.unresolved = self._propagated()
        self.reaching = bool(self._ranges)
        """Whether any flag reaches further than what it is about."""

    def cell(self, step: int, part: Cell, call: int | None, *, summary: bool = False) -> str:
        """Why flags mask this cell: ``flagged``, ``disputed``, ``unsure``, or ""."""
        if not self._spans and step not in (self._by_summary if summary else self._by_step):
            return ""  # so it is of nearly all
        match self._word(step, part, call, summary=summary):
            case "bad":
                return "flagged"
            case "disputed":
                return "disputed"
            case "unsure" if self.policy.flags.unsure == "mask":
                return "unsure"
            case _:
                return ""

    def reach(self, step: int, part: Cell, call: int | None) -> str:
        """Why a human's bad flag elsewhere masks this cell: ``propagated``, ``after_first_error``, or "".

        It reaches later steps and, of its own reply, the calls after the flagged one.
        """
        place = (step, call or 0)
        if not any(low < place < (high, 0) for low, high in self._ranges):
            return ""
        if self.policy.flags.propagation == "first_error":
            return "after_first_error"
        return "" if self._word(step, part, call) == "good" else "propagated"

    def ended(self, step: int) -> bool:
        """Whether the policy ends the session's segments before this step: it is behind the first error."""
        first = self.policy.flags.propagation == "first_error"
        return first and any(low[0] < step for low, _ in self._ranges)

    def approved(self, step: int, calls: int) -> bool:
        """Whether a human's word on the reply, or on each of its ``calls``, is that it is good."""
        if not calls:
            return self._word(step, "reply", None) == "good"
        return all(self._word(step, "call", number) == "good" for number in range(1, calls + 1))

    def blamed(self, step: int) -> bool:
        """Whether a human's bad flag, one that masks, is about this step or a part of it."""
        return any(flag.target.step <= step <= _last(flag) for flag in self._errors)

    def seen(self, step: int, seq: int, *, summary: bool = False) -> bool:
        """Whether a human has read the reply or one of its calls, or judged it; ``seq`` is that of the reply."""
        judged = self.judged
        if seq in judged.read:
            return True
        if summary:
            return any(written.number == step and at in judged.read for at, written in judged.summaries.items())
        return step in judged.read_steps or step in self._human_steps

    def signed(self, step: int) -> bool:
        """Whether a human signed the session off, as far as this step."""
        return self.judged.signed(step)

    def _word(self, step: int, part: Cell, call: int | None, *, summary: bool = False) -> Word:
        """What all flags on this cell come to."""
        about = (self._by_summary if summary else self._by_step).get(step, ())
        if not about and not self._spans:
            return ""
        votes: list[tuple[int, Flag]] = []
        for flag in about:
            target = flag.target
            if target.part in ("reply", "summary"):
                votes.append((1, flag))
            elif target.part == part and (part != "call" or target.call == call):
                votes.append((2, flag))
        if not summary:
            votes += [(0, flag) for flag in self._spans if flag.target.step <= step <= _last(flag)]
        return _resolved(votes, self.policy.flags) if votes else ""

    def _is_error(self, flag: Flag) -> bool:
        """Whether a human calls a step bad, and that word masks where it was said: only such flags propagate."""
        target = flag.target
        if source_of(flag) != "human" or flag.verdict != "bad" or target.part == "summary":
            return False
        if excuses(flag, self.policy.flags):
            return False
        # A newer word of the same person, another's or an adjudicator's may stand in its place.
        part: Cell = target.part if target.part in ("reasoning", "text", "call") else "reply"
        return any(self._word(step, part, target.call) == "bad" for step in range(target.step, _last(flag) + 1))

    def _propagated(self) -> tuple[list[tuple[tuple[int, int], int]], int]:
        """What bad flags reach, from after a call of a step up to a step, and how many wait for a recovery mark."""
        mode = self.policy.flags.propagation
        ranges: list[tuple[tuple[int, int], int]] = []
        unresolved = 0
        for flag in self._errors:
            recovered = self.judged.flags.recovery_of(flag)
            if mode in ("to_end", "first_error"):
                ranges.append((_after(flag), _NEVER))
            elif mode == "this" and not flag.until_recovery:
                continue
            elif recovered is None:
                unresolved += 1
            else:
                ranges.append((_after(flag), recovered))
        return ranges, unresolved


def _after(flag: Flag) -> tuple[int, int]:
    """The last step and call that the flag is about: behind a call the other calls of its reply follow."""
    return _last(flag), (flag.target.call or _ALL) if flag.target.part == "call" else _ALL


def _resolved(votes: list[tuple[int, Flag]], rules: FlagRules) -> Word:
    """One word from all votes on a cell: of each actor the most precise, then newest; humans before all others."""
    words: dict[str, tuple[int, int, Flag]] = {}
    for rank, flag in votes:
        known = words.get(flag.by)
        if known is None or (rank, flag.seq) > known[:2]:
            words[flag.by] = (rank, flag.seq, flag)
    said = [word[2] for word in words.values()]
    humans = {_meant(flag, rules) for flag in said if source_of(flag) == "human"}
    if "bad" in humans and humans & {"good", "kept"} and rules.conflict != "mask":
        judges = [word for word in words.values() if word[2].by.removeprefix("human:") in rules.adjudicators]
        last = max(judges, key=lambda word: word[1], default=None)
        return "disputed" if last is None or rules.conflict == "exclude" else _meant(last[2], rules)
    others: set[Word] = {_meant(flag, rules) for flag in said} - {"good", "kept"}
    return next((word for word in _PRECEDENCE if word in (humans or others)), "")


def _meant(flag: Flag, rules: FlagRules) -> Word:
    """What one flag says of the loss."""
    return "kept" if excuses(flag, rules) else flag.verdict
