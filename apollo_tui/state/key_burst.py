"""Keys that came faster than any hand: typed ahead, or a paste that no terminal marked as one. Pure.

A terminal without bracketed paste sends a text letter by letter, and in pieces over a slow line. What was typed over a
line that stood still comes at once as well: that is taken for keys only where hardly any text looks like it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from apollo_tui import keys

GAP_S: Final = 0.02
"""Seconds between two keys below which no hand struck both."""
HOLD_S: Final = GAP_S
"""So long a letter waits for what comes with it."""
REST_S: Final = 0.1
"""What comes this soon after a text is the rest of it."""
FEWEST: Final = 3
"""So few letters and returns at once are a text: two may be struck by two fingers."""

TEXT_KEYS: Final[Mapping[str, str]] = {"enter": "\n", "ctrl+j": "\n", "tab": "\t"}
"""Keys that a text holds beside its letters."""

MOVES: Final = frozenset(
    {
        "next_pane", "previous_pane", "number", "back", "jump_back", "follow", "previous_action", "next_action",
        "next_need", "next_match", "previous_match",
    }
)  # fmt: skip
"""Keys that only move, beside those of painters."""
VIEWS: Final = frozenset({"review", "export"})
LEAVES: Final = frozenset({"leave", "back"})
"""Keys that open a view and leave it again: both together are a way."""
PICKS: Final = frozenset({"label", "sign_off"})
"""Keys that open a picker: the letter after them is its answer."""


class KeyStroke(NamedTuple):
    """A key as the terminal sent it: its name, its character ("" for none), and when, in seconds."""

    name: str
    character: str
    at: float

    @property
    def is_letter(self) -> bool:
        """Whether it is a character that can be seen, or a blank."""
        return self.name not in TEXT_KEYS and bool(self.character) and self.character.isprintable()

    @property
    def text(self) -> str:
        """What it is in a text, "" if it is in none: a joiner between two letters is, a control character is not."""
        if self.name in TEXT_KEYS:
            return TEXT_KEYS[self.name]
        return self.character if unicodedata.category(self.character or "\0") != "Cc" else ""


def split_bursts(strokes: Sequence[KeyStroke]) -> list[list[KeyStroke]]:
    """The strokes in groups that came at once, in order."""
    groups: list[list[KeyStroke]] = []
    for stroke in strokes:
        if groups and stroke.at - groups[-1][-1].at < GAP_S:
            groups[-1].append(stroke)
        else:
            groups.append([stroke])
    return groups


def pasted_text(burst: Sequence[KeyStroke], here: keys.KeyContext | None, keymap: Mapping[str, str]) -> str:
    """The text that keys which came at once are, "" if they are keys. ``here`` None: no key of the table works here."""
    if sum(bool(stroke.text) for stroke in burst) < FEWEST or len({stroke.name for stroke in burst}) == 1:
        return ""  # a key that is held down repeats itself
    if here is not None and _is_typed_ahead(burst, here, keymap):
        return ""
    return "".join(stroke.text for stroke in burst)


def _is_typed_ahead(burst: Sequence[KeyStroke], here: keys.KeyContext, keymap: Mapping[str, str]) -> bool:
    """Whether they are moves, and at the end one act, a picker and its letter, or a number and what it is for."""
    ids = [_id_of(stroke.name, here.place, keymap) for stroke in burst]
    at, by_letters = 0, False
    while at < len(ids):
        if ids[at] in VIEWS and ids[at + 1 : at + 2] and ids[at + 1] in LEAVES:
            by_letters, at = True, at + 2
        elif _only_moves(ids[at]):
            by_letters = by_letters or burst[at].character.isalpha() or burst[at].name == "space"
            at += 1
        else:
            break
    if ids[:at].count("number") > 1:
        return False  # a column of figures
    if at == len(ids):
        return True
    if by_letters:
        return False
    act, after = ids[at], "".join(stroke.text for stroke in burst[at + 1 :])
    if not after:
        return bool(act) and at + 1 == len(ids)
    match act:
        case "advise":
            is_for_number = at > 0 and ids[at - 1] == "number"
            return is_for_number and keys.is_valid(keys.BY_ID["advise"], here) and not after[0].isspace()
        case "goto":
            return after.removesuffix("\n").isdigit()
        case "new":
            return after[0] == "\t" and "\n" not in after  # on to the next field of the form
        case _:
            return act in PICKS and len(after) == 1


def _only_moves(id: str) -> bool:
    return id in MOVES or id.startswith("move.")


def _id_of(name: str, place: keys.Place, keymap: Mapping[str, str]) -> str:
    """The id of the key of that name at ``place``, "" if it is nobody's."""
    return next((key.id for key in keys.keys_at(place) if name in keys.keys_of(key, keymap)), "")
