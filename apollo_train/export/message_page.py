"""The page beside an export of messages: its first conversations, each reply trained or masked, and why.

Step samples and segments are made of the same conversations, so that both are shown as these. Preference data is shown
pair by pair, or verdict by verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from apollo_train.formats.base import Format
from apollo_train.formats.html import page, safe, span
from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.reply_masks import Mask, ReplyMask
from apollo_train.policy import FilterPolicy
from apollo_train.samples.chat import Chat
from apollo_train.samples.preferences import Refusal, find_pairs, find_unpaired_replies
from apollo_train.samples.scrub import scrubber_for
from apollo_train.samples.segments import Segment, make_segments
from apollo_train.samples.step_samples import Exclusion, Source, StepSample
from apollo_train.samples.weights import Weigher
from sessions.log.reader import LogReader

SHOWN: Final = 8
"""Conversations (pairs, verdicts) on a page."""
TURNS: Final = 200
"""Of a longer conversation the last turns, this many, are shown."""
HELD: Final = 4096
"""Masked replies that are held until the conversation comes that has them."""
CONTEXT_CHARS: Final = 1200
"""Of a longer message of the context, head and tail, half of this each, are shown."""
TAIL: Final = 4
"""Messages before a pair or a verdict."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a message and what becomes of it; ``reason``: why it is masked."""

    who: str
    text: str
    role: str = "context"
    reason: str = ""


def message_page(
    reader: LogReader, sessions: Iterable[str], policy: FilterPolicy, format: Format, *, position: int, title: str,
    facts: Iterable[str],
) -> bytes:  # fmt: skip
    """The page of an export of these sessions; only what it shows is read."""
    found = islice(_render_sessions(reader, sessions, policy, format, position), SHOWN)
    return page(title, facts, found).encode()


def _render_sessions(
    reader: LogReader, sessions: Iterable[str], policy: FilterPolicy, format: Format, position: int
) -> Iterator[str]:
    for session in sessions:
        judged = read_annotations(reader, session, position)
        if judged is None:
            continue
        source = Source(reader, judged, policy, Weigher(policy), scrubber=scrubber_for(format.scrub))
        yield from (
            _render_preferences(source, format.name) if format.unit == "verdict" else _render_conversations(source)
        )


def _render_conversations(source: Source) -> Iterator[str]:
    # A masked reply is told of before the segment that has it in its middle.
    masked: dict[tuple[int, str], tuple[ReplyMask, str]] = {}
    for item in make_segments(source):
        if isinstance(item, Exclusion):
            if item.mask is not None:
                suffix = item.id.removeprefix(f"{item.session}:{item.mask.name}")
                masked[item.seq, suffix] = (item.mask, item.reason)
            if len(masked) > HELD:
                del masked[next(iter(masked))]
            continue
        turns = list(_turn_parts(item, masked))
        hidden = f"<p>{len(turns) - TURNS:,} earlier turns are not shown</p>" if len(turns) > TURNS else ""
        about = f"{sum(flag is True for flag in item.trained):,} replies trained"
        shown = "".join(_render_part(part) for turn in turns[-TURNS:] for part in turn)
        yield f"<h2>{safe(item.id)}</h2><p>{about}</p>{hidden}{shown}"


def _turn_parts(segment: Segment, masked: dict[tuple[int, str], tuple[ReplyMask, str]]) -> Iterator[list[_Part]]:
    """The messages. A reply that a new context only copies from before a summary is context there."""
    suffix = next((end for end in ("+advice", "-advice") if segment.id.endswith(end)), "")
    first, _, last = segment.meta["step"].partition("-")
    members = range(int(first), int(last or first) + 1) if first.isdigit() else range(0)
    trained = {mask.seq: mask for mask in segment.masks}
    for turn, flag in zip(segment.turns, segment.trained, strict=True):
        parts = _message_parts(turn.chat)
        for seq in turn.sources:
            found = masked.get((seq, suffix)) or masked.get((seq, ""))
            if flag and seq in trained:
                parts = _message_parts(turn.chat, "trained", step=trained[seq].name)
            elif flag is False and found is not None and found[0].step in members:
                parts = _message_parts(turn.chat, "masked", found[1], found[0].name, found[0].cells)
        yield parts


def _message_parts(
    chat: Chat, role: str = "context", reason: str = "", step: str = "", cells: tuple[Mask, ...] = ()
) -> list[_Part]:
    """The parts of a message. A masked reply is masked whole; a part that has a reason of its own says it."""
    own = {(cell.part, cell.call): cell.reason for cell in cells}
    who = f"step {step} " if step else ""
    parts = []
    if chat.get("reasoning_content"):
        why = own.get(("reasoning", None)) or reason
        parts.append(_Part(f"{who}reasoning", chat["reasoning_content"], role, why))
    if chat["content"] or not chat.get("tool_calls"):
        why = own.get(("text", None)) or reason
        parts.append(_Part(f"{who}{chat['role']}", chat["content"], role, why))
    for number, call in enumerate(chat.get("tool_calls", ()), 1):
        function = call["function"]
        why = own.get(("call", number)) or reason
        parts.append(_Part(f"{who}call {number}", f"{function['name']} {function['arguments']}", role, why))
    return parts


def _render_preferences(source: Source, name: str) -> Iterator[str]:
    found: Iterator[Any] = find_pairs(source) if name == "dpo" else find_unpaired_replies(source)
    for item in found:
        if isinstance(item, Refusal):
            continue
        if name == "dpo":
            chosen = [_prefix(part, "chosen: ") for part in _message_parts(item.chosen.completion, "trained")]
            rejected = [
                _prefix(part, "rejected: ") for part in _message_parts(item.rejected.completion, "masked", "rejected")
            ]
            yield _render_preference(item.rejected, [*chosen, *rejected])
        else:
            role, reason = ("trained", "") if item.good else ("masked", "not wanted")
            yield _render_preference(item.sample, _message_parts(item.sample.completion, role, reason))


def _render_preference(sample: StepSample, parts: list[_Part]) -> str:
    before = [part for turn in sample.turns[-TAIL:] for part in _message_parts(turn.chat)]
    hidden = len(sample.turns) - TAIL
    more = f"<p>{hidden:,} earlier messages of the prompt are not shown</p>" if hidden > 0 else ""
    return f"<h2>{safe(sample.id)}</h2>{more}" + "".join(_render_part(part) for part in (*before, *parts))


def _prefix(part: _Part, which: str) -> _Part:
    return _Part(which + part.who, part.text, part.role, part.reason)


def _render_part(part: _Part) -> str:
    what = part.role + (f": {part.reason}" if part.reason else "")
    text = part.text
    if part.role == "context" and len(text) > CONTEXT_CHARS:
        half = CONTEXT_CHARS // 2
        text = f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"
    head = safe(part.who) + (f" — {safe(what)}" if part.role != "context" else "")
    return f"<h3>{head}</h3><pre>{span(text, part.role, what)}</pre>\n"
