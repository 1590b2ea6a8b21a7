from __future__ import annotations

import json

import pytest

from sessions.demo.script import Seen, Turn, next_turn
from sessions.demo.scripts import SCRIPTS


def played(name: str, advice_at: int | None = None, most: int = 200) -> list[Turn]:
    history: list[Seen] = []
    turns: list[Turn] = []
    for step in range(1, most):
        turn = next_turn(SCRIPTS[name], history)
        turns.append(turn)
        if any(call.name == "finish" for call in turn.calls):
            return turns
        results = tuple(
            "job 1 exited with code 0" if c.name == "wait" else "job 1 is still running" for c in turn.calls
        )
        history.append(Seen(results, "please change course" if step == advice_at else ""))
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
    history = [Seen(("job 1 is still running",))] * 4
    assert next_turn(SCRIPTS[name], history) == next_turn(SCRIPTS[name], list(history))


def test_the_impatient_one_stops_killing_once_advised() -> None:
    assert names(played("tune-lr")).count("job_kill") == 5
    advised = names(played("tune-lr", advice_at=4))
    assert "job_kill" not in advised
    assert "wait" in advised


def test_the_poller_waits_once_advised() -> None:
    alone, advised = names(played("poller")), names(played("poller", advice_at=5))
    assert alone.count("job_output") == 60
    assert advised.count("job_output") < 6
    assert "wait" in advised


def test_malformed_calls_end_once_advised() -> None:
    assert malformed(played("formats")) >= 6
    assert malformed(played("formats", advice_at=3)) < 3


def test_the_steady_one_is_not_thrown_off_by_advice() -> None:
    assert names(played("steady")) == names(played("steady", advice_at=6))
