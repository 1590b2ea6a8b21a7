"""Advice left out of a prompt: what the agent would have seen had nobody spoken, and where that cannot be made up.

A prompt from which something was taken is counterfactual: no server ever saw it. What the log shows to refer to the
advice all the same (a summary that the model wrote, the reply itself) makes the sample unfit, and says why.
Pieces of advice go by their number; the answer to question 3, which is advice too, goes by -3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

import msgspec
from msgspec import structs

from apollo_train.masks.advice_reach import find_steps_after_here, is_general
from apollo_train.masks.annotations import Annotations
from apollo_train.policy import FilterPolicy
from apollo_train.samples.advice_references import SaidAdvice, quotes, refers, speaks_of_advice
from apollo_train.samples.chat import Chat, Turn, dumps
from apollo_train.samples.prompts import Prompt, Prompts
from sessions import events as ev
from sessions.events.harness import GO_ON
from sessions.fold.prompt import summary_text
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader

NOT_RUN: Final = "This call was not run."
"""What a call that was skipped for advice says without it."""
NO_ANSWER: Final = "Nobody answered in time. Use your judgement."
"""What a question says whose answer is left out: what it says when nobody comes."""

_PIECE: Final = re.compile(r"<(advice[\w-]*)>\n.*?\n</\1>", re.S)
WITHOUT: Final = "-advice"
"""The end of the id of a twin without advice."""


class Variant(msgspec.Struct, frozen=True):
    """One way to write a sample: which advice is left out, the suffix of its id, and its share of the weight."""

    dropped: frozenset[int] = frozenset()
    suffix: str = ""
    share: float = 1.0


class PromptWithoutAdvice(msgspec.Struct, frozen=True):
    """A prompt without some advice. ``problem`` is the reason why it cannot be used, or ""."""

    turns: list[Turn]
    changed: bool
    problem: str = ""


class AdviceRemover:
    """Leaves advice out of the prompts of one session: what is general, and of version 1 of the policy all of it.

        tool "Woken after 12 s: advice has arrived.", user "<advice-x>Let it run.</advice-x>", reply 4
    becomes
        tool "Waited 12 s.", reply 4
    """

    def __init__(self, reader: LogReader, judged: Annotations, policy: FilterPolicy) -> None:
        self._reader = reader
        self._judged = judged
        self._reads_details = policy.version > 1
        self._turns = {seq: turn for seq, turn in judged.delivered.items() if turn.channel == "user"}
        # Sets on both sides: a prompt has few sources, a long session much advice and many summaries.
        self._delivered, self._summaries = frozenset(self._turns), frozenset(judged.summaries)
        self._texts = {-answer.question: answer.text for answer in judged.answers.values()}
        kinds: dict[int, ev.AdviceKind | None] = dict.fromkeys(self._texts)
        for number in {number for turn in self._turns.values() for number in turn.advice}:
            record = judged.advice.get(number)
            self._texts[number] = record.text if record else ""
            kinds[number] = record.kind if record else None
        self._blocks: dict[int, frozenset[int]] = {}
        self._said = {number: SaidAdvice.of(text) for number, text in self._texts.items() if self._reads_details}
        self._summaries_refer: dict[tuple[int, frozenset[int]], bool] = {}
        rules = policy.advice
        if policy.version > 1:
            kinds = {number: kind for number, kind in kinds.items() if is_general(judged.advice.get(number))}
        self._after_here = find_steps_after_here(judged, policy, "both")
        modes = {number: rules.mode(kind) for number, kind in kinds.items()}
        self._always = frozenset(number for number, mode in modes.items() if mode == "dropped")
        self._twins = frozenset(number for number, mode in modes.items() if mode == "both")

    def variants(self, prompt: Prompt, steps: Collection[int]) -> list[Variant]:
        """The samples that one prompt makes, of the replies of these steps: one, or two where they differ."""
        if not self._always and not self._twins and not self._after_here:
            return [Variant()]
        present = self.find_advice(prompt)
        always = self._always & present
        if self._twins & present or not self._after_here.isdisjoint(steps):
            return [Variant(always, "+advice", 0.5), Variant(present & (always | self._twins), WITHOUT, 0.5)]
        return [Variant(always)]

    def find_advice(self, prompt: Prompt) -> frozenset[int]:
        """The advice that the prompt holds: as turns, as answers, and in the block after a summary."""
        if not self._texts:
            return frozenset()
        sources = prompt.sources
        found = {number for seq in sources & self._delivered for number in self._turns[seq].advice}
        for turn in prompt.turns if self._judged.answers else ():
            found.update(-answer.question for answer in self._find_answers(turn))
        for seq in sources & self._summaries:
            if seq not in self._blocks:
                self._blocks[seq] = self._in_block(seq)
            found |= self._blocks[seq]
        return frozenset(found)

    def _in_block(self, seq: int) -> frozenset[int]:
        """The advice that the block after the summary at ``seq`` holds."""
        block = self._judged.summaries[seq].advice
        turns = [turn for at, turn in self._turns.items() if at < seq]
        earlier = {number for turn in turns for number in turn.advice}
        found = {number for number in earlier if self._texts[number] and self._texts[number] in block}
        # A turn is in the block as it was delivered, which need not be as it was written.
        found |= {number for turn in turns if turn.text in block for number in turn.advice}
        answers = (answer for at, answer in self._judged.answers.items() if at < seq)
        return frozenset(found.union(-answer.question for answer in answers if _answer_text(answer) in block))

    def advice_before(self, seq: int) -> frozenset[int]:
        """All advice that was given before the event at ``seq``."""
        found = {number for at, turn in self._turns.items() if at < seq for number in turn.advice}
        return frozenset(found | {-answer.question for at, answer in self._judged.answers.items() if at < seq})

    def remove(self, prompt: Prompt, dropped: frozenset[int]) -> PromptWithoutAdvice:
        """The prompt's turns without this advice."""
        if not dropped:
            return PromptWithoutAdvice(prompt.turns, False)
        kept: list[Turn] = []
        problem = ""
        for turn in prompt.turns:
            changed, trouble = self._change_turn(turn, dropped)
            problem = problem or trouble
            if changed is None:
                self._neutralise_before(kept)
            else:
                kept.append(changed)
        return PromptWithoutAdvice(kept, kept != prompt.turns, problem)

    def is_left_out(self, step: int, variant: Variant) -> bool:
        """Whether the twin without advice has no such reply, because advice that holds here only led to it."""
        return variant.suffix == WITHOUT and step in self._after_here

    def refers(self, reply: Chat, step: int, dropped: frozenset[int], read_prompt: Callable[[], str]) -> bool:
        """Whether a reply refers to the dropped advice; ``read_prompt`` gives what it could know without it."""
        text = text_of_chat(reply)
        if not self._reads_details:
            return speaks_of_advice(text) or quotes(text, (self._texts[number] for number in dropped))
        turns = (turn for turn in self._turns.values() if turn.at_step == step)
        is_first = any(not dropped.isdisjoint(turn.advice) for turn in turns)
        openings = (reply.get("reasoning_content", ""), reply["content"]) if is_first else ()
        return refers(text, [self._said[number] for number in dropped], read_prompt, openings=openings)

    def _summary_refers(self, seq: int, gone: frozenset[int]) -> bool:
        """Whether the summary at ``seq`` refers to this advice."""
        summary = self._judged.summaries[seq]
        if (seq, gone) not in self._summaries_refer:
            text = self._reader.text(summary.text)
            if self._reads_details:
                found = refers(
                    text, [self._said[number] for number in gone], lambda: self._read_summarised(summary, gone)
                )
            else:
                found = speaks_of_advice(text) or quotes(text, (self._texts[number] for number in gone))
            self._summaries_refer[seq, gone] = found
        return self._summaries_refer[seq, gone]

    def _read_summarised(self, summary: ev.SummaryWritten, gone: frozenset[int]) -> str:
        """What the summary was made from, without the advice."""
        try:
            prompt = Prompts(self._reader, self._judged).of(summary.request) if summary.request else None
        except LogReadFailed:
            prompt = None
        return text_of_prompt(self.remove(prompt, gone).turns, prompt.tools) if prompt is not None else ""

    def _change_turn(self, turn: Turn, dropped: frozenset[int]) -> tuple[Turn | None, str]:
        """The turn without the advice (None: nothing is left of it), and what is wrong with that."""
        content = before = str(turn.chat["content"])
        problem = ""
        for seq in turn.sources:
            if seq in self._turns:
                content, problem = self._cut(content, self._turns[seq], dropped)
                if not content and self._turns[seq].as_prompt:
                    content = GO_ON  # it would have been told something: after its last reply nothing follows by itself
            elif seq in self._judged.summaries:
                content, problem = self._cut_summary(content, seq, dropped)
        if any(-answer.question in dropped for answer in self._find_answers(turn)):
            content = NO_ANSWER
        if content == before:
            return turn, problem
        if not content and turn.chat["role"] == "user":
            return None, problem
        return replace(turn, chat={**turn.chat, "content": content}), problem

    def _cut(self, content: str, delivered: ev.AdviceDelivered, dropped: frozenset[int]) -> tuple[str, str]:
        """``content`` without the dropped pieces of a delivered turn."""
        if not dropped.intersection(delivered.advice):
            return content, ""
        pieces = [found[0] for found in _PIECE.finditer(delivered.text)]
        if delivered.text not in content:
            return content, "advice_mixed"
        if dropped.issuperset(delivered.advice):
            return content.replace(delivered.text, "").strip(), ""
        if len(pieces) != len(delivered.advice):
            return content, "advice_mixed"
        left = [piece for piece, number in zip(pieces, delivered.advice, strict=True) if number not in dropped]
        return content.replace(delivered.text, "\n\n".join(left)), ""

    def _cut_summary(self, content: str, seq: int, dropped: frozenset[int]) -> tuple[str, str]:
        """The turn of a summary without advice in its block; the model's own words decide whether it can be used."""
        summary = self._judged.summaries[seq]
        earlier = {at: turn for at, turn in self._turns.items() if at < seq and dropped.intersection(turn.advice)}
        answers = [a for at, a in self._judged.answers.items() if at < seq and -a.question in dropped]
        gone = {number for turn in earlier.values() for number in turn.advice} & dropped
        gone |= {-answer.question for answer in answers}
        if gone and self._summary_refers(seq, frozenset(gone)):
            return content, "summary_refers"
        block = summary.advice
        for delivered in earlier.values():
            if delivered.text in block:
                block, problem = self._cut(block, delivered, dropped)
                if problem:
                    return content, problem
        for answer in answers:
            block = block.replace(_answer_text(answer), "")
        if any(number > 0 and self._texts[number] and self._texts[number] in block for number in gone):
            return content, "advice_mixed"
        block = re.sub(r"\n{3,}", "\n\n", block).strip()
        if block == summary.advice:
            return content, ""
        whole = summary_text(summary, self._reader.text)
        if whole not in content:
            return content, "advice_mixed"
        return content.replace(whole, summary_text(structs.replace(summary, advice=block), self._reader.text)), ""

    def _find_answers(self, turn: Turn) -> list[ev.QuestionAnswered]:
        """The answers that this turn is, if it is the result of a question."""
        if turn.chat["role"] != "tool" or not turn.sources:
            return []
        at, said = turn.sources[-1], turn.chat["content"]
        alike = [answer for seq, answer in self._judged.answers.items() if seq < at and answer.text == said]
        if not alike:
            return []
        # Another call may well have the same words for its result.
        result = self._reader.event(self._judged.session, at)
        place = (result.step or 0, result.call or 0) if result is not None else (0, 0)
        return [answer for answer in alike if self._judged.asked.get(answer.question, place) == place]

    def _neutralise_before(self, kept: list[Turn]) -> None:
        """Give the results just before a dropped turn the texts they would have had: nobody woke or hurried them."""
        for at in range(len(kept) - 1, -1, -1):
            turn = kept[at]
            if turn.chat["role"] != "tool":
                return
            content = str(turn.chat["content"])
            for seq in turn.sources:
                event = self._reader.event(self._judged.session, seq)
                content = content if event is None else _neutralise(content, event.body)
            if content != turn.chat["content"]:
                kept[at] = replace(turn, chat={**turn.chat, "content": content})


def _answer_text(answer: ev.QuestionAnswered) -> str:
    """An answer as the block after a summary says it."""
    return f"Answer to your question {answer.question}: {answer.text}"


def _neutralise(content: str, body: ev.Body) -> str:
    """What a result would have said without the advice that followed it."""
    if isinstance(body, ev.ActionRefused) and body.why == "skipped_for_advice":
        return NOT_RUN
    if isinstance(body, ev.ActionResult) and isinstance(pair := body.data.get("unaided"), list) and len(pair) == 2:
        return content.replace(str(pair[0]), str(pair[1]))
    return content


def text_of_chat(chat: Chat) -> str:
    """All that a message says: reasoning, text and the arguments of calls."""
    calls = (call["function"]["arguments"] for call in chat.get("tool_calls", ()))
    return "\n".join((chat.get("reasoning_content", ""), chat["content"], *calls))


def text_of_prompt(turns: Sequence[Turn], tools: Sequence[Chat]) -> str:
    """All that a prompt says, its tools included."""
    return "\n".join((*(text_of_chat(turn.chat) for turn in turns), dumps(list(tools)).decode()))
