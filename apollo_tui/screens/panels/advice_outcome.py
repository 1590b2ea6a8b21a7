"""Advice and what followed it, side by side; one key says what became of it."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar, Final, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from apollo_tui.screens.panels.base import Modal, line
from apollo_tui.state.advice_outcome import AdviceAftermath, advice_lines, entry_lines
from widgets.document import Document
from widgets.models import Line

Answer = Literal["followed", "ignored", "made_it_worse", "snooze", "next", "session", "advise"]

FOOTER: Final = "y followed · n ignored · w worse · z later · i advise · ! next · esc leaves it open"
SETTLED_S: Final = 0.5
"""A word that comes sooner was meant for what stood there before."""


class OutcomePanel(Modal[Answer]):
    """Answers with the outcome, or with where to go."""

    AUTO_FOCUS = "#after"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g,q", "back", show=False, id="back"),
        Binding("y", "word('followed')", show=False, id="outcome.followed", priority=True),
        Binding("n", "word('ignored')", show=False, id="outcome.ignored", priority=True),
        Binding("w", "word('made_it_worse')", show=False, id="outcome.worse", priority=True),
        Binding("i", "answer('advise')", show=False, id="outcome.advise", priority=True),
        Binding("z", "answer('snooze')", show=False, id="outcome.snooze", priority=True),
        Binding("enter", "answer('session')", show=False, id="outcome.session", priority=True),
        Binding("exclamation_mark", "answer('next')", show=False, id="outcome.next", priority=True),
        Binding("tab,shift+tab", "other", show=False, id="outcome.other", priority=True),
    ]

    def __init__(self, name: str, followed: AdviceAftermath, step: int) -> None:
        super().__init__()
        self._whose = name
        self._followed = followed
        self._step = step
        self._shown_at = 0.0
        self._left = Document(id="advice")
        self._right = Document(id="after")

    def compose(self) -> ComposeResult:
        """Title, both sides, keys."""
        at = self._followed.record.at_step or 0
        since = self._step - at
        with Vertical(id="outcome"):
            yield line(
                f"{self._whose} · advice at step {at}, {since} step{'s' * (since != 1)} since: what became of it?",
                "panel-title",
            )
            with Horizontal(id="sides"):
                yield self._left
                yield self._right
            yield line(FOOTER, "panel-footer")

    def on_mount(self) -> None:
        """Fill both sides once their width is known."""
        self._shown_at = monotonic()
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        """Wrap anew."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        left = advice_lines(self._followed)
        left += entry_lines(self._followed.before, self._left.size.width - 1)
        self._left.set_lines(left, keep_place=True)
        said: list[Line] = [(("nothing followed yet", "dim"),)]
        self._right.set_lines(entry_lines(self._followed.after, self._right.size.width - 1) or said, keep_place=True)

    def action_word(self, word: Answer) -> None:
        """What became of it."""
        if monotonic() - self._shown_at >= SETTLED_S:
            self.dismiss(word)

    def action_answer(self, answer: Answer) -> None:
        """Where to go."""
        self.dismiss(answer)

    def action_other(self) -> None:
        """To the other side, to scroll there."""
        self.set_focus(self._right if self._left.has_focus else self._left)

    def action_back(self) -> None:
        """Leave it open."""
        self.dismiss(None)
