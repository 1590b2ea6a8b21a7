"""Search in the text that a screen shows: asks what for, says how many lines hold it, and goes along them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen
    from widgets.document import Document

NOTHING_ASKED: Final = "search first: /"


def ask_pattern(screen: ApolloScreen, search: Callable[[str], None]) -> None:
    """Ask what to search for; "" ends a search. What was searched for last, on any screen, is offered first."""
    from apollo_tui.screens.panels.prompt import LinePrompt

    searches = screen.context.searches

    def take(text: str | None) -> None:
        if text is None:
            return
        if text:
            searches.append(text)
        search(text)

    screen.ask(LinePrompt("/", "text", searches[-1] if searches else ""), take)


class DocumentSearch:
    """The search of one screen in one document, all of which is there."""

    def __init__(self, screen: ApolloScreen, document: Document) -> None:
        self._screen = screen
        self._document = document
        self._pattern = ""

    def ask(self) -> None:
        """Ask for a text, and go to the first line that holds it."""
        ask_pattern(self._screen, self._search)

    def _search(self, text: str) -> None:
        self._pattern = text
        found = self._document.search(text)
        if text:
            said = (
                f"{found} {'line holds' if found == 1 else 'lines hold'} {text} · n next, N before"
                if found
                else f"{text}: not found here"
            )
            self._screen.say(said)

    def search_again(self) -> None:
        """Another text is shown: what was searched for is looked for there."""
        if self._pattern:
            self._document.search(self._pattern)

    def step(self, by: int) -> None:
        """To the next line with a match, or the one before."""
        if self._document.next_match(by) is None:
            self._screen.say(f"{self._pattern}: not found here" if self._pattern else NOTHING_ASKED)
