"""The rules that decide what is trained: RULES, read from the top.

A reply is made of parts: its reasoning, its text and its calls. Rules of a reply ask about all of it, rules of a part
about each part, rules of a call about each call.

- The reply has the first reason of the table that holds for it or for any of its parts. Message formats train a reply
  whole or not at all, so that this is all they need.
- A part has the first reason that holds for it; without one, the first that holds for the reply as a whole. Token
  formats can go by part.
- A masked call takes its whole reply with it, unless ``flags.scope`` is "call": what led to it was as bad.

What no rule holds for is trained. Of a reply with two calls, of which the second is flagged bad,
``find_reasons(reply, rules)`` is ``("flagged", ["flagged", "flagged"], 1)``: one good call is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import msgspec

from apollo_train.masks.facts import PartFacts, ReplyFacts, SessionFacts
from apollo_train.masks.trainable_models import names_model
from apollo_train.policy import FilterPolicy
from sessions import events as ev
from sessions.events.messages import Finish
from sessions.fold.recording import BARRING

T = TypeVar("T", ReplyFacts, PartFacts)
Condition = Callable[[SessionFacts, FilterPolicy], bool]


def _always(_: SessionFacts, __: FilterPolicy) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """A rule about a reply as a whole, and what its reason means to a person."""

    reason: str
    test: Callable[[ReplyFacts, FilterPolicy], bool]
    meaning: str
    scope: Literal["reply"] = "reply"
    odd: bool = False
    """It can hold only for replies that did not come to their own end, or that answer a request for a summary."""
    can_hold: Condition = _always
    """Whether it can hold in a session at all under a policy; where not, it is not asked."""


@dataclass(frozen=True, slots=True)
class PartRule:
    """A rule about each part, or each call, of a reply. ``reply``: what holds for one holds for all of the reply."""

    reason: str
    test: Callable[[PartFacts, FilterPolicy], bool]
    meaning: str
    scope: Literal["part", "call"] = "part"
    reply: bool = False
    labels: Callable[[PartFacts], list[str]] = lambda _: []
    """The labels of the flags that make the rule hold for a part; rules that ask no flags have none."""
    judged: bool = False
    """It can hold only for parts of which flags say something."""
    can_hold: Condition = _always
    """As of ReplyRule."""


def _is_interrupted(reply: ReplyFacts, _: FilterPolicy) -> bool:
    return reply.finish is None


def _has_finish(finish: Finish) -> Callable[[ReplyFacts, FilterPolicy], bool]:
    return lambda reply, _: reply.finish == finish


def _is_salvaged(reply: ReplyFacts, _: FilterPolicy) -> bool:
    return isinstance(reply.body, ev.ModelReplied) and reply.body.salvaged


def _is_superseded(reply: ReplyFacts, _: FilterPolicy) -> bool:
    return reply.superseded


def _is_empty(reply: ReplyFacts, _: FilterPolicy) -> bool:
    return not reply.calls and "text" not in reply.kinds


def _is_unused_summary(reply: ReplyFacts, _: FilterPolicy) -> bool:
    return reply.for_summary and reply.summary is None


def _is_unwanted_summary(reply: ReplyFacts, policy: FilterPolicy) -> bool:
    return reply.for_summary and not policy.targets.summaries


def _is_of_another_model(reply: ReplyFacts, policy: FilterPolicy) -> bool:
    patterns = policy.targets.trainable
    return bool(patterns) and not names_model(patterns, reply.body, reply.session.model)


def _is_after_here(reply: ReplyFacts, _: FilterPolicy) -> bool:
    return not reply.for_summary and reply.step in reply.session.after_here


def _own_labels(part: PartFacts) -> list[str]:
    step, summary = part.reply.judged_as
    return part.reply.session.flags.labels(step, part.kind, part.number, summary=summary)


def _reaching_labels(part: PartFacts) -> list[str]:
    return part.reply.session.flags.reaching_labels(part.reply.step, part.number)


def _is_disputed(part: PartFacts, _: FilterPolicy) -> bool:
    return part.verdict == "disputed"


def _is_malformed(part: PartFacts, policy: FilterPolicy) -> bool:
    if not policy.rules.malformed or part.call is None:
        return False
    return part.number in part.reply.malformed or not is_object(part.call.arguments)


def _is_flagged(part: PartFacts, _: FilterPolicy) -> bool:
    return part.verdict == "bad"


def _is_unsure(part: PartFacts, policy: FilterPolicy) -> bool:
    return part.verdict == "unsure" and policy.flags.unsure == "mask"


def _is_propagated(part: PartFacts, policy: FilterPolicy) -> bool:
    if policy.flags.propagation == "first_error" or not part.is_reached:
        return False
    # Who calls all that the reply does good means its words too.
    return part.verdict != "good" and not part.reply.is_approved


def _is_reached_by_rule(part: PartFacts, _: FilterPolicy) -> bool:
    return part.is_reached_by_rule and part.verdict != "good" and not part.reply.is_approved


def _is_after_first_error(part: PartFacts, policy: FilterPolicy) -> bool:
    return policy.flags.propagation == "first_error" and part.is_reached


def _is_text_only(reply: ReplyFacts, policy: FilterPolicy) -> bool:
    return not policy.targets.text_only and reply.summary is None and not reply.calls


def _is_inner_poll(part: PartFacts, _: FilterPolicy) -> bool:
    polls = part.reply.session.polls
    return bool(polls) and (part.reply.step, part.number) in polls


def _is_incomplete(reply: ReplyFacts, policy: FilterPolicy) -> bool:
    return policy.targets.incomplete == "mask" and not BARRING.isdisjoint(reply.lost)


def _is_unseen(reply: ReplyFacts, policy: FilterPolicy) -> bool:
    mode = policy.targets.unseen
    if mode == "train" or reply.is_seen:
        return False
    # A sign-off goes as far as a step: a summary is covered where all that it sums up is.
    last = reply.summary.to_step if reply.summary is not None else reply.step
    return not (mode == "signed_off" and reply.session.flags.is_signed_off(last))


def _has_reach(session: SessionFacts, _: FilterPolicy) -> bool:
    return session.flags.has_reach


RULES: Final[tuple[ReplyRule | PartRule, ...]] = (
    ReplyRule(
        "interrupted",
        _is_interrupted,
        "the reply was cut off by a person, by advice delivered now, or on its way to its harness",
        odd=True,
    ),
    ReplyRule(
        "superseded",
        _is_superseded,
        "the reply gave way to another one, or was left out of the context",
        can_hold=lambda session, _: session.any_superseded,
    ),
    ReplyRule("finish_length", _has_finish("length"), "the reply ran into its token limit", odd=True),
    ReplyRule("finish_refusal", _has_finish("refusal"), "the model or its server refused", odd=True),
    ReplyRule("finish_interrupted", _has_finish("interrupted"), "the reply was interrupted", odd=True),
    ReplyRule("finish_other", _has_finish("other"), "the reply did not end normally", odd=True),
    ReplyRule(
        "salvaged",
        _is_salvaged,
        "the reply was put together from a broken stream, or is context in a file that was imported",
    ),
    ReplyRule("empty", _is_empty, "the reply has no call and no text"),
    ReplyRule(
        "not_trainable",
        _is_of_another_model,
        "a reply of a model that `trainable` does not name",
        can_hold=lambda _, policy: bool(policy.targets.trainable),
    ),
    ReplyRule("summary_unused", _is_unused_summary, "a summary that was not put to use", odd=True),
    ReplyRule("summary", _is_unwanted_summary, "a summary, and the policy trains none", odd=True),
    PartRule(
        "disputed",
        _is_disputed,
        "annotators disagree, so that the whole reply is left out",
        reply=True,
        labels=_own_labels,
        judged=True,
    ),
    PartRule(
        "malformed",
        _is_malformed,
        "a call to an unknown tool, or with arguments that are no valid JSON object",
        scope="call",
        can_hold=lambda _, policy: policy.rules.malformed,
    ),
    PartRule("flagged", _is_flagged, "flagged bad", labels=_own_labels, judged=True),
    PartRule("unsure", _is_unsure, "flagged unsure, and the policy masks those", labels=_own_labels, judged=True),
    PartRule(
        "propagated",
        _is_propagated,
        "after a bad flag, before the recovery",
        labels=_reaching_labels,
        can_hold=_has_reach,
    ),
    PartRule(
        "rule",
        _is_reached_by_rule,
        "after a bad flag whose recovery nobody marked: a rule says that it does the same again",
        labels=_reaching_labels,
        can_hold=_has_reach,
    ),
    PartRule(
        "after_first_error",
        _is_after_first_error,
        "after the first bad flag",
        labels=_reaching_labels,
        can_hold=_has_reach,
    ),
    ReplyRule(
        "after_here_advice",
        _is_after_here,
        "advice is dropped, and the reply came right after a piece that holds here only, or after an answer",
        can_hold=lambda session, _: bool(session.after_here),
    ),
    ReplyRule(
        "text_only",
        _is_text_only,
        "a reply without a call, and the policy trains none",
        can_hold=lambda _, policy: not policy.targets.text_only,
    ),
    PartRule(
        "inner_poll",
        _is_inner_poll,
        "a repeated poll with an unchanged answer",
        scope="call",
        can_hold=lambda session, _: bool(session.polls),
    ),
    ReplyRule(
        "incomplete",
        _is_incomplete,
        "the model read what its recording does not hold as text: an image, a file, a result, an instruction",
        can_hold=lambda session, _: bool(session.lost or session.losses),
    ),
    ReplyRule("unseen", _is_unseen, "no human saw it", can_hold=lambda _, policy: policy.targets.unseen != "train"),
)
"""Every rule, in order: the first that holds wins."""

PROMPT_REASONS: Final = {
    "summary_refers": "advice is dropped, and the summary in the prompt still refers to it",
    "target_refers": "advice is dropped, and the reply still refers to it",
    "advice_mixed": "advice is dropped, but cannot be told apart from what stays in the same message",
    "prompt_differs": "the rebuilt prompt has another hash than the log says",
    "prompt_missing": "the prompt cannot be rebuilt",
    "not_in_context": "the conversation went on without this reply",
    "broken_conversation": "a call in the conversation was never answered, which loaders refuse",
    "no_think_form": "a reply without reasoning, where the template that was named has another prompt for such replies",
    "turns_do_not_alternate": "two turns in a row of the same side, which this loader drops",
}
"""Why a reply that no rule masks is left out all the same, once its prompt or its row is put together."""

REASONS: Final = {rule.reason: rule.meaning for rule in RULES} | PROMPT_REASONS
"""Every reason that a mask can have, in order of precedence, and what it means to a person."""

_PLACES: Final = {rule.reason: place for place, rule in enumerate(RULES)}
_PART_RULES: Final = {rule.reason: rule for rule in RULES if isinstance(rule, PartRule)}
_OF_WHOLES: Final = frozenset(rule.reason for rule in RULES if rule.scope != "reply" and rule.reply)
_OWN_END: Final = frozenset({"stop", "calls"})
"""How replies finish that came to their own end, as nearly all do."""


Test = tuple[str, Callable[[T, FilterPolicy], bool]]
"""The reason of a rule, and when it holds."""
Tests = tuple[Test[PartFacts], ...]


class ActiveRules:
    """The rules that can hold in one session under a policy, in order: of most sessions few."""

    def __init__(self, session: SessionFacts, policy: FilterPolicy) -> None:
        active = [rule for rule in RULES if rule.can_hold(session, policy)]
        of_replies = [rule for rule in active if isinstance(rule, ReplyRule)]
        of_parts = [rule for rule in active if isinstance(rule, PartRule)]
        self.policy = policy
        self.of_odd_replies = tuple((rule.reason, rule.test) for rule in of_replies)
        self.of_replies = tuple((rule.reason, rule.test) for rule in of_replies if not rule.odd)
        self.of_judged_calls: Tests = tuple((rule.reason, rule.test) for rule in of_parts)
        self.of_judged_words: Tests = tuple((rule.reason, rule.test) for rule in of_parts if rule.scope == "part")
        self.of_calls: Tests = tuple((rule.reason, rule.test) for rule in of_parts if not rule.judged)
        self.of_words: Tests = tuple(
            (rule.reason, rule.test) for rule in of_parts if not rule.judged and rule.scope == "part"
        )
        """Of parts by what they are (calls, or reasoning and text), and by whether flags say something of them."""


def find_reasons(reply: ReplyFacts, rules: ActiveRules) -> tuple[str, list[str], int]:
    """Why the reply is masked as a whole, and why each of its parts is ("" for what is trained); and how many calls are
    lost that no rule is about, because another part of the reply is masked."""
    policy = rules.policy
    odd = reply.for_summary or reply.finish not in _OWN_END
    whole = _find_reason(rules.of_odd_replies if odd else rules.of_replies, reply, policy)
    if not _asks_parts(reply, rules):  # so it is of nearly all
        return whole, [whole] * len(reply.kinds), 0
    reply.read_parts()
    parts: list[str] = []
    for part in reply.parts:
        if part.verdict:
            tests = rules.of_judged_words if part.call is None else rules.of_judged_calls
        else:
            tests = rules.of_words if part.call is None else rules.of_calls
        parts.append(_find_reason(tests, part, policy))
    if not any(parts):
        return whole, [whole] * len(parts), 0
    first = _first_of([whole, *parts])
    whole = _first_of([whole, *_OF_WHOLES.intersection(parts)])
    lost = 0 if whole else sum(part.kind == "call" and not why for part, why in zip(reply.parts, parts, strict=True))
    if policy.flags.scope == "reasoning":
        parts = _mask_words(reply.parts, parts)
    elif policy.flags.scope == "message" and policy.version > 1:
        whole = whole or _call_reason(reply.parts, parts)
    return first, [reason or whole for reason in parts], lost


def _asks_parts(reply: ReplyFacts, rules: ActiveRules) -> bool:
    """Whether any rule could hold for a part of the reply: flags are about it, or a rule without flags holds."""
    if rules.of_words or not reply.is_silent:
        return True
    for number, call in enumerate(reply.calls, 1):
        part = PartFacts(reply, "call", "", number, call)
        for _, holds in rules.of_calls:
            if holds(part, rules.policy):
                return True
    return False


def find_labels(parts: Iterable[PartFacts], reason: str, policy: FilterPolicy) -> tuple[str, ...]:
    """The labels of the flags for which these parts have this reason, each once, in the order of the parts."""
    rule = _PART_RULES.get(reason)
    if rule is None:
        return ()
    labels = [label for part in parts if rule.test(part, policy) for label in rule.labels(part)]
    return tuple(dict.fromkeys(labels))


def _find_reason(tests: Iterable[Test[T]], facts: T, policy: FilterPolicy) -> str:
    for reason, test in tests:
        if test(facts, policy):
            return reason
    return ""


def _first_of(reasons: Iterable[str]) -> str:
    """The reason that stands first in the table, of those that are any."""
    return min(filter(None, reasons), key=_PLACES.__getitem__, default="")


def _call_reason(parts: Sequence[PartFacts], reasons: list[str]) -> str:
    """Why the first masked call is."""
    return next((why for part, why in zip(parts, reasons, strict=True) if part.kind == "call" and why), "")


def _mask_words(parts: Sequence[PartFacts], reasons: list[str]) -> list[str]:
    """Let the first masked call take the reasoning and the text beside it with it: ``flags.scope = "reasoning"``."""
    lost = _call_reason(parts, reasons)
    return [why or (lost if part.kind != "call" else "") for part, why in zip(parts, reasons, strict=True)]


def is_object(arguments: str) -> bool:
    """Whether a call's arguments are a JSON object (none at all count as an empty one)."""
    if not arguments.strip():
        return True
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except msgspec.DecodeError:
        return False
