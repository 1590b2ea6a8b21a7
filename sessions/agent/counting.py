"""What a reply comes to in tokens and money where its server does not say: budgets must not be blind there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from sessions.log.parts import CallPart, Part, Usage
from sessions.providers.pricing import cost

if TYPE_CHECKING:
    from sessions.agent.scope import Scope
    from sessions.log.events import ModelReplied


async def counted(scope: Scope, replied: ModelReplied, prompt_tokens: int) -> ModelReplied:
    """``replied`` with our own estimate if it has no usage; ``prompt_tokens`` is that of its request.

    Tokens are counted as for prompts: without what a chat template adds, and with a vocabulary that may stand in for
    the model's own (docs/providers.md). Nothing is taken to have come from a cache.
    """
    usage = replied.usage
    if not scope.executes or (usage is not None and (usage.input_tokens or usage.output_tokens)):
        return replied
    written = await asyncio.to_thread(_count, scope, [_text(part) for part in replied.parts])
    estimate = Usage(input_tokens=prompt_tokens, output_tokens=written)
    return msgspec.structs.replace(replied, estimate=estimate, estimated_cost=cost(scope.model, estimate))


def _count(scope: Scope, texts: list[str]) -> int:
    counter = scope.services.counter_for(scope.model.name)
    return sum(counter.count(text) for text in texts)


def _text(part: Part) -> str:
    return f"{part.name}{part.arguments}" if isinstance(part, CallPart) else part.text
