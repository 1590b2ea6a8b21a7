"""Start the app in this terminal: what has to be set before Textual is imported, and how it ends."""

from __future__ import annotations

import os
import sys
from typing import Final

from apollo_train.cli.terminal_output import say
from apollo_tui.terminal import gc_tuning
from sessions.paths import LogPaths

FRAMES: Final = "500"
"""Our own timer bounds painting to 10 Hz; a key must not wait for Textual's frame timer, which is read at import."""


def run_app(paths: LogPaths, actor: str, *, read_only: bool = False) -> None:
    """Open the app and return when it is left. Raises ApolloError for a config or label file that cannot be used."""
    gc_tuning.begin()
    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from sessions.config import load_config
    from sessions.labels import load_labels

    config = load_config()
    labels = load_labels(config.labels_file)
    if config.ui.motion == "reduced":
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from apollo_tui.app import ApolloApp
    from apollo_tui.backend.live_feed import LiveFeed
    from apollo_tui.terminal.restoration import BorrowedTerminal

    borrowed = BorrowedTerminal()
    app = ApolloApp(LiveFeed(paths, actor, read_only=read_only), config, labels, borrowed=borrowed)
    with borrowed.lent(app.end):
        app.run(mouse=wants_mouse(config.ui.mouse))
    if borrowed.ended_by:
        say(borrowed.last_words, err=True)
        borrowed.die_of_signal()
    if app.crash:
        say(f"apollo: {app.crash}", err=True)
        sys.exit(70)
    if app.exit_message:
        say(app.exit_message)


def wants_mouse(setting: str) -> bool:
    """Whether to take the mouse: ``on``, ``off``, or ``auto``: not over SSH, where it costs bytes and selection."""
    if setting == "auto":
        return not (os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))
    return setting == "on"
