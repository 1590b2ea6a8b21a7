"""How an agent program becomes a session: one that is installed here, or a command of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apollo_tui.screens.panels.base import ChoicePanel
from apollo_tui.terminal.shell_command import on_log
from sessions.paths import LogPaths
from widgets.models import Choice

LINES: Final = (
    "The host gives the program a model endpoint of its own, so that all it asks and is answered is recorded,",
    "and can be paused, advised and flagged as with our own agent. docs/agents.md says what was tried.",
)


class ConnectPanel(ChoicePanel):
    """Answers with what is to stand in the form's field for the agent."""

    def __init__(self, agents: Sequence[str], paths: LogPaths) -> None:
        own = on_log(paths.log)
        commands = (
            f"your own command, in a shell: {own} run --model MODEL -- COMMAND",
            f"on another machine: {own} run --model MODEL --elsewhere, then {own} gateway NUMBER",
        )
        choices = [Choice(name, f"a new session of {name}", str(at)) for at, name in enumerate(agents[:9], 1)]
        footer = "a digit or enter opens the form with it · esc closes" if agents else "esc closes"
        super().__init__("connect an agent program", choices, footer, (*LINES, *commands))
