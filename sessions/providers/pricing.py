"""What a reply cost, from the prices of its model's profile (US dollars per million tokens)."""

from __future__ import annotations

from typing import Final

from sessions.events import ModelSpec
from sessions.events.messages import Usage

MILLION: Final = 1_000_000
CACHE_WRITE_FACTOR: Final = {"anthropic": 1.25}
"""What writing to the cache costs, as a multiple of the input price, where a provider charges for it."""


def cost(spec: ModelSpec, usage: Usage | None) -> float | None:
    """US dollars for one reply, or None if the profile has no prices or the server reported no usage.

    ``usage.input_tokens`` counts the whole prompt: tokens read from the cache and written to it are part of it.
    Without a price of its own, a cached token costs what any input token costs.
    """
    if usage is None or spec.price_input is None or spec.price_output is None:
        return None
    cached_price = spec.price_input if spec.price_cached is None else spec.price_cached
    plain = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
    dollars = (
        plain * spec.price_input
        + usage.cached_tokens * cached_price
        + usage.cache_write_tokens * spec.price_input * CACHE_WRITE_FACTOR.get(spec.provider, 1.0)
        + usage.output_tokens * spec.price_output
    )
    return dollars / MILLION
