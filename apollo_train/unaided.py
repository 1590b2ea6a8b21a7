"""Advice left out of a prompt: what the agent would have seen had nobody spoken, and where that cannot be made up.

A prompt from which something was taken is counterfactual: no server ever saw it. What the log shows to refer to the
advice all the same (a summary that the model wrote, the reply itself) makes the sample unfit, and says why.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from msgspec.structs import replace as replace_field

from apollo_train.context import Prompt, Turn
from apollo_train.judgement import Judgement
from apollo_train.policy import AdviceRules
from sessions.fold.prompt import summary_text
from sessions.log import events as ev
from sessions.log.reader import LogReader

NOT_RUN: Final = "This call was not run."
"""What a call that was skipped for advice says without it."""
JUDGE_YOURSELF: Final = "No answer. Use your own judgement."
"""What a question says whose answer is left out."""
QUOTE_WORDS: Final = 6
"""This many words in a row, shared with a piece of advice, count as a quotation of it."""

_WORD: Final = re.compile(r"\w+")
_TALK: Final = re.compile(
    r"\b(?:advice|advis(?:e|ed|es|or|er|ing)|annotator|supervisor|the (?:human|user|expert))\b", re.I
)
"""A reply that speaks of advice was made with it. Too many are left out rather than too few."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to write a sample: which advice is left out, the suffix of its id, and its share of the weight."""

    dropped: frozenset[int] = frozenset()
    suffix: str = ""
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Unaided:
    """A prompt without some advice. ``problem`` is the reason why it cannot be used, or ""."""

    turns: list[Turn]
    changed: bool
    problem: str = ""


class Unaider:
    """Leaves advice out of the prompts of one session."""

    def __init__(self, reader: LogReader, judged: Judgement, rules: AdviceRules) -> None:
        self._reader = reader
        self._judged = judged
        told = {number: record for number in _numbers(judged) if (record := judged.advice.get(number)) is not None}
        self._texts = {number: record.text for number, record in told.items()}
        kinds = {number: record.kind for number, record in told.items()}
        modes = {number: rules.mode(kinds.get(number)) for number in _numbers(judged)}
        self._always = frozenset(number for number, mode in modes.items() if mode == "dropped")
        self._twins = frozenset(number for number, mode in modes.items() if mode == "both")

    def variants(self, prompt: Prompt) -> list[Variant]:
        """The samples that one prompt makes: one, or two where they differ."""
        present = self.present(prompt)
        always = self._always & present
        if self._twins & present:
            return [Variant(always, "+advice", 0.5), Variant(present & (always | self._twins), "-advice", 0.5)]
        return [Variant(always)]

    def present(self, prompt: Prompt) -> frozenset[int]:
        """The advice that the prompt holds: as turns, in tool results, and in the block after a summary."""
        found: set[int] = set()
        sources = {seq for turn in prompt.turns for seq in turn.sources}
        first = min((seq for seq in sources if seq > 1), default=0)
        for seq, turn in self._judged.delivered.items():
            if seq in sources or (turn.channel == "tool_result" and first <= seq < prompt.seq):
                found.update(turn.advice)
        for seq in sources & self._judged.summaries.keys():
            if self._judged.summaries[seq].advice:
                found.update(n for at, turn in self._judged.delivered.items() if at < seq for n in turn.advice)
        return frozenset(found)

    def without(self, prompt: Prompt, dropped: frozenset[int]) -> Unaided:
        """The prompt's turns without this advice."""
        if not dropped:
            return Unaided(prompt.turns, False)
        kept: list[Turn] = []
        problem = ""
        for turn in prompt.turns:
            said = [self._judged.delivered[seq] for seq in turn.sources if seq in self._judged.delivered]
            touched = [delivered for delivered in said if dropped.intersection(delivered.advice)]
            whole = all(dropped.issuperset(delivered.advice) for delivered in said)
            if touched and whole and len(said) == len(turn.sources):
                self._neutral_before(kept)
                continue
            changed, trouble = self._changed(turn, touched, dropped)
            kept.append(changed)
            problem = problem or trouble
        return Unaided(kept, kept != prompt.turns, problem)

    def refers(self, text: str, dropped: Collection[int]) -> bool:
        """Whether ``text`` quotes the advice or speaks of being advised."""
        return bool(_TALK.search(text)) or quotes(text, (self._texts[n] for n in dropped if n in self._texts))

    def _changed(self, turn: Turn, touched: list[ev.AdviceDelivered], dropped: frozenset[int]) -> tuple[Turn, str]:
        """A turn that stays: merged advice cut out, answers and the block after a summary taken away."""
        content = str(turn.chat["content"])
        problem = ""
        for delivered in touched:
            if not dropped.issuperset(delivered.advice) or delivered.text not in content:
                problem = "advice_mixed"
            content = content.replace(delivered.text, "").strip()
        for seq in turn.sources:
            summary = self._judged.summaries.get(seq)
            if summary is None:
                continue
            content, trouble = self._summary(content, summary, seq, dropped)
            problem = problem or trouble
        if turn.chat["role"] == "tool":
            content = self._answer(content, dropped)
        if content == turn.chat["content"]:
            return turn, problem
        return replace(turn, chat={**turn.chat, "content": content}), problem

    def _summary(self, content: str, summary: ev.SummaryWritten, seq: int, dropped: frozenset[int]) -> tuple[str, str]:
        """The turn of a summary without its block of advice; the model's own words decide whether it can be used."""
        earlier = {n for at, turn in self._judged.delivered.items() if at < seq for n in turn.advice}
        if not earlier & dropped:
            return content, ""
        if self.refers(self._reader.text(summary.text), earlier & dropped):
            return content, "summary_refers"
        if not summary.advice:
            return content, ""
        if not earlier <= dropped or summary.advice not in content:
            return content, "advice_mixed"
        bare = summary_text(replace_field(summary, advice=""), self._reader.text)
        whole = summary_text(summary, self._reader.text)
        return content.replace(whole, bare).replace(summary.advice, "").rstrip(), ""

    def _answer(self, content: str, dropped: frozenset[int]) -> str:
        for delivered in self._judged.delivered.values():
            if delivered.channel == "tool_result" and dropped.issuperset(delivered.advice):
                for number in delivered.advice:
                    for text in (delivered.text, self._texts.get(number, "")):
                        if text and text in content:
                            return JUDGE_YOURSELF
        return content

    def _neutral_before(self, kept: list[Turn]) -> None:
        """Give the results just before a dropped turn the texts they would have had: nobody woke or hurried them."""
        for at in range(len(kept) - 1, -1, -1):
            turn = kept[at]
            if turn.chat["role"] != "tool":
                return
            for seq in turn.sources:
                event = self._reader.event(self._judged.session, seq)
                text = _neutral(event.body) if event is not None else None
                if text is not None:
                    kept[at] = replace(turn, chat={**turn.chat, "content": text})


def _numbers(judged: Judgement) -> set[int]:
    """The numbers of all advice that was delivered."""
    return {number for turn in judged.delivered.values() for number in turn.advice}


def _neutral(body: ev.Body) -> str | None:
    """What a result would have said without the advice that followed it; None: the same."""
    if isinstance(body, ev.ActionRefused) and body.why == "skipped_for_advice":
        return NOT_RUN
    if isinstance(body, ev.ActionResult) and isinstance(body.data.get("neutral"), str):
        return str(body.data["neutral"])
    return None


def quotes(text: str, advice: Iterable[str]) -> bool:
    """Whether ``text`` shares a run of words with one of the pieces of advice."""
    words = [word.lower() for word in _WORD.findall(text)]
    for piece in advice:
        said = [word.lower() for word in _WORD.findall(piece)]
        size = min(QUOTE_WORDS, len(said))
        if size < 3:
            continue
        runs = {tuple(said[at : at + size]) for at in range(len(said) - size + 1)}
        if any(tuple(words[at : at + size]) in runs for at in range(len(words) - size + 1)):
            return True
    return False
