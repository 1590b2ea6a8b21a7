"""One line at the bottom: a session's number, a search, a command with its completions. Opened by a key only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from apollo_tui import keys
from apollo_tui.screens.panels.base import Modal, line, text_field
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

CommandAct = Callable[["ApolloScreen", list[str]], None]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``session``: it needs one; ``write``: it needs a host; ``needs``: so many words after its name.

    ``key``: the id of the key that does it.
    """

    name: str
    arguments: str
    help: str
    run: CommandAct
    session: bool = False
    write: bool = False
    needs: int = 0
    hint: str = ""
    """What those words are."""
    key: str = ""

    def lacks(self, words: Sequence[str]) -> str:
        """What is still to be typed after these words, "" if it can run."""
        return f"{self.name} {self.arguments}: {self.hint or self.help}" if len(words) < self.needs else ""


def match_commands(commands: Sequence[Command], text: str) -> list[Command]:
    """Commands whose name begins with the first word of ``text``, then those with a word of name or key that does; if
    there are none, those that speak of it. With a space after it, only that very one."""
    name, space, _ = text.lstrip().partition(" ")
    exact = [command for command in commands if command.name == name]
    if space and exact:
        return exact
    begun = exact + [command for command in commands if command.name.startswith(name) and command not in exact]
    inside = [command for command in commands if any(word.startswith(name) for word in _words_of(command))]
    found = begun + [command for command in inside if command not in begun]
    return found or [command for command in commands if name.lower() in command.help.lower()]


def _words_of(command: Command) -> list[str]:
    """The words by which a command is known beside its name: those within it, and those of its key."""
    label = keys.BY_ID[command.key].label.split() if command.key else []
    return [*command.name.split("-"), *label]


Offers = Callable[[Command, list[str], str], list[tuple[str, str]]]
"""What the last word behind a command may become, and what that means, after the words before it."""
RECENT: Final = 4
"""So many of the lines that were run last stand first."""
COLUMN: Final = 26
"""Cells of the column of names and words."""
MOST: Final = 14
"""Rows of completions at most."""
SHARE: Final = 60
"""Percent of the screen that the command line takes at most,"""
BESIDE: Final = 2
"""and the rows of it that are no completions: its edge and the field."""


class LinePrompt(Modal[str]):
    """Answers with the line, None if it was left."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+g", "back", show=False, id="back")]

    def __init__(self, label: str, placeholder: str = "", value: str = "") -> None:
        super().__init__()
        self._label = label
        self._placeholder = placeholder
        self._value = value

    def compose(self) -> ComposeResult:
        """A label and a field."""
        with Horizontal(id="prompt"):
            yield line(self._label, "prompt-label")
            yield text_field(self._value, self._placeholder)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter answers."""
        self.dismiss(message.value)

    def action_back(self) -> None:
        """Leave it."""
        self.dismiss(None)


class CompletionPrompt(Modal[str]):
    """A field whose words may be completed: tab takes what is under the cursor of the list, up and down choose. A
    subclass composes both and has ``action_complete``."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g", "back", show=False, id="back"),
        Binding("tab", "complete", show=False, priority=True),
        Binding("down,ctrl+n", "move(1)", show=False, priority=True),
        Binding("up,ctrl+p", "move(-1)", show=False, priority=True),
    ]

    _moved = False
    """Whether the cursor was put on a completion: enter takes it."""

    def on_mount(self) -> None:
        """The keys are the field's."""
        self.query_one(ChoiceList).can_focus = False

    def action_move(self, by: int) -> None:
        """Another completion."""
        self._moved = True
        self.query_one(ChoiceList).action_move(by)

    def action_back(self) -> None:
        """Leave it."""
        self.dismiss(None)


class CommandPrompt(CompletionPrompt):
    """``:``: type a command and its words; tab completes, up and down choose. What was run last stands first; what
    cannot be done here says why."""

    def __init__(
        self,
        commands: list[Command],
        keymap: Mapping[str, str],
        *,
        why_not: Callable[[Command], str] = lambda _: "",
        recent: Sequence[str] = (),
        offers: Offers = lambda command, before, last: [],
    ) -> None:
        super().__init__()
        self._commands = commands
        self._by_name = {command.name: command for command in commands}
        self._keymap = keymap
        self._why_not = {command.name: why_not(command) for command in commands}
        self._recent = [line for line in recent if not self._why_not.get(line.split()[0], "-")]
        self._offers = offers
        self._lacks = ""
        """What was missing when somebody wanted to run it."""

    def compose(self) -> ComposeResult:
        """The completions over the field."""
        with Vertical(id="command"):
            yield ChoiceList(id="choices")
            yield Static("", id="command-hint", markup=False)
            with Horizontal(id="prompt"):
                yield line(":", "prompt-label")
                yield text_field(placeholder="a name and its words · tab completes · enter does it · esc leaves")

    def on_mount(self) -> None:
        """All commands at first."""
        self._complete("")

    def on_input_changed(self, message: Input.Changed) -> None:
        """Narrow the list down."""
        self._moved = False
        self._complete(message.value)

    def _complete(self, text: str) -> None:
        command, before, last = self._split(text)
        if command is None:
            rows, said = self._rows(text), ""
        else:
            offers = self._offers(command, before, last)
            rows = [Choice(word, f"{word:<{COLUMN}} {about}".rstrip()) for word, about in offers]
            said = f"{command.name} {command.arguments}  {command.help}" if rows else ""
            rows = rows or [self._row(command)]
        self._hint(self._lacks or said)
        self._lacks = ""
        listing = self.query_one(ChoiceList)
        listing.update(rows)
        listing.action_to_start()
        self._fit()

    def _split(self, text: str) -> tuple[Command | None, list[str], str]:
        """The command whose words are being typed, the words before the last, and that; None: it has no name yet."""
        name, space, rest = text.lstrip().partition(" ")
        command = self._by_name.get(name) if space else None
        *before, last = rest.split(" ")
        return command, [word for word in before if word], last

    def _rows(self, text: str) -> list[Choice]:
        """Commands; before anything is typed, what was run last before them."""
        found = [self._row(command) for command in match_commands(self._commands, text)]
        if text.strip() or not self._recent:
            return found
        recent = [self._recent_row(line) for line in self._recent[:RECENT]]
        known = {choice.id for choice in recent}
        rest = [msgspec.structs.replace(choice, group="all") for choice in found if choice.id not in known]
        return recent + rest

    def _recent_row(self, line: str) -> Choice:
        command = self._by_name[line.split()[0]]
        text = f"{line:<{COLUMN}} {self._key_of(command):<6} {command.help}"
        return Choice(line, text, group="done last")

    def _row(self, command: Command) -> Choice:
        named, why = f"{command.name} {command.arguments}", self._why_not[command.name]
        text = f"{named:<{COLUMN}} {self._key_of(command):<6} {'' if why else command.help}".rstrip()
        return Choice(command.name, text, disabled=why)

    def _key_of(self, command: Command) -> str:
        """The key that does it, as a person reads it."""
        return keys.key_name(command.key, self._keymap) if command.key else ""

    def _hint(self, text: str) -> None:
        hint = self.query_one("#command-hint", Static)
        hint.update(clean_line(text))
        hint.set_class(bool(text), "-shown")

    def on_resize(self) -> None:
        """Another height has room for other numbers of completions."""
        self._fit()

    def _fit(self) -> None:
        """The field stays in sight below as many completions as there is room for."""
        listing, size = self.query_one(ChoiceList), self.app.size
        room = max(1, size.height * SHARE // 100 - BESIDE)
        listing.styles.height = max(1, min(MOST, room, listing.rows_in(size.width)))

    def action_complete(self) -> None:
        """Take what is under the cursor into the field: a command, or the last word."""
        chosen = self.query_one(ChoiceList).highlighted
        if chosen is None:
            return
        field = self.query_one(Input)
        command, _, last = self._split(field.value)
        if command is not None and chosen.id != command.name:
            field.value = f"{field.value[: len(field.value) - len(last)]}{chosen.id} "
        elif command is None:
            field.value = f"{chosen.id} "
        field.cursor_position = len(field.value)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Run what is typed; a beginning runs the completion under the cursor. What lacks words stays open."""
        if self._moved and self._split(message.value)[0] is not None:
            self.action_complete()
        name, _, rest = message.input.value.strip().partition(" ")
        if name not in self._by_name:
            chosen = self.query_one(ChoiceList).highlighted
            name, _, more = (chosen.id if chosen is not None else name).partition(" ")
            rest = more or rest
        elif self._moved and not rest and (chosen := self.query_one(ChoiceList).highlighted) is not None:
            name, _, rest = chosen.id.partition(" ")
        command = self._by_name.get(name)
        lacks = command.lacks(rest.split()) if command is not None and not self._why_not[name] else ""
        self._lacks = lacks
        self._hint(lacks)
        if lacks:
            message.input.value = f"{name} {rest.strip()} " if rest.strip() else f"{name} "
            message.input.cursor_position = len(message.input.value)
            return
        self.dismiss(f"{name} {rest}".strip())
