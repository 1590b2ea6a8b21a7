"""An output on the screen: what is in sight."""

from __future__ import annotations

from textual.app import App, ComposeResult

from widgets.models import OutputLine
from widgets.output import OutputView


class OutputApp(App[None]):
    def compose(self) -> ComposeResult:
        yield OutputView()


def lines(count: int) -> list[OutputLine]:
    return [OutputLine(at * 5, f"{at:>4}", 5) for at in range(count)]


async def test_the_end_is_in_sight_where_all_lines_fit_also_for_a_reader_who_stays() -> None:
    app = OutputApp()
    async with app.run_test(size=(40, 8)) as pilot:
        output = app.query_one(OutputView)
        output.show(lines(4), more_before=False, more_after=False)
        output.focus()
        await pilot.press("k")
        assert not output.following and output.end_in_sight
        output.show(lines(6), more_before=False, more_after=False)
        assert output.end_in_sight
        output.show(lines(6), more_before=False, more_after=True)
        assert not output.end_in_sight
        output.show(lines(60), more_before=False, more_after=False)
        assert not output.end_in_sight
