"""What the flags on a session come to under a policy: who overrules whom, and how far a bad flag reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from apollo_train.masks.annotations import Annotations
from apollo_train.policy import FilterPolicy, FlagRules, FlagSource
from sessions.fold.flags import Flag
from sessions.labels import UNSPECIFIED

PartKind = Literal["reply", "reasoning", "text", "call"]
Verdict = Literal["bad", "good", "kept", "unsure", "disputed", ""]
"""What flags come to; ``kept``: bad, but not by the agent's fault."""

_PRECEDENCE: Final[tuple[Verdict, ...]] = ("bad", "good", "kept", "unsure")
_ALL: Final = 1 << 31
"""A call after all calls of a reply."""
_NEVER: Final = 1 << 62
"""A step that no session reaches."""


def is_environment(label: str) -> bool:
    """Whether a label says that the fault was not the agent's: ``environment`` and all below it."""
    return label.split("/")[0] == "environment"


def source_of(flag: Flag) -> FlagSource:
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


@dataclass(frozen=True, slots=True)
class Reach:
    """What a bad flag reaches: from after a step and call (``low``) up to, and without, a step (``high``)."""

    low: tuple[int, int]
    high: int
    flag: Flag
    by_rule: bool = False
    """Nobody marked the recovery: a rule says how far it goes."""

    def holds(self, step: int, call: int | None) -> bool:
        """Whether this part lies in it."""
        return self.low < (step, call or 0) < (self.high, 0)


class FlagVerdicts:
    """The flags of one session under a policy: what they come to on each part of a reply, and how far they reach."""

    def __init__(self, judged: Annotations, policy: FilterPolicy) -> None:
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
        self._judged_steps, self._judged_spans, self._judged_summaries = _find_judged(judged, policy)
        self._errors = [flag for flag in flags if self._is_error(flag)]
        self.unresolved = self.still_open = 0
        """Flags whose recovery nobody marked: those that reach nothing else, and those whose loop runs still."""
        self._reaches = self._find_reach()
        self.has_reach = bool(self._reaches)
        """Whether any flag reaches further than what it is about."""

    def is_silent(self, step: int, summary: int = 0) -> bool:
        """Whether no flag is about this reply or a part of it, as of nearly all.

        A reply goes by its step, or by the number of the ``summary`` that it is; by both, where it was taken for a step
        before. 0: it has none.
        """
        return not self._spans and step not in self._by_step and summary not in self._by_summary

    def verdict(self, step: int, part: PartKind, call: int | None, summary: int = 0) -> Verdict:
        """What all flags on this part come to."""
        if self.is_silent(step, summary):
            return ""
        words = self._words(step, part, call, summary=summary)
        return _resolve(words, self.policy.flags) if words else ""

    def labels(self, step: int, part: PartKind, call: int | None, *, summary: int = 0) -> list[str]:
        """The labels of the flags that give this part its verdict; of a dispute, of those that call it bad."""
        words = self._words(step, part, call, summary=summary)
        verdict = _resolve(words, self.policy.flags)
        wanted = "bad" if verdict == "disputed" else verdict
        flags = [flag for flag in words if _meaning(flag, self.policy.flags) == wanted]
        humans = [flag for flag in flags if source_of(flag) == "human"]
        return [_label(flag) for flag in humans or flags]

    def _words(self, step: int, part: PartKind, call: int | None, *, summary: int) -> list[Flag]:
        """The flags on this part, of each actor the one that stands: the most precise, then the newest."""
        about = [*self._by_step.get(step, ()), *self._by_summary.get(summary, ())]
        votes: list[tuple[int, Flag]] = []
        for flag in about:
            target = flag.target
            if target.part in ("reply", "summary"):
                votes.append((1, flag))
            elif target.part == part and (part != "call" or target.call == call):
                votes.append((2, flag))
        votes += [(0, flag) for flag in self._spans if flag.target.step <= step <= _last(flag)]
        words: dict[str, tuple[int, int, Flag]] = {}
        for rank, flag in votes:
            known = words.get(flag.by)
            if known is None or (rank, flag.seq) > known[:2]:
                words[flag.by] = (rank, flag.seq, flag)
        return [word[2] for word in words.values()]

    def is_reached(self, step: int, call: int | None) -> bool:
        """Whether a human's bad flag elsewhere reaches this part, as far as the policy lets flags reach.

        It reaches later steps and, of its own reply, the calls after the flagged one.
        """
        return any(reach.holds(step, call) for reach in self._reaches if not reach.by_rule)

    def is_reached_by_rule(self, step: int, call: int | None) -> bool:
        """Whether a rule says that a human's bad flag, whose recovery nobody marked, reaches this part."""
        return any(reach.holds(step, call) for reach in self._reaches if reach.by_rule)

    def reaching_labels(self, step: int, call: int | None) -> list[str]:
        """The labels of the flags elsewhere that reach this part."""
        return [_label(reach.flag) for reach in self._reaches if reach.holds(step, call)]

    def is_cut_off(self, step: int) -> bool:
        """Whether the policy ends the session's segments before this step: it is behind the first error."""
        first = self.policy.flags.propagation == "first_error"
        return first and any(reach.low[0] < step for reach in self._reaches)

    def is_approved(self, step: int, calls: int) -> bool:
        """Whether a human's word on the reply, or on each of its ``calls``, is that it is good."""
        if not calls:
            return self.verdict(step, "reply", None) == "good"
        return all(self.verdict(step, "call", number) == "good" for number in range(1, calls + 1))

    def is_blamed(self, step: int) -> bool:
        """Whether a human's bad flag, one that masks, is about this step or a part of it."""
        return any(flag.target.step <= step <= _last(flag) for flag in self._errors)

    def is_seen(self, step: int, seq: int, summary: int = 0) -> bool:
        """Whether a human has read the reply or one of its calls, or judged it; ``seq`` is that of the reply."""
        judged = self.judged
        if seq in judged.read:
            return True
        if summary:
            read = any(written.number == summary and at in judged.read for at, written in judged.summaries.items())
            if read or summary in self._judged_summaries:
                return True
        if not step:
            return False
        if step in judged.read_steps or step in self._judged_steps:
            return True
        return bool(self._judged_spans) and any(first <= step <= last for first, last in self._judged_spans)

    def is_signed_off(self, step: int) -> bool:
        """Whether a human signed the session off, as far as this step."""
        return self.judged.is_signed_off(step)

    def _is_error(self, flag: Flag) -> bool:
        """Whether a human calls a step bad, and that word masks where it was said: only such flags propagate."""
        target = flag.target
        if source_of(flag) != "human" or flag.verdict != "bad" or target.part == "summary":
            return False
        if excuses(flag, self.policy.flags):
            return False
        # A newer word of the same person, another's or an adjudicator's may stand in its place.
        part: PartKind = target.part if target.part in ("reasoning", "text", "call") else "reply"
        return any(self.verdict(step, part, target.call) == "bad" for step in range(target.step, _last(flag) + 1))

    def _find_reach(self) -> list[Reach]:
        """What bad flags reach."""
        mode = self.policy.flags.propagation
        found: list[Reach] = []
        for flag in self._errors:
            recovered = self.judged.flags.recovery_of(flag)
            if mode in ("to_end", "first_error"):
                found.append(Reach(_after(flag), _NEVER, flag))
            elif mode == "this" and not flag.until_recovery:
                continue
            elif recovered is not None:
                found.append(Reach(_after(flag), recovered, flag))
            elif self.policy.version > 1:
                found += self._close_by_rule(flag)
            else:
                self.unresolved += 1
        return found

    def _close_by_rule(self, flag: Flag) -> list[Reach]:
        """What the flag reaches where nobody marked the recovery: the steps that do the same again, if any does."""
        loop = self.judged.repeats_of(flag)
        self.still_open += loop.closed_at is None
        if loop.last > _last(flag):
            return [Reach((_last(flag), _ALL), loop.last + 1, flag, by_rule=True)]
        self.unresolved += loop.closed_at is not None
        return []


def _find_judged(judged: Annotations, policy: FilterPolicy) -> tuple[set[int], list[tuple[int, int]], set[int]]:
    """What humans have judged, and so seen: steps, spans of steps, and summaries by number."""
    flags = [flag.target for flag in judged.flags.active if source_of(flag) == "human"]
    if policy.version == 1:
        return {target.step for target in flags}, [], set()
    targets = flags + [correction.target for correction in judged.corrections.all]
    steps = {target.step for target in targets if target.part not in ("span", "summary")}
    spans = [(target.step, target.to_step or target.step) for target in targets if target.part == "span"]
    return steps, spans, {target.step for target in targets if target.part == "summary"}


def _after(flag: Flag) -> tuple[int, int]:
    """The last step and call that the flag is about: behind a call the other calls of its reply follow."""
    return _last(flag), (flag.target.call or _ALL) if flag.target.part == "call" else _ALL


def _label(flag: Flag) -> str:
    return flag.label or UNSPECIFIED


def _resolve(words: list[Flag], rules: FlagRules) -> Verdict:
    """One verdict from what each actor says of a part: humans before all others."""
    humans = {_meaning(flag, rules) for flag in words if source_of(flag) == "human"}
    if "bad" in humans and humans & {"good", "kept"} and rules.conflict != "mask":
        judges = [flag for flag in words if flag.by.removeprefix("human:") in rules.adjudicators]
        last = max(judges, key=lambda flag: flag.seq, default=None)
        return "disputed" if last is None or rules.conflict == "exclude" else _meaning(last, rules)
    others: set[Verdict] = {_meaning(flag, rules) for flag in words} - {"good", "kept"}
    return next((word for word in _PRECEDENCE if word in (humans or others)), "")


def _meaning(flag: Flag, rules: FlagRules) -> Verdict:
    """What one flag says of the loss."""
    return "kept" if excuses(flag, rules) else flag.verdict
