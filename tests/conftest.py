"""Shared fixtures. Helper modules that several areas use live in tests/support/."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
