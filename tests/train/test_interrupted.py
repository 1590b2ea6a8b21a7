from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from training_log import Teller

from apollo_train.cli.main import main
from sessions.log.reader import LogReader

ROOT = Path(__file__).parents[2]
FINDER = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from {package} import main
main()
"""


def build(log: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["build", "--log", str(log), "--out", str(out), "--segments", "openai", *more])


@contextmanager
def pressed(label: str, at: str) -> Iterator[object]:
    def tell(done: int, total: int) -> None:
        raise KeyboardInterrupt

    yield tell if label == at else None


async def test_an_interrupted_build_says_how_it_goes_on_and_both_files_are_of_one_position(
    told: Teller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.act("a")
    await told.act("b")
    log, out = told.writer.path, tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("apollo_train.cli.main.progress_bar", lambda label: pressed(label, "segments.jsonl"))
        stopped = build(log, out)
    assert stopped.exit_code == 130
    [said, last] = filter(None, stopped.stderr.splitlines())  # click ends the line of the ^C
    assert said.startswith(f"{out / 'segments.jsonl'} is not whole yet: the same command with --resume goes on")
    assert last == "apollo-train: interrupted"
    whole = (out / "steps.jsonl").read_bytes()
    await told.act("c")
    done = build(log, out, "--resume")
    assert done.exit_code == 0, done.stderr
    assert f"{out / 'steps.jsonl'} (steps) was whole before" in done.output
    told_of = [json.loads((out / f"{name}.jsonl.manifest.json").read_text()) for name in ("steps", "segments")]
    assert told_of[0]["position"] == told_of[1]["position"] < LogReader(log).position()
    assert (out / "steps.jsonl").read_bytes() == whole


async def test_a_build_that_was_stopped_in_its_first_file_reads_both_at_the_position_of_then(
    told: Teller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.act("a")
    log, out = told.writer.path, tmp_path / "out"
    then = LogReader(log).position()
    with monkeypatch.context() as patch:
        patch.setattr("apollo_train.cli.main.progress_bar", lambda label: pressed(label, "steps.jsonl"))
        assert build(log, out).exit_code == 130
    await told.act("b")
    assert build(log, out, "--resume").exit_code == 0
    found = [json.loads((out / f"{name}.jsonl.manifest.json").read_text()) for name in ("steps", "segments")]
    assert [manifest["position"] for manifest in found] == [then, then] and then < LogReader(log).position()


async def test_a_position_that_is_named_goes_before_that_of_what_was_stopped_or_whole(
    told: Teller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.act("a")
    log, out = told.writer.path, tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("apollo_train.cli.main.progress_bar", lambda label: pressed(label, "segments.jsonl"))
        assert build(log, out).exit_code == 130
    await told.act("b")
    end = str(LogReader(log).position())
    refused = build(log, out, "--resume", "--position", end)
    assert refused.exit_code == 1 and "steps.jsonl is there already" in refused.stderr
    done = build(log, out, "--resume", "--position", end, "--overwrite")
    assert done.exit_code == 0 and "was whole before" not in done.output
    found = [json.loads((out / f"{name}.jsonl.manifest.json").read_text()) for name in ("steps", "segments")]
    assert [str(manifest["position"]) for manifest in found] == [end, end]


async def test_a_stopped_export_of_another_policy_does_not_say_how_far_the_log_is_read(
    told: Teller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.act("a")
    log, out = told.writer.path, tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("apollo_train.cli.main.progress_bar", lambda label: pressed(label, "steps.jsonl"))
        assert build(log, out, "--policy", "everything").exit_code == 130
    await told.act("b")
    assert build(log, out, "--resume").exit_code == 0
    found = [json.loads((out / f"{name}.jsonl.manifest.json").read_text()) for name in ("steps", "segments")]
    assert [manifest["position"] for manifest in found] == [LogReader(log).position()] * 2


async def test_a_file_for_another_template_is_not_taken_for_a_part_of_the_build(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    assert build(told.writer.path, tmp_path / "out", "--template", "llama3").exit_code == 0
    other = build(told.writer.path, tmp_path / "out", "--resume")
    assert other.exit_code == 1 and "steps.jsonl is there already" in other.stderr
    again = build(told.writer.path, tmp_path / "out", "--resume", "--template", "llama3")
    assert again.exit_code == 0 and again.output.count("was whole before") == 2


async def test_a_file_of_another_policy_is_not_taken_for_a_part_of_the_build(told: Teller, tmp_path: Path) -> None:
    await told.act("a")
    assert build(told.writer.path, tmp_path / "out").exit_code == 0
    other = build(told.writer.path, tmp_path / "out", "--resume", "--policy", "everything")
    assert other.exit_code == 1 and "is there already" in other.stderr
    again = build(told.writer.path, tmp_path / "out", "--resume")
    assert again.exit_code == 0 and again.output.count("was whole before") == 2


@pytest.mark.parametrize(
    ("command", "package", "module"),
    [
        ("apollo-train", "apollo_train.__main__", "apollo_train.cli.main"),
        ("apollo", "apollo_tui.cli", "apollo_tui.cli.root"),
    ],
)
def test_ctrl_c_while_a_command_loads_is_one_line(command: str, package: str, module: str) -> None:
    import_module(module)  # what is interrupted exists
    code = FINDER.format(package=package, module=module)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, f"{command}: interrupted\n")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts[command] == f"{package}:main"
