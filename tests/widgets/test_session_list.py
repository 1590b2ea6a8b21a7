"""The list of sessions: headings of groups, what is in sight, and rows that stay where they are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual.app import App, ComposeResult

from widgets.models import SessionView
from widgets.session_list import SessionList


class ListApp(App[None]):
    def compose(self) -> ComposeResult:
        yield SessionList(id="list")


def views(count: int, groups: Sequence[int] = ()) -> list[SessionView]:
    return [
        SessionView(id=f"s{n}", number=n, title=f"run {n}", state="running", group=f"task {n}" if n in groups else "")
        for n in range(1, count + 1)
    ]


def rows(listing: SessionList) -> list[str]:
    return ["".join(text for text, _ in listing.row(y)).rstrip() for y in range(listing.size.height)]


@pytest.mark.parametrize("groups", [(), (1, 4)])
async def test_the_selected_session_is_in_sight_wherever_it_is_and_no_row_is_wasted(groups: Sequence[int]) -> None:
    app = ListApp()
    async with app.run_test(size=(60, 9)) as pilot:
        listing = app.query_one(SessionList)
        listing.update(views(8, groups))
        await pilot.pause()
        for by in (1,) * 8 + (-1,) * 8 + (8, -8):
            listing.action_move(by)
            shown = rows(listing)
            here = next(y for y in range(9) if listing.row_selected(y))
            assert listing.selected.removeprefix("s") in shown[here]
            assert "↑" in shown[-1] or "↓" in shown[-1]
            numbers = [int(row.split("run ")[1].split()[0]) for row in shown if "run " in row]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert any("task 1" in row for row in rows(listing)) is bool(groups)


async def test_a_heading_belongs_to_no_session_and_goes_with_its_group() -> None:
    app = ListApp()
    async with app.run_test(size=(60, 12)) as pilot:
        listing = app.query_one(SessionList)
        listing.update(views(3, (1, 3)))
        await pilot.pause()
        assert [y for y, row in enumerate(rows(listing)) if "task" in row] == [0, 7], "three rows a session"
        assert not listing.row_selected(0) and listing.row_selected(1)
        listing.update(views(3))
        assert not any("task" in row for row in rows(listing))


async def test_what_is_taken_out_and_put_back_costs_nothing_of_the_order() -> None:
    app = ListApp()
    async with app.run_test(size=(60, 9)) as pilot:
        listing = app.query_one(SessionList)
        listing.update(views(9))
        listing.select("s9")
        await pilot.pause()
        listing.update(views(9)[6:8])
        assert listing.selected == "s7" and listing.order == ("s7", "s8") and "run 7" in rows(listing)[0]
        listing.update([])
        assert listing.selected == "" and not any(rows(listing))
        listing.update(views(9))
        listing.reorder([f"s{n}" for n in range(9, 0, -1)])
        assert listing.order[0] == "s9" and len(listing.order) == 9


async def test_sessions_have_three_rows_each_as_long_as_all_of_them_fit() -> None:
    app = ListApp()
    async with app.run_test(size=(28, 18)) as pilot:
        listing = app.query_one(SessionList)
        for count, tall in ((6, 3), (7, 2)):
            listing.update(views(count))
            await pilot.pause()
            assert [y for y, row in enumerate(rows(listing)) if "run 2" in row] == [tall]
