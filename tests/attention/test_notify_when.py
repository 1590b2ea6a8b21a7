from __future__ import annotations

from sessions.attention.notify_when import LOOKS_MS, SignalMemory
from sessions.attention.signals import Signal

NOW = 1_700_000_000_000
MINUTE = 60_000


def made(id: str, *, session: str = "s1", acute: bool = False, quiet: bool = False, rank: int = 3) -> Signal:
    return Signal(id, id.split(":")[0], session, 7, 1, NOW, "it loops", rank, acute, quiet, 7)


def told(memory: SignalMemory, *signals: Signal, now: int = NOW, active_at: int = 0, session: str = "s1") -> list[str]:
    return [signal.id for signal in memory.take_due({session: signals}, now, active_at)]


def test_a_cause_is_told_once_and_again_only_after_it_was_gone() -> None:
    memory = SignalMemory()
    assert told(memory, made("loop:7")) == ["loop:7"]
    assert told(memory, made("loop:7"), now=NOW + MINUTE) == []
    assert told(memory, made("loop:9"), now=NOW + MINUTE) == ["loop:9"]
    assert told(memory) == []
    assert told(memory, made("loop:9"), now=NOW + 2 * MINUTE) == ["loop:9"]


def test_a_session_that_was_not_looked_at_forgets_nothing() -> None:
    memory = SignalMemory()
    assert told(memory, made("loop:7")) == ["loop:7"]
    assert told(memory, session="s2") == []
    assert told(memory, made("loop:7")) == []


def test_what_was_told_in_an_earlier_life_is_not_told_again() -> None:
    before = SignalMemory()
    told(before, made("loop:7"))
    assert told(SignalMemory(before.known), made("loop:7")) == []


def test_quiet_signals_are_never_told() -> None:
    assert told(SignalMemory(), made("advice_outcome:7", quiet=True)) == []


def test_a_key_after_the_signal_means_that_it_was_seen() -> None:
    memory = SignalMemory()
    assert told(memory, made("loop:7"), active_at=NOW - 1000) == []
    assert told(memory, made("loop:7"), now=NOW + 5000, active_at=NOW + 2000) == []
    assert told(memory, made("loop:7"), now=NOW + 10 * LOOKS_MS, active_at=NOW + 2000) == []


def test_without_a_key_after_it_the_signal_is_told_when_nobody_looks_any_more() -> None:
    memory = SignalMemory()
    assert told(memory, made("loop:7"), active_at=NOW - 1000) == []
    assert told(memory, made("loop:7"), now=NOW + LOOKS_MS - 2000, active_at=NOW - 1000) == []
    assert told(memory, made("loop:7"), now=NOW + LOOKS_MS, active_at=NOW - 1000) == ["loop:7"]


def test_the_most_urgent_comes_first() -> None:
    memory = SignalMemory()
    found = told(memory, made("slow:7", rank=9), made("loop:8", rank=3), made("asks:9", rank=0, acute=True))
    assert found == ["asks:9", "loop:8", "slow:7"]


def test_what_was_seen_is_never_told() -> None:
    memory = SignalMemory()
    memory.mark_seen([made("loop:7")])
    assert told(memory, made("loop:7")) == []


def test_a_key_of_a_time_to_come_from_before_the_clock_was_set_back_says_nothing_of_who_looks_now() -> None:
    assert told(SignalMemory(), made("loop:7"), active_at=NOW + 3_600_000) == ["loop:7"]
