from __future__ import annotations

import json

import pytest

from sessions.demo.script import Feedback, Turn, next_turn
from sessions.demo.scripts import SCRIPTS
from sessions.demo.scripts.poller import LOOKS


def played(name: str, advice_at: int | None = None, most: int = 200) -> list[Turn]:
    history: list[Feedback] = []
    turns: list[Turn] = []
    for step in range(1, most):
        turn = next_turn(SCRIPTS[name], history)
        turns.append(turn)
        if any(call.name == "finish" for call in turn.calls):
            return turns
        results = tuple(
            "job 1 exited with code 0" if c.name == "wait" else "job 1 is still running" for c in turn.calls
        )
        history.append(Feedback(results, "please change course" if step == advice_at else ""))
    raise AssertionError(f"{name} never finishes")


def names(turns: list[Turn]) -> list[str]:
    return [call.name for turn in turns for call in turn.calls]


def malformed(turns: list[Turn]) -> int:
    def bad(arguments: str) -> bool:
        try:
            return not isinstance(json.loads(arguments), dict)
        except ValueError:
            return True

    return sum(bad(call.arguments) or call.name == "open_file" for turn in turns for call in turn.calls)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_script_gives_the_same_reply_to_the_same_history(name: str) -> None:
    history = [Feedback(("job 1 is still running",))] * 4
    assert next_turn(SCRIPTS[name], history) == next_turn(SCRIPTS[name], list(history))


def test_the_impatient_one_stops_killing_once_advised() -> None:
    assert names(played("tune-lr")).count("job_kill") == 5
    advised = names(played("tune-lr", advice_at=4))
    assert "job_kill" not in advised
    assert "wait" in advised


def test_the_poller_waits_once_advised() -> None:
    alone, advised = names(played("poller")), names(played("poller", advice_at=5))
    assert alone.count("job_output") == LOOKS
    assert advised.count("job_output") < 6
    assert "wait" in advised


def summary_of(name: str, results: dict[str, list[str]], advice_at: int | None = None) -> tuple[str, list[Turn]]:
    """What a script says at its end, where tools answer with ``results`` (the last one again and again)."""
    history: list[Feedback] = []
    turns: list[Turn] = []
    while len(turns) < 200:
        turn = next_turn(SCRIPTS[name], history)
        turns.append(turn)
        for one in turn.calls:
            if one.name == "finish":
                return str(json.loads(one.arguments)["summary"]), turns
        found = []
        for one in turn.calls:
            answers = results.get(one.name, ["done"])
            found.append(answers.pop(0) if len(answers) > 1 else answers[0])
        history.append(Feedback(tuple(found), "please wait" if len(turns) == advice_at else ""))
    raise AssertionError(f"{name} never finishes")


RUNS = ["[Started as job 1.]", "answered 3 queries\n[exit code 0]"]


def test_the_poller_calls_the_index_built_only_once_its_job_has_ended() -> None:
    ends = ["[job 1: running for 3 s; 9 bytes]"] * 4 + ["[job 1: ended, exit code 0 after 12 s; 9 bytes of output]"]
    summary, turns = summary_of("poller", {"run": list(RUNS), "job_output": ends})
    assert summary == "Index built, three queries answered."
    assert names(turns).count("job_output") == 5
    runs = {
        "run": [RUNS[0], "FileNotFoundError: index.json\n[exit code 1]"],
        "job_output": ["[job 1: running for 3 s]"],
    }
    summary, turns = summary_of("poller", runs)
    assert summary == "The queries are not answered: there is no index."
    assert not any("built" in turn.text or "ended" in turn.text for turn in turns)


@pytest.mark.parametrize(("advice_at", "rate"), [(1, "3e-3"), (2, "3e-3"), (4, "3e-3"), (6, "1e-2"), (7, "1e-2")])
def test_the_impatient_one_says_which_rate_was_trained_to_the_end(advice_at: int, rate: str) -> None:
    answers = {"run": ["[Still running after 6 s: it goes on in the background as job 1.]"], "wait": ["exit code 0"]}
    summary, turns = summary_of("tune-lr", answers, advice_at)
    killed = [place for place, turn in enumerate(turns) if "job_kill" in names([turn])]
    runs = [call.arguments for turn in turns[killed[-1] + 1 if killed else 0 :] for call in turn.calls
            if call.name == "run"]  # fmt: skip
    assert len(runs) == 1 and f"--lr {rate}" in runs[0]
    assert f"learning rate of {rate}" in summary


def test_malformed_calls_end_once_advised() -> None:
    assert malformed(played("formats")) >= 6
    assert malformed(played("formats", advice_at=3)) < 3


def test_the_steady_one_is_not_thrown_off_by_advice() -> None:
    assert names(played("steady")) == names(played("steady", advice_at=6))
