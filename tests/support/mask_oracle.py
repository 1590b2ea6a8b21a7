"""Who is trained, decided anew from docs/training.md alone: it imports nothing of apollo_train.

A Story is a session in plain data; ``judge`` says of each part of each reply whether it is trained under a Rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

Part = tuple[str, int]
"""``("reasoning", 0)``, ``("text", 0)`` or ``("call", n)``."""
ADVICE_KINDS = ("knowledge", "strategy", "correction", "stop", None)


@dataclass
class Word:
    """A flag: by whom, on what, in which order they were said."""

    by: str
    part: str
    step: int
    call: int = 0
    to: int = 0
    verdict: str = "bad"
    label: str = "unspecified"
    until: bool = False
    order: int = 0

    @property
    def last(self) -> int:
        return self.to or self.step

    @property
    def source(self) -> str:
        head = self.by.split(":")[0]
        return head if head in ("rule", "judge") else "human"

    @property
    def environment(self) -> bool:
        return self.verdict == "bad" and self.label.split("/")[0] == "environment"


@dataclass
class Step:
    """A reply and what came of it. ``advice``: pieces before it, (kind, reach, text); ``answer``: its call is one."""

    number: int
    parts: list[Part]
    commands: dict[int, str] = field(default_factory=dict)
    outputs: dict[int, str] = field(default_factory=dict)
    malformed: set[int] = field(default_factory=set)
    finish: str = "stop"
    dropped: bool = False
    model: str = "glm-4.6"
    advice: list[tuple[str | None, str | None, str]] = field(default_factory=list)
    answered: bool = False
    summary: bool = False
    """A summary was written after it."""

    @property
    def calls(self) -> list[int]:
        return [n for kind, n in self.parts if kind == "call"]


@dataclass
class Story:
    steps: list[Step]
    words: list[Word] = field(default_factory=list)
    recoveries: set[int] = field(default_factory=set)
    corrected: set[int] = field(default_factory=set)
    read: set[int] = field(default_factory=set)


@dataclass
class Rules:
    """What a policy says, as far as it is asked here."""

    conflict: Literal["mask", "exclude", "adjudicated"] = "mask"
    propagation: Literal["this", "until_recovery", "to_end"] = "this"
    scope: Literal["message", "call"] = "message"
    unsure: str = "train"
    sources: tuple[str, ...] = ("human", "rule", "judge")
    labels: tuple[str, ...] = ()
    malformed: bool = True
    text_only: bool = False
    unseen: str = "train"
    trainable: tuple[str, ...] = ()
    advice: dict[str, str] = field(default_factory=dict)
    """The mode of each kind; ``other`` for none."""
    here: str = "leave_out"


@dataclass
class Judged:
    """What becomes of one reply: of each part whether files of tokens train it; whether files of messages do."""

    parts: dict[Part, bool]
    whole: bool
    verdicts: dict[Part, str]
    broken: bool
    """It is no target whatever people say of it, or it is disputed or malformed."""


class Oracle:
    def __init__(self, story: Story, rules: Rules) -> None:
        self.story, self.rules = story, rules
        self.words = [word for word in story.words if word.source in rules.sources and self._counts(word)]
        self.by_step = {step.number: step for step in story.steps}
        self.reaches = [reach for word in self.words if self._stands(word) for reach in self._reach(word)]

    def _counts(self, word: Word) -> bool:
        """Only the labels that are named mask; what excuses counts always."""
        if word.verdict != "bad" or word.environment or not self.rules.labels:
            return True
        return word.label in self.rules.labels

    # Of one person the most precise and then the newest word counts.
    def _said(self, step: int, part: Part) -> list[Word]:
        best: dict[str, tuple[int, int, Word]] = {}
        for word in self.words:
            if word.part == "span":
                rank = 0 if word.step <= step <= word.last else None
            elif word.step != step:
                rank = None
            elif word.part == "reply":
                rank = 1
            else:
                rank = 2 if (word.part, word.call) == part else None
            if rank is not None and (rank, word.order) > best.get(word.by, (-1, -1))[:2]:
                best[word.by] = (rank, word.order, word)
        return [word for _, _, word in best.values()]

    def verdict(self, step: int, part: Part) -> str:
        said = self._said(step, part)
        people = [word for word in said if word.source == "human"]
        meanings = {self._meaning(word) for word in people}
        if "bad" in meanings and meanings & {"good", "kept"} and self.rules.conflict != "mask":
            ruling = [word for word in people if word.by == "human:eve"]
            if self.rules.conflict == "exclude" or not ruling:
                return "disputed"
            return self._meaning(ruling[-1])
        if people:
            return next(word for word in ("bad", "good", "kept", "unsure") if word in meanings)
        others = {self._meaning(word) for word in said}
        return "bad" if "bad" in others else "unsure" if "unsure" in others else ""

    def _meaning(self, word: Word) -> str:
        return "kept" if word.environment else word.verdict

    def _stands(self, word: Word) -> bool:
        """A bad word of a person that masks where it was said: only those reach further."""
        if word.source != "human" or word.verdict != "bad" or word.environment:
            return False
        part = (word.part, word.call) if word.part in ("reasoning", "text", "call") else ("reply", 0)
        return any(self.verdict(step, part) == "bad" for step in range(word.step, word.last + 1))

    def _reach(self, word: Word) -> list[tuple[tuple[int, int], int]]:
        after = (word.last, word.call if word.part == "call" else 1 << 20)
        if self.rules.propagation == "to_end":
            return [(after, 1 << 20)]
        if self.rules.propagation == "this" and not word.until:
            return []
        marks = [step for step in self.story.recoveries if step > word.last]
        if marks:
            return [(after, min(marks))]
        last = self._loop(word)
        return [((word.last, 1 << 20), last + 1)] if last > word.last else []

    def _loop(self, word: Word) -> int:
        """How far the same call has the same outcome."""
        first = self.by_step[word.last]
        numbers = [word.call] if word.part == "call" and word.call in first.calls else first.calls
        wanted = {self._call(first, n): first.outputs[n] for n in numbers}
        last = word.last
        for step in self.story.steps:
            if step.number <= word.last:
                continue
            again = {self._call(step, n): step.outputs[n] for n in step.calls if self._call(step, n) in wanted}
            if not again or any(wanted[call] != outcome for call, outcome in again.items()):
                return last
            last = step.number
        return last

    @staticmethod
    def _call(step: Step, number: int) -> tuple[str, bool]:
        return step.commands[number], number in step.malformed

    def _reached(self, step: int, part: Part) -> bool:
        place = (step, part[1] if part[0] == "call" else 0)
        return any(low < place < (high, 0) for low, high in self.reaches)

    def _approved(self, step: Step) -> bool:
        if not step.calls:
            return self.verdict(step.number, ("reply", 0)) == "good"
        return all(self.verdict(step.number, ("call", n)) == "good" for n in step.calls)

    def after_here(self, step: Step, mode: str) -> bool:
        """Whether it came right after a piece that holds here only, or an answer, of a kind that has this mode."""
        if self.rules.here == "keep":
            return False
        kinds = [kind for kind, reach, _ in step.advice if reach != "general"]
        before = self.by_step.get(step.number - 1)
        if before is not None and before.answered:
            kinds.append(None)
        return any(self.rules.advice[kind or "other"] == mode for kind in kinds)

    def seen(self, step: int) -> bool:
        people = [word for word in self.story.words if word.source == "human"]
        return (
            step in self.story.read
            or step in self.story.corrected
            or any(word.step <= step <= word.last for word in people)
        )

    def judge(self, step: Step) -> Judged:
        rules = self.rules
        verdicts = {part: self.verdict(step.number, part) for part in step.parts}
        broken = step.dropped or step.finish != "stop" or step.parts == [("reasoning", 0)]
        broken |= bool(rules.trainable) and not any(fnmatchcase(step.model, one) for one in rules.trainable)
        disputed = "disputed" in verdicts.values()
        late = not step.calls and not rules.text_only
        late |= rules.unseen == "mask" and not self.seen(step.number)
        late |= self.after_here(step, "dropped")
        approved = self._approved(step)
        parts: dict[Part, bool] = {}
        for part, verdict in verdicts.items():
            bad = verdict == "bad" or (verdict == "unsure" and rules.unsure == "mask")
            bad |= part[0] == "call" and part[1] in step.malformed and rules.malformed
            bad |= self._reached(step.number, part) and verdict != "good" and not approved
            parts[part] = not bad
        whole = all(parts.values()) and not (broken or disputed or late)
        lost = broken or disputed or late
        lost |= rules.scope == "message" and not all(parts[("call", n)] for n in step.calls)
        parts = {part: good and not lost for part, good in parts.items()}
        return Judged(parts, whole, verdicts, broken or disputed or bool(step.malformed and rules.malformed))

    def verdict_for_kto(self, step: Step) -> bool | None:
        """Wanted, unwanted, or no row."""
        judged = self.judge(step)
        if judged.whole:
            return True if self._approved(step) else None
        blamed = any(self._stands(word) and word.step <= step.number <= word.last for word in self.words)
        flagged = "bad" in judged.verdicts.values() and not judged.broken
        return False if flagged and blamed else None
