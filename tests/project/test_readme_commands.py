"""The commands that the README shows are run as they stand there, on logs of their own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from apollo_process import Apollo, wait_for
from sse_server import server_process

ROOT = Path(__file__).parents[2]
VENV = Path(sys.executable).parent.parent


def shown() -> list[str]:
    """Every command of the README's shell blocks, without its comment."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [shlex.join(words) for words in lines if words]


def make(target: str, folder: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run a target of the Makefile on a copy of the checkout, with the environment that runs this test."""
    copy = folder / "checkout"
    if not copy.exists():
        copy.mkdir()
        shutil.copy(ROOT / "Makefile", copy)
        for name in ("pyproject.toml", "constraints.txt", "tests"):
            (copy / name).symlink_to(ROOT / name)
    stamp = VENV / ".apollo-installed"
    words = ["make", "--no-print-directory", "-C", str(copy), f"VENV={VENV}", "-o", str(stamp), target, *variables]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=folder)


def test_every_command_of_the_readme_is_covered_here() -> None:
    assert set(shown()) == {
        "make demo",
        "make test",
        "pipx install .",
        "pip install '.[train]'",
        "apollo new TASK.md --model openai:MODEL --base-url http://127.0.0.1:8000/v1",
        "apollo",
        "apollo-train build --out data --advice kept",
        "apollo-train inspect 1 3",
    }


def test_the_training_commands_build_and_show_what_a_demo_session_trains(tmp_path: Path) -> None:
    product = Apollo(tmp_path)
    product.run("demo", "--headless", "--pace", "0")
    wait_for("three steps", lambda: product.session("tune-lr")["step"] > 3)
    build, inspect = (line for line in shown() if line.startswith("apollo-train"))
    for command in (build, inspect):
        words = [sys.executable, "-m", "apollo_train", *shlex.split(command)[1:], "--log", str(product.log)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=product.env)
        assert done.returncode == 0, done.stderr
        assert "trained" in done.stdout
    files = {path.name for path in (tmp_path / "data").glob("*.jsonl")}
    assert files == {"steps.jsonl", "steps.jsonl.excluded.jsonl"}, "and no file that most trainers train whole"
    product.close()


@pytest.mark.skipif(not (VENV / ".apollo-installed").exists(), reason="not run from the Makefile's environment")
def test_make_demo_starts_five_sessions_twice_in_a_row_and_make_demo_stop_ends_them(tmp_path: Path) -> None:
    for _ in range(2):
        done = make("demo", tmp_path, "DEMO_ARGS=--headless --pace 0.2 --json")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert len(made) == 5
    product = Apollo(tmp_path)
    product.log = tmp_path / "checkout" / ".demo" / "apollo.db"
    wait_for("moving sessions", lambda: all(row["step"] for row in product.json("ls")))
    assert len(product.json("ls")) == 5
    assert make("demo-stop", tmp_path).returncode == 0
    wait_for("nothing runs any more", lambda: not product.processes())
    assert not product.log.parent.exists()


@pytest.mark.pty
@pytest.mark.skipif(not (VENV / ".apollo-installed").exists(), reason="not run from the Makefile's environment")
def test_the_command_that_make_demo_ends_with_can_be_typed_after_it(tmp_path: Path) -> None:
    done = make("demo", tmp_path, "DEMO_ARGS=--headless --pace 0.2")
    assert done.returncode == 0, done.stderr
    [listing] = re.findall(r"'(.+ ls)' lists them", done.stdout)
    listed = subprocess.run(listing, shell=True, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == 6, listed.stderr
    child = pexpect.spawn(listing.removesuffix(" ls"), cwd=str(tmp_path), dimensions=(36, 120), encoding="utf-8")
    child.expect("tune-lr", timeout=30)
    farewell = ""
    deadline = time.monotonic() + 30
    while child.isalive() and time.monotonic() < deadline:
        child.send("q")  # the first may only close the table of what happened since
        child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1)
        farewell += child.before if isinstance(child.before, str) else ""
    child.close()
    [back] = set(re.findall(r"go(?:es)? on; `([^`]+)` comes back to them", farewell))
    assert back == listing.removesuffix(" ls")
    assert make("demo-stop", tmp_path).returncode == 0


@pytest.mark.skipif(not (VENV / ".apollo-installed").exists(), reason="not run from the Makefile's environment")
def test_make_test_runs_the_tests_and_ends_with_the_runners_summary(tmp_path: Path) -> None:
    done = make("test", tmp_path, f"TESTS={ROOT / 'tests' / 'demo'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout.strip().splitlines()[-1])


@pytest.mark.pty
def test_apollo_new_makes_a_session_and_apollo_opens_the_board(tmp_path: Path) -> None:
    script, task = tmp_path / "script.json", tmp_path / "TASK.md"
    script.write_text(json.dumps({"*": {"turns": [{"calls": [{"name": "finish", "arguments": {"summary": "done"}}]}]}}))
    task.write_text("---\ntitle: readme\n---\nSay that you are done.\n")
    product = Apollo(tmp_path)
    with server_process(script) as url:
        command = next(line for line in shown() if line.startswith("apollo new"))
        words = shlex.split(command.replace("http://127.0.0.1:8000", url).replace("TASK.md", str(task)))
        product.run(*words[1:])
        wait_for("the end", lambda: product.session("readme")["state"] == "finished")
        child = pexpect.spawn(product.command()[0], product.command()[1:], env=product.env, dimensions=(36, 120))
        child.expect("readme", timeout=30)
        deadline = time.monotonic() + 30
        while child.isalive() and time.monotonic() < deadline:
            child.send("q")  # the first may only close the table of what happened since
            child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1)
        child.close()
        assert child.exitstatus == 0
    product.close()
