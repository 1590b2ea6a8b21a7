from __future__ import annotations

from apollo_tui.screens.panels.dock import find_choices
from sessions.labels import load_labels
from widgets.choice_grid import columns_of
from widgets.models import Choice


def labels() -> list[Choice]:
    known = load_labels().labels
    return [Choice("unspecified", "no label"), Choice("there", "good, there too", "<"),
            *(Choice(one.id, one.name, one.key, note=one.definition, group=one.group) for one in known)]  # fmt: skip


def test_all_labels_fit_beside_each_other_with_whole_names_in_eleven_rows_of_78_cells() -> None:
    columns = columns_of(labels(), 78)
    assert len(columns[0]) <= 10 and [one for column in columns for one in column] == labels()


def test_what_does_not_fit_side_by_side_stands_below_each_other() -> None:
    assert columns_of(labels(), 20) == [labels()]
    assert columns_of([], 20) == [] and columns_of([Choice("a", "one")], 3) == [[Choice("a", "one")]]


def test_typing_finds_a_label_by_name_group_or_meaning_and_names_that_begin_so_come_first() -> None:
    found = find_choices(labels(), "env")
    assert found[0].text == "environment" and {"rate limit", "time-out"} <= {one.text for one in found}
    assert [one.text for one in find_choices(labels(), "tool hall")] == ["tool hallucination"]
    assert find_choices(labels(), "zzz") == [] and find_choices(labels(), "") == labels()
