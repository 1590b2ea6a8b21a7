"""Templates in the composer: offered beside earlier advice on an empty line, their fields gone through with tab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from apollo_tui.acts.advice_templates import NAME, Templates, load_templates
from apollo_tui.context import ToChoices
from apollo_tui.state.advice_templates import AdviceTemplate, all_fields, fields_of, next_field
from widgets.models import Choice, EarlierText
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from pathlib import Path


COLUMN: Final = 22
"""Cells of the column of names."""
SAID: Final = 300
"""Characters of a text that a row holds."""
FOOTER: Final = "enter takes it · tab then goes from {field} to {field} · esc leaves it"


class ComposerTemplates:
    """The templates of one composer. The file is read when somebody asks for it: it may have changed."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._found = Templates((), config)
        self._fields: frozenset[str] = frozenset()
        self._warned_of = ""

    def load(self) -> Templates:
        """What the file holds now."""
        self._found = load_templates(self._config)
        self._fields = all_fields(self._found.templates)
        return self._found

    def next_field(self, text: str, at: int, by: int) -> tuple[int, int] | None:
        """Where the next field of a template stands in the text, in characters."""
        if not fields_of(text):
            return None
        self.load()
        return next_field(text, at, by, self._fields)

    def warn(self, text: str) -> str:
        """What is to be said before a text with open fields is sent; "" if it has none, or that was said of it."""
        if not fields_of(text) or text == self._warned_of:
            return ""
        self.load()
        left = [field for field in fields_of(text) if field in self._fields]
        if not left:
            return ""
        self._warned_of = text
        named = ", ".join(f"{{{field}}}" for field in left)
        return f"not filled in: {named} · tab goes there, the same key again sends it as it is"

    def ask(
        self,
        open: Callable[[ToChoices], object],
        earlier: Sequence[EarlierText],
        take_template: Callable[[AdviceTemplate], None],
        take_earlier: Callable[[EarlierText], None],
    ) -> str:
        """Offer templates and earlier advice. Returns what is to be said if there is nothing to offer."""
        found = self.load()
        rows = [
            Choice(f"template {at}", f"{clean_line(one.name):<{COLUMN}} {_shown(one.text)}", group="templates")
            for at, one in enumerate(found.templates)
        ]
        newest = list(reversed(earlier))
        rows += [
            Choice(f"earlier {at}", _shown(one.text), group="said before, newest first", note=_note(one))
            for at, one in enumerate(newest)
        ]
        if not rows:
            return found.problem or f"no templates in {found.path}, and nothing was said here before"

        def take(id: str | None) -> None:
            kind, _, number = (id or "").partition(" ")
            if kind == "template":
                take_template(found.templates[int(number)])
            elif kind == "earlier":
                take_earlier(newest[int(number)])

        own = self._config.parent / NAME
        where = "" if found.path == own else f"your own go into {own}"
        lines = [line for line in (found.problem or where,) if line]
        open(ToChoices("templates, and what was said here before", rows, FOOTER, take, lines))
        return ""


def _shown(text: str) -> str:
    return clean_line(" ".join(text.split()), SAID)


def _note(one: EarlierText) -> str:
    return f"waits: advice {one.queued}" if one.queued else ""
