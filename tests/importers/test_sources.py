"""What people name: folders, patterns and files; and what is said of those that nobody reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from foreign_recordings import FILES, dump_lines

from sessions.importers.base import NoKnownFormat
from sessions.importers.files import import_file
from sessions.importers.sources import NothingThere, find_sources


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(words: list[str], base: Path) -> list[str]:
    return [str(source.path.relative_to(base)) for source in find_sources(words).found]


def test_a_folder_is_searched_whole_and_files_without_json_are_counted(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/deep/er/c.json", "a/.hidden/d.txt"):
        write(tmp_path / name, '{"x": 1}')
    (tmp_path / "a/e.jsonl.gz").write_bytes(gzip.compress(b'{"x": 1}'))
    write(tmp_path / "readme.md", "hello")
    write(tmp_path / ".git/x.json", "{}")
    found = find_sources([str(tmp_path)])
    assert names([str(tmp_path)], tmp_path) == ["b.jsonl", "a/e.jsonl.gz", "a/.hidden/d.txt", "a/deep/er/c.json"]
    assert found.others == 1 and not any(source.named for source in found.found)


def test_a_pattern_goes_through_folders_and_each_file_comes_once(tmp_path: Path) -> None:
    for name in ("one/a.jsonl", "two/b.jsonl", "two/c.txt"):
        write(tmp_path / name, "{}")
    words = [str(tmp_path / "**/*.jsonl"), str(tmp_path / "one"), str(tmp_path / "two/b.jsonl")]
    assert names(words, tmp_path) == ["one/a.jsonl", "two/b.jsonl"]


def test_a_link_that_leads_back_is_no_endless_way(tmp_path: Path) -> None:
    write(tmp_path / "a/x.json", "{}")
    (tmp_path / "a/back").symlink_to(tmp_path)
    assert names([str(tmp_path)], tmp_path) == ["a/x.json"]


def test_the_folder_of_a_conversation_is_one_recording(tmp_path: Path) -> None:
    for number in range(2):
        event = {"kind": "MessageEvent", "source": "user", "id": str(number)}
        write(tmp_path / f"runs/c1/events/event-0000{number}-ab.json", json.dumps(event))
    write(tmp_path / "runs/other.json", "{}")
    assert names([str(tmp_path)], tmp_path) == ["runs/other.json", "runs/c1"]


@pytest.mark.parametrize("word", ["nowhere.json", "none*.json"])
def test_a_word_that_names_nothing_is_said(tmp_path: Path, word: str) -> None:
    with pytest.raises(NothingThere, match="no file"):
        find_sources([str(tmp_path / word)])


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dump_lines(FILES[name].content).splitlines()]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            [{"type": "user", "uuid": "u", "parentUuid": None, "message": {}, "timestamp": ""}] * 2,
            "it looks like claude-code, but has no `sessionId`",
        ),
        (
            [{"timestamp": "", "type": "event_msg", "payload": {}}] * 2,
            "it looks like codex, but has no record of type response_item or session_meta",
        ),
        (
            {"session_id": "s", "agent": {}, "steps": [{"source": "user"}]},
            "it looks like atif, but has no `schema_version` that begins with ATIF-v",
        ),
        ({"version": 2, "status": "success", "eval": {"task": "t"}, "plan": {}}, "it looks like inspect"),
        ([{"display": "hi", "pastedContents": {}, "timestamp": 1, "project": "/x"}] * 2, "a history of prompts"),
        ({"apollo": "export", "policy_sha256": "", "v": 2}, "it is the manifest of an export"),
        ("hello", "it holds no JSON"),
    ],
)
def test_a_refusal_says_what_a_file_looks_like_and_what_it_lacks(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "file.json"
    if isinstance(content, list):
        path.write_text("".join(json.dumps(record) + "\n" for record in content))
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(NoKnownFormat) as raised:
        import_file(path)
    assert says in str(raised.value) and "\n" not in str(raised.value)
