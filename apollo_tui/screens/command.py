"""What a command of ``:`` is, and which ones a typed beginning means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

Deed = Callable[["ApolloScreen", list[str]], None]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``session``: it needs one; ``write``: it needs a host; ``needs``: so many words after its name."""

    name: str
    arguments: str
    help: str
    run: Deed
    session: bool = False
    write: bool = False
    needs: int = 0
    hint: str = ""
    """What those words are."""

    def lacks(self, words: Sequence[str]) -> str:
        """What is still to be typed after these words, "" if it can run."""
        return f"{self.name} {self.arguments}: {self.hint or self.help}" if len(words) < self.needs else ""


def matching(commands: Sequence[Command], text: str) -> list[Command]:
    """Commands whose name begins with the first word of ``text``; with a space after it, only that very one."""
    name, space, _ = text.lstrip().partition(" ")
    exact = [command for command in commands if command.name == name]
    if space and exact:
        return exact
    begun = [command for command in commands if command.name.startswith(name)]
    return begun or [command for command in commands if name in command.help.lower()]
