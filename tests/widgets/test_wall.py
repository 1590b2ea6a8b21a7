import msgspec
from textual.app import App, ComposeResult
from widget_events import START, Told

from sessions.events import Containment
from sessions.fold.summary import Summary
from widgets.cells import text_of
from widgets.entries import EntryBook
from widgets.grid import LEAST_HEIGHT, LEAST_WIDTH, count_fitting, grid
from widgets.live import grow
from widgets.models import Entry, LiveReply, SessionView
from widgets.pane import Pane, pane_title
from widgets.session_list import SessionList, session_view
from widgets.wall import Wall


def view(number: int, **changes: object) -> SessionView:
    base = SessionView(id=f"s{number}", number=number, title=f"task {number}", state="running", step=number)
    return msgspec.structs.replace(base, **changes)


def actions(count: int, first: int = 1) -> list[Entry]:
    told = Told()
    told.seq = 10 * first
    for step in range(first, first + count):
        told.action(step, command=f"do {step}")
    book = EntryBook()
    book.add(told.events)
    return book.entries()


def live(step: int, text: str) -> LiveReply:
    return grow(None, step=step, attempt=1, index=0, channel="text", offset=0, text=text)


def test_the_title_says_that_nothing_contains_the_commands_of_a_session_that_runs() -> None:
    bare = Summary("s1", 1, "tune", "m", state="running", contained=Containment().words)
    inside = Summary("s1", 1, "tune", "m", state="running", contained=Containment(inside="bwrap").words)
    ended = msgspec.structs.replace(bare, state="finished")
    titles = [
        text_of(pane_title(session_view(one, 0), Pane("s1"), width, False, False))
        for one in (bare, inside, ended)
        for width in (80, 40, 24)
    ]
    assert ["not contained" in title for title in titles] == [True, True, False, *[False] * 6]


class WallApp(App[None]):
    def __init__(self, panes: int, entries: int = 40) -> None:
        super().__init__()
        self.panes, self.entries = panes, entries
        self.told: list[object] = []

    def compose(self) -> ComposeResult:
        yield Wall()

    def on_mount(self) -> None:
        wall = self.query_one(Wall)
        for number in range(1, self.panes + 1):
            wall.set_session(view(number))
            wall.put(f"s{number}", actions(self.entries))
        wall.show([f"s{number}" for number in range(1, self.panes + 1)])
        wall.flush(START)
        wall.focus()

    def on_wall_entry_selected(self, message: Wall.EntrySelected) -> None:
        self.told.append((message.session, message.seq))

    def on_wall_history_needed(self, message: Wall.HistoryNeeded) -> None:
        self.told.append(("history", message.before))

    def text(self) -> list[str]:
        return [strip.text for strip in self.screen._compositor.render_strips()]


async def test_a_wall_that_nothing_happens_to_paints_nothing() -> None:
    app = WallApp(4)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        wall = app.query_one(Wall)
        before = wall.rows_repainted
        for tick in range(50):
            assert wall.flush(START + tick * 100) == 0
        assert wall.rows_repainted == before


async def test_a_streaming_word_repaints_one_row_and_the_pane_moves_up_row_by_row() -> None:
    app = WallApp(16)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        wall = app.query_one(Wall)
        wall.live("s1", live(99, "I will"))
        wall.flush(START)
        wall.live("s1", live(99, "I will wait"))
        assert wall.flush(START + 200) == 1
        repainted = []
        for word in range(200):
            wall.live("s1", live(99, "word " * (word + 4)))
            repainted.append(wall.flush(START + 200 * (word + 2)))
        assert sum(repainted) / len(repainted) < 3
        assert max(repainted) <= 12


async def test_text_that_streams_in_a_pane_without_the_focus_waits_a_little_and_is_not_lost() -> None:
    app = WallApp(16)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        wall = app.query_one(Wall)
        wall.live("s1", live(99, "I"))
        wall.live("s2", live(99, "I"))
        assert wall.flush(START) > 0
        wall.live("s2", live(99, "I will"))
        assert wall.flush(START + 100) == 0
        wall.live("s1", live(99, "I will"))
        assert wall.flush(START + 200) == 1
        assert wall.flush(START + 400) == 1
        wall.live("s2", live(99, "I will wait"))
        wall.live("s2", None)
        assert wall.flush(START + 500) > 0
        await pilot.pause()
        assert "I will▌" in "\n".join(app.text())


async def test_where_all_panes_stream_one_band_is_painted_after_the_other_so_that_no_key_waits_for_all() -> None:
    app = WallApp(16)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        wall = app.query_one(Wall)
        for words in range(1, 10):
            for number in range(1, 17):
                wall.live(f"s{number}", live(99, "w" * words))
            painted = [wall.flush(START + words * 400 + tick * 100) for tick in range(4)]
            # The first frame begins every reply: that is seen at once. The focused pane comes twice as often.
            assert words == 1 or (max(painted) <= 5 and sum(painted) >= 16)


async def test_following_shows_the_newest_and_the_partial_reply_with_its_caret() -> None:
    app = WallApp(2)
    async with app.run_test(size=(120, 24)) as pilot:
        wall = app.query_one(Wall)
        wall.live("s2", live(99, "Training is at epoch 3"))
        wall.flush(START)
        await pilot.pause()
        screen = "\n".join(app.text())
        assert "do 40" in screen
        assert "Training is at epoch 3▌" in screen


async def test_a_partial_reply_goes_when_it_is_in_the_log_and_late_frames_do_not_bring_it_back() -> None:
    pane = Pane("s")
    pane.put(actions(3))
    pane.set_live(live(9, "I will wa"))
    assert pane.items()[-1].live
    told = Told()
    told.seq = 500
    reply = told.reply(9, text="I will wait.")
    book = EntryBook()
    book.add([reply])
    pane.put(book.entries())
    assert not any(entry.live for entry in pane.items())
    pane.set_live(live(9, "I will wait"))
    assert not any(entry.live for entry in pane.items())


async def test_the_selection_is_an_entry_and_never_moves_by_itself() -> None:
    app = WallApp(1)
    async with app.run_test(size=(100, 24)) as pilot:
        wall = app.query_one(Wall)
        await pilot.press("k", "k", "k")
        selected = wall.selected
        assert selected is not None and app.told[-1] == selected
        row = next(line for line in app.text() if line.startswith("›"))
        for more in range(5):
            wall.put("s1", actions(10, 50 + 10 * more))
            wall.flush(START)
            await pilot.pause()
            assert wall.selected == selected
            assert row in app.text()
        assert "50 new ↓" in app.text()[0]
        await pilot.press("G")
        assert wall.following("s1")
        assert wall.selected == selected


async def test_a_key_without_a_selection_means_what_was_on_screen_for_half_a_second(monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("widgets.wall.monotonic", lambda: clock[0])
    app = WallApp(1, entries=5)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.pause()
        wall = app.query_one(Wall)
        assert wall.candidate() is None
        clock[0] += 0.6
        newest = wall.candidate()
        assert newest is not None and newest.step == 5
        wall.put("s1", actions(1, 60))
        wall.flush(START)
        clock[0] += 0.2
        settled = wall.candidate()
        assert settled is not None and settled.step == 5
        clock[0] += 0.4
        settled = wall.candidate()
        assert settled is not None and settled.step == 60


def test_the_shape_of_panes_reads_well() -> None:
    def shape(count: int, width: int, height: int) -> tuple[int, int]:
        first = grid(count, width, height)[0]
        return first.width, first.height

    assert shape(12, 165, 47) == (54, 11)
    assert shape(2, 165, 47) == (82, 47)
    assert shape(4, 54, 21) == (26, 10)
    assert len(grid(4, 54, 12)) == 4, "while somebody writes, they are lower"


async def test_a_resize_keeps_the_reading_place_and_the_selection() -> None:
    app = WallApp(1)
    async with app.run_test(size=(120, 36)) as pilot:
        wall = app.query_one(Wall)
        await pilot.press("b", "b", "k")
        selected = wall.selected
        top = app.text()[1].split()[0]
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert app.text()[1].split()[0] == top
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        assert app.text()[1].split()[0] == top
        assert wall.selected == selected


async def test_at_the_oldest_kept_entry_more_is_asked_for() -> None:
    app = WallApp(1)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("g")
        await pilot.pause()
        assert app.told == [("history", 11)]


async def test_running_times_change_every_ten_seconds_then_once_a_minute_and_only_there() -> None:
    app = WallApp(2)
    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.pause()
        wall = app.query_one(Wall)
        told = Told()
        told.seq = 900
        started = told.action(70, output=None, command="train")
        book = EntryBook()
        book.add([started])
        wall.put("s1", book.entries())
        wall.flush(started.at)
        assert sum(wall.flush(started.at + second * 1000) for second in range(60)) == 5
        assert wall.flush(started.at + 60_000) == 1
        assert sum(wall.flush(started.at + second * 1000) for second in range(61, 120)) == 0
        await pilot.pause()
        assert "running 1 min" in "\n".join(app.text())


def test_panes_fill_the_wall_without_overlap_and_none_is_uselessly_small() -> None:
    assert [count_fitting(*size) for size in ((54, 21), (91, 33), (165, 47), (20, 4))] == [4, 12, 16, 1]
    for width, height in ((54, 21), (80, 22), (93, 33), (120, 36), (200, 50)):
        for count in range(1, count_fitting(width, height) + 1):
            regions = grid(count, width, height)
            assert len(regions) == count
            for region in regions:
                assert region.width >= min(LEAST_WIDTH, width)
                assert region.height >= min(LEAST_HEIGHT, height)
                assert region.right <= width and region.bottom <= height
            for one in regions:
                assert not any(one is not other and one.overlaps(other) for other in regions)


class ListApp(App[None]):
    def compose(self) -> ComposeResult:
        yield SessionList()


async def test_rows_of_the_list_stay_where_they_are_until_somebody_reorders_them() -> None:
    app = ListApp()
    async with app.run_test(size=(40, 24)) as pilot:
        sessions = app.query_one(SessionList)
        sessions.update([view(1), view(2), view(3)])
        sessions.focus()
        await pilot.press("j")
        assert sessions.selected == "s2"
        sessions.update([view(4), view(3, why="stuck"), view(2, needs_you=True), view(1)])
        assert sessions.order == ("s1", "s2", "s3", "s4")
        assert sessions.selected == "s2"
        sessions.reorder(["s3", "s2"])
        assert sessions.order == ("s3", "s2", "s1", "s4")
        assert sessions.selected == "s2"
        sessions.update([view(1), view(3)])
        assert sessions.order == ("s3", "s1")


def list_rows(app: ListApp) -> list[str]:
    return [strip.text.rstrip(" │") for strip in app.screen._compositor.render_strips()]


async def test_where_there_is_room_a_reason_takes_two_rows_and_counts_stand_beside_its_end() -> None:
    why = "killed job 5 after 9 s while its loss was falling"
    app = ListApp()
    async with app.run_test(size=(32, 12)) as pilot:
        sessions = app.query_one(SessionList)
        sessions.update([view(1, why=why, unread=7), view(2, last_line="run  make", unread=3)])
        await pilot.pause()
        rows = list_rows(app)
        assert " ".join(" ".join(rows[1:3]).split()).startswith("killed job 5 after 9 s while its loss was")
        assert rows[4].strip() == "run  make" and rows[5].strip() == "3 unread"
        sessions.update([view(at, why=why) for at in range(1, 7)])
        await pilot.pause()
        rows = list_rows(app)
        assert [row.split()[0] for row in rows[1::2]] == ["killed"] * 6 and all("6" not in row for row in rows[:10])


async def test_the_list_says_how_many_sessions_are_out_of_sight_and_how_many_of_them_need_somebody() -> None:
    app = ListApp()
    async with app.run_test(size=(32, 9)) as pilot:
        sessions = app.query_one(SessionList)
        sessions.update([view(at, needs_you=at > 10, why="asks" if at > 10 else "") for at in range(1, 13)])
        sessions.focus()
        await pilot.pause()
        assert list_rows(app)[-1].strip() == "↓ 8 more, ! 2 need you"
        assert list_rows(app)[0].startswith("›  1 ")
        await pilot.press(*["j"] * 5)
        await pilot.pause()
        assert list_rows(app)[-1].strip() == "↑ 2 ↓ 6, ! 2 need you"
        await pilot.press("end")
        await pilot.pause()
        rows = list_rows(app)
        assert rows[-1].strip() == "↑ 8 more" and rows[6].startswith("›!12 ")


def test_a_pane_is_full_after_every_entry_and_moves_by_the_rows_that_came() -> None:
    pane = Pane("s")
    entries = actions(30)
    for upto in range(1, 31):
        pane.put(entries[:upto])
        rows = pane.lay_out(60, 10, 0)
        assert len(rows) == min(10, upto) and rows[-1].seq == entries[upto - 1].seq
    pane.scroll(-3)
    above = pane.lay_out(60, 10, 0)
    assert len(above) == 10 and above[-1].seq < entries[-1].seq and not pane.following
    assert [len(pane.lay_out(60, height, 0)) for height in (4, 20, 10)] == [4, 20, 10]


def test_while_many_replies_stream_a_full_pane_frees_a_few_rows_and_is_full_again_when_its_own_is_over() -> None:
    pane = Pane("s")
    pane.jump = 3
    pane.put(actions(30))
    blank = []
    for words in range(1, 120):
        pane.set_live(live(99, "word " * words))
        blank.append(10 - len(pane.lay_out(30, 10, 0)))
    assert set(blank[3:]) == {0, 1, 2}
    pane.set_live(None)
    assert len(pane.lay_out(30, 10, 0)) == 10


def test_what_is_folded_away_is_made_up_for_by_older_entries_which_are_asked_for_a_few_times() -> None:
    told = Told()
    told.seq = 900
    for step in range(1, 40):
        told.action(step, name="wait", seconds=60)
    book = EntryBook()
    book.add(told.events)
    pane = Pane("s")
    pane.put(book.entries())
    assert len(pane.lay_out(60, 10, 0)) == 1 and pane.blank == 9
    assert pane.ask_older() == pane.oldest and pane.ask_older() == 0
    pane.put(actions(3))
    pane.lay_out(60, 10, 0)
    assert pane.ask_older() == pane.oldest and pane.asked == 2
    pane.put(actions(20))
    assert len(pane.lay_out(60, 10, 0)) == 10 and pane.ask_older() == 0
