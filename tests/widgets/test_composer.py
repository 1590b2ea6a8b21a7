import asyncio

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import TextArea

from widgets.composer import Composer
from widgets.composer_area import BURST
from widgets.models import ComposerTarget, EarlierText

TARGET = ComposerTarget("s1", "1", "tune-lr", about="step 40 (`job_kill`, job 7)")


class ComposerApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []

    def compose(self) -> ComposeResult:
        yield Composer()

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        self.told.append(("sent", message.target.session, message.text, message.now))

    def on_composer_draft_changed(self, message: Composer.DraftChanged) -> None:
        self.told.append(("draft", message.text))

    def on_composer_left(self, message: Composer.Left) -> None:
        self.told.append(("left", message.text))

    def on_composer_scroll_session(self, message: Composer.ScrollSession) -> None:
        self.told.append(("scroll", message.session, message.pages))

    @property
    def sent(self) -> list[tuple[object, ...]]:
        return [one for one in self.told if one[0] == "sent"]

    def text(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


def key(name: str, at: float) -> events.Key:
    event = events.Key("enter" if name == "\r" else name, name)
    event.time = at
    return event


async def until(condition) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition never came true"
        await asyncio.sleep(0.005)


async def typed(app: ComposerApp, text: str, gap: float, start: float = 1000.0) -> None:
    area = app.query_one(Composer).area
    for index, char in enumerate(text):
        await area.on_event(key(char, start + index * gap))


async def test_a_return_that_a_person_typed_queues_and_control_s_delivers_now() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET)
        await typed(app, "let it run\r", gap=0.2)
        await until(lambda: app.sent)
        assert app.sent == [("sent", "s1", "let it run", False)]
        await pilot.press("ctrl+s")
        await pilot.press("ctrl+t")
        assert app.sent[1:] == [("sent", "s1", "let it run", True)] * 2


async def test_a_burst_with_returns_in_it_is_text_and_never_a_send() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)):
        composer = app.query_one(Composer)
        composer.bind(TARGET)
        await typed(app, "first\rsecond\rthird\r", gap=0.001)
        assert composer.text == "first\nsecond\nthird\n"
        await asyncio.sleep(2 * BURST)
        assert not app.sent


async def test_a_burst_that_begins_with_a_return_is_text_too() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)):
        composer = app.query_one(Composer)
        composer.bind(TARGET, draft="before")
        await typed(app, "\rpasted", gap=0.001)
        assert composer.text == "before\npasted"
        await asyncio.sleep(2 * BURST)
        assert not app.sent


async def test_control_j_makes_a_new_line_and_nothing_empty_is_sent() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET)
        await pilot.press("ctrl+s")
        assert not app.sent
        await typed(app, "a", gap=0.2)
        await pilot.press("ctrl+j")
        await typed(app, "b", gap=0.2)
        assert composer.text == "a\nb"


async def test_every_change_is_a_draft_and_leaving_keeps_it() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET, draft="kept [/foo] \x1b]52;c;eA==\x07draft")
        assert composer.text == "kept [/foo] draft"
        assert not app.told
        await pilot.press("x")
        assert app.told == [("draft", "kept [/foo] draftx")]
        await pilot.press("escape")
        await pilot.press("ctrl+g")
        assert app.told[1:] == [("left", "kept [/foo] draftx")] * 2
        assert composer.text == "kept [/foo] draftx"


async def test_up_recalls_earlier_advice_from_the_first_line_and_down_comes_back_to_the_draft() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET, draft="mine", earlier=[EarlierText("oldest"), EarlierText("two\nlines")])
        await pilot.press("up")
        assert composer.text == "two\nlines"
        await pilot.press("up")
        assert composer.text == "two\nlines"
        await pilot.press("up")
        assert composer.text == "oldest"
        await pilot.press("down", "down", "down")
        assert composer.text == "mine"


async def test_pages_scroll_the_session_and_letters_reach_nothing_else() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET)
        await pilot.press("pageup", "pagedown", "f", "q", "p")
        assert [one for one in app.told if one[0] == "scroll"] == [("scroll", "s1", -1), ("scroll", "s1", 1)]
        assert composer.text == "fqp"
        assert app.focused is composer.area


async def test_what_is_pasted_is_cleaned() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET)
        composer.area.post_message(events.Paste("a\x1b]0;owned\x07b\r\nc\u202e"))
        await pilot.pause()
        assert composer.text == "ab\nc\ufffd"
        assert not app.sent


async def test_it_says_whom_it_writes_to_and_how_far_the_session_has_gone() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET)
        composer.progress(3)
        await pilot.pause()
        prompt = app.text()[0]
        assert "advise 1 tune-lr" in prompt
        assert "+3 steps since you began" in prompt
        assert "enter queues · ctrl+s now" in prompt
        composer.unbind()
        await pilot.pause()
        assert not composer.display
        assert composer.text == ""


async def test_a_new_binding_starts_without_the_last_ones_text_or_undo() -> None:
    app = ComposerApp()
    async with app.run_test(size=(120, 24)) as pilot:
        composer = app.query_one(Composer)
        composer.bind(TARGET, draft="one")
        await pilot.press("x")
        composer.bind(ComposerTarget("s2", "2", "other"), draft="two")
        await pilot.press("ctrl+z")
        assert composer.text == "two"
        assert isinstance(composer.area, TextArea)
