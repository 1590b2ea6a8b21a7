import time

from textual.app import App, ComposeResult

from widgets import cells
from widgets.content_text import text_rows
from widgets.document import Document
from widgets.models import REASON_BAR, RULE


class DocumentApp(App[None]):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown = text

    def compose(self) -> ComposeResult:
        yield Document()

    def on_mount(self) -> None:
        document = self.query_one(Document)
        document.set_text(self.shown)
        document.focus()

    def text(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


LINES = "\n".join(f"line {number} of the text" for number in range(1000))


async def test_search_goes_from_match_to_match_and_around() -> None:
    app = DocumentApp(LINES)
    async with app.run_test(size=(80, 24)):
        document = app.query_one(Document)
        assert document.search("LINE 99") == 0
        assert document.search("line 99") == 11
        assert document.cursor == 99
        assert document.next_match(1) == 2
        assert document.cursor == 990
        for _ in range(10):
            document.next_match(1)
        assert document.cursor == 99
        document.next_match(-1)
        assert document.cursor == 999
        assert document.search("") == 0


async def test_a_line_of_a_megabyte_opens_at_once_and_is_found_in() -> None:
    huge = "x" * 999_990 + "needle here"
    app = DocumentApp("first\n" + huge + "\nlast")
    started = time.process_time()
    async with app.run_test(size=(120, 36)) as pilot:
        document = app.query_one(Document)
        await pilot.pause()
        assert document.line_count == 3
        assert document.search("needle") == 1
        await pilot.pause()
        assert "needle her" in "".join(app.text())
        await pilot.press("G")
        await pilot.pause()
        assert app.text()[-1].endswith("last")
    assert time.process_time() - started < 4


async def test_a_match_across_two_pieces_of_a_long_line_is_found() -> None:
    app = DocumentApp("y" * 1996 + "needle" + "y" * 3000)
    async with app.run_test(size=(80, 24)):
        assert app.query_one(Document).search("needle") == 1


async def test_chosen_lines_are_given_whole_and_without_wrapping() -> None:
    app = DocumentApp("a\n" + "b " * 100 + "\nc\nd")
    async with app.run_test(size=(40, 24)) as pilot:
        document = app.query_one(Document)
        await pilot.press("j")
        document.choose()
        await pilot.press("j")
        assert document.selected_text() == "b " * 100 + "\nc"
        document.choose()
        assert document.selected_text() == "c"


async def test_what_was_written_is_found_in_rows_that_show_it_otherwise_and_is_what_is_taken() -> None:
    app = DocumentApp("")
    async with app.run_test(size=(60, 24)) as pilot:
        document = app.query_one(Document)
        written = '{"a":{"b":[1,2]},"c":"' + "w" * 60 + '"}'
        rows = [*text_rows("# Head\n\nsome **bold** words", "markdown"), *text_rows(written, "output")]
        document.set_rows(rows)
        await pilot.pause()
        assert app.text()[2] == " some bold words"
        assert document.search("**bold**") == 1 and document.cursor == 2
        assert document.search("bold words") == 1, "what is shown is found, too"
        assert document.search(']},"c":"www') == 1 and '"b": [1, 2]' in cells.text_of(rows[document.cursor].line)
        document.go_to(0)
        document.choose()
        document.action_to_end()
        assert document.selected_text().startswith("# Head\n\nsome **bold** words\n")


async def test_a_rule_goes_on_to_the_edge_and_a_bar_stands_before_every_row() -> None:
    app = DocumentApp("")
    async with app.run_test(size=(30, 24)) as pilot:
        app.query_one(Document).set_lines([(("output ", "title"), RULE), (REASON_BAR, ("word " * 12, "reason"))])
        await pilot.pause()
        assert app.text()[0] == "›output " + "─" * 22
        assert [row[:4] for row in app.text()[1:4]] == [" ┊ w"] * 3


async def test_paging_and_ends_and_a_resize_keep_the_first_line() -> None:
    app = DocumentApp(LINES)
    async with app.run_test(size=(80, 24)) as pilot:
        document = app.query_one(Document)
        await pilot.press("space", "space")
        assert document.first_line == 46
        assert document.cursor >= 46
        await pilot.resize_terminal(16, 40)
        await pilot.pause()
        assert document.first_line == 46
        await pilot.press("G")
        assert document.cursor == 999
        await pilot.press("g")
        assert (document.cursor, document.first_line) == (0, 0)


async def test_the_last_page_is_full_and_going_on_stays_there() -> None:
    app = DocumentApp("\n".join(str(number) for number in range(30)))
    async with app.run_test(size=(80, 24)) as pilot:
        document = app.query_one(Document)
        for _ in range(5):
            await pilot.press("space")
        assert document.first_line == 6
