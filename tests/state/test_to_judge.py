from __future__ import annotations

import pytest

from apollo_tui.state.to_judge import count_open_flags, count_open_signals
from sessions import events as ev
from sessions.attention.signals import Signal
from sessions.fold.flags import FlagBook

ADA, BEN, RULE = "human:ada", "human:ben", "rule:polling_streak"


class Book:
    """Verdicts as the log has them."""

    def __init__(self) -> None:
        self.book = FlagBook()
        self.seq = 0

    def add(self, body: ev.Body, actor: str) -> Book:
        self.seq += 1
        self.book.fold(ev.Event(self.seq, "s", self.seq, None, None, "", 1, 0, actor, None, body))
        return self

    def flag(self, step: int, verdict: str, actor: str, *, to_step: int | None = None) -> Book:
        target = ev.Target(step, "span", to_step=to_step) if to_step else ev.Target(step)
        return self.add(ev.FlagSet(flag=f"f{self.seq}", target=target, verdict=verdict), actor)  # type: ignore[arg-type]

    @property
    def open(self) -> int:
        return count_open_flags(self.book, ADA)


def test_what_a_rule_says_waits_until_a_person_has_said_something_of_it_or_signed_off() -> None:
    assert Book().flag(3, "bad", RULE).flag(5, "unsure", "judge:j").flag(7, "good", "judge:j").open == 2
    assert Book().flag(3, "bad", RULE).flag(3, "good", BEN).open == 0
    assert Book().flag(3, "bad", RULE).flag(2, "bad", ADA, to_step=4).open == 0
    assert Book().flag(3, "bad", RULE).flag(9, "bad", RULE).add(ev.SignedOff(up_to_step=5), BEN).open == 1


def test_what_another_annotator_is_unsure_of_waits_until_this_one_has_said_something() -> None:
    assert Book().flag(3, "unsure", BEN).open == 1
    assert Book().flag(3, "unsure", BEN).flag(3, "bad", ADA).open == 0
    assert Book().flag(3, "unsure", ADA).open == 0


def test_a_disagreement_waits_for_whoever_has_not_had_the_last_word() -> None:
    assert Book().flag(3, "bad", ADA).flag(3, "good", BEN).open == 1
    assert Book().flag(3, "good", BEN).flag(3, "bad", ADA).open == 0
    assert Book().flag(3, "good", BEN).flag(3, "good", ADA).open == 0


@pytest.mark.parametrize(("rule", "step", "counted"), [("score_drop", 9, 1), ("score_drop", 3, 0), ("silent", 9, 0)])
def test_signals_about_actions_wait_where_nobody_has_judged_their_step(rule: str, step: int, counted: int) -> None:
    signal = Signal(f"{rule}:1", rule, "s", 1, step, 0, "it dropped", 3, acute=False)
    assert count_open_signals([signal], Book().flag(2, "bad", ADA, to_step=4).book) == counted
    assert count_open_signals([signal], None) == (rule == "score_drop")
