"""The app with a fault of our making, set off by ctrl+c: ``crashing_app.py WHERE ARGUMENTS…`` is ``apollo ARGUMENTS…``.

WHERE: ``handler``, ``worker``, ``paint``, ``diff`` (as bytes are put together), ``input`` (the thread that reads keys),
``exit`` (an exception that Textual does not catch), ``unmount`` (on the way out), ``stuck`` (a loop that never ends).
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from apollo_tui.app import ApolloApp
from apollo_tui.cli import main
from apollo_tui.terminal.screen_diff import ScreenDiff
from apollo_tui.terminal.textual_private import TellingDriver
from widgets.chrome import TitleBar


class Unforeseen(Exception):
    """Raised by the test."""


def fail(*_: Any, **__: Any) -> NoReturn:
    raise Unforeseen("of the test's making")


def set_off(where: str, app: ApolloApp) -> None:
    if where == "handler":
        fail()
    elif where == "worker":
        app.run_worker(_work())
    elif where == "paint":
        TitleBar.render_line = fail  # type: ignore[method-assign]
        app.query(TitleBar).first().refresh()
        app.screen.query(TitleBar).first().refresh()
    elif where == "diff":
        ScreenDiff.render = fail  # type: ignore[method-assign]
        app.screen.refresh()
    elif where == "input":
        TellingDriver.process_message = fail  # type: ignore[method-assign]
    elif where == "exit":
        raise SystemExit(3)
    elif where == "unmount":
        ApolloApp.on_unmount = fail  # type: ignore[method-assign]
        app.exit()
    elif where == "stuck":
        app.exit_message = "stuck"
        app.write_bytes("\x1b]2;stuck\x07")
        while True:
            pass


async def _work() -> NoReturn:
    fail()


if __name__ == "__main__":
    kind = sys.argv[1]
    ApolloApp.action_how_to_leave = lambda self: set_off(kind, self)  # type: ignore[method-assign]
    main(sys.argv[2:])
