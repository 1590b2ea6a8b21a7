"""The base of all painters: roles become styles once per style change, lines become strips; and the keys that move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.css.styles import RenderStyles
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets import cells
from widgets.contrast import make_legible
from widgets.models import Line, Role, Span
from widgets.sanitise import clean_line, is_clean
from widgets.textual_private import forget_component_styles, match_component_style

MOVES: Final[list[BindingType]] = [
    Binding("down,j", "move(1)", "Down", show=False, id="move.down"),
    Binding("up,k", "move(-1)", "Up", show=False, id="move.up"),
    Binding("space,pagedown", "page(1)", "Page down", show=False, id="move.page_down"),
    Binding("pageup,b", "page(-1)", "Page up", show=False, id="move.page_up"),
    Binding("g,home", "to_start", "To the start", show=False, id="move.start"),
    Binding("G,end", "to_end", "To the end, follow", show=False, id="move.end"),
    Binding("enter", "open", "Open", show=False, id="move.open"),
]
"""How a person moves in painters with a cursor; the keys can be set in the config by these ids."""


SIXTEEN: Final[Mapping[Role, tuple[str, str]]] = {
    "error": ("#800000", "#ff5555"),
    "remove": ("#800000", "#ff5555"),
    "flag": ("#800000", "#ff5555"),
    "add": ("#008000", "#55ff55"),
    "code-string": ("#008000", "#55ff55"),
}
"""What tells a role where a terminal has 16 colours, on a light theme and on a dark one: the theme's own are so pale
that the nearest of the 16 is grey."""
SIXTEEN_SELECTED: Final = Style(bgcolor="#000080")
"""The selected row there, on a dark theme: red cannot be read on the grey that is nearest, nor on
this, where it is as bright as other words."""


class Painter(Widget):
    """A widget that paints rows itself. Subclasses implement ``row(y)``; nothing here reads, queries or waits."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Painter {
        background: $background;
        color: $text;
        pointer: default;
        .role-text { color: $text; }
        .role-dim { color: $text-muted; }
        .role-strong { color: $text; text-style: bold; }
        .role-accent { color: $text-primary; }
        .role-need { color: $text-warning; text-style: bold; }
        .role-flag { color: $text-error; text-style: bold; }
        .role-reason { color: $text-muted; text-style: italic; }
        .role-call { color: $text; text-style: bold; }
        .role-error { color: $text-error; }
        .role-add { color: $text-success; }
        .role-remove { color: $text-error; }
        .role-match { color: $text; text-style: reverse; }
        .role-current { color: $text; text-style: reverse bold; }
        .role-trained { color: $text-primary; }
        .role-masked { color: $text-error; }
        .role-unseen { color: $text-muted; text-style: italic; }
        .role-title { color: $text-muted; }
        .role-title-on { color: $text; text-style: bold; }
        .role-rule { color: $text-muted; }
        .role-heading { color: $text; text-style: bold underline; }
        .role-code { color: $text-primary; }
        .role-code-keyword { color: $text-secondary; text-style: bold; }
        .role-code-string { color: $text-success; }
        .role-code-number { color: $text-warning; }
        .role-code-comment { color: $text-muted; text-style: italic; }
        .role-code-name { color: $text-primary; }
        .role-selected { background: $panel; color: $text; text-style: bold; }
        &:ansi, &:nocolor {
            .role-dim, .role-title, .role-rule { text-style: dim; }
            .role-reason, .role-unseen, .role-code-comment { text-style: dim italic; }
            .role-error { text-style: bold; }
        }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._styles_by_role: dict[tuple[Role, bool], Style] = {}

    def notify_style_update(self) -> None:
        """Styles changed (theme, focus): resolve roles anew."""
        super().notify_style_update()
        forget_component_styles(self)
        self._styles_by_role.clear()
        self.drop_styles()

    def drop_styles(self) -> None:
        """Drop what was painted with the old styles. Subclasses with caches of strips extend this."""

    def get_component_styles(self, *names: str) -> RenderStyles:
        """The styles of roles, matched when they are first painted."""
        for name in names:
            match_component_style(self, name)
        return super().get_component_styles(*names)

    def style_of(self, role: Role, selected: bool = False) -> Style:
        """The style of a role, on the background of a selected row if ``selected``."""
        key = (role, selected)
        style = self._styles_by_role.get(key)
        if style is None:
            style = self.get_component_rich_style(f"role-{role}")
            sixteen = self.app.console.color_system == "standard" and not self.app.no_color
            dark = self.app.current_theme.dark
            if sixteen and role in SIXTEEN and not (selected and dark):
                style = style + Style(color=SIXTEEN[role][dark])
            if selected:
                shown = self.get_component_rich_style("role-selected").bgcolor
                # Where a background cannot tell, weight does.
                plain = self.app.no_color or shown is None or shown.is_default
                coloured = SIXTEEN_SELECTED if sixteen and dark else Style(bgcolor=shown)
                style = style + (Style(bold=True) if plain else coloured)
            if not sixteen:
                style = make_legible(style)
            self._styles_by_role[key] = style
        return style

    def strip(self, line: Iterable[Span], width: int, *, selected: bool = False) -> Strip:
        """``line`` as a strip of exactly ``width`` cells. What was not cleaned is cleaned here, whoever sent it."""
        segments: list[Segment] = []
        used = 0
        run, run_role = "", None
        for text, role in line:
            if not is_clean(text) or "\n" in text:
                text = clean_line(text, width * 2 + 16)
            size = cells.width(text)
            if used + size > width:
                text = cells.crop(text, width - used, "")
                size = cells.width(text)
            if not text:
                continue
            used += size
            if role == run_role:
                run += text
                continue
            if run and run_role is not None:
                segments.append(Segment(run, self.style_of(run_role, selected)))
            run, run_role = text, role
        if run and run_role is not None:
            segments.append(Segment(run, self.style_of(run_role, selected)))
        if used < width:
            segments.append(Segment(" " * (width - used), self.style_of("text", selected)))
        return Strip(segments, width)

    def row(self, y: int) -> Line:
        """What stands in row ``y`` of the widget, 0 is the first."""
        raise NotImplementedError

    def row_selected(self, y: int) -> bool:
        return False

    def render_line(self, y: int) -> Strip:
        return self.strip(self.row(y), self.size.width, selected=self.row_selected(y))

    def repaint_row(self, y: int, x: int = 0, width: int | None = None) -> None:
        """Have one row (or a piece of it) painted again."""
        self.refresh(Region(x, y, self.size.width if width is None else width, 1))


def spread(left: Line, right: Line, width: int) -> Line:
    """``left`` flush left and ``right`` flush right in ``width`` cells; ``left`` gives way."""
    right = cells.crop_line(right, width)
    room = width - cells.line_width(right)
    left = cells.crop_line(left, max(0, room - 1 if right else room))
    gap = width - cells.line_width(left) - cells.line_width(right)
    return (*left, (" " * gap, "text"), *right) if right else left


def is_field(widget: Widget | None) -> bool:
    """Whether a person types text into it: every key goes to it."""
    if widget is None or isinstance(widget, Painter):
        return False
    from textual.widgets import Input, TextArea  # the board is painted without a text area

    return isinstance(widget, Input | TextArea)
