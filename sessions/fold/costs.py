"""What a session cost, in words. A reply without prices or usage costs an unknown amount, which is not nothing."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "–"


def known_cost(cost: float, unpriced: int) -> float | None:
    """US dollars, or None where nothing of the cost is known. ``unpriced``: replies whose cost is unknown."""
    return None if unpriced and not cost else cost


def say_cost(cost: float, unpriced: int = 0) -> str:
    """``$0.84``, ``<$0.01``; ``–`` where nothing is known, ``$0.84+`` where a part is not."""
    if known_cost(cost, unpriced) is None:
        return UNKNOWN
    said = "<$0.01" if 0 < cost < 0.01 else f"${cost:.2f}"
    return f"{said}+" if unpriced else said
