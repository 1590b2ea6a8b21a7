"""The least that Textual can show: the floor for first paint."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class EmptyApp(App[None]):
    """One word on the screen."""

    def compose(self) -> ComposeResult:
        """The word that the benchmark waits for."""
        yield Static("painted")


if __name__ == "__main__":
    EmptyApp().run()
