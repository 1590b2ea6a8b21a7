"""The keys of a workspace: which files are listed, what is seen of one, and where one goes from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from apollo_tui.context import ToWorkspace, View

if TYPE_CHECKING:
    from apollo_tui.state.file_looks import Look
    from apollo_tui.state.workspace_table import Which


class Files(Protocol):
    """A screen of a workspace's files."""

    def show(self, which: Which) -> None:
        """List these."""
        ...

    def look_at(self, look: Look) -> None:
        """See this of the file under the cursor, or the file itself if that is what is seen."""
        ...

    def copy_path(self) -> None:
        """Copy its path."""
        ...

    def page_file(self) -> None:
        """Open it in the pager."""
        ...

    def go_to_author(self) -> None:
        """Go to what changed it."""
        ...

    def open_shell(self) -> None:
        """Open a shell there."""
        ...

    def read_again(self) -> None:
        """Look again what is there."""
        ...


def open_workspace(view: View) -> None:
    """The files of the session's workspace."""
    if view.session:
        view.keep_draft()
        view.apollo.open(ToWorkspace(view.session))


def show_changed(screen: Files) -> None:
    """What changed since the session began."""
    screen.show("changed")


def show_since_left(screen: Files) -> None:
    """What changed since the annotator left."""
    screen.show("left")


def show_all(screen: Files) -> None:
    """All files."""
    screen.show("all")


def show_of_step(screen: Files) -> None:
    """What the same step changed."""
    screen.show("step")


def diff_to_beginning(screen: Files) -> None:
    """Against the beginning."""
    screen.look_at("beginning")


def diff_to_last_look(screen: Files) -> None:
    """Against the last look."""
    screen.look_at("last")


def copy_path(screen: Files) -> None:
    """Copy the path."""
    screen.copy_path()


def page_file(screen: Files) -> None:
    """Open the file in $PAGER."""
    screen.page_file()


def go_to_author(screen: Files) -> None:
    """To the action that changed it last."""
    screen.go_to_author()


def open_shell(screen: Files) -> None:
    """A shell in the workspace."""
    screen.open_shell()


def read_again(screen: Files) -> None:
    """Look again."""
    screen.read_again()
