"""What annotators wrote in place of a reply, as the reply that the model should have given."""

from __future__ import annotations

import re
from typing import Final

from msgspec import structs

from apollo_train.masks.reply_masks import ReplyMask
from sessions import events as ev
from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart
from sessions.fold.corrections import CorrectionBook, parse_reply

_THOUGHT: Final = re.compile(r"<think>\s*(.*?)\s*</think>\s*", re.DOTALL)
"""How a correction begins that says what the model should have thought."""
_BROKEN: Final = frozenset({"interrupted", "superseded", "salvaged", "empty", "not_trainable"})


def is_replaceable(mask: ReplyMask) -> bool:
    """Whether the reply came to its own end: only what the model chose to say can be the worse of two."""
    return mask.reason not in _BROKEN and not mask.reason.startswith("finish_")


class Corrections:
    """The corrections of one session, by step. Of several on one target the newest counts."""

    def __init__(self, book: CorrectionBook) -> None:
        self._by_step: dict[int, list[tuple[ev.Target, str]]] = {}
        for said in book.all:
            if said.target.part in ("call", "reply"):
                self._by_step.setdefault(said.target.step, []).append((said.target, said.text))

    def __contains__(self, step: int) -> bool:
        return step in self._by_step

    def instead_of(self, mask: ReplyMask) -> ReplyMask | None:
        """The reply as it should have been, None where no correction of it says a call.

        A correction of the reply takes the place of all of it, one of a call the place of that call; the model's
        reasoning led to what was wrong and is left out, unless the correction begins with reasoning of its own.
        """
        body = mask.event.body
        if not isinstance(body, ev.ModelReplied) or not is_replaceable(mask):
            return None
        parts: list[list[Part]] = [[part] for part in body.parts if isinstance(part, TextPart | CallPart)]
        calls = [place for place, [part] in enumerate(parts) if isinstance(part, CallPart)]
        changed = False
        for target, text in self._by_step.get(mask.step, ()):
            new = _parse_parts(mask.step, text)
            if not any(isinstance(part, CallPart) for part in new):
                continue
            if target.part == "reply":
                parts, calls, changed = [new], [], True
            elif target.call is not None and target.call <= len(calls):
                parts[calls[target.call - 1]] = new
                changed = True
        if not changed:
            return None
        flat = [part for group in parts for part in group]
        flat.sort(key=lambda part: not isinstance(part, ReasoningPart))
        # Calls are told apart by their ids, and results of other calls would otherwise seem to answer these.
        flat = [
            structs.replace(part, id=f"c{mask.step}.{place}", raw=None) if isinstance(part, CallPart) else part
            for place, part in enumerate(flat, 1)
        ]
        # What the server said of its end is of another reply: after a call some templates stop on another token.
        made = structs.replace(
            body, parts=tuple(flat), finish="calls", stop_token="", token_ids=(), logprobs=(), raw_text=""
        )
        return structs.replace(mask, event=structs.replace(mask.event, body=made))


def _parse_parts(step: int, text: str) -> list[Part]:
    said, calls = parse_reply(text)
    parts: list[Part] = []
    if thought := _THOUGHT.match(said):
        said = said[thought.end() :]
        parts += [ReasoningPart(thought[1])] if thought[1] else []
    parts += [TextPart(said)] if said else []
    return parts + [CallPart(f"c{step}", call.name, call.arguments) for call in calls]
