from __future__ import annotations

from apollo_tui.state.sitting import Sitting


def test_a_sitting_takes_the_best_that_wait_and_ends_whatever_comes_meanwhile() -> None:
    waiting = [f"k{number}" for number in range(200)]
    sitting = Sitting().filled(waiting)
    assert len(sitting.planned) == 50 and sitting.done(waiting) == 0
    here: str | None = sitting.next_after(None, waiting)
    for count in range(1, 51):
        assert here is not None
        waiting.remove(here)
        waiting.insert(0, f"new{count}")
        assert sitting.done(waiting) == count
        here = sitting.next_after(here, waiting)
    assert here is None and sitting.done(waiting) == 50


def test_the_order_stays_what_is_passed_comes_again_and_an_undo_brings_an_item_back() -> None:
    sitting = Sitting(("a", "b", "c"))
    assert sitting.next_after("a", {"a", "b", "c"}) == "b"
    assert sitting.next_after("c", {"a", "c"}) == "a"
    assert sitting.next_after("b", {"b"}) is None
    assert sitting.done({"b", "c"}) == 1 and sitting.done({"a", "b", "c"}) == 0


def test_while_the_log_is_read_better_items_come_in_and_what_is_done_or_looked_at_stays() -> None:
    sitting = Sitting().filled(["u1", "u2", "u3"], size=3)
    later = sitting.filled(["s1", "u2", "u3"], here="u2", size=3)
    assert later.planned == ("u1", "u2", "s1")
