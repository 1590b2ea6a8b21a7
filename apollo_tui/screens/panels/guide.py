"""``:guide``: docs/annotator.md, read in the app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from apollo_tui.acts.first_steps import find_guide
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.panels.base import Modal, line
from widgets.document import Document
from widgets.markdown_text import markdown_rows
from widgets.models import TextRow
from widgets.sanitise import clean

_BEGINS: Final = re.compile(r"[#|>]|[-*+] |\d+\. |```")

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen


class GuideScreen(Modal[None]):
    """The guide; pictures are left out."""

    AUTO_FOCUS = "Document"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+g,q", "back", show=False, id="back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, and how to go on."""
        with Vertical(id="panel", classes="-whole"):
            yield Document(id="guide-text")
            yield line("space: further · b: back · esc closes; `:guide` opens it again", "panel-footer")

    def on_mount(self) -> None:
        """Show it from its beginning."""
        self.query_one(Document).set_rows(guide_rows(self._text))

    def action_back(self) -> None:
        """Close."""
        self.dismiss(None)


def guide_rows(text: str) -> list[TextRow]:
    """The guide as rows: lines of a paragraph are joined, so that they break where the screen ends."""
    paragraphs: list[str] = []
    fenced = False
    for raw in clean(text).split("\n"):
        if raw.startswith("!["):
            continue
        fence = raw.startswith("```")
        if not fenced and not fence and raw and _goes_on(paragraphs[-1] if paragraphs else "", raw):
            paragraphs[-1] += f" {raw}"
        elif raw or (paragraphs and paragraphs[-1]):
            paragraphs.append(raw)
        fenced ^= fence
    return list(markdown_rows("\n".join(paragraphs)))


def _goes_on(before: str, raw: str) -> bool:
    """Whether a line is more of the paragraph before it, and neither begins a list, a table nor a heading."""
    return bool(before) and not before.startswith(("#", "|", "```")) and not _BEGINS.match(raw)


def show_guide(screen: ApolloScreen) -> None:
    """Open the guide. Raises NotDone where it is not there."""
    path = find_guide()
    if path is None:
        raise NotDone("the guide was not installed: docs/annotator.md of the source has it")
    screen.app.push_screen(GuideScreen(path.read_text("utf-8")))
