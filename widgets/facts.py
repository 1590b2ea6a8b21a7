"""Session facts: how it stands, what it costs, its plan, scores, jobs and files, each only if there is something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from textual import events

from sessions.fold.costs import say_cost
from widgets import cells
from widgets.glyphs import PLAN, clock, count, running_time, state_mark
from widgets.models import FactsView, Line
from widgets.paint import Painter, spread
from widgets.plot import plot
from widgets.sanitise import clean_line

PLOTTED: Final = 3
"""So many scores are worth a plot."""
PLOT_ROWS: Final = 4
CHILDREN_SHOWN: Final = 6
"""So many sub-agents have a row."""


class FactsPanel(Painter):
    """Facts of one session, at the side of its transcript; the wheel scrolls it when it is too long."""

    DEFAULT_CSS = "FactsPanel { width: 36; height: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view: FactsView | None = None
        self._lines: list[Line] = []
        self._top = 0

    def update(self, view: FactsView) -> None:
        """Show these facts; rows that are the same are not painted again."""
        if view == self._view:
            return
        self._view = view
        self._lay_out()

    def on_resize(self) -> None:
        """Bars and plots follow the width."""
        self._lines = []
        self._lay_out()

    def scroll_rows(self, by: int) -> None:
        """Scroll by rows."""
        self._top = max(0, min(self._top + by, len(self._lines) - self.size.height))
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.scroll_rows(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.scroll_rows(3)

    def row(self, y: int) -> Line:
        """One row of facts, set off from what stands at the left."""
        at = self._top + y
        line = self._lines[at] if at < len(self._lines) else ()
        return (("│ ", "rule"), *line)

    def _lay_out(self) -> None:
        if self._view is None or self.size.width < 8:
            return
        before, self._lines = self._lines, facts_lines(self._view, self.size.width - 3)
        for y in range(self.size.height):
            at = self._top + y
            if (before[at] if at < len(before) else None) != (self._lines[at] if at < len(self._lines) else None):
                self.repaint_row(y)


def facts_lines(view: FactsView, width: int) -> list[Line]:
    """The facts as lines of ``width`` cells."""
    session = view.session
    state = state_mark(session.state, session.state_words)
    lines: list[Line] = [((f"{session.address} {session.title}", "strong"),), ((state.text, state.role),)]
    if session.why:
        lines += cells.wrap_line(((session.why, "need"),), width)
    if session.begins:
        lines.append(_pair("begins", session.begins))
    lines.append(_pair("model", session.model))
    lines.append(_pair("step", str(session.step)))
    known = view.wall_ms and session.has_times
    active = f"{clock(session.active_ms)} in {clock(view.wall_ms)}" if known else "not known"
    lines.append(_pair("active", active))
    cached = f" ({count(view.cached_tokens)} cached)" if view.cached_tokens else ""
    counted = view.input_tokens or view.output_tokens
    tokens = f"{count(view.input_tokens)}{cached} in, {count(view.output_tokens)} out" if counted else "not known"
    if counted or session.step:
        lines.append(_pair("tokens", tokens))
    if session.cost or session.unpriced:
        lines.append(_pair("cost", say_cost(session.cost, session.unpriced)))
    if session.context_tokens and not session.context_limit:
        lines.append(_pair("context", f"{count(session.context_tokens)} tokens"))
    if session.context_limit:
        lines.append(_pair("context", _bar(session.context_tokens, session.context_limit, width - 10)))
    if session.sign_off:
        lines.append(_pair("sign-off", session.sign_off))
    lines += [_pair(name, value) for name, value in view.extra]
    lines += _section("sub-agents", _children(view, width))
    lines += _section("training", (_pair(name, value) for name, value in view.training))
    lines += _section("limits", (_pair(what, f"{used} of {allowed}") for what, used, allowed in view.limits))
    lines += _section("plan", (((f"{PLAN[p.status].glyph} ", "dim"), (clean_line(p.text), PLAN[p.status].role))
                               for p in view.plan))  # fmt: skip
    lines += _section("scores", _plot(view, width))
    lines += _section("remarks", (((clean_line(text), "text"),) for text in view.remarks))
    lines += _section(f"recording {clean_line(view.recording_file)}".strip(), (line for text in view.recording
                                    for line in cells.wrap_line(((clean_line(text), "text"),), width)))  # fmt: skip
    lines += _section("advice", (((clean_line(text), "accent"),) for text in view.advice))
    lines += _section("jobs", _jobs(view))
    lines += _section("files", (((f"+{added} ", "add"), (f"−{removed} ", "remove"), (clean_line(path), "text"))
                                for path, added, removed in view.files))  # fmt: skip
    return [cells.crop_line(line, width) for line in lines]


def _children(view: FactsView, width: int) -> Iterator[Line]:
    """The sub-agents, a row each: those that want somebody first, then the newest."""
    ordered = sorted(view.children, key=lambda child: (not child.why or child.can_wait, -child.number))
    for child in ordered[:CHILDREN_SHOWN]:
        state = state_mark(child.state, child.state_words)
        stand: Line = ((f"{state.text}  step {child.step}", state.role),)
        title = cells.crop_line(
            ((f"{child.address} ", "dim"), (child.title, "text")), width - cells.line_width(stand) - 2
        )
        yield spread(title, stand, width)
    if len(ordered) > CHILDREN_SHOWN:
        yield ((f"and {len(ordered) - CHILDREN_SHOWN} more", "dim"),)
    if view.together:
        yield from cells.wrap_line((("together ", "dim"), (view.together, "text")), width)


def _pair(name: str, value: str) -> Line:
    return ((cells.pad(clean_line(name, 40), 9) + " ", "dim"), (clean_line(value), "text"))


def _section(heading: str, lines: Iterable[Line]) -> list[Line]:
    found = list(lines)
    return [(), ((heading, "dim"),), *found] if found else []


def _bar(used: int, limit: int, width: int) -> str:
    words = f" {count(used)}/{count(limit)}"
    room = max(4, min(20, width - len(words)))
    full = min(room, round(room * used / max(1, limit)))
    return "▰" * full + "▱" * (room - full) + words


def _plot(view: FactsView, width: int) -> list[Line]:
    """Scores over steps, from three on as a plot; the last and the best in words."""
    if not view.scores:
        return []
    values = [score for _, score in view.scores]
    best = max(values) if view.better == "higher" else min(values)
    lines: list[Line] = []
    if len(values) >= PLOTTED:
        high, low = f"{max(values):g}", f"{min(values):g}"
        labels = [high, *[""] * (PLOT_ROWS - 2), low]
        margin = max(len(high), len(low)) + 1
        drawn = plot([(float(step), score) for step, score in view.scores], max(8, width - margin - 1), PLOT_ROWS)
        lines += [
            ((cells.pad(label, margin), "dim"), (row, "accent")) for label, row in zip(labels, drawn, strict=True)
        ]
        first, last_step = f"step {view.scores[0][0]}", str(view.scores[-1][0])
        gap = max(1, width - margin - 1 - len(first) - len(last_step))
        lines.append(((" " * margin + first + " " * gap + last_step, "dim"),))
    step, last = view.scores[-1]
    said = f"last {last:g} at step {step}, best {best:g}, {view.better} is better"
    return lines + cells.wrap_line(((said, "dim"),), width)


def _jobs(view: FactsView) -> list[Line]:
    lines: list[Line] = []
    for job in view.jobs:
        how = job.ended or f"running {running_time(job.running_ms)}".rstrip()
        lines.append(((f"{job.job} ", "dim"), (f"{clean_line(how, 40)}  ", "text" if job.ended else "accent"),
                      (clean_line(job.command), "text")))  # fmt: skip
        if job.last_line:
            lines.append(((f"  {clean_line(job.last_line)}", "dim"),))
    return lines
