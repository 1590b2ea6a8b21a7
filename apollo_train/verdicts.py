"""What the flags on a session come to under a policy: who overrules whom, and how far a bad flag reaches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from apollo_train.judgement import Judgement
from apollo_train.policy import FilterPolicy, FlagRules, Source
from sessions.fold.flags import Flag

Cell = Literal["reply", "reasoning", "text", "call"]


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


def counts(flag: Flag, rules: FlagRules) -> bool:
    """Whether the policy listens to this flag at all."""
    if source_of(flag) not in rules.sources:
        return False
    if flag.verdict != "bad":
        return True
    if flag.label in rules.kept_labels or (rules.environment_kept and is_environment(flag.label)):
        return False
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
        self._ranges, self.unresolved = self._propagated(flags)
        self.first_error = min((flag.target.step for flag in self._errors(flags)), default=None)

    def cell(self, step: int, part: Cell, call: int | None, *, summary: bool = False) -> str:
        """Why flags mask this cell: ``flagged``, ``disputed``, ``unsure``, or ""."""
        if step not in (self._by_summary if summary else self._by_step) and not self._spans:
            return ""
        votes: list[tuple[int, Flag]] = []
        for flag in (self._by_summary if summary else self._by_step).get(step, ()):
            target = flag.target
            if target.part in ("reply", "summary"):
                votes.append((1, flag))
            elif target.part == part and (part != "call" or target.call == call):
                votes.append((2, flag))
        if not summary:
            votes += [(0, flag) for flag in self._spans if flag.target.step <= step <= _last(flag)]
        return _resolved(votes, self.policy.flags) if votes else ""

    def reach(self, step: int) -> str:
        """Whether a bad flag elsewhere reaches this step."""
        if self.policy.flags.propagation == "first_error":
            after = self.first_error is not None and step > self.first_error
            return "after_first_error" if after else ""
        reached = any(low < step < high for low, high in self._ranges)
        return "propagated" if reached and not self.approved(step) else ""

    def approved(self, step: int) -> bool:
        """Whether a human said of this very step that it is good."""
        return any(
            source_of(flag) == "human" and flag.verdict == "good" and flag.target.part == "reply"
            for flag in self._by_step.get(step, ())
        )

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

    def _errors(self, flags: Iterable[Flag]) -> list[Flag]:
        """Bad flags of humans on steps that mask something: only these propagate."""
        return [
            flag
            for flag in flags
            if source_of(flag) == "human"
            and flag.verdict == "bad"
            and flag.target.part != "summary"
            and not self._overruled(flag)
        ]

    def _overruled(self, flag: Flag) -> bool:
        """Whether this word does not stand where it was said: it is disputed, or an adjudicator said otherwise."""
        if self.policy.flags.conflict == "mask":
            return False
        target = flag.target
        part: Cell = target.part if target.part in ("reasoning", "text", "call") else "reply"
        return self.cell(_last(flag), part, target.call) != "flagged"

    def _propagated(self, flags: Iterable[Flag]) -> tuple[list[tuple[int, int]], int]:
        """Open ranges of steps that bad flags reach, and how many flags wait for a recovery that nobody marked."""
        mode = self.policy.flags.propagation
        ranges: list[tuple[int, int]] = []
        unresolved = 0
        for flag in self._errors(flags):
            if mode == "to_end":
                ranges.append((_last(flag), 1 << 62))
            elif mode == "until_recovery" or (mode == "this" and flag.until_recovery):
                recovered = self.judged.flags.recovery_of(flag)
                if recovered is None:
                    unresolved += 1
                else:
                    ranges.append((_last(flag), recovered))
        return ranges, unresolved


def _resolved(votes: list[tuple[int, Flag]], rules: FlagRules) -> str:
    """One verdict from all votes on a cell: of each actor the most precise, then newest; humans before all others."""
    words: dict[str, tuple[int, int, Flag]] = {}
    for rank, flag in votes:
        known = words.get(flag.by)
        if known is None or (rank, flag.seq) > known[:2]:
            words[flag.by] = (rank, flag.seq, flag)
    said = [word[2] for word in words.values()]
    humans = {flag.verdict for flag in said if source_of(flag) == "human"}
    if "bad" in humans and "good" in humans and rules.conflict != "mask":
        if rules.conflict == "exclude":
            return "disputed"
        judges = [w for w in words.values() if w[2].by.removeprefix("human:") in rules.adjudicators]
        last = max(judges, key=lambda word: word[1], default=None)
        return "disputed" if last is None else _word(last[2].verdict, rules)
    for verdict in ("bad", "good", "unsure"):
        if verdict in humans:
            return _word(verdict, rules)
    if any(flag.verdict == "bad" for flag in said):
        return "flagged"
    return _word("unsure", rules) if any(flag.verdict == "unsure" for flag in said) else ""


def _word(verdict: str, rules: FlagRules) -> str:
    if verdict == "bad":
        return "flagged"
    return "unsure" if verdict == "unsure" and rules.unsure == "mask" else ""
