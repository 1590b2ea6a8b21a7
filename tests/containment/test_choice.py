"""What contains a new session is said as it is: nothing is called off or stopped that nothing turns off or stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from apollo_process import Apollo

from sessions.containment import bubblewrap, choice, landlock
from sessions.containment.choice import LOCAL, settle, works_here
from sessions.containment.errors import SpaceError
from sessions.events import Containment, SpaceLimits

BWRAP = "bwrap is not installed (package bubblewrap)"


@pytest.fixture
def no_bwrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "problem", lambda: BWRAP)
    monkeypatch.setattr(choice, "_worked", set())


def settled(tmp_path: Path, **wish: object) -> Containment:
    """What becomes of a wish; who has none of the network wishes ""."""
    workspace = tmp_path / str(wish.pop("workspace", "workspace"))
    made = Containment(**{"inside": "auto", "network": "", **wish})  # type: ignore[arg-type]
    private = {"the file of keys": tmp_path / "keys"}
    return settle(made, workspace=workspace, log=tmp_path / "log" / "apollo.db", private=private)


@pytest.mark.parametrize("inside", ["ssh gpu3", "docker exec box", "podman exec box", "apptainer exec image"])
def test_of_another_side_no_network_is_said_to_be_off(inside: str, tmp_path: Path) -> None:
    assert settled(tmp_path, inside=inside).words == f"inside {inside}"
    assert Containment(inside=inside, network="off").words == f"inside {inside}", "of a log from before"
    with pytest.raises(SpaceError, match=f"{inside} leads to another side, whose network .* say --network all"):
        settled(tmp_path, inside=inside, network="off")
    assert settled(tmp_path, inside=inside, network="all").words == f"inside {inside}"


def test_limits_that_do_not_hold_on_another_side_are_not_kept_and_that_is_said(tmp_path: Path) -> None:
    made = settled(tmp_path, inside="ssh gpu3", limits=SpaceLimits(processes=20))
    assert (made.limits, made.why_not) == (
        SpaceLimits(),
        "the limits of the config do not hold on another side",
    )
    assert not settled(tmp_path, inside="ssh gpu3").why_not


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_landlock_that_lets_files_be_cut_off_contains_nothing(
    version: int, tmp_path: Path, no_bwrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    made = settled(tmp_path)
    assert made.words == "not contained"
    assert ("cut off" if version else "no Landlock") in made.why_not
    with pytest.raises(SpaceError, match="nothing can be started inside landlock"):
        settled(tmp_path, inside="landlock")
    with pytest.raises(landlock.NoLandlock):
        landlock.restrict((), (), "all")


def test_a_landlock_without_rules_for_tcp_turns_no_network_off(
    tmp_path: Path, no_bwrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 3)
    for inside in ("auto", "landlock"):
        made = settled(tmp_path, inside=inside)
        assert made.network == "all"
        assert made.words == "inside landlock, signals not stopped, abstract sockets not stopped"
        assert "version 3 of Landlock, which this kernel has, cannot turn the network off" in made.why_not
        with pytest.raises(SpaceError, match="cannot turn the network off"):
            settled(tmp_path, inside=inside, network="off")
    with pytest.raises(landlock.NoLandlock, match="cannot turn the network off"):
        landlock.restrict((), (), "off")


def test_a_landlock_without_scopes_says_so(tmp_path: Path, no_bwrap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 5)
    made = settled(tmp_path, network="off")
    assert made.words == "inside landlock, network off, signals not stopped, abstract sockets not stopped"
    monkeypatch.setattr(landlock, "version", lambda: 6)
    assert settled(tmp_path).words == "inside landlock, network off"
    assert made.why_not == f"bwrap: {BWRAP}"


def test_a_network_that_must_be_off_is_not_left_on_where_nothing_contains(
    tmp_path: Path, no_bwrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(SpaceError, match=r"the network cannot be turned off here: bwrap: .* say --network all"):
        settled(tmp_path, network="off")
    assert settled(tmp_path, inside="none", network="off").words == "not contained", "that was chosen"


GIVEN = {
    "the folder of the log": ("log", "holds the log"),
    "the log": ("log/apollo.db", "holds the log"),
    "its newest part": ("log/apollo.db-wal", "is of the log"),
    "what lies beside it": ("log/apollo.db.d", "holds what sessions keep beside the log"),
    "another session": ("log/apollo.db.d/sessions/OTHER/workspace", "holds what sessions keep beside the log"),
    "the keys": ("keys", "holds the file of keys"),
    "a folder with the keys": (".", "holds the log"),
    "a link to the log": ("link", "holds the log"),
}


@pytest.mark.parametrize("how", ["read", "write"])
@pytest.mark.parametrize("what", GIVEN)
def test_what_may_touch_the_log_keys_or_other_sessions_is_not_called_contained(
    what: str, how: str, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "log")
    place, said = GIVEN[what]
    wish = {how: (str(tmp_path / place),)}
    made = settled(tmp_path, **wish)
    assert made.words == "not contained"
    assert made.why_not.startswith(f"{how} = {tmp_path / place} {said}")
    for inside in LOCAL:
        with pytest.raises(SpaceError, match="nothing can be started inside"):
            settled(tmp_path, inside=inside, **wish)


@pytest.mark.parametrize("place", [".", "log", "log/apollo.db.d", "log/apollo.db.d/sessions/OTHER"])
def test_a_workspace_that_holds_those_is_not_called_contained(place: str, tmp_path: Path) -> None:
    assert settled(tmp_path, workspace=place).words == "not contained"
    assert "the workspace" in settled(tmp_path, workspace=place).why_not


def test_what_is_beside_those_is_contained(tmp_path: Path) -> None:
    beside = ("log/apollo.db-notes", "keys-of-a-piano", "data")
    assert settled(tmp_path, read=tuple(str(tmp_path / one) for one in beside)).words != "not contained"
    own = "log/apollo.db.d/sessions/OWN/workspace"
    assert settled(tmp_path, workspace=own).words != "not contained"


def test_a_host_takes_its_own_keys_and_config_for_private(tmp_path: Path) -> None:
    """A config that could be written would name a command that runs outside: ``notify``."""
    (tmp_path / "task.md").write_text("---\ntitle: It\nwrite: [config]\n---\nDo nothing.")
    (tmp_path / "config" / "apollo-tui").mkdir(parents=True)
    apollo = Apollo(tmp_path / "place", {"XDG_CONFIG_HOME": str(tmp_path / "config")})
    apollo.folder.mkdir()
    words = ("new", str(tmp_path / "task.md"), "--model", "demo:steady", "--no-start")
    try:
        said = apollo.run(*words).stdout
        assert "it is not contained (write = " in said
        assert "holds the file of keys" in said
        apollo.run("host", "stop")
        apollo.env["APOLLO_KEYS"] = str(tmp_path / "elsewhere")
        assert "holds the config, whose commands run outside" in apollo.run(*words).stdout
    finally:
        apollo.close()


def test_the_command_line_refuses_to_call_a_network_off_over_there(tmp_path: Path) -> None:
    (tmp_path / "task.md").write_text("Do nothing.")
    apollo = Apollo(tmp_path)
    words = ("new", "task.md", "--model", "demo:steady", "--no-start", "--inside", "podman exec box")
    try:
        refused = apollo.run(*words, "--network", "off", check=False)
        assert refused.returncode
        assert "podman exec box leads to another side, whose network Apollo cannot turn off" in refused.stderr
    finally:
        apollo.close()


def test_doctor_says_the_version_and_what_it_does_not_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apollo_tui.cli.connection import Cli
    from apollo_tui.cli.doctor import _containment
    from sessions.paths import log_paths

    monkeypatch.setattr(landlock, "version", lambda: 3)
    assert not works_here()["landlock"]
    rows = {found.what: found.text for found in _containment(Cli(log_paths(tmp_path / "log"), "human:ada"))}
    assert rows["landlock"].startswith("works (version 3)")
    assert "cannot turn the network off" in rows["landlock network"]
    assert rows["landlock misses"] == "not stopped: signals, abstract sockets"


def test_what_fails_once_is_tried_again_and_what_works_is_not(no_bwrap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["bwrap fails: no process more", "", "never asked"]
    monkeypatch.setattr(bubblewrap, "problem", lambda: answers.pop(0))
    assert [works_here()["bwrap"] for _ in range(3)] == ["bwrap fails: no process more", "", ""]


@pytest.mark.parametrize(("body", "said"), [("sleep 60", "no space within 0 s"), (None, "Exec format error")])
def test_a_bwrap_that_hangs_or_cannot_run_is_a_reason(
    body: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\nexec {body}\n" if body else "\0 no program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(bubblewrap, "START_SECONDS", 0.2)
    assert said in bubblewrap.problem()
