"""One step sample as tokens: the prompt as the server tokenised it, and the reply as the model would sample it.

Prompt and reply are encoded apart, because that is how they came about: a server encodes the prompt, and the model
goes on from there. The reply ends with the token on which the server stopped, and no other stop token is in it.
What a prompt shares with the one before it is neither rendered nor encoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.chat import Chat
from apollo_train.samples.scrub import find_words, spellings
from apollo_train.samples.step_samples import StepSample, reply_of
from apollo_train.templates.engine import Engine, TemplateRefused
from apollo_train.templates.growing_prompt import GrowingPrompt, PromptText
from apollo_train.templates.normaliser import normalise_messages
from apollo_train.templates.prompt_encoder import PromptEncoder
from apollo_train.templates.stop_tokens import StopTokens
from apollo_train.templates.template_probe import TemplateTraits

NoThink = Literal["mask", "exclude"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the reply: its tokens are ``target[start:end]``. No ``reason``: trained."""

    part: Literal["reply", "reasoning", "text", "call"]
    call: int | None
    start: int
    end: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StepTokens:
    """A step sample as tokens. ``pieces`` tile the target: every token of it belongs to exactly one."""

    sample: StepSample
    prompt: Sequence[int]
    target: list[int]
    pieces: tuple[Piece, ...]
    no_think: bool = False
    """The template's own empty reasoning block stands at the end of the prompt, masked."""
    unsaid: tuple[str, ...] = ()
    """Parts of the reply that the template does not render: ``reasoning``, ``text``."""
    sampled: bool = False
    """The ids are the server's own."""
    cut: int = 0
    """Tokens of the prompt's start that were cut off to fit."""
    scrubbed: frozenset[int] = frozenset()
    """Tokens of the target that are, or touch, a word which stands for something: never trained."""

    @property
    def labels(self) -> list[bool]:
        """Of each token of the target, whether it is trained."""
        labels = [not piece.reason for piece in self.pieces for _ in range(piece.start, piece.end)]
        for at in self.scrubbed:
            labels[at] = False
        return labels


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a sample cannot be written with this template; ``reason`` is a key of ``UNFIT``."""

    reason: str
    detail: str = ""


UNFIT = {
    "template_refuses": "the template refuses the conversation (two calls at once, or a role that it does not know)",
    "template_no_calls": "the template does not render calls and their results",
    "no_think_form": "a reply without reasoning: the template has no form for that, or such replies were not wanted",
    "prompt_no_prefix": "the template renders the prompt otherwise once the reply follows",
    "stop_inside": "the reply holds the text of a stop token",
    "not_rendered": "the template leaves out what the reply is made of",
    "too_long": "longer than the limit",
    "scrub_unfound": "the template writes a scrubbed word otherwise, so that it could not be masked",
}
"""Every reason why a sample cannot be written as tokens, and what it means to a person."""


@dataclass(slots=True)
class Conversation:
    """The prompts of a session's context so far: with these tools, rendered and encoded."""

    session: str
    tools: list[dict[str, Any]]
    prompts: GrowingPrompt
    encoder: PromptEncoder


@dataclass(slots=True)
class Renderer:
    """Renders the samples of an export with one tokenizer."""

    engine: Engine
    stops: StopTokens
    traits: TemplateTraits
    no_think: NoThink = "mask"
    whole: bool = False
    """Render each prompt whole, for templates that write a turn by what is far from it."""
    tools_unsaid: int = field(default=0, init=False)
    """Samples with tools on offer that the template does not render."""
    _conversations: dict[tuple[str, bool], Conversation] = field(default_factory=dict, init=False, repr=False)
    """By the suffix of twins, and by whether the template is told to think."""

    def step(self, sample: StepSample) -> StepTokens | Unfit:
        """The tokens of one sample, or why there are none. Raises RendersOtherwise or EncodesOtherwise."""
        if not self.traits.calls and _has_calls([*sample.prompt, sample.completion]):
            return Unfit("template_no_calls")
        try:
            return self._step(sample)
        except TemplateRefused as problem:
            return Unfit("template_refuses", str(problem))

    def finish(self) -> None:
        """No prompt of this session follows. Raises RendersOtherwise where the newest is not what all of it renders."""
        for conversation in self._conversations.values():
            conversation.prompts.finish()
        self._conversations.clear()

    def _step(self, sample: StepSample) -> StepTokens | Unfit:
        thinking = bool(sample.completion.get("reasoning_content")) or not self.traits.reasoning
        if not thinking and self.no_think == "exclude":
            return Unfit("no_think_form")
        conversation = self._find_conversation(sample, thinking)
        prompt = conversation.prompts.prompt(sample.turns)
        rest = conversation.prompts.reply(prompt, sample.completion)
        if rest is None:
            return Unfit("prompt_no_prefix" if thinking else "no_think_form")
        body = self._body(rest)
        if body is None or any(stop in body for stop in self.stops.ids):
            return Unfit("stop_inside")
        unsaid = self._unsaid(sample.completion, body)
        if unsaid is None or not body:
            return Unfit("not_rendered")
        if sample.tools and not self.traits.schemas:
            self.tools_unsaid += 1
        reply = reply_of(sample.mask)
        stop = self.stops.of(bool(sample.completion.get("tool_calls")), reply.stop_token)
        ids, offsets = self.engine.encode(body)
        scrubbed = _find_scrubbed(sample, body, offsets, unsaid)
        if scrubbed is None:
            return Unfit("scrub_unfound")
        sampled = [] if sample.scrubbed else self._take_server_ids(reply.token_ids, body)
        if sampled and sample.mask.trained:
            ids = sampled
        pieces = self._pieces(sample, conversation.prompts, prompt, body, offsets, len(ids) + 1)
        target = [*ids, stop]
        # Nothing may be trained past the stop, and nothing may look like one before it.
        if set(ids) & set(self.stops.ids.values()):
            return Unfit("stop_inside")
        assert target[-1] in self.stops.ids.values()
        assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
        assert pieces[-1].end == len(target)
        return StepTokens(
            sample,
            self._encode(conversation, prompt),
            target,
            pieces,
            not thinking,
            unsaid,
            bool(sampled and ids is sampled),
            scrubbed=scrubbed,
        )

    def _find_conversation(self, sample: StepSample, thinking: bool) -> Conversation:
        """The conversation that the sample's prompt goes on with."""
        session, key = sample.meta["session"], (sample.suffix, thinking)
        known = self._conversations.get(key)
        if known is not None and known.session == session and known.tools == sample.tools:
            return known
        if known is not None:
            known.prompts.finish()
        traits, tools = self.traits, sample.tools
        normalise = partial(normalise_messages, system=traits.system, objects=traits.objects, runs=traits.runs)

        def render(messages: Sequence[dict[str, Any]], generation: bool) -> str:
            return self.engine.render(messages, tools, generation=generation, thinking=thinking)

        prompts = GrowingPrompt(render, normalise, runs=traits.runs, whole=self.whole)
        made = self._conversations[key] = Conversation(session, tools, prompts, PromptEncoder(self.engine))
        return made

    def _encode(self, conversation: Conversation, prompt: PromptText) -> Sequence[int]:
        if self.whole:
            return self.engine.encode(prompt.text)[0]
        return conversation.encoder.encode(prompt.text, compare=prompt.whole is not None)

    def _body(self, rest: str) -> str | None:
        """The reply's text without the end of its turn; None if something follows that end."""
        at = max(rest.rfind(stop) for stop in self.stops.ids)
        if at < 0:
            return rest
        after = next(len(stop) for stop in self.stops.ids if rest.startswith(stop, at))
        return None if rest[at + after :].strip() else rest[:at]

    def _unsaid(self, completion: Chat, body: str) -> tuple[str, ...] | None:
        """Which parts the template left out; None if a call is among them, or nothing is left."""
        for call in completion.get("tool_calls", ()):
            if call["function"]["name"] not in body:
                return None
        texts = {"reasoning": completion.get("reasoning_content", ""), "text": completion["content"]}
        unsaid = tuple(name for name, text in texts.items() if text.strip() and text.strip() not in body)
        return None if "text" in unsaid and not completion.get("tool_calls") else unsaid

    def _take_server_ids(self, ids: Sequence[int], body: str) -> list[int]:
        """The server's own ids, if they are this tokenizer's and say the same; else none."""
        own = list(ids)
        if own and own[-1] in self.stops.ids.values():
            own.pop()
        return own if own and self.engine.decode(own) == body else []

    def _pieces(
        self,
        sample: StepSample,
        prompts: GrowingPrompt,
        prompt: PromptText,
        body: str,
        offsets: Sequence[tuple[int, int]],
        length: int,
    ) -> tuple[Piece, ...]:
        """The reply's parts as spans of tokens; one span where it is trained whole, or cannot be told apart."""
        if sample.mask.trained:
            return (Piece("reply", None, 0, length),)
        whole = (Piece("reply", None, 0, length, sample.mask.reason),)
        ends = self._ends(sample, prompts, prompt, body)
        if ends is None:
            return whole
        pieces: list[Piece] = []
        reasons = _reasons(sample.mask)
        start = 0
        for number, (part, call, end) in enumerate(ends):
            # A token that reaches over the border goes to the masked side, else to the earlier part.
            last = number == len(ends) - 1
            reason = reasons.get((part, call), sample.mask.reason)
            until = length if last else _token_at(offsets, end, start, over=bool(reason))
            pieces.append(Piece(part, call, start, until, reason))
            start = until
        return tuple(pieces)

    def _ends(
        self, sample: StepSample, prompts: GrowingPrompt, prompt: PromptText, body: str
    ) -> list[tuple[Literal["reasoning", "text", "call"], int | None, int]] | None:
        """Where each part ends in ``body``, in characters, found by rendering the reply part by part."""
        full = sample.completion
        calls = full.get("tool_calls", [])
        steps: list[tuple[Literal["reasoning", "text", "call"], int | None, Chat]] = []
        without = {key: value for key, value in full.items() if key != "tool_calls"}
        if full.get("reasoning_content"):
            steps.append(("reasoning", None, {**without, "content": ""}))
        if full["content"].strip():
            steps.append(("text", None, without))
        for number in range(1, len(calls) + 1):
            steps.append(("call", number, {**full, "tool_calls": calls[:number]}))
        ends: list[tuple[Literal["reasoning", "text", "call"], int | None, int]] = []
        for part, call, chat in steps:
            try:
                rest = prompts.reply(prompt, chat)
            except TemplateRefused:
                return None
            said = None if rest is None else self._body(rest)
            if said is None or not body.startswith(said):
                return None
            if ends and len(said) < ends[-1][2]:
                return None
            ends.append((part, call, len(said)))
        return ends if ends and ends[-1][2] == len(body) else None


def _find_scrubbed(
    sample: StepSample, body: str, offsets: Sequence[tuple[int, int]], unsaid: tuple[str, ...]
) -> frozenset[int] | None:
    """The tokens of what was replaced in the reply; None where fewer of its words are found than there must be."""
    if not sample.scrubbed:
        return frozenset()
    spans = list(find_words(body, sample.scrubbed, spellings))
    hidden = sample.completion.get("reasoning_content", "") if "reasoning" in unsaid else ""
    hidden += sample.completion["content"] if "text" in unsaid else ""
    missing = sum(hidden.count(word) for word in set(sample.scrubbed))
    if len(spans) < len(sample.scrubbed) - missing:
        return None
    return frozenset(
        at for at, (begin, end) in enumerate(offsets) for start, stop in spans if begin < stop and end > start
    )


def _has_calls(messages: Sequence[Chat]) -> bool:
    return any(chat.get("tool_calls") or chat["role"] == "tool" for chat in messages)


def _reasons(mask: ReplyMask) -> dict[tuple[str, int | None], str]:
    found: dict[tuple[str, int | None], str] = {}
    for cell in mask.cells:
        key: tuple[str, int | None] = (cell.part, cell.call)
        found[key] = found.get(key) or cell.reason
    return found


def _token_at(offsets: Sequence[tuple[int, int]], end: int, start: int, *, over: bool) -> int:
    """The first token that begins at or after ``end``; with ``over`` False one that reaches over it is not before."""
    at = start
    while at < len(offsets) and (offsets[at][0] < end if over else offsets[at][1] <= end):
        at += 1
    return at


def describe_renderer(renderer: Renderer) -> dict[str, Any]:
    """What decided the tokens, for a manifest or a record."""
    from apollo_train.templates.engine import template_hash

    engine = renderer.engine
    return {
        "family": renderer.stops.family,
        "stops": dict(sorted(renderer.stops.ids.items())),
        "template_sha256": template_hash(engine),
        "tokenizer_sha256": engine.tokenizer_hash,
        "no_think": renderer.no_think,
    }
