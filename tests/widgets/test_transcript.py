import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from widget_events import START

from widgets.live import LIVE_SEQ, grow
from widgets.models import Anchor, Entry
from widgets.scroll import Place, back, forward, tail, window
from widgets.transcript import Transcript


def entry(seq: int, words: int = 1) -> Entry:
    text = " ".join(f"word{seq}" for _ in range(words))
    if seq % 2:
        return Entry(seq, "reply", START, step=seq, body=(((text, "text"),),))
    return Entry(
        seq, "action", START, step=seq, call=1, name="run", head=((f"run {seq}", "call"),), tail="ok", outcome="ok"
    )


class TranscriptApp(App[None]):
    def __init__(self, count: int, words: int = 1, answer: bool = True) -> None:
        super().__init__()
        self.count, self.words, self.answer = count, words, answer
        self.asked: list[int] = []
        self.opened: list[int] = []
        self.follows: list[tuple[bool, int]] = []

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        transcript = self.query_one(Transcript)
        transcript.append(Anchor(seq, seq, None, "model.reply") for seq in range(1, self.count + 1))
        transcript.focus()

    def on_transcript_entries_needed(self, message: Transcript.EntriesNeeded) -> None:
        self.asked.extend(message.seqs)
        if self.answer:
            self.query_one(Transcript).supply(self.made(seq) for seq in message.seqs)

    def made(self, seq: int) -> Entry:
        return entry(seq, self.words)

    def on_transcript_entry_opened(self, message: Transcript.EntryOpened) -> None:
        self.opened.append(message.seq)

    def on_transcript_follow_changed(self, message: Transcript.FollowChanged) -> None:
        self.follows.append((message.following, message.unseen))

    def text(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


async def test_a_hundred_thousand_entries_open_at_the_end_and_only_what_is_near_is_asked_for() -> None:
    app = TranscriptApp(100_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "word99999" in "\n".join(app.text())
        assert len(app.asked) < 250
        assert min(app.asked) > 99_700
        transcript = app.query_one(Transcript)
        started = time.process_time()
        for _ in range(20):
            transcript.follow()
        assert time.process_time() - started < 0.5
        await pilot.press("g")
        await pilot.pause()
        assert app.text()[0].endswith("word1")
        assert len(app.asked) < 500


async def test_what_is_not_loaded_yet_is_shown_as_such_and_is_asked_for_once() -> None:
    app = TranscriptApp(100, answer=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.text()[0].strip() == "…"
        asked = list(app.asked)
        transcript = app.query_one(Transcript)
        transcript.flush(START)
        await pilot.pause()
        assert app.asked == asked
        transcript.supply(entry(seq) for seq in asked)
        await pilot.pause()
        assert "…" not in "\n".join(app.text())


async def test_reading_stays_with_its_entry_while_others_come_and_heights_change() -> None:
    app = TranscriptApp(300, words=30)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        await pilot.press("pageup", "pageup", "pageup")
        await pilot.pause()
        before = app.text()
        transcript.append(Anchor(seq, seq, None, "model.reply") for seq in range(301, 343))
        transcript.supply([entry(seq, 500) for seq in range(200, 230)])
        await pilot.pause()
        assert app.text() == before
        assert app.follows[-1] == (False, 42)
        await pilot.press("G")
        await pilot.pause()
        assert app.follows[-1] == (True, 0)


@pytest.mark.parametrize("size", [(60, 20), (200, 50), (120, 36)])
async def test_a_resize_keeps_the_place_and_the_selection(size: tuple[int, int]) -> None:
    app = TranscriptApp(300, words=60)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        await pilot.press("pageup", "pageup", "k")
        await pilot.pause()
        first, selected = transcript.in_sight()[0], transcript.selected
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert first in transcript.in_sight()
        assert transcript.in_sight()[0] == first or len(transcript._shown) == size[1], "older ones fill the rows"
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert transcript.in_sight()[0] == first
        assert transcript.selected == selected


async def test_the_selection_moves_by_keys_only_and_opens() -> None:
    app = TranscriptApp(50)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        await pilot.pause()
        assert transcript.selected is None
        await pilot.press("k", "k", "k", "enter")
        selected = transcript.selected
        assert selected == 48 and app.opened == [48]
        transcript.append([Anchor(51, 51, None, "model.reply")])
        transcript.supply([entry(51)])
        await pilot.pause()
        assert transcript.selected == selected
        assert sum(line.startswith("›") for line in app.text()) == 1


async def test_quiet_entries_take_no_room_and_keys_step_over_them() -> None:
    app = TranscriptApp(0, answer=False)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        transcript.append(Anchor(seq, seq, None, "x") for seq in (1, 2, 3))
        quiet = Entry(2, "state", START, head=(("on job", "text"),), quiet=True)
        transcript.supply([entry(1), quiet, entry(3)])
        await pilot.pause()
        assert [line for line in app.text() if line.strip()] == ["   1 · word1", "   3 · word3"]
        await pilot.press("k", "k")
        assert transcript.selected == 1
        await pilot.press("j")
        assert transcript.selected == 3


async def test_a_jump_reveals_a_far_entry_and_a_filter_leaves_only_what_it_keeps() -> None:
    app = TranscriptApp(5000)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        transcript.reveal(1234)
        await pilot.pause()
        assert transcript.selected == 1234
        assert "run 1234" in "\n".join(app.text())
        transcript.keep(lambda anchor: anchor.seq % 1000 == 0)
        await pilot.pause()
        await pilot.pause()
        assert [line for line in app.text() if "run" in line] and "run 1234" not in "\n".join(app.text())
        transcript.keep(None)
        transcript.highlight("RUN")
        await pilot.pause()
        assert transcript.selected == 1234


@pytest.mark.parametrize("up", [False, True])
async def test_after_a_filter_the_page_is_full_to_its_last_row(up: bool) -> None:
    app = TranscriptApp(2_000, words=60)
    async with app.run_test(size=(60, 24)) as pilot:
        transcript = app.query_one(Transcript)
        await pilot.press("G")
        await pilot.pause()
        if up:
            transcript.scroll_pages(-0.5)
        await pilot.pause()
        transcript.keep(lambda anchor: anchor.seq % 100 == 0)
        await pilot.pause()
        assert transcript.following is not up
        assert "run 2000" in "\n".join(app.text()[-3:]) and all(app.text())
        transcript.keep(None)
        await pilot.pause()
        assert all(app.text())


async def test_detail_unfolds_in_place_and_a_streaming_reply_stands_at_the_end() -> None:
    app = TranscriptApp(10)
    async with app.run_test(size=(80, 30)) as pilot:
        transcript = app.query_one(Transcript)
        await pilot.pause()
        detailed = Entry(8, "action", START, 8, 1, "run", ((("run 8", "call"),)), detail=((("all of it", "text"),),))
        transcript.supply([detailed])
        transcript.toggle(8)
        transcript.live(grow(None, step=11, attempt=1, index=0, channel="text", offset=0, text="now I"))
        transcript.flush(START)
        await pilot.pause()
        screen = "\n".join(app.text())
        assert "│ all of it" in screen
        assert screen.rstrip().endswith("now I▌")
        assert max(transcript.in_sight()) < LIVE_SEQ
        transcript.append([Anchor(11, 11, None, "model.reply")])
        transcript.supply([Entry(11, "reply", START, step=11, body=((("now I know", "text"),),))])
        await pilot.pause()
        assert "now I▌" not in "\n".join(app.text())


async def test_an_idle_transcript_paints_nothing() -> None:
    app = TranscriptApp(100)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        transcript = app.query_one(Transcript)
        assert sum(transcript.flush(START + tick) for tick in range(50)) == 0


HEIGHTS = st.lists(st.integers(0, 4), min_size=1, max_size=30)


@given(HEIGHTS, st.integers(1, 12))
def test_the_tail_shows_exactly_the_last_rows(heights: list[int], rows: int) -> None:
    every = [Place(i, r) for i, tall in enumerate(heights) for r in range(tall)]
    top = tail(heights.__getitem__, len(heights), rows)
    assert window(heights.__getitem__, len(heights), top, rows) == every[-rows:]


@given(HEIGHTS, st.data(), st.integers(1, 12))
def test_going_forward_and_back_comes_home(heights: list[int], data: st.DataObject, rows: int) -> None:
    every = [Place(i, r) for i, tall in enumerate(heights) for r in range(tall)]
    if not every:
        return
    at = data.draw(st.integers(0, len(every) - 1))
    ahead = forward(heights.__getitem__, len(heights), every[at], rows)
    assert ahead == every[min(len(every) - 1, at + rows)]
    behind = back(heights.__getitem__, every[at], rows)
    shown = window(heights.__getitem__, len(heights), behind, 1)
    assert shown == [every[max(0, at - rows)]]


class PollingApp(TranscriptApp):
    """Entries 10 to 200 only look whether something has moved; all others do something."""

    def made(self, seq: int) -> Entry:
        return poll(seq) if 10 <= seq <= 200 else entry(seq)


def poll(seq: int) -> Entry:
    return Entry(
        seq, "action", START + seq * 60_000, step=seq, call=1, name="wait", head=((f"wait {seq}", "call"),),
        outcome="ok", duration_ms=60_000, polling=True,
    )  # fmt: skip


async def test_a_run_of_polls_is_one_row_that_enter_unfolds_and_that_is_read_whole() -> None:
    app = PollingApp(205)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        for _ in range(20):
            await pilot.pause()
        text = "\n".join(app.text())
        assert "wait ×191" in text and "to step 200" in text and "✓ 3 h 11 min" in text
        assert "word9" in text and "word205" in text and "wait 100" not in text
        assert 150 in transcript.in_sight()
        transcript.reveal(10)
        await pilot.press("enter")
        await pilot.pause()
        assert app.opened == []
        assert "wait 11" in "\n".join(app.text()) and "×191" not in "\n".join(app.text())
        await pilot.press("enter")
        await pilot.pause()
        assert app.opened == [10]


async def test_a_jump_into_a_run_of_polls_shows_the_very_action() -> None:
    app = PollingApp(205)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        for _ in range(20):
            await pilot.pause()
        transcript.reveal(120)
        await pilot.pause()
        assert transcript.selected == 120
        assert "wait 120" in "\n".join(app.text())


async def test_a_filter_shows_polls_one_by_one() -> None:
    app = PollingApp(205)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.query_one(Transcript)
        transcript.keep(lambda anchor: anchor.seq % 5 == 0)
        for _ in range(10):
            await pilot.pause()
        assert "wait 200" in "\n".join(app.text()) and "×" not in "\n".join(app.text())
