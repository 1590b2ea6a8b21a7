from __future__ import annotations

from pathlib import Path

import pytest
from textual.binding import Binding

from apollo_tui import keys
from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.new_session import NewSessionScreen
from apollo_tui.screens.review import ReviewScreen
from apollo_tui.screens.session import SessionScreen
from widgets.composer_area import ComposerArea
from widgets.paint import MOVES

SCREENS = {
    "board": BoardScreen,
    "session": SessionScreen,
    "action": ActionScreen,
    "review": ReviewScreen,
    "export": ExportScreen,
    "new": NewSessionScreen,
}
REQUIRED = {
    "advise": "i", "answer": "a", "flag": "f", "label": "F", "undo": "u", "pause": "p", "interrupt": "x", "new": "c",
    "export": "e", "search": "slash", "next_match": "n", "previous_match": "N", "leave": "q", "jump_back": "ctrl+o",
    "previous_action": "left_square_bracket", "next_action": "right_square_bracket", "goto": "apostrophe",
    "command": "ctrl+p", "back": "ctrl+g", "next_pane": "tab", "move.open": "enter", "move.page_down": "space",
}  # fmt: skip


def test_no_two_commands_of_a_place_share_a_key() -> None:
    assert keys.clashes() == []


@pytest.mark.parametrize("name", REQUIRED)
def test_the_settled_keys_are_where_people_expect_them(name: str) -> None:
    assert REQUIRED[name] in keys.BY_ID[name].keys


@pytest.mark.parametrize("place", SCREENS)
def test_every_key_of_a_screen_has_its_action_there(place: keys.Place) -> None:
    for key in keys.keys_at(place):
        if not key.painter:
            assert hasattr(SCREENS[place], f"action_{key.id}"), key.id


def test_the_painters_bind_exactly_the_movements_of_the_table() -> None:
    bound = {binding.id: set(binding.key.split(",")) for binding in MOVES}
    table = {key.id: set(key.keys) for key in keys.KEYS if key.painter}
    assert bound == table


def test_the_composers_keys_are_those_that_help_and_docs_name() -> None:
    bound = {key for b in ComposerArea.BINDINGS if isinstance(b, Binding) for key in b.key.split(",")} | {"enter"}
    named = {name for names, _, _ in keys.COMPOSER for name in names.split(", ")}
    assert named <= bound


def test_single_letters_never_act_while_somebody_types() -> None:
    here = keys.KeyContext("board", typing=True, session=True, live=True, action=True, question=True)
    for key in keys.KEYS:
        if keys.is_valid(key, here):
            assert all("+" in name or name == "escape" for name in key.keys), key.id


def test_hints_show_only_what_works_and_end_with_help() -> None:
    assert keys.hints(keys.KeyContext("board", writable=False))[-1] == ("?", "help")
    assert not {"advise", "flag", "pause"} & {verb for _, verb in keys.hints(keys.KeyContext("board", writable=False))}
    full = keys.hints(keys.KeyContext("board", session=True, live=True, action=True, question=True))
    assert len(full) == keys.HINTS and full[0] == ("i", "advise") and full[-1] == ("?", "help")


def test_a_keymap_that_clashes_or_names_nothing_is_refused_in_words() -> None:
    assert "both" in keys.clashes({"flag": "u"})[0]
    assert keys.clashes({"flagg": "w"}) == ["no command is called 'flagg'"]
    assert keys.clashes({"flag": "ctrl+f"}) == []


def test_the_keys_page_is_what_the_table_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "keys.md"
    assert page.read_text("utf-8") == keys.markdown(), "run: python -m apollo_tui.keys > docs/keys.md"
