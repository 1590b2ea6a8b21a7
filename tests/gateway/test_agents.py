"""Agent programs as data: started, pointed at their endpoint, asked to go on, without a token where others can read."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

from apollo_tui.acts.agents import find_installation
from sessions.gateway.agents import BadAgents, expand, read_agents, read_version

LOOP = Path(__file__).parents[1] / "support" / "harnesses" / "chat_loop.py"


@pytest.fixture
def model() -> Iterator[WireModel]:
    with WireModel(3).serving() as model:
        yield model


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path, {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    product.write_config()
    program = tmp_path / "bin" / "looper"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo looper 4.2 && exit\nexec {sys.executable} {LOOP} "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (product.folder / "config" / "apollo-tui" / "agents.toml").write_text(
        '[looper]\ntitle = "Looper"\ndialect = "chat"\ncommand = ["looper", "{task}"]\n'
        'resume = ["looper", "{task}", "again"]\n'
        'version = ["looper", "--version"]\nenv = { OPENAI_BASE_URL = "{url}/v1", HINT = "{home} {model} {x}" }\n'
        'files = { ".looper/settings.json" = \'{"key":"{token}"}\' }\nadvice = "<boss>{advice}</boss>"\n'
    )
    yield product
    product.close()


def test_ours_say_how_each_program_is_pointed_at_its_endpoint() -> None:
    agents = read_agents(Path("/nowhere"))
    assert {name for name, preset in agents.items() if preset.acp} == {"claude-code", "codex", "opencode"}
    assert {"claude-code", "codex", "opencode", "qwen-code", "mini-swe-agent", "aider", "innovatorbench"} <= set(agents)
    for name, preset in agents.items():
        told = json.dumps([preset.env, preset.command])
        assert "{url}" in told or "{address}" in told, name
        for word in (*preset.command, *preset.resume, *preset.contained, *preset.acp, *preset.acp_contained):
            assert "{token}" not in word, f"{name}: other users of the machine can read commands"
            assert "{url}" not in word, f"{name}: the URL holds the token"
        if preset.command:
            assert any("{task}" in word for word in preset.command), name


def test_only_known_places_are_filled() -> None:
    assert expand('{"a":{"{model}":1}} {other}', {"model": "m"}) == '{"a":{"m":1}} {other}'


def test_a_program_that_is_not_installed_has_no_version() -> None:
    preset = read_agents(Path("/nowhere"))["codex"]
    import msgspec

    assert read_version(msgspec.structs.replace(preset, version=("no-such-program-here", "--version"))) is None
    assert read_version(msgspec.structs.replace(preset, version=(sys.executable, "--version"))).startswith("Python 3")


def test_a_file_of_agents_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "agents.toml").write_text('[mine]\ntitle = 3\ndialect = "chat"\n')
    with pytest.raises(BadAgents, match=r"agents\.toml: Expected `str`, got `int` - at `\$\[\.\.\.\]\.title`"):
        read_agents(tmp_path)


def test_an_agent_of_a_preset_is_started_resumed_and_told_in_its_own_form(apollo: Apollo, model: WireModel) -> None:
    assert "looper (looper 4.2)" in apollo.run("doctor", check=False).stdout
    apollo.run("run", "--agent", "looper", "--model", "openai:m", "--base-url", model.url, "--task", "Write numbers.",
               "--inside", "none", "--name", "it")  # fmt: skip
    it = str(apollo.session("it")["id"])
    wait_for("its end", lambda: apollo.session("it")["state"] == "finished")
    (created,) = apollo.events(it, "session.created")
    assert created["body"]["harness"]["version"] == "looper 4.2"
    (settings,) = apollo.folder.rglob(".looper/settings.json")
    assert settings.read_text() == json.dumps(
        {"key": apollo.json("gateway", it)["OPENAI_API_KEY"]}, separators=(",", ":")
    )

    replies = len(model.bodies)
    apollo.run("advise", it, "And now a poem.", "--reopen")
    wait_for("it goes on", lambda: len(model.bodies) > replies)
    wait_for("its end", lambda: apollo.session("it")["state"] == "finished")
    started = [event["body"]["command"] for event in apollo.events(it, "job.started")]
    assert started == ["looper 'Write numbers.'", "looper 'Go on.' again"]
    assert b"<boss>And now a poem.</boss>" in model.bodies[replies].replace(b"\\n", b"")


def test_a_program_without_a_way_to_go_on_says_so(apollo: Apollo, model: WireModel) -> None:
    apollo.run("run", "--agent", "mine", "--model", "openai:m", "--base-url", model.url, "--name", "it",
               "--inside", "none", "--", "true")  # fmt: skip
    wait_for("its end", lambda: apollo.session("it")["state"] == "stopped")
    apollo.run("resume", str(apollo.session("it")["id"]))
    wait_for("a person is asked", lambda: apollo.session("it")["state"] == "needs_you")
    assert "mine cannot go on once it has ended" in apollo.session("it")["reason"]


def test_an_agent_that_is_not_installed_is_refused_in_one_line(apollo: Apollo) -> None:
    task = apollo.folder / "task.md"
    task.write_text("# It\n\nDo it.\n")
    unknown = apollo.run("new", str(task), "--model", "openai:m", "--agent", "nobody", check=False)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("apollo: there is no agent 'nobody'; there are claude-code, ")
    library = apollo.run("new", str(task), "--model", "openai:m", "--agent", "smolagents", check=False)
    assert "smolagents is a library: give the command that runs your script" in library.stderr


def test_a_task_file_starts_an_agent(apollo: Apollo, model: WireModel) -> None:
    task = apollo.folder / "task.md"
    task.write_text("---\ntitle: It\n---\nWrite numbers.\n")
    apollo.run(
        "new",
        "--anyway",
        str(task),
        "--model",
        "openai:m",
        "--base-url",
        model.url,
        "--agent",
        "looper",
        "--inside",
        "none",
    )
    wait_for("its end", lambda: apollo.session("It")["state"] == "finished")
    assert apollo.session("It")["step"] == 4


@pytest.mark.parametrize("prefix", ["ssh gpu3", "podman exec box"])
def test_an_agent_is_not_started_where_its_endpoint_is_not(apollo: Apollo, prefix: str) -> None:
    words = ("run", "--model", "demo:steady", "--inside", prefix)
    refused = apollo.run(*words, "--", "looper", "Write.", check=False)
    assert refused.returncode
    assert f"an agent program cannot be started inside {prefix}: its model endpoint is at 127.0.0.1" in refused.stderr
    assert "--inside bwrap, landlock or none" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert apollo.json("ls", "--all") == []


def test_a_stopped_host_ends_an_agent_that_can_go_on_and_a_person_lets_it(apollo: Apollo, model: WireModel) -> None:
    apollo.run("run", "--agent", "looper", "--model", "openai:m", "--base-url", model.url, "--task", "Write numbers.",
               "--inside", "none", "--name", "it", "--limit", "steps=2")  # fmt: skip
    it = str(apollo.session("it")["id"])
    wait_for("the limit", lambda: apollo.session("it")["state"] == "paused")
    apollo.run("limit", it, "steps=20")
    said = apollo.run("host", "stop").stdout
    assert said.endswith("; the program of session 1 (looper) was ended, and is started again then\n")
    apollo.run("host", "start")
    wait_for("its death is known", lambda: apollo.events(it, "job.ended"))
    assert apollo.session("it")["state"] == "paused", "only a person lets it go on"
    apollo.run("resume", it)
    wait_for("its end", lambda: apollo.session("it")["state"] == "finished")
    assert [event["body"]["command"] for event in apollo.events(it, "job.started")][1:] == ["looper 'Go on.' again"]


def test_a_stop_asks_before_an_agent_is_lost_that_cannot_go_on(apollo: Apollo, model: WireModel) -> None:
    apollo.run("run", "--model", "openai:m", "--base-url", model.url, "--task", "Write.", "--inside", "none",
               "--name", "it", "--limit", "steps=1", "--", "looper", "Write.")  # fmt: skip
    wait_for("the limit", lambda: apollo.session("it")["state"] == "paused")
    refused = apollo.run("host", "stop", check=False)
    assert refused.returncode == 1
    assert refused.stderr == (
        "apollo: session 1 (looper) cannot go on without the host, and would end early; --now stops the host all the "
        "same, 'apollo host restart' keeps them\n"
    )
    assert apollo.host_pid() is not None
    apollo.run("host", "stop", "--now")
    assert apollo.host_pid() is None


def test_of_a_folder_that_many_programs_share_only_the_program_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    venv = tmp_path / ".local" / "share" / "pipx" / "venvs" / "agent"
    for folder in (venv / "bin", tmp_path / ".local" / "bin", tmp_path / ".local" / "lib"):
        folder.mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    program = venv / "bin" / "agent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    link = tmp_path / ".local" / "bin" / "agent"
    link.symlink_to(program)
    monkeypatch.setenv("PATH", f"{link.parent}:/usr/bin:/bin")
    places = [place for place in find_installation("agent") if place.startswith(str(tmp_path))]
    assert places == [str(link), str(venv)]
    monkeypatch.chdir(venv / "bin")
    assert all(Path(place).is_absolute() for place in find_installation("./agent"))
