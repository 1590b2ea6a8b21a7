import msgspec
from textual import on
from textual.app import App, ComposeResult
from textual.theme import BUILTIN_THEMES

from sessions.events.states import STATES as ALL_STATES
from sessions.fold.summary import Summary
from widgets.cells import text_of
from widgets.chrome import HintBar, ReceiptLine, TitleBar
from widgets.facts import FactsPanel, facts_lines
from widgets.glyphs import OUTCOMES, STATES, age, clock, count, duration, sparkline
from widgets.menu import Menu
from widgets.models import Choice, FactsView, HeaderView, Hint, MenuRow, PlanLine, SessionView
from widgets.picker import ChoiceList
from widgets.session_list import session_view
from widgets.wall import Wall

CHOICES = [
    Choice("loop", "Loop", "l", group="reasoning"),
    Choice("jump", "Jumped", "j"),
    Choice("env", "Environment", "e", group="environment", disabled="not now"),
]


class PickerApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.picked: list[tuple[str, bool]] = []

    def compose(self) -> ComposeResult:
        yield ChoiceList(CHOICES)

    def on_mount(self) -> None:
        self.query_one(ChoiceList).focus()

    @on(ChoiceList.Picked)
    def remember(self, message: ChoiceList.Picked) -> None:
        self.picked.append((message.choice.id, message.by_key))

    def text(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


async def test_a_choices_own_key_picks_it_even_where_the_key_would_move() -> None:
    app = PickerApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("l", "j")
        assert app.picked == [("loop", True), ("jump", True)]
        await pilot.press("up", "enter")
        assert app.picked[2:] == [("loop", False)]


LONG = [
    Choice("1", "1 tune-lr: question", "a", note="asks: " + "may I go on? " * 9),
    Choice("2", "2 a very long title of a session: paused", "b", note="by ada: lunch"),
    *(Choice(str(at), f"{at} poller: budget", note="steps") for at in range(3, 20)),
]


async def test_a_title_is_whole_beside_a_long_note_and_signs_say_how_many_choices_are_out_of_sight() -> None:
    app = PickerApp()
    async with app.run_test(size=(50, 9)) as pilot:
        app.query_one(ChoiceList).update(LONG)
        await pilot.pause()
        text = app.text()
        assert text[0] == "› a 1 tune-lr: question", "its note is below, and not said twice"
        assert text[1].startswith("  b 2 a very long title of a session: paused")
        assert text[5].split() == ["6", "poller:", "budget", "steps", "↓", "13", "more"]
        whole = " ".join(" ".join(text[6:]).replace("↳", "").split())
        assert whole == LONG[0].note.strip()
        await pilot.press("end")
        await pilot.pause()
        text = app.text()
        assert text[0].endswith("↑ 13 more") and "19 poller" in text[5] and "↓" not in "".join(text[:6])


async def test_long_texts_go_on_below_where_a_list_says_so_and_nothing_of_them_is_lost() -> None:
    class Hanging(PickerApp):
        def compose(self) -> ComposeResult:
            words = " ".join(f"word{at}" for at in range(12))
            yield ChoiceList([Choice(str(at), f"key{at}  {words}") for at in range(8)], hang=6)

    app = Hanging()
    async with app.run_test(size=(50, 8)) as pilot:
        seen: set[str] = set()
        for at in range(8):
            await pilot.pause()
            text = app.text()
            assert "…" not in "".join(text) and any(row.startswith(f"›   key{at}") for row in text)
            seen |= set(" ".join(text).split())
            await pilot.press("down")
        assert {f"word{at}" for at in range(12)} <= seen


async def test_a_choice_that_cannot_be_made_says_why_and_is_not_made() -> None:
    app = PickerApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("e", "enter")
        assert app.picked == []
        await pilot.pause()
        assert any("Environment" in line and "not now" in line for line in app.text())


class MenuApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, ...]] = []

    def compose(self) -> ComposeResult:
        yield Menu(
            [
                MenuRow("format", "format", (("steps", "step samples"), ("openai", "chat")), "steps"),
                MenuRow("write", "write"),
            ]
        )

    def on_mount(self) -> None:
        self.query_one(Menu).focus()

    def on_menu_changed(self, message: Menu.Changed) -> None:
        self.told.append((message.row, message.value))

    def on_menu_opened(self, message: Menu.Opened) -> None:
        self.told.append((message.row.id, "?"))

    def on_menu_activated(self, message: Menu.Activated) -> None:
        self.told.append((message.row,))


async def test_a_menu_turns_values_over_asks_for_all_of_them_and_acts_on_rows_without() -> None:
    app = MenuApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("right", "enter", "left", "down", "enter")
        assert app.told == [("format", "openai"), ("format", "?"), ("format", "steps"), ("write",)]
        assert app.query_one(Menu).values == {"format": "steps", "write": ""}


class BarsApp(App[None]):
    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield ReceiptLine()
        yield HintBar()
        yield Wall()

    def on_mount(self) -> None:
        self.query_one(Wall).focus()

    def text(self) -> str:
        return "\n".join(strip.text.rstrip() for strip in self.screen._compositor.render_strips())


async def test_the_bars_say_what_matters_first_and_never_take_the_focus() -> None:
    app = BarsApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(TitleBar).update(HeaderView(4, 1, "tune-lr killed a healthy job (2 min)", 31, 0.84))
        app.query_one(HintBar).update([Hint(key, "verb") for key in "abcdefghij"])
        app.query_one(ReceiptLine).show("flagged 1 tune-lr 40.1", "done")
        await pilot.pause()
        text = app.text()
        assert "! 1 needs you: tune-lr killed a healthy job (2 min)" in text
        assert "✓ flagged 1 tune-lr 40.1" in text
        assert text.count(" verb") == 8
        assert app.focused is app.query_one(Wall)


def test_every_state_and_outcome_has_a_word_or_is_the_plain_good_one() -> None:
    assert set(STATES) == set(ALL_STATES)
    assert all(mark.word for mark in STATES.values())
    assert {outcome for outcome, mark in OUTCOMES.items() if not mark.word} == {"", "ok"}


def test_numbers_are_said_in_little_room() -> None:
    assert [duration(ms) for ms in (100, 12_000, 22 * 60_000, 125 * 60_000, 76 * 3_600_000)] == [
        "0.1 s", "12 s", "22 min", "2 h 05 min", "3 d 4 h"]  # fmt: skip
    assert [clock(132 * 60_000), age(30_000), age(120_000)] == ["2h12", "now", "2 min"]
    assert [count(950), count(18_200), count(1_300_000)] == ["950", "18.2k", "1.3M"]
    assert sparkline([0.41, 0.46, 0.31], 10) == "▆█▁"


def test_facts_show_only_what_there_is() -> None:
    session = SessionView("s", 1, "tune-lr", "running", step=41, context_tokens=64_000, context_limit=128_000)
    bare = [text_of(line) for line in facts_lines(FactsView(session), 40)]
    assert not any(heading in bare for heading in ("plan", "scores", "jobs", "files"))
    full = FactsView(session, plan=(PlanLine("tune", "doing"),), scores=((3, 0.4), (9, 0.5)), files=(("a.py", 3, 1),))
    said = "\n".join(text_of(line) for line in facts_lines(full, 40))
    assert "[>] tune" in said
    assert "last 0.5 at step 9, best 0.5" in said
    assert "+3 −1 a.py" in said


async def test_in_every_theme_each_role_differs_from_its_background() -> None:
    app = BarsApp()
    async with app.run_test(size=(80, 24)) as pilot:
        wall = app.query_one(Wall)
        for theme in sorted(BUILTIN_THEMES):
            app.theme = theme
            await pilot.pause()
            for role in ("text", "dim", "accent", "need", "flag"):
                style = wall.style_of(role)
                # "default" on "default" is the terminal's own pair of colours.
                assert style.color is not None
                assert style.color.is_default or style.color != style.bgcolor, (theme, role)


class FactsApp(App[None]):
    def compose(self) -> ComposeResult:
        yield FactsPanel()


async def test_the_facts_panel_shows_new_facts_where_they_differ() -> None:
    app = FactsApp()
    async with app.run_test(size=(60, 24)) as pilot:
        panel = app.query_one(FactsPanel)
        session = SessionView("s", 1, "tune-lr", "running", step=41)
        for step in (41, 42):
            panel.update(FactsView(msgspec.structs.replace(session, step=step)))
            await pilot.pause()
            text = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
            assert "│ 1 tune-lr" in text
            assert f"│ step      {step}" in text


async def test_a_receipt_takes_the_rows_that_its_words_need_and_gives_them_back() -> None:
    app = BarsApp()
    async with app.run_test(size=(40, 24)) as pilot:
        receipt = app.query_one(ReceiptLine)
        long = "session 3 stands at its limit, 40 of 40 steps: `:limit steps +N` raises it, then `p` lets it go on"
        receipt.show(long, "error")
        await pilot.pause()
        shown = app.text().splitlines()[1 : 1 + receipt.size.height]
        assert receipt.size.height == 3 and "".join(shown).split() == ["✗", *long.split()]
        receipt.show("x" * 400)
        await pilot.pause()
        assert receipt.size.height == 3 and app.text().splitlines()[3].endswith("x…")
        await pilot.resize_terminal(200, 24)
        receipt.show(long)
        await pilot.pause()
        assert receipt.size.height == 1 and long in app.text()
        receipt.clear()
        await pilot.pause()
        assert receipt.size.height == 1 and app.focused is app.query_one(Wall)


async def test_the_first_line_keeps_ages_and_trouble_whole_at_every_width() -> None:
    app = BarsApp()
    async with app.run_test(size=(60, 24)) as pilot:
        bar = app.query_one(TitleBar)
        for place in ("", "4 steady · training view: default"):
            bar.update(
                HeaderView(20, 20, "poller: asks: which of the two?", 31, 0.84, trouble="read-only", place=place,
                           who="ada", first_age="5 h")
            )  # fmt: skip
            for width in range(60, 200, 7):
                await pilot.resize_terminal(width, 24)
                row = next(line for line in app.text().splitlines() if "Apollo" in line)
                assert "! 20 need you" in row and "read-only" in row, (width, row)
                assert ("poller" in row) == ("(5 h)" in row) and "……" not in row, (width, row)


async def test_an_empty_receipt_is_an_empty_row() -> None:
    app = BarsApp()
    async with app.run_test(size=(60, 24)) as pilot:
        receipt = app.query_one(ReceiptLine)
        receipt.show("saved")
        receipt.clear()
        await pilot.pause()
        assert receipt.row(0) == ()


def test_a_recording_that_does_not_say_when_it_was_has_no_age_and_no_active_time() -> None:
    now = 1_796_000_000_000
    silent = session_view(Summary("s", 1, "old", "import:m", state="finished", created_at=5, last_at=90_000), now)
    assert (silent.age_ms, silent.has_times) == (0, False)
    active = next(
        line for line in facts_lines(FactsView(session=silent, wall_ms=90_000), 40) if "active" in text_of(line)
    )
    assert text_of(active).split() == ["active", "not", "known"]
    dated = session_view(Summary("s", 1, "new", "m", created_at=now - 9_000_000, last_at=now - 7_200_000), now)
    assert (dated.age_ms, dated.has_times) == (7_200_000, True)


def test_what_an_import_said_stands_under_the_name_of_its_file_said_once() -> None:
    session = session_view(Summary("s", 1, "old", "import:m", created_at=5_000_000, last_at=5_000_000), 5_000_000)
    view = FactsView(session=session, recording=("1 image could not be kept", "no times"), recording_file="old.jsonl")
    said = [text_of(line) for line in facts_lines(view, 60)]
    assert said[-3:] == ["recording old.jsonl", "1 image could not be kept", "no times"]


def test_a_sleep_of_seconds_says_its_seconds_and_a_long_one_the_minutes_that_are_left() -> None:
    now = 1_800_000_000_000
    for whole, left, said in ((4_000, 3_000, "4.0 s"), (600_000, 300_000, "5 min"), (600_000, 9_000, "under 1 min")):
        state_at = now + left - whole
        asleep = Summary("s", 1, "t", "m", state="sleeping", state_at=state_at, until=now + left, created_at=state_at)
        assert session_view(asleep, now).state_words == f"sleeping {said}"
