"""``F``: the label picker. One letter sets the flag and closes; note, good and unsure are for who wants them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from apollo_tui import judging
from apollo_tui.judging import Standing, Subject
from apollo_tui.screens.panel import PanelScreen
from sessions.labels import UNSPECIFIED, Taxonomy
from widgets.picker import ChoiceList
from widgets.views import Choice


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was picked. ``remove``: one's own flag is taken back instead."""

    label: str = UNSPECIFIED
    note: str = ""
    verdict: judging.Verdict = "bad"
    remove: Standing | None = None


class LabelPanel(PanelScreen[Verdict]):
    """Labels with one key each. ``tab`` goes to the note and back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,shift+tab", "note", show=False, id="label.note", priority=True),
        Binding("plus", "good", show=False, id="label.good"),
        Binding("equals_sign", "unsure", show=False, id="label.unsure"),
        Binding("delete,backspace", "remove", show=False, id="label.remove"),
    ]

    def __init__(self, subject: Subject, labels: Taxonomy, standing: Sequence[Standing], actor: str) -> None:
        self._own = next((flag for flag in reversed(standing) if flag.actor == actor), None)
        rows = [
            Choice(label.id, f"{label.name:<20} {label.definition}", key=label.key, group=label.group)
            for label in labels.labels
            if label.key
        ]
        rows.append(Choice(UNSPECIFIED, "no label             Bad, and nothing more is said.", group="verification"))
        rows += [
            Choice(label.id, f"{label.name:<20} {label.definition}", group=label.group)
            for label in labels.labels
            if not label.key
        ]
        said = [_line(flag, labels) for flag in standing]
        remove = " · delete takes yours back" if self._own else ""
        super().__init__(
            f"⚑ {subject.words}",
            rows,
            f"a letter sets it · enter the row · tab note · + good · = unsure{remove} · esc leaves it",
            said,
        )

    def compose_more(self) -> Iterable[Widget]:
        """The note."""
        yield Input(self._own.body.note if self._own else "", placeholder="note (tab)", id="note")

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """A label, with the note as it stands."""
        self.dismiss(Verdict(message.choice.id, self._note))

    def on_input_submitted(self) -> None:
        """Enter in the note goes back to the labels."""
        self.choices.focus()

    def action_note(self) -> None:
        """To the note, or back."""
        note = self.query_one("#note", Input)
        (self.choices if note.has_focus else note).focus()

    def action_good(self) -> None:
        """The action is good."""
        self.dismiss(Verdict(note=self._note, verdict="good"))

    def action_unsure(self) -> None:
        """It may be bad."""
        self.dismiss(Verdict(note=self._note, verdict="unsure"))

    def action_remove(self) -> None:
        """Take one's own flag back."""
        if self._own is not None:
            self.dismiss(Verdict(remove=self._own))

    @property
    def _note(self) -> str:
        return self.query_one("#note", Input).value.strip()


def _line(flag: Standing, labels: Taxonomy) -> str:
    who = flag.actor.removeprefix("human:")
    what = labels.name(flag.body.label) if flag.body.verdict == "bad" else flag.body.verdict
    return f"  {what} by {who}" + (f": {flag.body.note}" if flag.body.note else "")
