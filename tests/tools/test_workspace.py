from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sessions import workspace
from sessions.events import EvaluateSpec
from sessions.workspace import (
    MOST_DEPTH,
    WorkspaceError,
    copy_for_scoring,
    copy_tree,
    keep_scorer,
    measure_folder,
    prepare_workspace,
    remove_tree,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "src/run.sh").write_text("#!/bin/sh\n")
    (source / "src/run.sh").chmod(0o755)
    (source / "empty").touch()
    (source / "link").symlink_to("src/run.sh")
    (source / "dangling").symlink_to("/nowhere")
    os.mkfifo(source / "fifo")
    return source


def test_a_workspace_is_copied_with_modes_and_links_and_without_fifos(source: Path, tmp_path: Path) -> None:
    made = prepare_workspace(source, tmp_path / "session")
    assert made == tmp_path / "session/workspace"
    assert (made / "src/run.sh").read_text() == "#!/bin/sh\n"
    assert (made / "src/run.sh").stat().st_mode & 0o777 == 0o755
    assert (made / "empty").read_bytes() == b""
    assert os.readlink(made / "link") == "src/run.sh"
    assert os.readlink(made / "dangling") == "/nowhere"
    assert not (made / "fifo").exists()


def test_making_it_again_keeps_what_the_agent_did_and_half_a_copy_is_done_anew(source: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    (session / "workspace.partial/rubbish").mkdir(parents=True)
    made = prepare_workspace(source, session)
    assert not (made / "rubbish").exists()
    (made / "work").write_text("mine")
    assert (prepare_workspace(source, session) / "work").read_text() == "mine"


def test_in_place_is_the_folder_itself_and_none_is_an_empty_one(source: Path, tmp_path: Path) -> None:
    assert prepare_workspace(source, tmp_path / "session", in_place=True) == source
    assert list(prepare_workspace(None, tmp_path / "other").iterdir()) == []
    with pytest.raises(WorkspaceError, match="in place"):
        prepare_workspace(None, tmp_path / "session", in_place=True)


def test_absurd_sizes_and_folders_are_refused_with_what_to_do(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "data").mkdir()
    with (source / "data/big").open("wb") as file:
        file.truncate(6 * 1024**3)
    with pytest.raises(WorkspaceError, match=r"6\.4 GB in 6 files, most of it in data/.*work in place"):
        prepare_workspace(source, tmp_path / "session")
    (source / "data/big").unlink()
    with pytest.raises(WorkspaceError, match="holds the log's own folder"):
        prepare_workspace(tmp_path, tmp_path / "session")
    with pytest.raises(WorkspaceError, match="is no folder"):
        prepare_workspace(source / "empty", tmp_path / "session")
    monkeypatch.setattr(workspace, "SPARE_BYTES", 2**62)
    with pytest.raises(WorkspaceError, match="no room"):
        prepare_workspace(source, tmp_path / "session")


def test_without_help_of_the_kernel_files_are_copied_all_the_same(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> int:
        raise OSError(18, "cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refused, raising=False)
    assert (prepare_workspace(source, tmp_path / "session") / "src/run.sh").read_text() == "#!/bin/sh\n"


def test_scorer_files_lie_side_by_side_and_must_exist(tmp_path: Path) -> None:
    tasks, session = tmp_path / "tasks", tmp_path / "session"
    (tasks / "data").mkdir(parents=True)
    (tasks / "data/truth").write_text("1")
    (tasks / "score.py").touch()
    keep_scorer(EvaluateSpec(command="x", files=("score.py", "data")), tasks, session)
    assert (session / "scorer/data/truth").read_text() == "1"
    with pytest.raises(WorkspaceError, match="does not exist"):
        keep_scorer(EvaluateSpec(command="x", files=("nope",)), tasks, tmp_path / "other")
    with pytest.raises(WorkspaceError, match="two files"):
        keep_scorer(EvaluateSpec(command="x", files=("score.py", "./score.py")), tasks, tmp_path / "third")


def test_read_only_folders_are_copied_and_removed(source: Path, tmp_path: Path) -> None:
    (source / "src").chmod(0o500)
    made = prepare_workspace(source, tmp_path / "session")
    assert (made / "src").stat().st_mode & 0o777 == 0o500
    workspace.remove_tree(made)
    assert not made.exists()
    (source / "src").chmod(0o700)


def test_keeping_a_scorer_again_after_a_crash_is_fine(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("new")
    for _ in range(2):
        keep_scorer(EvaluateSpec(command="x", files=("score.py",)), tmp_path, tmp_path / "session")
    assert (tmp_path / "session/scorer/score.py").read_text() == "new"


def test_a_scoring_copy_of_a_workspace_that_holds_the_log_does_not_copy_the_log(tmp_path: Path) -> None:
    session = tmp_path / "log.d/sessions/one"
    session.mkdir(parents=True)
    (tmp_path / "answer").write_text("1")
    copy, home = copy_for_scoring(tmp_path, session, session / "scoring/1")
    assert (copy / "answer").read_text() == "1"
    assert (copy / "log.d").is_dir()
    assert not (copy / "log.d/sessions").exists()
    assert list(home.iterdir()) == []


def swap(monkeypatch: pytest.MonkeyPatch, folder: Path, change: Callable[[], object]) -> None:
    """Once ``folder`` has been listed, and before anything that it names is looked at, ``change`` it."""
    scan, place, done = os.scandir, folder.stat().st_ino, []

    class Listed:
        def __init__(self, at: int | str) -> None:
            with scan(at) as entries:
                self.entries = iter(list(entries))
            if not done and os.stat(at).st_ino == place:
                done.append(True)
                change()

        def __enter__(self) -> Listed:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def __iter__(self) -> Listed:
            return self

        def __next__(self) -> os.DirEntry[str]:
            return next(self.entries)

        close = __exit__

    monkeypatch.setattr(os, "scandir", Listed)


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
def test_what_becomes_something_else_between_the_look_and_the_copy_is_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("SECRET")
    file = source / "empty"

    def change() -> None:
        if what == "folder":
            (source / "src").rename(tmp_path / "was")
            (source / "src").symlink_to(outside)
        else:
            file.unlink()
            file.symlink_to(outside / "secret") if what == "link" else os.mkfifo(file)

    swap(monkeypatch, source, change)
    copy_tree(source, tmp_path / "copy")
    left_out = {"src"} if what == "folder" else {"empty"}
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"src", "empty", "link", "dangling"} - left_out


def test_a_workspace_that_grows_while_it_is_copied_does_not_fill_the_disk(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "SPARE_BYTES", 1000)
    measure = workspace.measure_folder

    def measured(*arguments: Path | None) -> workspace.Size:
        found = measure(*arguments)  # type: ignore[arg-type]
        (source / "empty").write_bytes(bytes(10_000))
        return found

    monkeypatch.setattr(workspace, "measure_folder", measured)
    with pytest.raises(WorkspaceError, match="it grew while it was copied"):
        copy_for_scoring(source, tmp_path / "session", tmp_path / "session/scoring/1")


def test_folders_nested_without_end_are_refused_and_removed(tmp_path: Path) -> None:
    top = tmp_path / "source"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(2 * MOST_DEPTH + 1):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    assert measure_folder(top).files == 0
    with pytest.raises(WorkspaceError, match="nested more than 200 deep"):
        copy_tree(top, tmp_path / "copy")
    for made in (top, tmp_path / "copy"):
        remove_tree(made)
        assert not made.exists()


def test_removing_a_copy_touches_nothing_that_a_link_in_it_leads_to(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "inner").chmod(0o755)
    (outside / "inner/kept").touch()
    (source / "out").symlink_to(outside)

    def change() -> None:
        (source / "src").rename(tmp_path / "was")
        (source / "src").symlink_to(outside / "inner")

    swap(monkeypatch, source, change)
    remove_tree(source)
    assert (outside / "inner").stat().st_mode & 0o777 == 0o755
    assert (outside / "inner/kept").exists()
