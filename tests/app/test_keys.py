from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, get_type_hints

import msgspec
import pytest
from textual.binding import Binding

from apollo_tui import keys
from apollo_tui.key_functions import KEY_ACTS
from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.new_session import NewSessionScreen
from apollo_tui.screens.output import OutputScreen
from apollo_tui.screens.review import ReviewScreen
from apollo_tui.screens.session import SessionScreen
from widgets.composer_area import ComposerArea
from widgets.paint import MOVES

SCREENS = {
    "board": BoardScreen,
    "session": SessionScreen,
    "action": ActionScreen,
    "review": ReviewScreen,
    "output": OutputScreen,
    "export": ExportScreen,
    "new": NewSessionScreen,
}
REQUIRED = {
    "advise": "i", "answer": "a", "flag": "f", "label": "F", "undo": "u", "pause": "p", "interrupt": "x", "new": "c",
    "export": "e", "search": "slash", "next_match": "n", "previous_match": "N", "leave": "q", "jump_back": "ctrl+o",
    "previous_action": "left_square_bracket", "next_action": "right_square_bracket", "goto": "apostrophe",
    "command": "ctrl+p", "back": "ctrl+g", "next_pane": "tab", "move.open": "enter", "move.page_down": "space",
}  # fmt: skip


def first_argument(act: Callable[..., None]) -> type:
    """The class of the screen that a function of the table is for."""
    names = {screen.__name__: screen for screen in (*SCREENS.values(), ApolloScreen)}
    hints = get_type_hints(act, localns=names)
    owner = names.get(act.__qualname__.split(".")[0])
    return owner or hints[next(iter(inspect.signature(act).parameters))]


def is_protocol(wanted: type) -> bool:
    return Protocol in wanted.__mro__


def members(wanted: type) -> set[str]:
    """What a protocol asks for; nothing of a class."""
    bases = [base for base in wanted.__mro__ if is_protocol(base) and base is not Protocol]
    return {name for base in bases for name in (*vars(base), *inspect.get_annotations(base)) if name[0] != "_"}


def test_no_two_commands_of_a_place_share_a_key() -> None:
    assert keys.clashes() == []


@pytest.mark.parametrize("name", REQUIRED)
def test_the_settled_keys_are_where_people_expect_them(name: str) -> None:
    assert REQUIRED[name] in keys.BY_ID[name].keys


def test_every_key_has_one_function_and_every_function_a_key() -> None:
    assert set(KEY_ACTS) == {key.id for key in keys.KEYS if not key.painter}


@pytest.mark.parametrize("place", SCREENS)
def test_every_screen_of_a_key_has_what_its_function_asks_of_it(place: keys.Place) -> None:
    for key in keys.keys_at(place):
        if not key.painter:
            wanted = first_argument(KEY_ACTS[key.id])
            assert is_protocol(wanted) or issubclass(SCREENS[place], wanted), (key.id, wanted)
            missing = [name for name in members(wanted) if not hasattr(SCREENS[place], name)]
            assert set(missing) <= {"context", "composer"} and (not missing or place != "export"), (key.id, missing)


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


def test_a_reply_that_is_handed_over_as_it_comes_is_offered_to_nobody_to_be_held() -> None:
    here = keys.KeyContext("session", session=True, live=True)
    passes = msgspec.structs.replace(here, buffered=False)
    hold = keys.BY_ID["hold"]
    assert [keys.is_valid(hold, here), keys.is_valid(hold, passes)] == [True, False]
    why = "hold: this session hands replies over as they come (stream = pass): nothing can be held"
    assert [keys.explain_never("hold", here), keys.explain_never("hold", passes)] == ["", why]
    assert keys.explain_idle("h", passes, {}) == why
    assert keys.explain_never("pause", passes) == "", "the session can be paused"


def test_a_keymap_that_clashes_or_names_nothing_is_refused_in_words() -> None:
    assert "both" in keys.clashes({"flag": "u"})[0]
    assert keys.clashes({"flagg": "w"}) == ["no command is called 'flagg'"]
    assert keys.clashes({"flag": "ctrl+f"}) == []


def test_the_keys_page_is_what_the_table_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "keys.md"
    assert page.read_text("utf-8") == keys.markdown(), "run: python -m apollo_tui.keys > docs/keys.md"
