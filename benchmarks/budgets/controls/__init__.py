"""What a measurement is held against: an empty Textual app, and the app itself with painting off."""

from __future__ import annotations

import sys
from typing import Final

EMPTY: Final = [sys.executable, "-m", "benchmarks.budgets.controls.empty_app"]
"""The command of a Textual app that shows one word."""
