"""The keys that move: between panes, actions, matches and sessions, back and away, and to the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from apollo_tui.context import ToCommands, View

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen


class Panes(Protocol):
    """A screen with several parts that have the focus in turn."""

    def step_pane(self, by: int) -> None:
        """To the next part (1), or the one before (-1)."""
        ...


class Entries(Protocol):
    """A view in which one goes from action to action."""

    def step_action(self, by: int) -> None:
        """To the next action (1), or the one before (-1)."""
        ...


class Text(Protocol):
    """A screen in which one searches."""

    def step_match(self, by: int) -> None:
        """To the next match (1), or the one before (-1); without a search, to what is unread."""
        ...

    def search(self) -> None:
        """Ask for a text, and search it here."""
        ...


class Stream(Protocol):
    """A screen that follows what comes."""

    def toggle_follow(self) -> None:
        """Follow the newest events, or stay."""
        ...


class Jumps(Protocol):
    """A view in which jumps lead back."""

    def jump_back(self) -> None:
        """To where the last jump came from."""
        ...


@runtime_checkable
class Steps(Protocol):
    """A view over the steps of one session."""

    def go_to_step(self, step: int) -> None:
        """Select what the step did, or the newest that did anything."""
        ...


class Relatives(Protocol):
    """A view of sessions, some of which started others."""

    def show_relatives(self) -> None:
        """Show the sub-agents of a session, or go to one."""
        ...


def next_pane(screen: Panes) -> None:
    """The next pane, session or action."""
    screen.step_pane(1)


def previous_pane(screen: Panes) -> None:
    """The one before."""
    screen.step_pane(-1)


def next_action(view: Entries) -> None:
    """The next action."""
    view.step_action(1)


def previous_action(view: Entries) -> None:
    """The action before."""
    view.step_action(-1)


def next_match(view: Text) -> None:
    """The next match, or the next unread entry."""
    view.step_match(1)


def previous_match(view: Text) -> None:
    """The match before, or the unread entry before."""
    view.step_match(-1)


def search(view: Text) -> None:
    """Search in this session."""
    view.search()


def toggle_follow(view: Stream) -> None:
    """Follow the newest events, or stay."""
    view.toggle_follow()


def jump_back(view: Jumps) -> None:
    """To where the last jump came from."""
    view.jump_back()


def show_relatives(view: Relatives) -> None:
    """Show the sub-agents of the session, or go to one, or back to the session that started it."""
    view.show_relatives()


def press_number(view: View, text: str) -> None:
    """How many steps the span has that was begun here; where none was, to the session with this number."""
    flags = view.context.flags
    span = flags.span
    if span is None or span.loop is not None or span.session != view.session or not isinstance(view, Steps):
        go_to_number(view, text)
        return
    flags.span = span.counted(int(text))
    view.go_to_step(flags.span.end)


def go_to_number(view: View, text: str) -> None:
    """To the session with this number, or the sub-agent with this address."""
    session = view.context.state.find_by_address(text.lower())
    if session is None:
        view.say(f"there is no session {text}", "error")
    else:
        view.go_to(session, remember=True)


def ask_number(view: View) -> None:
    """To any session, by its number."""
    from apollo_tui.screens.panels.prompt import LinePrompt

    def take(text: str | None) -> None:
        if text:
            go_to_number(view, text.strip())

    view.ask(LinePrompt("session", "number, or 3.a: a sub-agent"), take)


def go_back(screen: ApolloScreen) -> None:
    """One level back; a span that is being chosen here goes first."""
    flags = screen.context.flags
    if not screen.typing and flags.span is not None and flags.span.session == screen.session:
        flags.span = None
        screen.invalidate()
        screen.say("no span")
    else:
        screen.go_back()


def leave(screen: ApolloScreen) -> None:
    """Leave this view."""
    screen.leave()


def open_help(screen: ApolloScreen) -> None:
    """The keys that work here and now; enter does one."""
    from apollo_tui.screens.panels.help import HelpPanel

    def take(id: str | None) -> None:
        if id:
            screen.apollo.press(id)

    screen.ask(HelpPanel(screen.key_context(), screen.context.config.keys), take)


def open_commands(screen: ApolloScreen) -> None:
    """Every command by name."""
    screen.apollo.open(ToCommands())
