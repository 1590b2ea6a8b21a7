"""Step samples: the exact prompt that the model saw, and its one reply. The canonical unit of training data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from apollo_train.masks.annotations import Annotations
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.policy import FilterPolicy
from apollo_train.samples.advice_removal import (
    AdviceRemover,
    PromptWithoutAdvice,
    Variant,
    text_of_chat,
    text_of_prompt,
)
from apollo_train.samples.chat import Chat, Turn, chat_of_reply
from apollo_train.samples.prompts import Prompt, Prompts
from apollo_train.samples.row_meta import make_meta
from apollo_train.samples.scrub import Scrubber
from apollo_train.samples.weights import Weigher
from sessions import events as ev
from sessions.fold.flags import Flag
from sessions.labels import UNSPECIFIED
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader

PromptKind = Literal["exact", "exact_opaque", "counterfactual", "reconstructed"]


@dataclass(slots=True)
class StepSample:
    """One trained reply. ``meta`` is what the row says about itself. Nobody changes one; freezing so many costs too
    much."""

    id: str
    mask: ReplyMask
    turns: list[Turn]
    """The messages of the prompt."""
    completion: Chat
    tools: list[dict[str, Any]]
    meta: dict[str, Any]
    root: int = 0
    """The request that began the context of this prompt."""
    dump: Callable[[], tuple[bytes, ...]] | None = None
    """Makes the JSON of ``prompt`` at little cost, where there is a way."""
    scrubbed: tuple[str, ...] = ()
    """Words in the reply that stand for something that was taken out, each as often as it stands there."""

    @property
    def prompt(self) -> list[Chat]:
        """The prompt as chat messages."""
        return [turn.chat for turn in self.turns]

    @property
    def prompt_json(self) -> tuple[bytes, ...]:
        """The messages of the prompt as JSON in pieces, with commas between them."""
        return self.dump() if self.dump else (b",".join([turn.json for turn in self.turns]),)

    @property
    def suffix(self) -> str:
        """``+advice`` or ``-advice`` of a twin, else ""."""
        return self.id.removeprefix(f"{self.meta['session']}:{self.mask.name}")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A reply that is no target in this export, and the one reason why; a line of the twin file."""

    id: str
    session: str
    step: str
    reason: str
    seq: int
    calls_lost: int = 0
    mask: ReplyMask | None = None
    labels: tuple[str, ...] = ()
    """Of the flags that are the reason."""
    says: str = ""
    """What the chat template said that refused it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One session on its way into samples."""

    reader: LogReader
    judged: Annotations
    policy: FilterPolicy
    weigher: Weigher
    check: bool = True
    """Compare each exact prompt with the hash that the log has of it."""
    labels: bool = False
    """Let each row say in ``meta`` which flags stand on its replies."""
    scrubber: Scrubber | None = None
    """Replaces what may not leave the log."""

    def exclude(self, mask: ReplyMask, reason: str, suffix: str = "") -> Exclusion:
        """The line of the twin file for ``mask``."""
        name = f"{self.judged.session}:{mask.name}{suffix}"
        labels = mask.labels if reason == mask.reason else ()
        return Exclusion(name, self.judged.session, mask.name, reason, mask.seq, mask.calls_lost, mask, labels)

    def without_columns(self, mask: ReplyMask, removal: PromptWithoutAdvice) -> dict[str, Any]:
        """``without`` for a row whose prompt lacks what the model had in it; ``mask`` is of its newest reply."""
        lost = [*(["advice"] if removal.changed and self.policy.version > 1 else []), *mask.prompt_lost]
        return {"without": lost} if lost else {}

    def label_columns(self, masks: Iterable[ReplyMask]) -> dict[str, Any]:
        """``labels`` for a row of these replies, where it is asked for: each flag that stands on one of them."""
        if not self.labels:
            return {}
        flags = self.judged.flags.active
        return {"labels": [_label_of(flag, mask) for mask in masks for flag in flags if _is_about(flag, mask)]}


def _is_about(flag: Flag, mask: ReplyMask) -> bool:
    target = flag.target
    if target.part == "summary":
        return target.step == mask.summary
    return target.step <= (mask.step or mask.taken_for) <= (target.to_step or target.step)


def _label_of(flag: Flag, mask: ReplyMask) -> dict[str, Any]:
    target = flag.target
    label = flag.label or UNSPECIFIED
    return {"step": mask.name, "part": target.part, "call": target.call, "verdict": flag.verdict, "label": label}


def whole(mask: ReplyMask) -> bool:
    """Whether the reply is trained as a whole, which is all that formats of messages can say."""
    return mask.trained


def make_step_samples(source: Source, wanted: Callable[[ReplyMask], bool] = whole) -> Iterator[StepSample | Exclusion]:
    """Every reply that is ``wanted`` as a sample, and why the others are none; in order, in constant memory.

    Of three steps, the second flagged bad:

        StepSample(prompt=[system, task], completion=reply 1)
        Exclusion(step="2", reason="flagged")
        StepSample(prompt=[system, task, reply 1, result 1, reply 2, result 2], completion=reply 3)
    """
    prompts = Prompts(source.reader, source.judged)
    remover = AdviceRemover(source.reader, source.judged, source.policy)
    for mask in mask_replies(source.reader, source.judged, source.policy):
        if not wanted(mask):
            yield source.exclude(mask, mask.reason)
            continue
        prompt = read_prompt(prompts, mask, check=source.check)
        if isinstance(prompt, str):
            yield source.exclude(mask, prompt)
            continue
        for variant in remover.variants(prompt, () if mask.summary else (mask.step,)):
            sample = _sample(source, remover, mask, prompt, variant)
            if source.scrubber is not None and isinstance(sample, StepSample):
                _scrub_sample(sample, source.scrubber)
            yield sample


def read_prompt(prompts: Prompts, mask: ReplyMask, *, check: bool) -> Prompt | str:
    """The prompt that the reply answered, or the reason why there is none to train on."""
    try:
        prompt = prompts.of(mask.request)
        if check and prompt.request.exact and not prompts.exact(prompt):
            return "prompt_differs"
    except LogReadFailed:
        return "prompt_missing"
    return prompt


def prompt_kind(prompt: Prompt, removal: PromptWithoutAdvice, mask: ReplyMask) -> PromptKind:
    """What the row says of its prompt; ``mask`` is that of the newest reply."""
    if removal.changed:
        return "counterfactual"
    if mask.prompt_lost:
        return "exact_opaque"
    return "exact" if prompt.request.exact else "reconstructed"


def reply_of(mask: ReplyMask) -> ev.ModelReplied:
    """The body of the reply."""
    assert isinstance(mask.event.body, ev.ModelReplied)
    return mask.event.body


def target_text(mask: ReplyMask) -> str:
    """All that the model wrote in this reply, to look for what it refers to."""
    return text_of_chat(chat_of_reply(reply_of(mask).parts))


def _sample(
    source: Source, remover: AdviceRemover, mask: ReplyMask, prompt: Prompt, variant: Variant
) -> StepSample | Exclusion:
    removal = remover.remove(prompt, variant.dropped)
    problem = removal.problem
    body = reply_of(mask)
    completion = chat_of_reply(body.parts)
    if remover.is_left_out(mask.step, variant):
        problem = "after_here_advice"
    elif not problem and variant.dropped:
        step = 0 if mask.summary else mask.step
        if remover.refers(completion, step, variant.dropped, lambda: text_of_prompt(removal.turns, prompt.tools)):
            problem = "target_refers"
    if problem:
        return source.exclude(mask, problem, variant.suffix)
    name = f"{source.judged.session}:{mask.name}{variant.suffix}"
    meta = make_meta(
        source.judged,
        source.policy,
        prompt.request,
        id=name,
        step=mask.name,
        packing="step",
        advice=sorted(number for number in remover.find_advice(prompt) - variant.dropped if number > 0),
        weight=source.weigher.weight(source.judged, variant.share),
        finish=body.finish,
        stop_token=body.stop_token,
        prompt=prompt_kind(prompt, removal, mask),
        seen=mask.seen,
        **source.without_columns(mask, removal),
        **source.label_columns([mask]),
    )
    dump = None if removal.changed else prompt.dump
    return StepSample(name, mask, removal.turns, completion, prompt.tools, meta, prompt.root, dump)


def _scrub_sample(sample: StepSample, scrubber: Scrubber) -> None:
    turns, tools = scrubber.turns(sample.turns), scrubber.tools(sample.tools)
    changed = tools is not sample.tools or any(new is not old for new, old in zip(turns, sample.turns, strict=True))
    sample.turns, sample.tools = turns, tools
    sample.completion = scrubber.chat(sample.completion)
    sample.scrubbed = tuple(scrubber.words_in(sample.completion))
    sample.meta |= scrubbed_columns(sample.meta, scrubber, changed=changed)
    if changed:
        sample.dump = None


def scrubbed_columns(meta: dict[str, Any], scrubber: Scrubber, *, changed: bool) -> dict[str, Any]:
    """What a row says otherwise of itself: no model saw its prompt as it is now, and rules hold for its words too."""
    words = {key: meta[key] for key in ("task", *ev.Terms.__struct_fields__) if meta.get(key)}
    new: dict[str, Any] = {key: scrubber.text(word, count=False) for key, word in words.items()}
    if changed:
        new |= {"prompt": "counterfactual", "without": [*meta.get("without", ()), "scrubbed"]}
    return new
