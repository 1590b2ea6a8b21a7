"""The command line ``apollo``: everything the app can do, for scripts and for a quick look."""

from __future__ import annotations

from apollo_tui.cli.main import main

__all__ = ["main"]
