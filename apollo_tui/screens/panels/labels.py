"""``F``: the label picker. One letter sets the flag and closes; what it is about, how far it reaches, how bad it is and
a note are for who wants them, and are chosen before the letter. It takes its room from the view: what is labelled stays
in sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from apollo_tui.acts.flags import FlagInForce, Subject, Word, about_part
from apollo_tui.screens.panels.base import text_field
from apollo_tui.screens.panels.dock import DockedPanel
from apollo_tui.state.span import words
from sessions.annotators import shown_name
from sessions.labels import RIGHT_THERE_TOO, UNSPECIFIED, Taxonomy
from widgets.glyphs import VERDICTS
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

SEVERITIES: Final = "0,1,2,3,4,5"
"""0: not said."""
THERE_TOO: Final = "<"
"""The key of the word that looks back to the flagged step; no label can have it."""


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """What was picked, and of what. ``remove``: one's own flag is taken back instead; ``recovery``: a mark, no flag."""

    subject: Subject
    word: Word = field(default_factory=Word)
    remove: FlagInForce | None = None
    recovery: bool = False
    repeat: bool = False
    """The label or verdict of last time, with this note, reach and severity."""


class LabelPanel(DockedPanel[LabelChoice]):
    """Labels with one key each. ``standing`` says which flags are in force on a part of the subject; ``seq``: the entry
    that is labelled, where that is not the selected one."""

    fixed_rows: ClassVar[int] = 3
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,shift+tab", "note", show=False, id="label.note", priority=True),
        Binding("plus", "word('good')", show=False, id="label.good"),
        Binding("equals_sign", "word('unsure')", show=False, id="label.unsure"),
        Binding("full_stop", "repeat", show=False, id="label.repeat"),
        Binding("R", "recovery", show=False, id="label.recovery"),
        Binding("delete,backspace", "remove", show=False, id="label.remove"),
        Binding("right", "about(1)", show=False, id="label.next_part"),
        Binding("left", "about(-1)", show=False, id="label.previous_part"),
        Binding("asterisk", "reach", show=False, id="label.reach"),
        *(Binding(digit, f"severity({digit})", show=False) for digit in SEVERITIES.split(",")),
    ]

    def __init__(
        self,
        subject: Subject,
        labels: Taxonomy,
        standing: Callable[[Subject], Sequence[FlagInForce]],
        actor: str,
        seq: int | None = None,
    ) -> None:
        self._subject = subject
        self._seq = seq
        self._labels = labels
        self._standing = standing
        self._actor = actor
        self._reach = subject.loops_on
        self._severity: int | None = None
        said = [_line(flag, labels) for flag in standing(subject)]
        super().__init__(
            "",
            _rows(labels, subject.redoes),
            "a letter or enter sets · / finds · . last · + good · = unsure · R recovered",
            [" · ".join(said)] if said else [],
        )

    def compose_more(self) -> Iterable[Widget]:
        """What it is about, then the note."""
        yield Static("", id="about", classes="docked-line", markup=False)
        yield Static("", id="reach", classes="docked-line", markup=False)
        own = self._own
        yield text_field(own.body.note if own else "", "note (tab)", "note")

    def on_mount(self) -> None:
        """Say what it is about; the cursor stands on one's own label, so that enter changes nothing unasked."""
        super().on_mount()
        if self.view is not None and self._seq is not None:
            self.view.frame(self._subject.session, self._seq)
        own = self._own
        if own is not None and (own.body.verdict == "bad" or own.body.label == RIGHT_THERE_TOO):
            self.choices.highlight(own.body.label)
        self._tell()

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """A label, with the rest as it stands."""
        label = message.choice.id
        self._answer(Word("good" if label == RIGHT_THERE_TOO else "bad", label))

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter in the note goes back to the labels."""
        if message.input.id == "note":
            self.set_focus(self.choices)
        else:
            super().on_input_submitted(message)

    def action_note(self) -> None:
        """To the note, or back."""
        note = self.query_one("#note", Input)
        self.end_finding()
        self.set_focus(self.choices if note.has_focus else note)

    def action_word(self, verdict: str) -> None:
        """It is good, or nobody can tell."""
        self._answer(Word(verdict="good" if verdict == "good" else "unsure"))

    def action_repeat(self) -> None:
        """The label of last time."""
        self.dismiss(LabelChoice(self._subject, self._with(Word()), repeat=True))

    def action_recovery(self) -> None:
        """From this step on the agent is on its feet again."""
        self.dismiss(LabelChoice(self._subject, recovery=True))

    def action_remove(self) -> None:
        """Take one's own flag back."""
        if self._own is not None:
            self.dismiss(LabelChoice(self._subject, remove=self._own))

    def action_about(self, by: int) -> None:
        """The call, its whole reply, the reasoning, the text, the span."""
        parts = self._subject.parts
        at = parts.index(self._subject.target) if self._subject.target in parts else 0
        if parts:
            self._subject = about_part(self._subject, parts[(at + by) % len(parts)])
            self._tell()

    def action_reach(self) -> None:
        """Only this, or also what followed until recovery."""
        self._reach = not self._reach
        self._tell()

    def action_severity(self, number: int) -> None:
        """How bad it is, 1 to 5; 0 says nothing."""
        self._severity = number or None
        self._tell()

    @property
    def _own(self) -> FlagInForce | None:
        standing = self._standing(self._subject)
        return next((flag for flag in reversed(standing) if flag.actor == self._actor), None)

    def _tell(self) -> None:
        more = " ◂▸" if len(self._subject.parts) > 1 else ""
        said = [
            f"about {words(self._subject.target)}{more}",
            f"1-5 severity {self._severity or '–'}",
        ]
        if self._own is not None:
            said.append("delete takes yours back")
        self.query_one(".docked-title", Static).update(clean_line(f"{VERDICTS['bad']} {self._subject.words}"))
        self.query_one("#about", Static).update(clean_line(" · ".join(said)))
        self.query_one("#reach", Static).update(clean_line(self._say_reach()))

    def _say_reach(self) -> str:
        """How far the flag reaches: the steps are shown before it is set."""
        target, after = self._subject.target, self._subject.aftermath
        followed = after.words(target.to_step or target.step) if after is not None else "until recovery"
        return f"* and what followed: {followed}" if self._reach else f"* only this, not what followed: {followed}"

    def _with(self, word: Word) -> Word:
        note = self.query_one("#note", Input).value.strip()
        return Word(word.verdict, word.label, note, self._severity, self._reach)

    def _answer(self, word: Word) -> None:
        self.dismiss(LabelChoice(self._subject, self._with(word)))


def _rows(labels: Taxonomy, redoes: int | None) -> list[Choice]:
    """Those with a key first; ``redoes``: the flagged step that this one did over, for which training wants a word."""
    rows = [Choice(UNSPECIFIED, "no label", note="Bad, and nothing more is said.")]
    if redoes is not None:
        there = f"Also right at step {redoes}, which is flagged: training pairs the two."
        rows.append(Choice(RIGHT_THERE_TOO, "good, there too", THERE_TOO, note=there))
    known = sorted(labels.labels, key=lambda label: not label.key)
    rows += [Choice(label.id, label.name, label.key, note=label.definition, group=label.group) for label in known]
    return rows


def _line(flag: FlagInForce, labels: Taxonomy) -> str:
    who = shown_name(flag.actor)
    good = "good, there too" if flag.body.label == RIGHT_THERE_TOO else flag.body.verdict
    what = labels.name(flag.body.label) if flag.body.verdict == "bad" else good
    return f"{what} by {who}" + (f": {flag.body.note}" if flag.body.note else "")
