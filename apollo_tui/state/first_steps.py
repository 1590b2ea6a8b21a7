"""What an empty board offers: ways to a first session, each with its key, and why one of them cannot be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from widgets.models import Choice

NO_HOST: Final = "no host is connected yet"
UNKEYED: Final = "no key, no profile: with a URL"
ARCHIVED: Final = "archived"
"""The choice that shows what is archived."""


class Surroundings(msgspec.Struct, frozen=True):
    """What the first steps depend on. ``trouble``: what is said of the link to the host, "" if all is well."""

    writable: bool = False
    trouble: str = ""
    missing: str = ""
    """What is missing for a model of one's own, "" if nothing is."""
    agents: Sequence[str] = ()
    """Agent programs that can be started here."""
    archived: int = 0
    guide: bool = True
    """Whether the guide is there to be read."""


def first_steps(here: Surroundings) -> list[Choice]:
    """The choices; what cannot work says why and cannot be chosen."""
    barred = "" if here.writable else (here.trouble or NO_HOST)
    installed = f"installed: {', '.join(here.agents)}" if here.agents else "a command of your own"
    found = [
        # The cursor begins here, and a first enter is to open a form rather than to begin five sessions.
        Choice("new", "new session with a model of yours", "c", UNKEYED if here.missing else "", disabled=barred),
        Choice("demo", "demo: five scripted agents that really work", "d", disabled=barred),
        Choice("import", "import recordings: Claude Code, Codex, …", "i", disabled=barred),
        Choice("agent", "connect an agent program (gateway)", "a", installed, disabled=barred),
    ]
    if here.archived:
        found.append(Choice(ARCHIVED, "show what is archived", "v", f"{here.archived:,}"))
    if here.guide:
        found.append(Choice("guide", "read the guide", "g"))
    return found
