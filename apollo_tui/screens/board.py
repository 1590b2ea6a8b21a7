"""The board: all sessions at the side, live panes, one composer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.acts.pane_memory import PaneMemory
from apollo_tui.backend.job_lines import JobKey
from apollo_tui.context import AppContext, ToSession
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.board_rows import BoardRows
from apollo_tui.screens.board_tickers import Tickers, explain_no_action
from apollo_tui.screens.composer import DraftComposer
from apollo_tui.screens.looks import look_once
from apollo_tui.state.board import WINDOW, Change
from apollo_tui.state.board_order import Order
from apollo_tui.state.judged_place import judged_seq, places_of_entries
from apollo_tui.state.pane_choice import PaneChoice
from sessions.events.states import ACTIVE
from sessions.terminal_text import say_count
from widgets.composer import Composer
from widgets.grid import count_fitting
from widgets.models import Entry
from widgets.session_list import SessionList
from widgets.wall import Wall

if TYPE_CHECKING:
    from apollo_tui.screens.board_start import BoardStart

AROUND: Final = 3
"""Rows above and below the wall."""


class BoardScreen(ApolloScreen):
    """Home. The list and the wall show the same current session; either has the focus."""

    place: ClassVar[keys.Place] = "board"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("board"))

    def __init__(self, context: AppContext) -> None:
        super().__init__(context)
        self.composer = self._composer = DraftComposer(self)
        self.listing = SessionList(id="sessions")
        self.wall = Wall(id="wall")
        self._rows = BoardRows(context, self.listing)
        self._came_from: list[str] = []
        self._tickers = Tickers(context.state)
        self._memory = PaneMemory(context.drafts)
        self.choice = PaneChoice(self._memory.load())
        self._offered: BoardStart | None = None
        """What stands there while there is no session."""

    def compose_body(self) -> Iterable[Widget]:
        """List and wall, then the composer."""
        yield self.rows.line
        yield Horizontal(self.listing, self.wall, id="body")
        yield self.composer

    def on_mount(self) -> None:
        """Keys go to the list first."""
        self.set_focus(self.listing)

    @property
    def rows(self) -> BoardRows:
        """Which sessions it shows, in which order."""
        return self._rows

    @property
    def session(self) -> str | None:
        """The current session."""
        return self.listing.selected or None

    def subject(self) -> tuple[str, Entry] | None:
        """The selected entry of the focused pane, else the newest action on screen for half a second."""
        if self.session and self.apollo.line_speed.slow:
            entry = self._tickers.candidate(self.session, self.context.clock())
        else:
            entry = self.wall.candidate(self.session) if self.session else None
        return (self.session, entry) if self.session and entry is not None else None

    async def selected_entry(self) -> tuple[str, int] | None:
        """Only a selected entry is what advice is about."""
        return self.wall.selected

    def in_sight(self) -> dict[str, int]:
        """What stands in the panes."""
        return {session: self.wall.last_visible(session) for session in self.wall.session_ids}

    def jobs_in_sight(self) -> list[JobKey]:
        """Those of the sessions that have a pane."""
        state = self.context.state
        shown = () if self.apollo.line_speed.slow else self.wall.session_ids
        return [job for session in shown if session in state.sessions for job in state.open_jobs(session)]

    def shown_sessions(self) -> list[str]:
        """The current one, those with a pane, and those whose row is in sight."""
        return [*super().shown_sessions(), *self.wall.session_ids, *self.listing.in_sight]

    def shows(self, session: str) -> bool:
        """Whether the session has a pane on screen."""
        return session in self.wall.session_ids

    # --- following the state ----------------------------------------------------------------------------------------

    def take_change(self, change: Change) -> None:
        """Give the wall what is new in its panes; it is painted at the tick."""
        super().take_change(change)
        self.rows.take(change.sessions)
        touched = change.entries or {session: set[int]() for session in change.sessions}
        chosen = frozenset(self.wall.chosen)
        for session, seqs in touched.items():
            if session in chosen:
                self._fill_pane(session, seqs)

    def _fill_pane(self, session: str, seqs: Collection[int] = ()) -> None:
        """Give the wall these entries of a session, or all, and what streams."""
        now = self.context.state.sessions.get(session)
        if now is not None:
            self.wall.put(session, now.book.entries(seqs or None))
            self.wall.live(session, now.live)

    def take_deltas(self, sessions: Collection[str]) -> None:
        """Partial replies grew."""
        self._tickers.note_growth()
        for session in set(self.wall.chosen).intersection(sessions):
            self.wall.live(session, self.context.state.sessions[session].live)

    def paint(self, now: int) -> None:
        """List, titles and the choice of panes."""
        self._offer_start()
        views = self.rows.views(now)
        if self.apollo.line_speed.slow:
            views = self._tickers.add_to(views, now)
        else:
            self._tickers.clear()
        self.set_class(self.apollo.line_speed.slow, "-slow")
        self.listing.update(views)
        self._fit_list()
        for view in views:
            self.wall.set_session(view)
        self._choose_panes()

    def tick(self, now: int) -> None:
        """Paint what is new in the panes; over a slow line, what is said last, now and then."""
        if self.apollo.line_speed.slow and self._tickers.due(now, self.listing.size.width):
            self._stale = True
        super().tick(now)
        self._mark_span()
        self.wall.flush(now)

    def _offer_start(self) -> None:
        """While no session is there, ways to a first one stand in the place of list and panes."""
        state = self.context.state
        known = state.log_was_read or not self.context.feed.paths.log.exists()
        if state.order() or not known:
            if self._offered is not None:
                self._offered.remove()
                self._offered = None
                self.remove_class("-empty")
                self.refocus()
                self.renew_hints()
        elif self._offered is not None:
            self._offered.look()
        else:
            from apollo_tui.screens.board_start import BoardStart

            self._offered = BoardStart(self)
            self.add_class("-empty")
            self.mount(self._offered, before=self.composer)
            self.renew_hints()

    def extra_hints(self) -> list[tuple[str, str]]:
        """Without a session there is little that a key can do."""
        found = super().extra_hints()
        if self._offered is None or found:
            return found
        wanted = (("move.open", "begin"), ("command", "command"), ("help", "help"), ("leave", "leave"))
        return [(keys.key_name(id, self.context.config.keys), verb) for id, verb in wanted]

    def keep_in_sight(self) -> None:
        """Less room is left: show what is selected."""
        if self.wall.selected is not None:
            self.wall.select(*self.wall.selected)

    def _mark_span(self) -> None:
        """Show what a verdict would be about, where a span was begun."""
        found = self.subject() if self.context.flags.span is not None else None
        steps = None
        if found is not None and found[1].step is not None:
            first = found[1].step
            steps = self.context.flags.span_steps(found[0], first, found[1].to_step or first)
        self.wall.mark_span(self.session or "", steps)

    def note_key(self, key: str) -> None:
        """Over a slow line, a key that finds no action says so."""
        super().note_key(key)
        keymap = self.context.config.keys
        wants = {name for id in ("flag", "label", "good", "unsure") for name in keys.keys_of(keys.BY_ID[id], keymap)}
        if self.session and self.apollo.line_speed.slow and key in wants and self.subject() is None:
            name = self.context.name(self.session)
            self.say(explain_no_action(name, lambda id: keys.key_name(id, keymap)), "warning")

    def on_resize(self) -> None:
        """Another size holds another number of panes."""
        self._stale = True

    def _choose_panes(self) -> None:
        """Those that ``choice`` gives a pane; a sub-agent has that of its session while it is the current one."""
        if self.apollo.line_speed.slow:
            self.wall.show(())
            return
        order = self.rows.roots()
        current = self.session or (order[0] if order else "")
        root = self.rows.root_of(current, order)
        chosen = self.choice.show(order, self.room_for_panes(), root, self._rank)
        shown = [current if one == root else one for one in chosen]
        for session in set(shown).difference(self.wall.chosen):
            self._fill_pane(session)
        if not shown:
            self.wall.say_why_none(self.rows.why_none())
        self.wall.show(shown)
        if current:
            self.wall.focus_pane(current)

    def _fit_list(self) -> None:
        """As wide as names need; over a slow line it has all there is (app.tcss)."""
        if self.apollo.line_speed.slow:
            self.listing.styles.clear_rule("width")
            return
        wanted, known = self.listing.wanted_width, self.listing.styles.width
        if known is None or known.value != wanted:
            self.listing.styles.width = wanted

    def room_for_panes(self) -> int:
        """How many panes fit, whatever else takes room for a while."""
        size = self.app.size
        return count_fitting(size.width - self.listing.wanted_width, size.height - AROUND)

    def _rank(self) -> list[str]:
        """The sessions that have a pane before others: who needs somebody, who works, then the newest."""
        state, now = self.context.state, self.context.clock()
        roots = state.roots()
        need = dict.fromkeys(
            state.families.root(signal.session)
            for signal in state.attention.rank(state.summaries(), now)
            if not signal.quiet
        )
        works = [one for one in roots if state.sessions[one].summary.state in ACTIVE]
        newest = sorted(roots, key=lambda one: -state.sessions[one].summary.last_id)
        return list(dict.fromkeys([*need, *works, *newest]))

    # --- how many panes, and whose ----------------------------------------------------------------------------------

    @property
    def pinnable(self) -> str:
        """The session that a pane can be kept for, "" if there is none."""
        return self.context.state.families.root(self.session) if self.session else ""

    def ask_panes(self) -> None:
        """How many panes, and whose."""
        from apollo_tui.screens.panels.panes import choose_panes

        choose_panes(self)

    def set_panes(self, count: int | None) -> None:
        """Show so many panes; None: as many as fit."""
        self.choice.set_count(count)
        fit = self.room_for_panes()
        said = f"as many panes as fit: {fit}" if count is None else say_count(count, "pane")
        self._keep_panes(said if count is None or count <= fit else f"{said}; {fit} fit here")

    def pin_session(self, session: str) -> None:
        """Keep a session in a pane, or let it go again."""
        pinned = self.choice.pin(session)
        self._keep_panes(f"{self.context.name(session)} {'is always' if pinned else 'need not be'} in a pane")

    def choose_panes_anew(self) -> None:
        """Those that need somebody now."""
        self.choice.choose_anew()
        self._keep_panes("the panes show who needs somebody now")

    def _keep_panes(self, said: str) -> None:
        self._choose_panes()
        self._stale = True
        try:
            self._memory.keep(self.choice.kept)
        except OSError as problem:
            self.say(f"{said}; that could not be kept: {problem}", "warning")
        else:
            self.say(said, "done")

    # --- moving -----------------------------------------------------------------------------------------------------

    def go_to(self, session: str, *, remember: bool = False) -> None:
        """Make a session the current one; the focus stays where it is. ``remember``: ``ctrl+o`` leads back."""
        if remember and self.session and session != self.session:
            self._came_from.append(self.session)
        if not self.listing.has(session) and session not in self.rows.sessions():
            self._bring_into_sight(session)
        self.listing.select(session)
        self._choose_panes()
        self._stale = True

    def key_context(self) -> keys.KeyContext:
        """Also whether there is a session to go back to, and whether some are marked."""
        return msgspec.structs.replace(
            super().key_context(), came_from=bool(self._came_from), marked=bool(self.rows.marked())
        )

    def jump_back(self) -> None:
        """To the session that the last jump came from."""
        if self._came_from:
            self.go_to(self._came_from.pop())

    def show_relatives(self) -> None:
        """Show the sub-agents of the current session in the list, or fold them away."""
        of, shown = self.listing.fold(self.session or "")
        if of:
            self.say(f"the sub-agents of {self.context.name(of)} {'are shown' if shown else 'are folded away'}")
            self._stale = True

    def mark_session(self) -> None:
        """Mark or unmark the current session."""
        if self.session:
            self._mark(self.context.marked ^ {self.session})
            count = len(self.context.marked)
            act, advise = (keys.key_name(id, self.context.config.keys) for id in ("act_on_marked", "advise_marked"))
            self.say(
                f"{count} marked: {act} acts on all of them, {advise} writes to them" if count else "none is marked"
            )

    def on_session_list_highlighted(self, message: SessionList.Highlighted) -> None:
        """The list moved."""
        self.go_to(message.session)

    def on_session_list_chosen(self, message: SessionList.Chosen) -> None:
        """Open the session."""
        self.apollo.open(ToSession(message.session))

    def on_wall_pane_focused(self, message: Wall.PaneFocused) -> None:
        """The wall moved."""
        self.listing.select(message.session)
        self._stale = True

    def on_wall_entry_selected(self, message: Wall.EntrySelected) -> None:
        """What is selected is read."""
        self._read(message.session, message.seq)
        self._stale = True

    def on_wall_entry_opened(self, message: Wall.EntryOpened) -> None:
        """The action, the queued advice, or the session."""
        if message.seq is None:
            self.apollo.open(ToSession(message.session))
        else:
            from apollo_tui.screens.key_acts.attention import open_entry  # a key: no part of the app's start

            open_entry(self, message.session, message.seq, self.context.state.entry(message.session, message.seq))

    def show_entry(self, session: str, seq: int) -> None:
        """Open the session there."""
        self.apollo.open(ToSession(session, seq))

    def attend(self, session: str, seq: int) -> None:
        """Make the session the current one and select the entry in its pane; what is older is opened."""
        if self.session:
            self._came_from.append(self.session)
        self.go_to(session)
        entries = [entry for entry in self.context.state.sessions[session].book.entries() if not entry.live]
        if not seq or not entries:
            self.wall.select(session, None)
            self.wall.follow(session)
        elif seq < entries[0].seq:
            self.apollo.open(ToSession(session, seq, judge=True))
        else:
            shown = next(entry.seq for entry in reversed(entries) if entry.seq <= seq)
            self._select(judged_seq(places_of_entries(entries), seq) or shown)

    # --- which sessions, in which order ------------------------------------------------------------------------------

    def show_only(self, text: str, *, settled: bool = True) -> str:
        """Show the sessions that these words mean; without words all of them. Returns the receipt. ``settled``: they
        are not being typed any more."""
        self.rows.settled = settled
        said = self.rows.only(text)
        self._show_rows()
        return said

    def turn_order(self, order: Order | None = None) -> None:
        """Order the list by another thing, or by this one, once: nothing moves by itself."""
        said = self.rows.turn_order(order)
        self._show_rows()
        self.say(said)

    def toggle_groups(self) -> None:
        """Sessions of one task together, or as they were."""
        said = self.rows.toggle_groups()
        self._show_rows()
        self.say(said)

    def _show_rows(self) -> None:
        now = self.context.clock()
        self.rows.show(now)
        if self.session is not None:
            self._choose_panes()
        self.invalidate()
        self.paint(now)

    def marked_sessions(self) -> list[str]:
        """The marked sessions that are in sight."""
        return self.rows.marked()

    def _bring_into_sight(self, session: str) -> None:
        """The filter hides where somebody goes to: it has to give way; the archive does not."""
        name, key = self.context.name(session), keys.key_name("only", self.context.config.keys)
        if session not in self.context.state.order():
            self.say(f"{name} is archived: {key} and the word archived shows it", "warning")
        else:
            self.show_only("")
            self.say(f"{name} was out of sight: all sessions are shown again", "warning")

    def mark_all(self) -> None:
        """Mark all sessions that are shown."""
        self._mark(self.context.marked | set(self.rows.sessions()))

    def unmark_all(self) -> None:
        """No session is marked any more, in sight or not."""
        self._mark(set())

    def _mark(self, sessions: set[str]) -> None:
        self.context.marked = sessions
        self.listing.mark(frozenset(sessions))
        self.invalidate()

    async def on_wall_history_needed(self, message: Wall.HistoryNeeded) -> None:
        """The reader is at the oldest entry of a pane, or there are blank rows in it: read what lies before it."""
        await look_once(self.apollo, partial(self._read_older, message))

    async def _read_older(self, message: Wall.HistoryNeeded) -> None:
        now = self.context.state.sessions[message.session]
        limit = WINDOW // 2 << max(0, message.times - 1)
        older = await self.context.feed.read(
            lambda reader: reader.events(message.session, before=message.before, newest_first=True, limit=limit)
        )
        if older:
            self.wall.put(message.session, now.book.entries(now.book.add(older[::-1])))

    def step_pane(self, by: int) -> None:
        """List, then each pane, then the list again; or the other way round."""
        ring: list[str | None] = [None, *self.wall.session_ids]
        at = ring.index(self.wall.focused_session) if self.wall.has_focus else 0
        target = ring[(at + by) % len(ring)]
        if target is None:
            self.set_focus(self._home)
        else:
            self.set_focus(self.wall)
            self.go_to(target)

    def toggle_follow(self) -> None:
        """Follow the newest events of the pane, or stay."""
        if self.session:
            following = self.wall.following(self.session)
            self.wall.select(self.session, None)
            self.wall.follow(self.session, not following)
            self.say("stays here" if following else "follows")

    def go_back(self) -> None:
        """First the selection goes, then the focus returns to the list."""
        if self.wall.has_focus and self.wall.selected is not None and self.session:
            self.wall.select(self.session, None)
            self.wall.follow(self.session)
        elif self.wall.has_focus or not self.rows.filter.words:
            self.set_focus(self._home)
        else:
            self.say(self.show_only(""))

    def leave(self) -> None:
        """Leave the app; what will stop before morning is said first."""
        from apollo_tui.screens.panels.leave import check_leave

        check_leave(self)

    def refocus(self) -> None:
        """After the composer: where the selection is."""
        self.set_focus(self.wall if self.wall.selected is not None else self._home)

    @property
    def _home(self) -> Widget:
        """What has the focus when nothing else is wanted."""
        return self.listing if self._offered is None else self._offered.listing

    def on_composer_scroll_session(self, message: Composer.ScrollSession) -> None:
        """Scroll the pane from within the composer."""
        if self.composer.draft is not None:
            self.wall.scroll_pages(self.composer.draft.session, message.pages)

    # --- actions and unread -----------------------------------------------------------------------------------------

    def step_action(self, by: int) -> None:
        """Select the next action of the pane, or the one before."""
        if not self.session:
            return
        entries = self.context.state.sessions[self.session].book.entries()
        seqs = [entry.seq for entry in entries if entry.kind == "action"]
        selected = self.wall.selected
        here = selected[1] if selected else (seqs[-1] + 1 if seqs else 0)
        if by > 0:
            wanted = next((seq for seq in seqs if seq > here), None)
        else:
            wanted = next((seq for seq in reversed(seqs) if seq < here), None)
        if wanted is None and not seqs:
            self.say(f"no action here: {self._opens()} shows all")
        elif wanted is None:
            self.say(
                "this is the last action" if by > 0 else f"no action before this one here: {self._opens()} shows all"
            )
        self._select(wanted)

    def _opens(self) -> str:
        return keys.key_name("move.open", self.context.config.keys)

    def step_match(self, by: int) -> None:
        """The next unread entry of the session, or the one before."""
        if not self.session:
            return
        unread = list(self.context.state.unread_seqs(self.session))
        here = self.wall.selected[1] if self.wall.selected else 0
        if by > 0:
            wanted = next((seq for seq in unread if seq > here), None)
        else:
            wanted = next((seq for seq in reversed(unread) if seq < here), None)
        if wanted is None:
            self.say("nothing unread in that direction")
        self._select(wanted)

    def _select(self, seq: int | None) -> None:
        if seq is None or not self.session:
            return
        if self.context.state.entry(self.session, seq) is None:
            self.apollo.open(ToSession(self.session, seq))
            return
        self.set_focus(self.wall)
        self.wall.select(self.session, seq)
        self._read(self.session, seq)
        self._stale = True

    def _read(self, session: str, seq: int) -> None:
        self.context.state.read_marks.select(session, self.context.state.part_of(session, seq), self.context.clock())

    def search(self) -> None:
        """Search in the session: opens it."""
        if self.session:
            self.apollo.open(ToSession(self.session, search=True))
