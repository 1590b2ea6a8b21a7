"""The app with its panes and outputs not painted: what arrives is folded and kept, and nothing of it is drawn.

What is left of a key's latency here is Textual, the terminal and the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from apollo_tui.run import FRAMES, run_app
from sessions.paths import log_paths


def main(log: Path) -> None:
    """Run the app on ``log``, without the painting of the wall and of outputs."""
    import os

    os.environ.setdefault("TEXTUAL_FPS", FRAMES)
    from widgets.output import OutputView
    from widgets.wall import Wall

    # The control is the app less these methods.
    Wall.flush = lambda self, now: 0  # type: ignore[method-assign]
    OutputView.show = lambda self, lines, **_: None  # type: ignore[method-assign]
    run_app(log_paths(log), "human:bench")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
