"""A new session: task, model, agent, name, workspace, limits. What is wrong is said beside the field."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from textual import on
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea
from textual.worker import Worker

from apollo_tui import keys
from apollo_tui.acts.agents import agent_names, read_choice, with_agent
from apollo_tui.acts.new_session import BadField, Field, Form, explain_containment, model_named, request_of
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import AppContext
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.panels.base import line
from sessions.errors import ApolloError
from sessions.host.protocol import Created, CreateSession
from sessions.providers.addresses import is_asked
from widgets.sanitise import clean_line

MODELS = ("openai:", "anthropic:", "replay:", "demo:")
FIELDS: tuple[tuple[Field, str], ...] = (
    ("model", "a profile, PROVIDER:NAME, or a name at the URL below (→ completes)"),
    ("base_url", "empty: the profile's or provider's · http://127.0.0.1:8000/v1"),
    ("agent", "empty: Apollo's own · codex, … · ACP: opencode acp (→ completes)"),
    ("name", "what the board calls it; else the task's title"),
    ("workspace", "a folder that is copied for the agent; else an empty one"),
    ("limits", "empty: none · e.g. steps=200 money=5 active_hours=12"),
)
LABELS: Final[Mapping[Field, str]] = {"base_url": "base URL"}
"""What a field is called where that is not its name."""
TALKED_TO = "ACP: the task is its first prompt; it asks you for permission (a)"
"""What the form says where the agent is to be talked to."""


class NewSessionScreen(ApolloScreen):
    """A form. ``ctrl+s`` creates the session, tab goes through the fields, esc leaves."""

    place: ClassVar[keys.Place] = "new"
    AUTO_FOCUS = "TextArea"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("new"))

    def __init__(self, context: AppContext) -> None:
        super().__init__(context)
        self._asking: Worker[None] | None = None
        """The question to the model's server that is under way,"""
        self._asked: Form | None = None
        """and the form that it was for."""
        self._refused = False
        """Whether its answer was that something is wrong."""

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
                    yield line(LABELS.get(name, name), "label")
                    known = {"model": [*config.profiles, *MODELS], "agent": agent_names()}.get(name)
                    suggest = SuggestFromList(known) if known else None
                    value = next(iter(config.profiles), "") if name == "model" else ""
                    if kept is not None:
                        value = getattr(kept, name)
                    field = Input(value, placeholder=hint, id=name, suggester=suggest)
                    field.cursor_blink = False
                    yield field
                if name == "model":
                    yield Static(clean_line(self._models_hint(), 200), id="model-hint", classes="hint", markup=False)
                if name == "agent":
                    yield Static(TALKED_TO, id="agent-hint", classes="hint", markup=False)
                yield Static("", id=f"{name}-problem", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Say what there is to choose from, or what is missing."""
        self.query_one("#model-hint").add_class("-shown")

    def _models_hint(self) -> str:
        from apollo_tui.acts.model_check import say_missing

        config = self.context.config
        profiles = f"profiles: {', '.join(config.profiles)}" if config.profiles else ""
        return profiles or say_missing(config, os.environ) or f"no profile in {config.path}: docs/providers.md"

    def title_text(self) -> str:
        """The title."""
        return "new session"

    def extra_hints(self) -> list[tuple[str, str]]:
        """This form's keys."""
        keymap = self.context.config.keys
        more = [(keys.key_name("create_anyway", keymap), "create anyway")] if self._can_skip else []
        return [(keys.key_name("create", keymap), "create"), *more, ("tab", "next field"), ("esc", "leave")]

    def on_input_submitted(self) -> None:
        """Enter goes on to the next field."""
        self.focus_next()

    def create_session(self) -> None:
        """Ask the model's server for a token, then create the session; or say what is wrong."""
        form = self._form()
        if self._asking is not None:
            self.say(f"the server has not answered yet: {self._skip_name} creates the session all the same")
            return
        request = self._read(form)
        if request is None:
            return
        if not is_asked(request.model):
            self._create(form, request)
            return
        self._asked = form
        self.say(f"asking for one token of {request.model.id} … {self._skip_name} creates the session without it")
        self._asking = self.run_worker(self._ask(form, request), group="ask", exclusive=True)
        self.show_hints()

    def create_anyway(self) -> None:
        """Create it although its model did not answer, or has not yet."""
        if not self._can_skip:
            self.say(f"{keys.key_name('create', self.context.config.keys)} asks the model's server first", "warning")
            return
        form = self._form()
        self._stop_asking()
        request = self._read(form)
        if request is not None:
            self._create(form, request)

    @property
    def _can_skip(self) -> bool:
        """Whether the question to the server is under way, or got a refusal."""
        return self._asking is not None or self._refused

    @property
    def _skip_name(self) -> str:
        return keys.key_name("create_anyway", self.context.config.keys)

    def _read(self, form: Form) -> CreateSession | None:
        """The request that the form makes; None where something is wrong, which is said beside its field."""
        for name in ("task", *(name for name, _ in FIELDS)):
            self._problem(name, "")
        try:
            return request_of(form, self.context.config)
        except BadField as problem:
            self._problem(problem.field, str(problem))
            self.query_one(f"#{problem.field}").focus()
            return None

    async def _ask(self, form: Form, request: CreateSession) -> None:
        from apollo_tui.acts.model_check import NoAnswer, check_model

        config = self.context.config
        try:
            await check_model(
                request.model, model_named(form, config), config,
                agent=read_choice(form.agent)[0], typed_url=bool(form.base_url.strip()),
            )  # fmt: skip
        except ApolloError as problem:
            self._asking, self._refused = None, True
            field: Field = "model" if isinstance(problem, NoAnswer) and problem.of_model else "base_url"
            self._problem(field, str(problem))
            self.say(f"nothing is created; {self._skip_name} creates it all the same", "error")
            self.query_one(f"#{field}").focus()
            self.renew_hints()
            return
        self._asking = None
        self._create(form, request)

    def _create(self, form: Form, request: CreateSession) -> None:
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

        self._refused = False
        self.say("creating …")
        self.act(create())

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        self._refused = False
        self.renew_hints()

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
        if self._can_skip and form != self._asked:
            self._stop_asking()
        self.query_one("#agent-hint").set_class(read_choice(form.agent)[1], "-shown")
        self.context.form = (
            form if any((form.task, form.base_url, form.agent, form.name, form.workspace, form.limits)) else None
        )

    def _form(self) -> Form:
        fields = {name: self.query_one(f"#{name}", Input).value for name, _ in FIELDS}
        return Form(self.query_one(TextArea).text, **fields)

    def _problem(self, field: str, text: str) -> None:
        place = self.query_one(f"#{field}-problem", Static)
        place.update(clean_line(text))
        place.set_class(bool(text), "-shown")
