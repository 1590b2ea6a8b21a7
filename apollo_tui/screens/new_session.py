"""A new session: task, model, agent, name, workspace, limits. What is wrong is said beside the field."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from apollo_tui import keys
from apollo_tui.acts.agents import agent_names, read_choice, with_agent
from apollo_tui.acts.new_session import BadField, Field, Form, explain_containment, request_of
from apollo_tui.backend.feed import NotDone
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.panels.base import line
from sessions.host.protocol import Created
from widgets.sanitise import clean_line

MODELS = ("openai:", "anthropic:", "replay:", "demo:")
FIELDS: tuple[tuple[Field, str], ...] = (
    ("model", "PROVIDER:NAME, or a profile of the config (→ completes)"),
    ("agent", "empty: Apollo's own · codex, … · ACP: opencode acp (→ completes)"),
    ("name", "what the board calls it; else the task's title"),
    ("workspace", "a folder that is copied for the agent; else an empty one"),
    ("limits", "empty: none · e.g. steps=200 money=5 active_hours=12"),
)
TALKED_TO = "ACP: the task is its first prompt; it asks you for permission (a)"
"""What the form says where the agent is to be talked to."""


class NewSessionScreen(ApolloScreen):
    """A form. ``ctrl+s`` creates the session, tab goes through the fields, esc leaves."""

    place: ClassVar[keys.Place] = "new"
    AUTO_FOCUS = "TextArea"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("new"))

    def compose_body(self) -> Iterable[Widget]:
        """The fields."""
        config = self.context.config
        with Vertical(id="form"):
            yield line("task: its text (Markdown), or the path of a task file", "wide-label")
            kept = self.context.form
            task = TextArea(
                kept.task if kept else "", id="task", tab_behavior="focus", show_line_numbers=False, compact=True
            )
            task.cursor_blink = False
            yield task
            yield Static("", id="task-problem", classes="problem", markup=False)
            for name, hint in FIELDS:
                with Horizontal(classes="row"):
                    yield line(name, "label")
                    known = {"model": [*config.profiles, *MODELS], "agent": agent_names()}.get(name)
                    suggest = SuggestFromList(known) if known else None
                    value = next(iter(config.profiles), "") if name == "model" else ""
                    if kept is not None:
                        value = getattr(kept, name)
                    field = Input(value, placeholder=hint, id=name, suggester=suggest)
                    field.cursor_blink = False
                    yield field
                if name == "agent":
                    yield Static(TALKED_TO, id="agent-hint", classes="hint", markup=False)
                yield Static("", id=f"{name}-problem", classes="problem", markup=False)

    def title_text(self) -> str:
        """The title."""
        return "new session"

    def extra_hints(self) -> list[tuple[str, str]]:
        """This form's keys."""
        return [("ctrl+s", "create"), ("tab", "next field"), ("esc", "leave")]

    def on_input_submitted(self) -> None:
        """Enter goes on to the next field."""
        self.focus_next()

    def create_session(self) -> None:
        """Create it, or say what is wrong."""
        form = self._form()
        for name in ("task", *(name for name, _ in FIELDS)):
            self._problem(name, "")
        try:
            request = request_of(form, self.context.config)
        except BadField as problem:
            self._problem(problem.field, str(problem))
            self.query_one(f"#{problem.field}").focus()
            return

        async def create() -> str:
            agent, acp = read_choice(form.agent)
            stream = self.context.config.gateway.stream
            asked = await asyncio.to_thread(with_agent, request, agent, stream=stream, acp=acp) if agent else request
            made = await self.context.feed.call(asked)
            if not isinstance(made, Created):
                raise NotDone("the host answered something else than a session")
            if self.is_current:
                self.app.pop_screen()
            if self.context.form == form:
                self.context.form = None
            why = explain_containment(made)
            return f"session {made.number} {request.title} is created and starts{f'; {why}' if why else ''}"

        self.say("creating …")
        self.act(create())

    def go_back(self) -> None:
        """Leave; what was typed waits for the next time."""
        super().go_back()
        if self.context.form is not None:
            key = keys.key_name("new", self.context.config.keys)
            self.apollo.say(f"the new session is kept as you left it: {key} goes on with it")

    @on(Input.Changed)
    @on(TextArea.Changed)
    def keep(self) -> None:
        """What is typed stays until the session is created."""
        form = self._form()
        self.query_one("#agent-hint").set_class(read_choice(form.agent)[1], "-shown")
        self.context.form = form if any((form.task, form.agent, form.name, form.workspace, form.limits)) else None

    def _form(self) -> Form:
        return Form(self.query_one(TextArea).text, *(self.query_one(f"#{name}", Input).value for name, _ in FIELDS))

    def _problem(self, field: str, text: str) -> None:
        place = self.query_one(f"#{field}-problem", Static)
        place.update(clean_line(text))
        place.set_class(bool(text), "-shown")
