"""``apollo import`` as a person runs it: what a dry run says, and the bar of a terminal."""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    """A log that is not there yet, and no host."""
    (tmp_path / "state").mkdir()
    made = Apollo(tmp_path / "state")
    yield made
    made.close()


def chat(task: str, replies: int = 1) -> list[dict[str, Any]]:
    """A session of Claude Code."""
    records = []
    for number in range(replies):
        said = task if not number else f"Go on, {number}."
        about = {"sessionId": task, "timestamp": f"2026-01-05T10:{number:02}:00.000Z"}
        message = {"id": f"m{number}", "model": "claude-x", "content": [{"type": "text", "text": f"Done {number}."}]}
        records += [
            {**about, "type": "user", "uuid": f"u{number}", "message": {"role": "user", "content": said}},
            {**about, "type": "assistant", "uuid": f"a{number}", "message": message},
        ]
    return records


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_dry_run_says_what_each_file_is_starts_no_host_and_writes_nothing(apollo: Apollo, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    write(folder / "a.jsonl", chat("Mend the door."))
    write(folder / "deep" / "b.jsonl", chat("Mend the gate.", 3))
    (folder / "odd.json").write_text('{"x": 1}')
    (folder / "readme.md").write_text("hello")
    cut = folder / "cut.json"
    cut.write_text('{"messages": [')
    said = apollo.run("import", "--dry-run", str(folder), check=False)
    assert said.returncode == 1 and said.stderr == (
        "apollo: cut.json is cut off: its JSON ends in the middle, so nothing of it is whole\n"
    )
    lines = said.stdout.splitlines()
    assert f"{folder}/a.jsonl: claude-code, 1 session" in lines
    assert "  new: 1 step, Mend the door." in lines and "  new: 3 steps, Mend the gate." in lines
    assert "passed over: 1 file in no known format (odd.json)" in lines
    assert "passed over: 1 file without JSON" in lines
    assert not apollo.log.exists() and not apollo.processes()
    cut.unlink()
    rows = json.loads(apollo.run("import", "--dry-run", "--json", str(folder)).stdout)
    assert [row.get("format", "refused") for row in rows] == ["claude-code", "refused", "claude-code"]
    assert not apollo.log.exists() and not apollo.processes()


def test_a_dry_run_compares_with_the_log_and_leaves_it_as_it_is(apollo: Apollo, tmp_path: Path) -> None:
    known, longer = (write(tmp_path / name, chat(name)) for name in ("known.jsonl", "longer.jsonl"))
    assert "imported 2 sessions" in apollo.run("import", str(known), str(longer)).stdout
    write(longer, chat("longer.jsonl", 3))
    new = write(tmp_path / "new.jsonl", chat("new.jsonl"))
    events = [len(apollo.events(number)) for number in ("1", "2")]
    said = apollo.run("import", "--dry-run", str(known), str(longer), str(new)).stdout
    assert "known, session 1: 1 step" in said and "goes on where session 2 ends, by 2 steps: 3 steps" in said
    assert "new: 1 step, new.jsonl" in said
    assert [len(apollo.events(number)) for number in ("1", "2")] == events
    assert len(apollo.json("ls")) == 2


def run_in_terminal(apollo: Apollo, *words: str, term: str = "xterm-256color") -> tuple[str, str]:
    """What the command prints, and what it shows on a terminal beside that."""
    printed = apollo.folder / "printed"
    ours, theirs = pty.openpty()
    with printed.open("wb") as out:
        child = subprocess.Popen(apollo.command(*words), env={**apollo.env, "TERM": term}, stdout=out, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError as problem:
        assert problem.errno == errno.EIO  # a terminal whose last writer is gone
    finally:
        os.close(ours)
    child.wait(30)
    return printed.read_text(), shown.decode()


def test_a_bar_shows_which_file_is_next_and_ends_full(apollo: Apollo, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "runs" / f"{name}\x1b[2J.jsonl", chat(name))
    apollo.run("import", str(write(tmp_path / "first.jsonl", chat("first"))))  # the host is there
    printed, shown = run_in_terminal(apollo, "import", str(tmp_path / "runs"))
    assert "imported 3 sessions" in printed and "%" not in printed
    places = [shown.index(f"{number} of 3: {name}") for number, name in enumerate("abc", 1)]
    assert places == sorted(places) and "import" in shown
    assert "100%" in shown[places[-1] :] and "\x1b[2J" not in shown


def test_a_bar_for_a_folder_of_many_files_writes_no_more_than_a_line_for_each(apollo: Apollo, tmp_path: Path) -> None:
    for number in range(300):
        write(tmp_path / "runs" / f"{number:03}.jsonl", chat(f"task {number}"))
    printed, shown = run_in_terminal(apollo, "import", "--dry-run", str(tmp_path / "runs"))
    assert printed.count("new: 1 step") == 300
    assert "1 of 300: 000.jsonl" in shown and "300 of 300: 299.jsonl" in shown and "100%" in shown
    assert len(shown) < 300 * 400


@pytest.mark.parametrize("term", ["dumb", ""])
def test_where_no_line_can_be_written_anew_the_bar_is_its_last_line(apollo: Apollo, tmp_path: Path, term: str) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "runs" / f"{name}.jsonl", chat(name))
    _, shown = run_in_terminal(apollo, "import", "--dry-run", str(tmp_path / "runs"), term=term)
    assert shown == "import: 3 of 3: c.jsonl\r\n"


def test_without_a_terminal_there_is_no_bar(apollo: Apollo, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", chat("a"))
    assert apollo.run("import", "--dry-run", str(path)).stderr == ""
