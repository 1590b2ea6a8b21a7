"""A small panel: a title, some lines, and choices. It is put up by a person's key only, never by an event."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from widgets.paint import Painter
from widgets.picker import ChoiceList
from widgets.views import Choice, Line


class PanelText(Painter):
    """Lines as they are, cropped to the width."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = tuple(lines)
        self.styles.height = len(self._lines)

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Other lines."""
        self._lines = tuple(lines)
        self.styles.height = len(self._lines)
        self.refresh()

    def row(self, y: int) -> Line:
        """One of them."""
        return self._lines[y] if y < len(self._lines) else ()


class Panel(Vertical):
    """``title``, ``lines`` and ``choices``; listen for ``ChoiceList.Picked``."""

    DEFAULT_CSS = """
    Panel { width: 1fr; height: auto; max-height: 100%; background: $background; }
    Panel ChoiceList { height: auto; }
    """

    def __init__(
        self, title: str, choices: Sequence[Choice], lines: Sequence[Line] = (), *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.text = PanelText([((f" {title}", "strong"),), *lines, ()])
        self.choices = ChoiceList(choices)
        self._fit()

    def compose(self) -> ComposeResult:
        """Text, then choices."""
        yield self.text
        yield self.choices

    def on_mount(self) -> None:
        """A person asked for this panel: it has the keys."""
        self.choices.focus()

    def update(self, choices: Sequence[Choice]) -> None:
        """Other choices."""
        self.choices.update(choices)
        self._fit()

    def _fit(self) -> None:
        self.choices.styles.height = max(1, self.choices.line_count)
        self.choices.styles.max_height = "80vh"
