"""The command line ``apollo``: everything the app can do, for scripts and for a quick look."""

from __future__ import annotations

import sys

from apollo_tui.terminal import gc_tuning


def main(args: list[str] | None = None) -> None:
    """Run the command line. Nothing is collected while it loads what it needs; ctrl+c meanwhile is no traceback."""
    gc_tuning.begin()
    try:
        from apollo_tui.cli.root import main as run
    except KeyboardInterrupt:
        sys.stderr.write("apollo: interrupted\n")
        sys.exit(130)
    run(args)
