"""What an export asks before it writes, where neither the policy nor the config says it: advice, and whose replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from apollo_train.policy import AdviceMode
from apollo_tui.screens.panels.base import ChoicePanel, PanelScreen
from sessions.terminal_text import say_count
from widgets.models import Choice
from widgets.picker import ChoiceList
from widgets.sanitise import clean_line

FOOTER: Final = "a letter or enter chooses · A: always, the config keeps it · esc: nothing is written"


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """What was chosen; ``always``: the config is to remember it."""

    values: tuple[str, ...]
    always: bool = False


class SettingPanel(ChoicePanel):
    """All values of a setting of the export menu, each with what it does. ``hang``: where their texts go on."""

    def __init__(self, title: str, choices: Sequence[Choice], hang: int, value: str) -> None:
        super().__init__(title, choices, "a digit or enter chooses · esc leaves it as it is")
        self.hang = hang  # type: ignore[misc]  # as wide as the values of this setting
        self._value = value

    def on_mount(self) -> None:
        """The cursor is on the present value."""
        super().on_mount()
        self.choices.highlight(self._value)


class ExportQuestion(PanelScreen[ExportAnswer]):
    """A question with an answer that the config can keep."""

    hang: ClassVar[int | None] = 2
    BINDINGS: ClassVar[list[BindingType]] = [Binding("A", "always", show=False, id="export_question.always")]

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """For this export, and the next ones from this menu."""
        self.answer(message.choice.id, always=False)

    def action_always(self) -> None:
        """What is under the cursor, from now on."""
        if self.choices.highlighted is not None:
            self.answer(self.choices.highlighted.id, always=True)

    def answer(self, choice: str, *, always: bool) -> None:
        """Close with this choice."""
        self.dismiss(ExportAnswer((choice,), always))


class AdvicePanel(ExportQuestion):
    """Whether advice stays in the prompts."""

    def __init__(self, pieces: int, answers: int, meanings: Mapping[AdviceMode, str]) -> None:
        said = [say_count(pieces, "piece", "pieces") + " of advice"] if pieces else []
        said += [say_count(answers, "answer") + " to questions"] if answers else []
        keys: dict[AdviceMode, str] = {"kept": "k", "dropped": "d", "both": "b"}
        choices = [Choice(mode, f"{mode}: {meaning}", keys.get(mode, "")) for mode, meaning in meanings.items()]
        title = f"these sessions hold {' and '.join(said)}: what becomes of that?"
        super().__init__(title, choices, FOOTER)


class ModelsPanel(ExportQuestion):
    """Which models' replies may be targets: all, or those of one."""

    def __init__(self, models: Mapping[str, int]) -> None:
        total = sum(models.values())
        choices = [Choice("*", f"all: {say_count(total, 'reply', 'replies')}", "a")]
        for name, number in sorted(models.items(), key=lambda item: -item[1]):
            choices.append(Choice(name, f"only {clean_line(name, 60)}: {say_count(number, 'reply', 'replies')}"))
        super().__init__(
            "replies of several models would be trained: of which?",
            choices,
            FOOTER,
        )
