"""Advice that waits is taken back and edited from the command line, against a real host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apollo_process import Apollo, create_session

TASK = "---\ntitle: count\n---\nCount to three.\n"


@pytest.fixture(scope="module")
def apollo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apollo]:
    made = create_session(tmp_path_factory.mktemp("withdraw"), TASK)
    yield made
    made.close()


def row(apollo: Apollo) -> Any:
    (found,) = json.loads(apollo.run("ls", "--json").stdout)
    return found


def test_any_advice_that_waits_is_taken_back_or_edited_also_an_older_one(apollo: Apollo) -> None:
    nothing = apollo.run("withdraw", "1", check=False)
    assert nothing.returncode == 1 and nothing.stderr == "apollo: no advice to session 1 waits\n"
    for text in ("first", "second", "x" * 500):
        apollo.run("advise", "1", text)
    assert row(apollo)["advice_waiting_numbers"] == [1, 2, 3]
    assert "  advice 2 waits: second" in apollo.run("show", "1").stdout

    which = apollo.run("withdraw", "1", check=False)
    assert which.returncode == 2 and "3 pieces of advice wait, say which: 1 (first); 2 (second); 3 (xxx" in which.stderr
    assert apollo.run("advise", "1", "FIRST", "--edit", "1").stdout == "advice 1 changed\n"
    assert row(apollo)["advice_waiting"][:2] == ["FIRST", "second"]
    empty = apollo.run("advise", "1", " ", "--edit", "1", check=False)
    assert empty.returncode == 2 and "'apollo withdraw 1 1' takes it back" in empty.stderr
    mixed = apollo.run("advise", "1", "x", "--edit", "1", "--kind", "stop", check=False)
    assert mixed.returncode == 2 and "--edit changes the words of advice alone" in mixed.stderr

    assert apollo.run("withdraw", "1", "1").stdout == "advice 1 taken back: FIRST\n"
    gone = apollo.run("withdraw", "1", "1", check=False)
    assert gone.returncode == 1 and "no longer waits" in gone.stderr and gone.stderr.count("\n") == 1
    unknown = apollo.run("withdraw", "1", "9", check=False)
    assert unknown.returncode == 1 and "has no advice 9" in unknown.stderr
    late = apollo.run("advise", "1", "late", "--edit", "1", check=False)
    assert late.returncode == 1 and "no longer waits" in late.stderr
    apollo.run("withdraw", "1", "2")
    said = json.loads(apollo.run("withdraw", "1", "--json").stdout)  # the only one that is left, whole
    assert (said["advice"], said["text"]) == ("3", "x" * 500)
    assert row(apollo)["advice_waiting"] == []
