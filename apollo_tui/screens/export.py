"""The export menu: which sessions, in which format, by which rules. What that trains is counted and shown first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import localtime, strftime
from typing import ClassVar, Final, get_args

import msgspec
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from apollo_train.export.file_size import measure_size
from apollo_train.export.open_questions import MEANINGS, are_models_asked, fill_open, is_asked
from apollo_train.export.plan import Plan, plan_export
from apollo_train.export.preview import Preview, preview
from apollo_train.formats import Format, format_for
from apollo_train.policy import PRESETS, AdviceMode, FilterPolicy, policy_toml
from apollo_tui import keys
from apollo_tui.acts.export_choices import ChoiceFile, ExportChoices, default_path, name_contents
from apollo_tui.acts.export_job import ExportJob
from apollo_tui.context import AppContext
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.panels.export_questions import AdvicePanel, ExportAnswer, ModelsPanel
from apollo_tui.state.board_filter import SessionFacts, complete_filter, parse_filter, say_unknown
from apollo_tui.state.export_menu import (
    BEGINNING,
    Unseen,
    about_value,
    choices_of,
    hang_of,
    known_values,
    menu_rows,
)
from sessions.config import remember_setting
from sessions.errors import ApolloError
from sessions.events.states import ENDED
from sessions.terminal_text import say_count
from widgets.document import Document
from widgets.menu import Menu
from widgets.models import Choice, Line, Role
from widgets.picker import ChoiceList
from widgets.sanitise import clean, clean_line


class ExportScreen(ApolloScreen):
    """Sessions and settings at the left, counts and a preview of what is trained at the right."""

    place: ClassVar[keys.Place] = "export"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("export"))

    def __init__(self, context: AppContext, session: str | None, chosen: tuple[str, ...] = ()) -> None:
        super().__init__(context)
        order = context.state.order()
        self._archived = [one for one in chosen if one not in order]
        """Those are listed only where somebody chose them before."""
        done = [one for one in order if context.state.sessions[one].summary.state in ENDED]
        families = context.state.families
        wanted = (session,) if session else chosen
        self._chosen = frozenset([*wanted, *(one for each in wanted for one in families.below(each))] or done or order)
        self._shown = session or next(iter(chosen or order), None)
        self._kept = ChoiceFile(context.drafts)
        kept = self._kept.load(known_values())
        self._settings = {**BEGINNING, **kept.settings}
        self._folder = Path(kept.folder) if kept.folder else Path.cwd()
        self._named: Path | None = None
        """The file that somebody named; else its name follows what is in it."""
        self._out = self._name_file()
        self._unfolded: set[str] = set()
        """Sessions whose sub-agents have rows."""
        self._trainable: tuple[str, ...] = ()
        """Whose replies may be targets, once that was asked."""
        self._job: ExportJob | None = None

    def compose_body(self) -> Iterable[Widget]:
        """Two columns."""
        with Horizontal(id="body"):
            with Vertical(id="export-left"):
                yield ChoiceList(id="export-sessions")
                yield Menu(id="export-settings")
            with Vertical():
                yield Static("", id="export-counts", markup=False)
                yield Document(id="export-preview")
        yield Static("", id="export-about", markup=False)

    def on_mount(self) -> None:
        """Fill it, and count."""
        self._fill()
        self.set_focus(self.query_one("#export-sessions", ChoiceList))
        if self._shown:
            self.query_one("#export-sessions", ChoiceList).highlight(self._shown)
        self._count()

    def title_text(self) -> str:
        """The title."""
        return "export"

    @property
    def session(self) -> str | None:
        """The session under the cursor."""
        return self._shown

    # --- the form ---------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        state = self.context.state
        rows = []
        for session in (*state.order(), *self._archived):
            if not self._unfolded.issuperset(state.families.above(session)):
                continue
            s = state.sessions[session].summary
            note = (
                f"exported {Path(s.last_export).name}"
                if s.last_export
                else f"{say_count(s.step, 'step')}, {say_count(s.flags, 'flag')}"
            )
            folded = self._folded(session)
            more = f"+{say_count(len(folded), 'sub-agent')}" if folded else ""
            rows.append(Choice(session, f"{s.address} {s.title}", note=note, value=more))
        listing = self.query_one("#export-sessions", ChoiceList)
        listing.update(rows)
        listing.tick(self._chosen or frozenset({""}))
        self._out = self._name_file()
        menu = self.query_one("#export-settings", Menu)
        menu.set_rows(menu_rows(self._settings, str(self._out)))
        self._say_about()
        self._fit()

    def _name_file(self) -> Path:
        """The file that was named, else one whose name says what is in it and since when."""
        if self._named is not None:
            return self._named
        chosen = [self.context.state.sessions[one].summary for one in sorted(self._chosen)]
        day = strftime("%Y-%m-%d", localtime(self.context.clock() / 1000))
        return default_path(name_contents(chosen) if chosen else "", self._settings["format"], day, self._folder)

    def _say_about(self) -> None:
        """What the setting under the cursor does, in its present value."""
        here = self.query_one("#export-settings", Menu).highlighted
        row = here.id if here is not None else ""
        self.query_one("#export-about", Static).update(clean_line(about_value(row, self._settings.get(row, "")), 400))

    def _fit(self) -> None:
        """The settings are all in sight; sessions have what is left."""
        menu = self.query_one("#export-settings", Menu)
        menu.styles.height = menu.rows_in(menu.size.width) + 1

    def on_resize(self) -> None:
        """Another width crops other rows."""
        self.call_after_refresh(self._fit)

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Choose or drop a session."""
        if message.sender.id == "export-sessions":
            self._toggle(message.choice.id)

    def on_choice_list_highlighted(self, message: ChoiceList.Highlighted) -> None:
        """Another session: preview that one."""
        if message.sender.id == "export-sessions":
            self._shown = message.choice.id
            self._preview()
        else:
            self._say_about()

    def toggle_chosen(self) -> None:
        """Choose or drop the session under the cursor."""
        if self._shown:
            self._toggle(self._shown)

    def show_relatives(self) -> None:
        """Show the sub-agents of the session under the cursor, or fold them away."""
        families = self.context.state.families
        here = self._shown or ""
        of = here if families.children(here) else families.parent(here)
        self._unfolded ^= {of}
        self._fill()
        listing = self.query_one("#export-sessions", ChoiceList)
        if here not in (choice.id for choice in listing.choices):
            listing.highlight(of)
            self._shown = of
            self._preview()

    def _folded(self, session: str) -> frozenset[str]:
        """The sub-agents below it that have no row: they are chosen with it."""
        below = self.context.state.families.below(session)
        return frozenset() if session in self._unfolded else frozenset(below)

    def _toggle(self, session: str) -> None:
        all_of_it = self._folded(session) | {session}
        self._choose(self._chosen - all_of_it if session in self._chosen else self._chosen | all_of_it)

    def choose_all(self) -> None:
        """Choose every session."""
        self._choose(frozenset((*self.context.state.order(), *self._archived)))
        self.say(f"all {say_count(len(self._chosen), 'session')} are chosen")

    def choose_none(self) -> None:
        """Drop every session."""
        self._choose(frozenset())

    def choose_some(self) -> None:
        """Choose the sessions that a few words mean, as on the board; all others are dropped."""
        from apollo_tui.screens.panels.filter_prompt import FilterPrompt

        def preview(words: str) -> str:
            known, unknown = self._facts(), 0
            if parse_filter(words).asks_unread:
                self.context.seeds.want_unread(facts.session for facts in known)
                unknown = sum(facts.unread is None for facts in known)
            return f"{len(_matching(words, known))} of {len(known)} sessions{say_unknown(unknown)}"

        def take(words: str | None) -> None:
            if not words:
                return
            if any(facts.unread is None for facts in self._facts()) and parse_filter(words).asks_unread:
                self.say(f"only {words}: looking what is unread …")
                self.act(self._look_and_choose(words))
            else:
                self.say(self._choose_matching(words))

        self.ask(FilterPrompt("", preview, lambda words: complete_filter(words, self._facts())), take)

    def _facts(self) -> list[SessionFacts]:
        """Of all sessions of the menu, as they are now."""
        state, now, marked = self.context.state, self.context.clock(), self.context.marked
        return [state.facts(one, now, marked=one in marked) for one in (*state.order(), *self._archived)]

    async def _look_and_choose(self, words: str) -> str:
        """None is left out because nobody has looked. Raises LogError."""
        await self.context.seeds.read_unread([facts.session for facts in self._facts()])
        return self._choose_matching(words) if self.ready else ""

    def _choose_matching(self, words: str) -> str:
        known = self._facts()
        found = _matching(words, known)
        self._choose(found)
        return f"only {words}: {say_count(len(found), 'session')} of {len(known)} chosen"

    def _choose(self, sessions: frozenset[str]) -> None:
        self._chosen = sessions
        self._fill()
        self._count()

    def on_menu_changed(self, message: Menu.Changed) -> None:
        """A setting turned."""
        self._set(message.row, message.value)

    def on_menu_opened(self, message: Menu.Opened) -> None:
        """All values of a setting, with what each of them does."""
        from apollo_tui.screens.panels.export_questions import SettingPanel

        row = message.row

        def take(value: str | None) -> None:
            if value is not None:
                self._set(row.id, value)

        self.ask(SettingPanel(row.text, choices_of(row), hang_of(row), row.value), take)

    def _set(self, row: str, value: str) -> None:
        self._settings[row] = value
        self._fill()
        self._count()

    def on_menu_activated(self, message: Menu.Activated) -> None:
        """The file, or write."""
        if message.row == "write":
            self.write()
        else:
            self.ask_path()

    def ask_path(self) -> None:
        """Ask for another file. A folder keeps the name."""
        from apollo_tui.screens.panels.prompt import LinePrompt

        def take(text: str | None) -> None:
            if not text:
                return
            path = Path(text).expanduser().absolute()
            if path.is_dir():
                self._folder, self._named = path, None
            else:
                self._folder, self._named = path.parent, path
            self._fill()
            self.say(f"{keys.key_name('write', self.context.config.keys)} writes {self._out}")

        self.ask(LinePrompt("file", "where to write", str(self._out)), take)

    def step_pane(self, by: int) -> None:
        """Sessions, settings, preview; or the other way round."""
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def policy(self) -> FilterPolicy:
        """The policy with what was set here."""
        made = PRESETS[self._settings["policy"]]
        advice = next((mode for mode in get_args(AdviceMode) if mode == self._settings["advice"]), None)
        if advice is not None:
            made = made.with_advice(advice)
        if self._trainable:
            made = made.with_trainable(self._trainable)
        unseen = next((mode for mode in get_args(Unseen) if mode == self._settings["unseen"]), None)
        if unseen is not None:
            made = msgspec.structs.replace(made, targets=msgspec.structs.replace(made.targets, unseen=unseen))
        return fill_open(made, self.context.config.export)

    # --- what it would be -------------------------------------------------------------------------------------------

    def _count(self) -> None:
        self.run_worker(self._count_now(), group="count", exclusive=True)
        self._preview()

    async def _count_now(self) -> None:
        counts = self.query_one("#export-counts", Static)
        if not self._chosen:
            counts.update("no session is chosen: x chooses the one under the cursor")
            return
        try:
            plan = await self._plan()
        except ApolloError as problem:
            counts.update(clean(str(problem)))
            return
        lines = plan.lines()
        counts.update(clean("\n".join(lines)))
        try:
            size = await self.context.feed.work(lambda reader: measure_size(reader, plan, self._format()))
        except ApolloError as problem:
            lines.insert(1, str(problem))
        else:
            lines.insert(1, f"the file: {say_count(plan.counts.rows, 'row')}, {size}" if plan.counts.rows else "no row")
        counts.update(clean("\n".join(lines)))

    async def _plan(self) -> Plan:
        policy, chosen = self.policy(), sorted(self._chosen)
        made = self._format()
        return await self.context.feed.work(lambda reader: plan_export(reader, chosen, policy, made))

    def _format(self) -> Format:
        return format_for(self._settings["format"], self._settings["template"])

    def _preview(self) -> None:
        self.run_worker(self._preview_now(), group="preview", exclusive=True)

    async def _preview_now(self) -> None:
        document = self.query_one("#export-preview", Document)
        session, policy = self._shown, self.policy()
        if session is None:
            return
        try:
            found = await self.context.feed.work(lambda reader: preview(reader, session, policy))
        except ApolloError as problem:
            document.set_lines([((str(problem), "need"),)])
            return
        lines = _preview_lines(found)
        document.set_lines(lines)
        document.go_to(
            next((at for at, line in enumerate(lines) if line and line[0][1] in ("trained", "masked") and at), 0)
        )

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the file, in a process of its own."""
        if self._job is not None:
            self.say("an export is under way", "warning")
        elif not self._chosen:
            self.say("choose a session first: x", "error")
        elif not self._out.parent.is_dir():
            self.say(f"there is no folder {self._out.parent}", "error")
        elif not self._out.exists() or self.confirm("write", f"the file is there: w again replaces {self._out}"):
            self.run_worker(self._ask_and_write(overwrite=self._out.exists()), group="write", exclusive=True)

    async def _ask_and_write(self, *, overwrite: bool) -> None:
        """Ask what nobody has said yet, each thing once, and write."""
        try:
            plan = await self._plan()
        except ApolloError as problem:
            self.say(str(problem), "error")
            return
        policy, counts = plan.policy, plan.counts
        format = format_for(self._settings["format"])
        if is_asked(policy, format) and (counts.advice or counts.answers):
            self._ask_advice(counts.advice, counts.answers, overwrite)
        elif are_models_asked(policy, format) and len(counts.trained_by_model) > 1:
            self._ask_models(counts.trained_by_model, overwrite)
        else:
            await self._write(overwrite=overwrite)

    def _ask_advice(self, pieces: int, answers: int, overwrite: bool) -> None:
        def take(answer: ExportAnswer | None) -> None:
            if answer is not None:
                self._settings["advice"] = answer.values[0]
                self._fill()
                self._go_on("advice", answer, overwrite)

        self.ask(AdvicePanel(pieces, answers, MEANINGS), take)

    def _ask_models(self, models: dict[str, int], overwrite: bool) -> None:
        def take(answer: ExportAnswer | None) -> None:
            if answer is not None:
                self._trainable = answer.values
                self._go_on("trainable", answer, overwrite)

        self.ask(ModelsPanel(models), take)

    def _go_on(self, key: str, answer: ExportAnswer, overwrite: bool) -> None:
        """Remember the answer where that was asked for, ask what is left, and write."""
        if answer.always:
            value = list(answer.values) if key == "trainable" else answer.values[0]
            try:
                remember_setting(self.context.config.path, "export", key, value)
            except ApolloError as problem:
                self.say(str(problem), "error")
                return
        self._count()
        self.run_worker(self._ask_and_write(overwrite=overwrite), group="write", exclusive=True)

    async def _write(self, *, overwrite: bool) -> None:
        try:
            self._job = ExportJob(
                self.context.feed.paths,
                self.context.feed.actor,
                sorted(self._chosen),
                self._settings["format"],
                policy_toml(self.policy()),
                self._out,
                overwrite,
                template=self._settings["template"],
            )
        except OSError as problem:
            self.say(f"the export could not start: {problem}", "error")
            return
        self.say(f"writing {self._out}; it goes on if you leave")
        try:
            self._kept.save(ExportChoices(self._settings, str(self._out.parent)))
        except OSError as problem:
            self.say(f"writing {self._out}; what was chosen is not kept: {problem}", "warning")

    def tick(self, now: int) -> None:
        """How far the writing is."""
        super().tick(now)
        if self._job is None:
            return
        running = self._job.poll()
        if running.ended is None:
            if running.total:
                self.say(f"writing {self._job.out}: {running.done:,} of {running.total:,}")
            return
        self._job = None
        self.say(running.said, "done" if running.ended == 0 else "error")


def _matching(words: str, known: Iterable[SessionFacts]) -> frozenset[str]:
    wanted = parse_filter(words)
    return frozenset(facts.session for facts in known if wanted.matches(facts))


ROLES: Final[dict[str, Role]] = {"trained": "trained", "masked": "masked", "context": "dim"}


def _preview_lines(found: Preview | None) -> list[Line]:
    """The sample as lines; every stretch says in words what its colour says."""
    if found is None:
        return [(("no reply yet: nothing to preview", "dim"),)]
    verdict = "trained" if found.trained else f"not trained: {found.reason}"
    lines: list[Line] = [((f"step {found.name}  ", "strong"), (verdict, "trained" if found.trained else "masked"))]
    if found.hidden:
        lines.append(((f"… {found.hidden} earlier messages of the prompt", "dim"),))
    for span in found.spans:
        mark = {"trained": "▌trained", "masked": "▌masked", "context": " context"}[span.role]
        reason = f" ({span.reason})" if span.reason else ""
        role = ROLES[span.role]
        lines += [(), ((f"{mark} {span.label}{reason}", role),)]
        lines += [((row, role),) for row in span.text.split("\n")]
    return lines
