"""A paste is text: it goes into the field that is open, else into a draft; where nothing takes it, that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.widgets import Input

from apollo_tui import keys
from apollo_tui.screens.advising import Advising
from widgets.fields import is_field
from widgets.sanitise import clean_line

if TYPE_CHECKING:
    from apollo_tui.apollo import Apollo


def took(app: Apollo, event: events.Paste) -> bool:
    """Put the paste where text goes. False: the field that has the focus takes it as it is."""
    focused, screen = app.focused, app.screen
    field = focused if isinstance(focused, Input) else screen.query(Input).first() if _asks(app) else None
    if field is not None:
        # A field of one line would keep the first line only.
        screen.set_focus(field)
        field._forward_event(events.Paste(clean_line(" ".join(event.text.split()))))
        return True
    if is_field(focused):
        return False
    if isinstance(screen, Advising) and screen.session:
        screen.put_text(event.text)
    else:
        back, advise = (keys.shown(keys.first(keys.BY_ID[one], app.desk.config.keys)) for one in ("back", "advise"))
        app.say(f"a paste is text, and nothing takes text here: {back}, then {advise}", "warning")
    return True


def _asks(app: Apollo) -> bool:
    """Whether a panel is open that has a field."""
    return app.screen is not app.view and bool(app.screen.query(Input))
