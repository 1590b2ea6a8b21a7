"""The first row of a live pane: which session, how it stands, and whether the reader is at its end."""

from __future__ import annotations

from widgets import cells
from widgets.glyphs import clock, count, state_mark
from widgets.paint import spread
from widgets.pane import Pane
from widgets.views import Line, Role, SessionView


def pane_title(view: SessionView | None, pane: Pane, width: int, focused: bool, has_keys: bool) -> Line:
    """``▌1 tune-lr ──── ● running  step 41  2h12  18.2k/128k``; what does not fit goes from the right.

    ``focused`` is the pane that keys would go to, ``has_keys`` says that they do go to the wall.
    """
    role: Role = "title-on" if focused else "title"
    mark: Line = (("▌" if has_keys else " ", "accent"),)
    if view is None:
        return (*mark, ("…", role))
    state = state_mark(view.state, view.state_words)
    reading = ""
    if not pane.following:
        reading = f" {pane.unseen} new ↓ " if pane.unseen else " not following "
    left: Line = (*mark, (f"{view.number} {view.title} ", role))
    known: Line = ((reading, "accent"), (f" {state.text}", state.role))
    more = [f"  step {view.step}", f"  {clock(view.active_ms)}"]
    if view.context_limit:
        more.append(f"  {count(view.context_tokens)}/{count(view.context_limit)}")
    while more and cells.line_width((*left, *known)) + sum(map(len, more)) + 1 > width:
        more.pop()
    right: Line = (*known, ("".join(more), "dim"))
    gap = width - cells.line_width(left) - cells.line_width(right)
    return (*left, ("─" * gap, "rule"), *right) if gap > 0 else spread(left, right, width)
