"""A command of an agent, under no prefix, that would pass for a person: a real host, tool calls, `apollo`s."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from sse_server import server_process

from apollo_tui.cli.start import task_request
from sessions.host.client import call_once
from sessions.paths import log_paths

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="descent is read from /proc")

SECONDS = 240.0
"""For a session of some twenty commands on a busy machine."""
SIGNOFF = ("signoff", "1", "good")
ACTS: dict[str, tuple[str, ...]] = {
    "signoff": SIGNOFF,
    "pause": ("pause", "1"),
    "new": ("new", "task.md", "--model", "demo:steady"),
    "advise": ("advise", "1", "stop it"),
    "flag": ("flag", "1", "1"),
    "limit": ("limit", "1", "steps", "none"),
    "stop the host": ("host", "stop", "--now"),
    "ls": ("ls",),
    "status": ("host", "status"),
}
READS = ("ls", "status")
WAYS = {
    "double fork": "( ( {tell} & ) & )",
    "setsid": "setsid -f sh -c {quoted}",
    "env -i": "env -i sh -c {quoted}",
    "env -i, double fork, setsid": "( ( env -i setsid sh -c {quoted} & ) & )",
    "holder killed": "export HOLDER=$PPID; ( ( setsid sh -c {after_the_holder} & ) & ); "
    "while [ ! -e off ]; do sleep 0.02; done; kill -9 $PPID",
}
EVALUATION = "evaluation"
SEVERAL = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from apollo_tui.cli.root import main
for name, words in json.loads(sys.argv[2]).items():
    with StringIO() as said, redirect_stdout(said), redirect_stderr(said):
        try:
            main([*json.loads(sys.argv[1]), *words])
        except SystemExit as end:
            code = end.code or 0
        print("exit", code)
        text = said.getvalue()
    with open(sys.argv[3] + name + ".part", "w") as file:
        file.write(text)
    import os
    os.rename(sys.argv[3] + name + ".part", sys.argv[3] + name)
"""
"""One process that runs several commands of Apollo, one after the other, and keeps what each said."""


class Agent:
    """A log with a session whose agent runs commands of the test, one after the other."""

    def __init__(self, apollo: Apollo) -> None:
        self.apollo = apollo
        (apollo.folder / "several.py").write_text(SEVERAL)

    def run(self, *commands: str, evaluate: str) -> None:
        """Make the session and wait until it has finished."""
        turns: list[dict[str, Any]] = [{"calls": [{"name": "run", "arguments": {"command": one}}]} for one in commands]
        turns.append({"calls": [{"name": "evaluate", "arguments": {}}]})
        turns.append({"calls": [{"name": "finish", "arguments": {"summary": "done"}}]})
        script = self.apollo.folder / "script.json"
        script.write_text(json.dumps({"alpha": {"turns": turns}}))
        with server_process(script) as url:
            task = self.apollo.folder / "task.md"
            task.write_text(
                f"---\ntitle: mischief\ninside: none\nevaluate:\n  command: {json.dumps(evaluate)}\n---\nAs you like.\n"
            )
            start = lambda: self.apollo.run("host", "start", check=False).returncode == 0  # noqa: E731
            wait_for("a host", start, seconds=SECONDS)
            request = task_request(task, "openai:alpha", base_url=f"{url}/v1")
            call_once(log_paths(self.apollo.log), request, actor="human:tester", start=False)
            wait_for("the end", lambda: self.apollo.session("mischief")["state"] == "finished", seconds=SECONDS)

    def tell(self, **words: tuple[str, ...]) -> str:
        """A command line that says these words to ``apollo`` as mallory."""
        options = ["--log", str(self.apollo.log), "--as", "mallory"]
        where = f"{self.apollo.folder}/said "
        script = str(self.apollo.folder / "several.py")
        return shlex.join([sys.executable, "-P", script, json.dumps(options), json.dumps(words), where])

    def heard(self, name: str) -> str:
        """What that one answered."""
        said = self.apollo.folder / f"said {name}"
        wait_for(f"the answer to {name}", said.exists, seconds=SECONDS)
        return said.read_text()

    def acts_of_mallory(self) -> list[dict[str, Any]]:
        return [event for event in self.apollo.events("1") if "mallory" in event["actor"]]

    def host_log(self) -> list[str]:
        return log_paths(self.apollo.log).host_log.read_text().splitlines()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """After a session that has tried everything."""
    with ExitStack() as stack:
        apollo = Apollo(tmp_path_factory.mktemp("persons"))
        stack.callback(apollo.close)
        made = Agent(apollo)
        commands = ["echo 'Do it.' > task.md", made.tell(**ACTS)]
        for way, form in WAYS.items():
            tell = made.tell(**{way: SIGNOFF})
            late = f"touch off; while kill -0 $HOLDER 2>/dev/null; do sleep 0.05; done; {tell}"
            commands.append(form.format(tell=tell, quoted=shlex.quote(tell), after_the_holder=shlex.quote(late)))
        # Who finishes ends what his commands have left.
        answers = " ".join(shlex.quote(f"{apollo.folder}/said {way}") for way in WAYS)
        wait = f'for answer in {answers}; do while [ ! -e "$answer" ]; do sleep 0.05; done; done'
        made.run(*commands, evaluate=f"{made.tell(**{EVALUATION: SIGNOFF})}; {wait}; echo 1")
        yield made


@pytest.mark.parametrize("name", [name for name in ACTS if name not in READS])
def test_what_an_agent_asks_of_the_host_is_refused_in_one_line(agent: Agent, name: str) -> None:
    said = agent.heard(name)
    assert "is a command of an agent (job 2 of session 1), so it may only read" in said
    assert said.endswith("exit 1\n")
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("name", READS)
def test_an_agent_may_read(agent: Agent, name: str) -> None:
    assert agent.heard(name).endswith("exit 0\n")


@pytest.mark.parametrize("way", [*WAYS, EVALUATION])
def test_no_detour_makes_a_command_a_person(agent: Agent, way: str) -> None:
    said = agent.heard(way)
    assert "is a command of an agent (" in said
    assert said.endswith("exit 1\n")


def test_nothing_of_it_is_in_the_log_and_all_of_it_in_the_hosts(agent: Agent) -> None:
    for name in (*ACTS, *WAYS, EVALUATION):
        agent.heard(name)
    assert agent.acts_of_mallory() == []
    assert len(agent.apollo.json("ls", "--all")) == 1
    told = [line for line in agent.host_log() if "refused " in line]
    assert len(told) == len(ACTS) - len(READS) + len(WAYS) + 1
    assert "refused annotate to pid " in told[0]
    assert "(python" in told[0]
    assert "job 2 of session 1" in told[0]
    assert any("evaluation 1 of session 1" in line for line in told)


def test_a_person_is_served_also_with_a_bare_environment_and_beside_other_logs(agent: Agent) -> None:
    env = {**agent.apollo.env, "APOLLO_JOB": "01AAAAAAAAAAAAAAAAAAAAAAAA/jobs/1"}  # of another log: not ours to judge
    signed = subprocess.run(agent.apollo.command(*SIGNOFF), env=env, capture_output=True, text=True, check=False)
    assert signed.returncode == 0, signed.stderr
    bare = {"PATH": os.environ["PATH"], "APOLLO_AS": "tester"}
    noted = subprocess.run(
        ["setsid", "--wait", *agent.apollo.command("note", "1", "seen")],
        env=bare, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert noted.returncode == 0, noted.stderr


def test_a_shell_that_an_agent_left_behind_starts_no_host(agent: Agent) -> None:
    session = agent.apollo.session("mischief")["id"]
    agent.apollo.run("host", "stop", "--now")
    wait_for("the host's end", lambda: agent.apollo.host_pid() is None)
    env = {**agent.apollo.env, "APOLLO_JOB": f"{session}/jobs/1"}
    started = subprocess.run(
        agent.apollo.command("host", "start"), env=env, capture_output=True, text=True, check=False
    )
    assert started.returncode == 1
    assert "job 1 of session 1 started this host: a command of an agent starts none" in started.stderr
    assert agent.apollo.host_pid() is None
