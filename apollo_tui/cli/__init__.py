"""The command line ``apollo``: everything the app can do, for scripts and for a quick look."""

from __future__ import annotations

from apollo_tui import memory


def main(args: list[str] | None = None) -> None:
    """Run the command line. Nothing is collected while it loads what it needs."""
    memory.begin()
    from apollo_tui.cli.root import main as run

    run(args)
