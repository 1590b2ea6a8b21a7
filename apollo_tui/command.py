"""What a command of ``:`` is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

Deed = Callable[["ApolloScreen", list[str]], None]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``session``: it needs one; ``write``: it needs a host."""

    name: str
    arguments: str
    help: str
    run: Deed
    session: bool = False
    write: bool = False
