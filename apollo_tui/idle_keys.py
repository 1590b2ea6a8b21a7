"""Why a key of the table does nothing here and now, in one sentence, and what to press first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apollo_tui import keys

WHERE: Final[Mapping[keys.Place, str]] = {
    "board": "on the board",
    "session": "in a session",
    "action": "on an action",
    "review": "in the review queue",
    "export": "in the export menu",
}

OPENS: Final = ("board", "session")
"""From where to where the key that opens leads."""


def why_idle(name: str, here: keys.Here, keymap: Mapping[str, str]) -> str:
    """What to say when ``name`` (a Textual key) is pressed ``here``; "" if it acts, or is nobody's key."""
    key = next((one for one in keys.at(here.place) if name in keys.keys_of(one, keymap)), None)
    if key is None and not here.typing:
        return _elsewhere(name, here, keymap)
    if key is None or here.typing or keys.valid(key, here):
        return ""

    def shown(id: str) -> str:
        return keys.shown(keys.first(keys.BY_ID[id], keymap))

    wants = keys.WANTS.get(key.when, ())
    if "session" in wants and not here.session:
        return "there is no session here" + (f": {shown('new')} creates one" if here.place == "board" else "")
    if "writable" in wants and not here.writable:
        return f"{key.label}: nothing can be written while no host is connected"
    if "live" in wants and not here.live:
        return f"{key.label}: the session has ended; `:reopen` lets it go on"
    if "action" in wants:
        return f"{key.label}: no action is selected here; {shown('previous_action')} selects one"
    return {
        "signal": "nothing wants you here",
        "question": "the agent asks nothing here",
        "marked": f"no session is marked: {shown('mark_session')} marks one",
        "came_from": "there is no jump to go back from",
    }.get(wants[-1] if wants else "", "")


def _elsewhere(name: str, here: keys.Here, keymap: Mapping[str, str]) -> str:
    """Where a key works that does nothing on this screen; "" if it is nobody's."""
    for place, where in WHERE.items():
        key = next((one for one in keys.at(place) if name in keys.keys_of(one, keymap)), None)
        if key is not None:
            way = keys.shown(keys.first(keys.BY_ID["move.open"], keymap)) if (here.place, place) == OPENS else ""
            return f"{key.label}: works {where}" + (f"; {way} opens one" if way else "")
    return ""
