"""From inside, a session's commands try to get out: each attempt ends as the table of docs/containment.md says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.containment.__main__ import python_of, see, spare_user
from benchmarks.containment.attempts import ATTEMPTS, BY_THE_HOST
from sessions.containment.choice import LOCAL, works_here
from sessions.containment.control_groups import find_delegated

PAGE = Path(__file__).parents[2] / "docs" / "containment.md"


def documented() -> dict[str, dict[str, bool]]:
    """By column of the page: whether each attempt gets through."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    head = next(row for row in rows if row[0].startswith("a command inside"))
    by_words = {row[0]: row[1:] for row in rows if len(row) == len(head)}
    return {
        column: {each.name: by_words[each.gets][number] == "**gets through**" for each in ATTEMPTS}
        for number, column in enumerate(head[1:])
    }


@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize("who", ["root", "user"])
def test_what_gets_out_is_what_the_page_says(kind: str, who: str) -> None:
    if works_here()[kind]:
        pytest.skip(f"{kind} does not work here: {works_here()[kind]}")
    user = spare_user()
    python = python_of(user)
    if who == "user" and python is None:
        pytest.skip("nobody but root becomes another user, and that one must be able to read this Python")
    seen = see(kind) if who == "root" or python is None else see(kind, user, python)
    wanted = documented()[f"{kind} ({who})"]
    if find_delegated() is not None:  # the page is of a machine without: a group stops more
        wanted |= {"processes": False, "memory use": False}
    assert seen == wanted


def test_the_attempts_would_get_out_where_nothing_contains_them() -> None:
    """The control: what is stopped inside is stopped by the prefix."""
    through = see("none")
    # /usr is no mount of its own; the end of a session finds its processes anyway; limits hold without a prefix too,
    # and the host is the same.
    never = {"mount", "survival", "processes", "one file", "memory use", "open files", *BY_THE_HOST}
    assert {name for name, got in through.items() if not got} <= never | set(_beyond_an_ordinary_user())


def _beyond_an_ordinary_user() -> list[str]:
    return [] if os.geteuid() == 0 else ["passwords", "system", "kernel switches", "disk", "capabilities", "memory"]
