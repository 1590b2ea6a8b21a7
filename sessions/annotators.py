"""Names of the people in a log: what can be one, and how it is shown.

A host serves its own user alone, so that every name but that user's login is self-declared, and shown as ``~name``.
The log keeps the name as it was given, and each ``host.started`` the login of the account that wrote from there on.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from typing import Final

MAX_NAME_CHARS: Final = 64
MOST_MARKS: Final = 3
"""So many accents may stand on one letter: more of them would be painted over the lines around."""
PERSON: Final = "human:"
DECLARED: Final = "~"

_logins: set[str] = set()


def name_problem(name: str) -> str:
    """Why ``name`` can be nobody's, as the end of a sentence; "" if it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_CHARS:
        return f"has {len(name)} characters, more than {MAX_NAME_CHARS}"
    if any(not letter.isprintable() or letter.isspace() or letter == ":" for letter in name):
        return "has blanks, colons or characters that cannot be seen"
    if name.startswith(DECLARED):
        return f"begins with {DECLARED}, which marks names that are self-declared"
    marks = 0
    for place, letter in enumerate(name):
        marks = marks + 1 if unicodedata.category(letter).startswith("M") else 0
        if marks > MOST_MARKS or (marks and place == 0):
            return "has accents without a letter"
    return ""


def own_login() -> str:
    """The login name of this process's user; its number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def know_logins(names: Iterable[str]) -> None:
    """The log that is read was written by hosts of these accounts: other names in it are self-declared."""
    _logins.update(name for name in names if name)


def forget_logins() -> None:
    """As if no log was read: between tests."""
    _logins.clear()


def shown_actor(actor: str) -> str:
    """An actor of the log as it is shown: ``human:~ada`` where the name is self-declared."""
    name = actor.removeprefix(PERSON)
    return f"{PERSON}{DECLARED}{name}" if actor.startswith(PERSON) and _logins and name not in _logins else actor


def shown_name(actor: str) -> str:
    """The same in short: ``~ada``, ``ada``, ``rule:polls``, ``host``."""
    return shown_actor(actor).removeprefix(PERSON)
