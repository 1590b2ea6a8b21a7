from __future__ import annotations

from apollo_tui.state.review_filter import ReviewFilter, choices_of, filter_of
from sessions.events import Target
from sessions.fold.review import Item, Why


def item(number: int, why: Why, session: str = "s1", **more: object) -> Item:
    return Item(session, Target(number), why, "", number, number, **more)  # type: ignore[arg-type]


ITEMS = [
    item(1, "signal", source="killed_healthy_job"),
    item(2, "signal", source="polling_streak"),
    item(3, "proposed", "s2", source="judge:m", labels=("x/impatience",), by=("judge:m",)),
    item(4, "disputed", labels=("x/impatience",), by=("human:ada", "human:ben")),
    *(item(number, "unseen") for number in range(5, 9)),
]


def test_every_filter_says_how_much_it_shows_and_has_a_key_of_its_own() -> None:
    rows = choices_of(ITEMS, lambda id: (int(id[1:]), f"title {id}"), lambda label: label.removeprefix("x/"))
    said = {row.id: row.text for row in rows}
    assert said["all:"] == "all 8" and said["why:signal"] == "signals 2" and said["why:unseen"] == "unseen 4"
    assert said["source:judge:m"] == "judge:m 1" and said["source:polling_streak"] == "polling streak 1"
    assert said["label:x/impatience"] == "impatience 2" and said["by:human:ben"] == "ben 1"
    assert said["session:s1"] == "1 title s1 7" and "why:malformed" not in said
    used = [row.key for row in rows]
    assert all(used) and len(used) == len(set(used)) and "q" not in used
    for row in rows:
        shown = [one for one in ITEMS if filter_of(row.id).keeps(one)]
        assert row.text.endswith(f" {len(shown)}")


def test_a_rule_says_how_often_people_found_it_right() -> None:
    rows = choices_of(ITEMS, lambda id: (1, id), str, {("signal", "polling_streak"): (3, 5)})
    notes = {row.id: row.note for row in rows}
    assert notes["source:polling_streak"].endswith("People found it right 3 of 8 times.")
    assert notes["source:killed_healthy_job"].endswith("Nobody has judged it yet.")


def test_a_filter_without_a_value_shows_everything() -> None:
    assert all(ReviewFilter().keeps(one) for one in ITEMS)
    assert filter_of("nonsense:1").kind == "all"
