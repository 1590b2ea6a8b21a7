from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from sse_server import server_process

from sessions.log.errors import LogMissing
from sessions.log.reader import LogReader

SCORER = "cat $APOLLO_WORKSPACE/answer.txt"


def write(value: str) -> dict[str, Any]:
    arguments = {"path": "answer.txt", "content": f"{value}\n"}
    return {"text": "I write.", "calls": [{"name": "write_file", "arguments": arguments}]}


SCORE = {"text": "I ask for the score.", "calls": [{"name": "evaluate", "arguments": {}}]}
FINISH = {"text": "Done.", "calls": [{"name": "finish", "arguments": {"summary": "done"}}]}
WAIT = {"text": "I wait.", "calls": [{"name": "wait", "arguments": {"seconds": 1500}}]}
BROKEN = {"text": "Hm.", "calls": [{"name": "write_file", "arguments": "{"}]}

SCRIPT = {
    "base": {"turns": [BROKEN, write("0.25"), SCORE, FINISH]},
    "trained": {"turns": [write("0.5"), SCORE, write("0.4"), SCORE, FINISH]},
    "refused": {"turns": [{"faults": [{"status": 400, "message": "no such model here"}] * 50}]},
    "endless": {"turns": [write("0.1") | {"pause": 0.02}]},
    "flaky": {"turns": [write("0.9") | {"faults": [{"status": 400, "message": "loading"}]}, SCORE, FINISH]},
    "slow": {"turns": [WAIT, FINISH]},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = tmp_path_factory.mktemp("server") / "script.json"
    script.write_text(json.dumps(SCRIPT))
    with server_process(script) as found:
        yield f"{found}/v1"


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    made = Apollo(tmp_path / "out")
    made.log = tmp_path / "out" / "apollo.sqlite"
    made.folder.mkdir()
    yield made
    made.close()


def tasks(folder: Path, **better: str) -> Path:
    folder.mkdir()
    for name, which in better.items():
        (folder / f"{name}.md").write_text(
            f"---\nevaluate: {{command: '{SCORER}', better: {which}}}\n---\nWrite a number into answer.txt.\n"
        )
    (folder / "README.md").write_text("Not a task.\n")
    return folder


def command(apollo: Apollo, folder: Path, url: str, *models: str, more: tuple[str, ...] = ()) -> list[str]:
    given = [word for model in models for word in ("--model", f"openai:{model}")]
    words = ["--tasks", str(folder), *given, "--base-url", url, "--output", str(apollo.folder), *more]
    return [sys.executable, "-P", "-m", "apollo_train", "eval", *words]


def run(apollo: Apollo, words: list[str]) -> str:
    done = subprocess.run(words, env=apollo.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert apollo.host_pid() is None
    return done.stdout


def report(apollo: Apollo) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((apollo.folder / "evaluation.json").read_text("utf-8"))
    return found


def test_two_models_are_compared_over_real_sessions_and_a_second_run_plays_only_what_is_new(
    apollo: Apollo, url: str, tmp_path: Path
) -> None:
    folder = tasks(tmp_path / "tasks", high="higher", low="lower")
    said = run(apollo, command(apollo, folder, url, "base", "trained"))
    found = report(apollo)
    figures = {(s["task"], s["model"]): s for s in found["sessions"]}
    base, trained = figures["high", "openai:base"], figures["high", "openai:trained"]
    assert (base["how"], base["best"], base["last"], base["steps"], base["malformed"]) == ("finished", 0.25, 0.25, 4, 1)
    assert (trained["best"], trained["last"], trained["malformed"]) == (0.5, 0.4, 0)
    assert figures["low", "openai:trained"]["best"] == 0.4
    assert base["input_tokens"] > 0 and base["cost"] is None and base["served_model"] == "base-0001"
    best, last, finished = found["differences"]
    assert (best["mean"], best["tasks"], best["better"], best["worse"]) == (pytest.approx((0.25 - 0.15) / 2), 2, 1, 1)
    assert best["low"] == pytest.approx(-0.15) and best["high"] == pytest.approx(0.25)
    assert last["mean"] == pytest.approx(0.0) and finished["mean"] == 0.0
    assert "high: openai:base 0.25  openai:trained 0.5" in said
    assert "| openai:trained | best score | +0.05 | -0.15 to +0.25 |" in (apollo.folder / "evaluation.md").read_text()
    with LogReader(apollo.log) as reader:
        assert found["record"]["log_position"] == reader.position()
        events = list(reader.stream())
    assert not [event for event in events if event.kind.startswith("advice")]

    run(apollo, command(apollo, folder / "high.md", url, "base", "trained", more=("--repeat", "2")))
    now = report(apollo)
    assert len(now["sessions"]) == 4 and len(apollo.json("ls", "--all")) == 6
    assert [s for s in now["sessions"] if s["repeat"] == 1] == found["sessions"][:2]
    assert now["differences"][0]["pairs"] == 2


def test_sessions_that_do_not_finish_are_counted_by_reason_and_hold_nothing_up(
    apollo: Apollo, url: str, tmp_path: Path
) -> None:
    folder = tasks(tmp_path / "tasks", one="higher")
    more = ("--limit", "steps=4", "--timeout", "3s")
    words = command(apollo, folder, url, "endless", "refused", "slow", "flaky", more=more)
    said = run(apollo, words)
    found = report(apollo)
    assert found["endings"] == {
        "openai:refused": {"needs_you (provider)": 1},
        "openai:endless": {"limit": 1},
        "openai:slow": {"timeout": 1},
        "openai:flaky": {"needs_you (provider)": 1},
    }
    scores = [each for each in found["differences"] if "score" in each["measure"]]
    assert [(each["mean"], each["left_out"]) for each in scores] == [(None, 1)] * 6
    ends = [each for each in found["differences"] if each["measure"] == "finished"]
    assert [(each["mean"], each["left_out"]) for each in ends] == [(None, 1), (0.0, 0), (None, 1)]
    assert "openai:refused: none of 1 session could be played, for want of a server that answers: " in said
    assert "openai:slow against openai:endless, finished: +0 over 1 pair" in said
    assert "no such model here" in said and "budget used up: 4 of 4 steps  best" in said
    assert {row["state"] for row in apollo.json("ls")} == {"stopped"}
    run(apollo, words)
    assert report(apollo)["sessions"] == found["sessions"] and len(apollo.json("ls")) == 4
    run(apollo, [*words, "--retry"])
    again = report(apollo)["sessions"]
    assert [each["session"] for each in again] == [each["session"] for each in found["sessions"]]
    assert [each["how"] for each in again] == ["limit", "needs_you (provider)", "timeout", "finished"]
    assert again[3]["best"] == 0.9


def test_where_no_model_answers_nothing_is_compared_and_the_exit_code_says_so(
    apollo: Apollo, url: str, tmp_path: Path
) -> None:
    folder = tasks(tmp_path / "tasks", one="higher", two="higher")
    words = command(apollo, folder, url, "base", "refused", more=("--missing-score", "0"))
    done = subprocess.run(words, env=apollo.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and apollo.host_pid() is None
    assert "openai:refused: none of 2 sessions could be played, for want of a server that answers: " in done.stdout
    assert "no such model here" in done.stdout and "openai:base: none" not in done.stdout
    assert done.stdout.count("against openai:base") == done.stdout.count("no pair has both values") == 3
    assert done.stderr.startswith("apollo-train: nothing could be compared") and "--retry" in done.stderr
    assert "none of 2 sessions could be played" in (apollo.folder / "evaluation.md").read_text()


def test_a_killed_and_an_interrupted_evaluation_go_on_with_the_sessions_that_are_there(
    apollo: Apollo, url: str, tmp_path: Path
) -> None:
    folder = tasks(tmp_path / "tasks", one="higher")
    words = command(apollo, folder, url, "endless")
    killed = subprocess.Popen(words, env=apollo.env)
    wait_for("a step", lambda: steps(apollo) > 0)
    killed.kill()
    killed.wait(30)
    assert apollo.host_pid() is not None

    interrupted = subprocess.Popen(words, env=apollo.env, stderr=subprocess.PIPE, text=True)
    seen = steps(apollo)
    wait_for("it waits for the session", lambda: catches(interrupted.pid, signal.SIGTERM) and steps(apollo) > seen)
    interrupted.send_signal(signal.SIGTERM)
    _, said = interrupted.communicate(timeout=60)
    assert interrupted.returncode != 0 and "goes on from here" in said
    [held] = apollo.json("ls")
    assert held["state"] == "paused" and apollo.host_pid() is None

    run(apollo, [*words, "--timeout", "1s"])
    [session] = report(apollo)["sessions"]
    assert (session["session"], session["how"]) == (held["id"], "timeout")
    assert session["steps"] >= held["step"] > seen


def catches(pid: int, number: int) -> bool:
    [mask] = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in line]
    return bool(int(mask, 16) >> (number - 1) & 1)


def steps(apollo: Apollo) -> int:
    try:
        with LogReader(apollo.log) as reader:
            return sum(summary.step for summary in reader.summaries())
    except LogMissing:
        return 0  # the host is about to make it


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tasks", "empty", "--model", "openai:m"), "there are no tasks in"),
        (("--tasks", "gone.md", "--model", "openai:m"), "gone.md: cannot be read: No such file"),
        (("--tasks", "tasks", "--model", "nobody:m"), "'nobody:m' is no model"),
        (("--tasks", "tasks", "--model", "openai:m", "--base-url", "gpu-box:8000"), "is no address"),
        (("--tasks", "tasks", "--model", "openai:m", "--base-url", "http://127.0.0.1:9/v1"), "nobody answers at"),
        (("--tasks", "tasks", "--model", "openai:m", "--limit", "step=3"), "--limit step=3: expected"),
        (("--tasks", "tasks", "--model", "openai:m", "--timeout", "soon"), "--timeout soon: expected"),
        (("--tasks", "tasks", "--model", "openai:m", "--model", "openai:m"), "openai:m is given twice"),
        (("--tasks", "tasks", "--model", "openai:m", "--log", "other.db"), "the log has other sessions"),
    ],
)
async def test_what_cannot_be_played_is_one_line_and_starts_no_host(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner
    from training_log import Teller, new_log

    from apollo_train.cli.main import main

    for name in [name for name in os.environ if name.startswith("APOLLO_") or name.endswith("_BASE_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    tasks(tmp_path / "tasks", one="higher")
    if "--log" in words:
        writer = await new_log(tmp_path)
        await Teller(writer).begin()
        await writer.close()
        writer.path.rename(tmp_path / "other.db")
    done = CliRunner().invoke(main, ["eval", *words, "--output", "out"])
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith("apollo-train: ") and said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "apollo.sqlite").exists()
