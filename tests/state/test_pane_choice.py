from __future__ import annotations

from apollo_tui.state.pane_choice import KeptPanes, PaneChoice

NAMES = [f"s{number}" for number in range(1, 9)]


def shown(choice: PaneChoice, room: int = 3, current: str = "s1", need: tuple[str, ...] = ("s5",)) -> list[str]:
    return choice.show(NAMES, room, current, lambda: [*need, *NAMES])


def test_as_many_as_fit_those_that_need_somebody_first_in_the_order_of_the_list() -> None:
    assert shown(PaneChoice()) == ["s1", "s2", "s5"]
    assert shown(PaneChoice(), room=20) == NAMES
    assert shown(PaneChoice(KeptPanes(pinned=("s7", "s6")))) == ["s1", "s6", "s7"], "the current one has the last place"
    assert shown(PaneChoice(KeptPanes(count=2)), need=("s1", "s8")) == ["s1", "s8"]
    assert shown(PaneChoice(KeptPanes(count=9)), need=("s1", "s8")) == ["s1", "s2", "s8"], "no more than fit"


def test_they_change_on_a_key_only() -> None:
    choice = PaneChoice()
    before = shown(choice)
    assert shown(choice, need=("s8", "s7")) == before
    choice.choose_anew()
    assert shown(choice, need=("s8", "s7")) == ["s1", "s7", "s8"]


def test_the_session_one_goes_to_has_the_last_place_until_one_goes_to_another_without_a_pane() -> None:
    choice = PaneChoice(KeptPanes(pinned=("s3",)))
    assert shown(choice, current="s5") == ["s1", "s3", "s5"]
    assert shown(choice, current="s8") == ["s3", "s5", "s8"]
    assert shown(choice, current="s3") == ["s3", "s5", "s8"], "nothing moves where it need not"
    assert shown(choice, current="s7") == ["s3", "s5", "s7"]
    assert shown(choice, current="s1") == ["s1", "s3", "s5"]
    assert shown(PaneChoice(KeptPanes(count=1, pinned=("s3",))), current="s2") == ["s2"]


def test_a_session_that_begins_takes_a_free_place_only_and_one_that_is_gone_gives_its_place() -> None:
    choice = PaneChoice()
    assert choice.show(["s1", "s2"], 3, "s1", lambda: ["s1", "s2"]) == ["s1", "s2"]
    assert choice.show(["s1", "s2", "s3"], 3, "s1", list) == ["s1", "s2", "s3"]
    assert choice.show(["s1", "s2", "s3", "s4"], 3, "s1", list) == ["s1", "s2", "s3"]
    assert choice.show(["s1", "s3", "s4"], 3, "s1", list) == ["s1", "s3", "s4"]
    assert PaneChoice().show([], 3, "", list) == []


def test_a_pinned_session_stays_and_can_be_let_go() -> None:
    choice = PaneChoice()
    shown(choice, current="s5")
    assert choice.pin("s8") and shown(choice, current="s5") == ["s1", "s5", "s8"]
    assert not choice.pin("s8") and choice.kept == KeptPanes()
