"""Where recordings come from: clones of any kind; what is not found is counted, with its reason."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from recorded_conversation import claude_code

recordings = importlib.import_module("benchmarks.import.recordings")
main = importlib.import_module("benchmarks.import.__main__")

DATA = b'{"steps": []}\n'


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def clone(folder: Path, data: bytes = DATA) -> str:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "runs").mkdir()
    (folder / "runs" / "one.json").write_bytes(data)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return git(folder, "rev-parse", "HEAD")


def recording(commit: str, data: bytes = DATA, format: str = "atif", repository: str = "owner/name") -> Any:
    digest = hashlib.sha256(data).hexdigest()
    return recordings.Recording(format, repository, commit, "runs/one.json", digest, len(data), "a test")


@pytest.mark.parametrize("place", ["owner/name", "owner+name", "owner+name/repo", "name"])
def test_a_recording_is_taken_out_of_a_clone_by_owner_and_name(tmp_path: Path, place: str) -> None:
    commit = clone(tmp_path / place)
    assert recordings.take(recording(commit), tmp_path) == DATA


def test_a_recording_is_taken_out_of_a_bare_clone_and_from_an_older_commit(tmp_path: Path) -> None:
    commit = clone(tmp_path / "work")
    (tmp_path / "work" / "runs" / "one.json").write_bytes(b"newer")
    git(tmp_path / "work", "commit", "-qam", "two")
    git(tmp_path, "clone", "-q", "--bare", "work", "clones/owner/name.git")
    assert recordings.take(recording(commit), tmp_path / "clones") == DATA


def test_what_is_not_found_says_why(tmp_path: Path) -> None:
    commit = clone(tmp_path / "owner" / "name")
    absent = [
        recordings.take(recording(commit), None),
        recordings.take(recording(commit, repository="owner/other"), tmp_path),
        recordings.take(recording(commit, b"else"), tmp_path),
    ]
    why = [each.why for each in absent]
    assert why == ["no folder of clones was given", "no clone of the repository", "other bytes in the clone"]


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that answers in the place of GitHub, by the addresses that it has."""
    folder = tmp_path / "remote"
    folder.mkdir()
    monkeypatch.setattr(recordings, "SOURCE", folder.as_uri())
    return folder


def serve(remote: Path, commit: str, path: str, data: bytes) -> None:
    place = remote / "owner" / "name" / commit / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def test_what_no_clone_has_is_fetched_and_checked(tmp_path: Path, remote: Path) -> None:
    served, other = recording("a" * 40), recording("b" * 40)
    serve(remote, "a" * 40, "runs/one.json", DATA)
    serve(remote, "b" * 40, "runs/one.json", b"else")
    assert recordings.take(served, tmp_path / "clones", fetch=True) == DATA
    assert recordings.take(served, tmp_path / "clones").why == "no clone of the repository"
    assert recordings.take(other, None, fetch=True).why == "other bytes in the network"
    assert recordings.take(recording("c" * 40), None, fetch=True).why.startswith("the network has it not (")


def test_a_path_with_odd_signs_is_fetched_by_its_name(remote: Path) -> None:
    listed = dataclasses.replace(recording("a" * 40), path="runs/two words #1 %.json")
    serve(remote, "a" * 40, listed.path, DATA)
    assert recordings.take(listed, None, fetch=True) == DATA


def test_the_command_fetches_and_keeps(
    tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(remote, "a" * 40, "runs/one.json", DATA)
    monkeypatch.setattr(main, "recordings", lambda: [recording("a" * 40), recording("b" * 40)])
    assert main.main(["--fetch", "--take-only", "--keep", str(tmp_path / "kept")]) == 0
    assert "2 recordings in the list, 1 found, 1 not found" in capsys.readouterr().out
    assert [file.read_bytes() for file in (tmp_path / "kept").rglob("*.json")] == [DATA]


def test_the_report_counts_what_it_did_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = clone(tmp_path / "owner" / "name")
    listed = [recording(commit), recording(commit, repository="owner/other")]
    monkeypatch.setattr(main, "recordings", lambda: listed)
    kept = tmp_path / "kept"
    assert main.main(["--clones", str(tmp_path), "--take-only", "--keep", str(kept)]) == 0
    told = capsys.readouterr().out
    assert "2 recordings in the list, 1 found, 1 not found" in told
    assert "not found: owner/other runs/one.json (no clone of the repository)" in told
    assert [file.read_bytes() for file in kept.rglob("*.json")] == [DATA]


def test_nothing_found_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(main, "recordings", lambda: [recording("0" * 40)])
    assert main.main([]) == 1
    assert "1 not found" in capsys.readouterr().out


def test_a_recording_is_imported_by_the_command_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = claude_code()
    commit = clone(tmp_path / "owner" / "name", data)
    monkeypatch.setattr(main, "recordings", lambda: [recording(commit, data, "claude-code")])
    assert main.main(["--clones", str(tmp_path), "--faults"]) == 0, capsys.readouterr().out
    told = capsys.readouterr().out
    assert "| claude-code | 1 | 1 | 3 | 2 | 1 | 0 | 0 |" in told
    assert "faults put in: 4, not found: 0" in told
