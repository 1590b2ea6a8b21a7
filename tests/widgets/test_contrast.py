"""Words can be read on every theme, selected or not."""

from __future__ import annotations

from typing import get_args

import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from widgets.contrast import LEGIBLE, contrast, make_legible
from widgets.models import Role
from widgets.session_list import SessionList


def test_black_and_white_are_told_best_and_what_can_be_read_stays_as_it_is() -> None:
    style = Style(color="#ffffff", bgcolor="#000000")
    assert style.color is not None and style.bgcolor is not None
    assert style.color.triplet is not None and style.bgcolor.triplet is not None
    assert round(contrast(style.color.triplet, style.bgcolor.triplet)) == 21
    assert make_legible(style) == style
    plain = Style(color="#a86d1c")
    assert make_legible(plain) == plain, "nothing is known of what it stands on"


class Themes(App[None]):
    def compose(self) -> ComposeResult:
        yield SessionList()


async def test_each_role_is_legible_on_each_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    app = Themes()
    async with app.run_test(size=(40, 10)) as pilot:
        painter = app.query_one(SessionList)
        for theme in ("textual-dark", "textual-light", "solarized-light", "nord", "dracula"):
            app.theme = theme
            await pilot.pause()
            for role in get_args(Role):
                for selected in (False, True):
                    style = painter.style_of(role, selected)
                    assert style.color is not None and style.bgcolor is not None
                    assert style.color.triplet is not None and style.bgcolor.triplet is not None
                    told = contrast(style.color.triplet, style.bgcolor.triplet)
                    assert told >= LEGIBLE, (theme, role, selected, round(told, 2))
