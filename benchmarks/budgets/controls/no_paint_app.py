"""The app with its panes not painted: frames arrive, are folded and kept, and nothing of them is drawn.

What is left of a key's latency here is Textual, the terminal and the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from apollo_tui.run import FRAMES, run_app
from sessions.paths import log_paths


def main(log: Path) -> None:
    """Run the app on ``log``, without the wall's painting."""
    import os

    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from widgets.wall import Wall

    Wall.flush = lambda self, now: 0  # type: ignore[method-assign]  # the control is the app less this one method
    run_app(log_paths(log), "human:bench")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
