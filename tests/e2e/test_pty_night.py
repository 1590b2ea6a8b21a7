from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from apollo_process import Apollo, wait_for
from night_scenario import EIGHT, begin_and_wait, let_hours_pass
from terminal import Terminal

from sessions.attention.signals import signals_of
from sessions.clock import now_ms
from sessions.events import AdviceDelivered
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader

pytestmark = pytest.mark.pty

HOURS = 8
MOST_KEYS = 10
"""From the start of the app to the first needed advice, besides its text."""
DRIFTS = {
    "formats": {"malformed_streak", "budget_used_up"},
    "tune-lr": {"killed_healthy_job"},
    "poller": {"polling_streak"},
}
"""Whom ``!`` must lead to, in its order, and by which rules."""
ADVICE = {
    "tune-lr": "a falling loss is a healthy run: let it train to the end",
    "formats": "arguments are one JSON object, with the fields that the tool names",
    "poller": "one wait for the job instead of asking again and again",
}
NUMBERS = {"1": "tune-lr", "2": "poller", "3": "formats"}
MARKED = re.compile(r"^\W*(\d+) ▸ .*\[(trained.*?|masked: .*?)\]", re.M)
"""A row of the training view: the first call of a step, and what the view says of it."""
WRONG = {"signal": "x", "malformed": "f"}
"""The label that an item of the review gets, by why it is there: impatience, formatting."""


class Annotator(Terminal):
    """Counts the keys that are pressed one by one; text is typed."""

    keys = 0

    def press(self, *keys: str) -> None:
        self.keys += len(keys)
        super().press(*keys)


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path)
    product.write_config("[host]\nresume_on_start = true\n")
    yield product
    product.close()


@pytest.fixture
def opened(apollo: Apollo) -> Iterator[Callable[[str], Annotator]]:
    """``opened(text)`` opens the app and waits for a text on its screen; none of them is left behind."""
    terminals: list[Annotator] = []

    def open_app(text: str) -> Annotator:
        terminal = Annotator(apollo.command(), apollo.env, apollo.folder)
        terminals.append(terminal)
        terminal.wait("the app", text)
        return terminal

    yield open_app
    for terminal in terminals:
        terminal.close()


def summaries(apollo: Apollo) -> dict[str, Summary]:
    with LogReader(apollo.log) as reader:
        return {summary.title: summary for summary in reader.summaries()}


def rules(apollo: Apollo) -> dict[str, set[str]]:
    """Which rules say something, by session."""
    found = {title: {signal.rule for signal in signals_of(now, now_ms())} for title, now in summaries(apollo).items()}
    return {title: said for title, said in found.items() if said}


def test_a_night_away_then_digest_advice_a_span_the_review_and_an_export_that_trains_what_the_view_showed(
    apollo: Apollo, opened: Callable[[str], Annotator]
) -> None:
    sessions = go_home(apollo, opened)
    pass_the_night(apollo)

    ada = opened("you left")
    read_the_digest(ada, apollo, sessions["formats"])
    ada.press("esc", "esc")
    follow_to(ada, "formats")
    raise_the_limit(ada)
    advise(ada, "formats")
    assert ada.keys <= MOST_KEYS
    ada.press("p")
    ada.wait("the receipt", "formats: goes on")
    follow_to(ada, "tune-lr")
    advise(ada, "tune-lr")
    flag_span(ada)
    follow_to(ada, "poller")
    advise(ada, "poller")
    wait_for("the advised to come to their ends", lambda: all_ended(apollo), seconds=90)
    for title in DRIFTS:
        followed(apollo, sessions[title], ADVICE[title])

    clear_the_review(ada)
    ada.press("esc")
    shown = {title: training_shown(ada, number) for number, title in NUMBERS.items()}
    written = export(ada, apollo)
    assert set(written) == {sessions[title] for title in DRIFTS}
    for title, (trained, of, words) in shown.items():
        weights = written[sessions[title]]
        assert (sum(weights.values()), len(weights)) == (trained, of)
        for step, said in words.items():
            assert said.startswith("trained") == bool(weights[step]), (title, step, said)
    _, steps, words = shown["tune-lr"]
    assert set(words) == set(range(1, steps + 1))
    flagged = [step for step, said in words.items() if said == "masked: flagged"]
    assert flagged == list(range(flagged[0], flagged[0] + 3))
    _, steps, words = shown["formats"]
    assert set(words) == set(range(1, steps + 1))
    assert {step for step, said in words.items() if said == "masked: malformed"} >= {3, 4, 7, 8, 9, 10}


def go_home(apollo: Apollo, opened: Callable[[str], Annotator]) -> dict[str, str]:
    """Eight sessions are begun, one is looked at, and the app is left; their ids by title."""
    apollo.run("host", "start")
    sessions = begin_and_wait(apollo.log, "human:tester")
    evening = opened("8 steady-5")
    evening.press("enter")
    evening.wait("something to be read", lambda: cursors(apollo, sessions["tune-lr"]))
    evening.press("esc", "q")
    evening.wait("the end of the app", partial(left_for_home, evening))
    return sessions


def left_for_home(evening: Annotator) -> bool:
    """Whether the app has ended; what would stand still overnight is read on the way out, if there is any."""
    if evening.running and "q leaves" in evening.text():
        evening.press("q")
    return not evening.running


def cursors(apollo: Apollo, session: str) -> int:
    with LogReader(apollo.log) as reader:
        return len(reader.events(session, kinds=("cursor.moved",)))


def pass_the_night(apollo: Apollo) -> None:
    """The evening lies hours back, three sessions have drifted since, and a colleague has paused the others."""
    apollo.run("host", "stop")
    let_hours_pass(apollo.log, HOURS * 3_600_000)
    apollo.run("host", "start")
    for title in (title for title in EIGHT if title not in DRIFTS):
        wait_for("a steady session to get on", lambda title=title: summaries(apollo)[title].step >= 4)
        apollo.run("--as", "grace", "pause", title_number(title))
    wait_for("three sessions to drift", lambda: rules(apollo) == DRIFTS, seconds=120)


def title_number(title: str) -> str:
    """What the command line calls a session by."""
    return str(list(EIGHT).index(title) + 1)


def read_the_digest(ada: Annotator, apollo: Apollo, session: str) -> None:
    """The table has a row for each; the figures of one that rests are those of the command line."""
    assert all(f" {number} {title}" in ada.text() for number, title in enumerate(EIGHT, start=1))
    assert f"you left {HOURS} h 00" in ada.text()
    [told] = apollo.json("digest", session)
    figures = [figure for figure in told["figures"].values() if figure["value"]]
    ada.read(0.6)  # a key at the heels of the table is for the board
    ada.press("3")
    ada.wait("its figures", "enter goes there")
    shown = ada.text()
    for name, figure in told["figures"].items():
        if figure["value"] and name != "away":
            assert figure["said"] in shown, name
    assert len(figures) > 5


def follow_to(ada: Annotator, title: str) -> None:
    """``!`` leads there, and says why: in one press, or in some where another session needs somebody meanwhile."""
    for _ in DRIFTS:
        before = place_of_signal(ada)
        ada.press("!")
        ada.wait("the way on", lambda before=before: place_of_signal(ada) not in ("", before))
        if re.search(rf" \d {title}: ", place_of_signal(ada)):
            return
    raise AssertionError(f"! does not lead to {title}:\n{ada.text()}")


def place_of_signal(ada: Annotator) -> str:
    """What the app says of the signal that ``!`` led to."""
    found = re.search(r"\d of \d · \d [\w-]+: .*", ada.text())
    return found[0] if found else ""


def raise_the_limit(ada: Annotator) -> None:
    ada.press(":")
    ada.wait("the command line", "a name and its words")
    ada.type("limit steps +30")
    ada.wait("the command", ": limit steps +30")
    ada.read(0.3)  # a return at the heels of a burst is part of a paste
    ada.press("enter")
    ada.wait("the receipt", "steps: 40")


def all_ended(apollo: Apollo) -> bool:
    return all(now.state == "finished" for title, now in summaries(apollo).items() if title in DRIFTS)


def followed(apollo: Apollo, session: str, text: str) -> None:
    """The advice was delivered as it was written."""
    with LogReader(apollo.log) as reader:
        [delivered] = reader.events(session, kinds=("advice.delivered",))
        assert isinstance(delivered.body, AdviceDelivered)
        assert text in delivered.body.text


def advise(ada: Annotator, title: str) -> None:
    ada.press("i")
    ada.wait("the composer", lambda: re.search(rf"advise \d {title}", ada.text()))
    ada.type(ADVICE[title])
    ada.wait("the text", ADVICE[title])
    ada.read(0.3)  # a return at the heels of a burst is part of a paste
    ada.press("enter")
    ada.wait("the receipt", lambda: re.search(rf"queued: advice to \d {title}", ada.text()))


def flag_span(ada: Annotator) -> None:
    """From the kill, where ``!`` led to and the selection still is, back to the first impatient look."""
    ada.press("V")
    found = ada.wait("one end of the span", lambda: re.search(r"span from step (\d+)", ada.text()))
    kill = int(found[1])
    ada.press("[", "[", "F")
    ada.wait("the labels, on the span", f"about steps {kill - 2} to {kill}")
    ada.press("x")
    ada.wait("the receipt", f"steps {kill - 2} to {kill}: impatience")


def clear_the_review(ada: Annotator) -> None:
    """A label for what went wrong, a sign-off for whom all is well with, and on for the rest; until nothing is left."""
    ada.press("r")
    ada.wait("the queue", lambda: left(ada))
    while (before := left(ada)) or "takes the next" in ada.text():
        if not before:
            ada.press("r")
            ada.wait("the next sitting", lambda: left(ada))
            continue
        bar = ada.text().splitlines()[1]
        if "steady" in bar:
            ada.press("S")
            ada.wait("the sign-off", "sign off")
            ada.press("g")
        elif label := next((key for why, key in WRONG.items() if bar.startswith(f" {why} ")), None):
            ada.press("F")
            ada.wait("the labels", "letter or enter sets")
            ada.press(label)
        else:
            ada.press("s")
        ada.wait("the next item", partial(is_past, ada, before))
    assert "nothing to review" in ada.text()


def is_past(ada: Annotator, before: int) -> bool:
    return left(ada) != before


def left(ada: Annotator) -> int | None:
    """How many items the sitting has left; None while the log is being read."""
    found = re.search(r"review  (\d+) of (\d+)", ada.text())
    return int(found[2]) - int(found[1]) if found else None


def training_shown(ada: Annotator, number: str) -> tuple[int, int, dict[int, str]]:
    """What the training view says of a session: replies trained, of all, and the word at the first call of each step.

    Polls that are folded into one row have no word.
    """
    ada.press(number, "esc", "enter", "m")
    found = ada.wait("the counts", lambda: re.search(r"trained +(\d+) of (\d+) replies$", ada.text(), re.M))
    trained, of = int(found[1]), int(found[2])
    ada.press("g")
    ada.wait("the task", "◆ task")
    words: dict[int, str] = {}
    before = ""
    while (page := settled(ada)) != before:
        words |= {
            int(step): word for step, word in re.findall(r"^\W*(\d+) ▸ .*\[(trained.*?|masked: .*?)\]", page, re.M)
        }
        before = page
        ada.press("space")
    ada.press("esc")
    ada.wait("the board", lambda: "training view" not in ada.text())
    return trained, of, words


def settled(ada: Annotator) -> str:
    """The screen below its title, once it stays as it is."""
    before = ""
    while (now := ada.text().partition("\n")[2]) != before:
        before = now
        ada.read(0.15)
    return now


def choose(ada: Annotator, number: str) -> None:
    """The cursor of the export menu's list on that session: a key at a time, each seen before the next."""
    while (at := ada.wait("the cursor", lambda: re.search(r"›\s+\[.\] (\d+) ", ada.text())))[1] != number:
        ada.press("j" if int(at[1]) < int(number) else "k")
        ada.wait("the next row", lambda before=at[0]: before not in ada.text())


def export(ada: Annotator, apollo: Apollo) -> dict[str, dict[int, int]]:
    """The three that ended, as ``openai``: per session the weight of each reply by step."""
    ada.press("e")
    ada.wait("the export menu", "tokens trained")
    for number, title in NUMBERS.items():
        choose(ada, number)
        if f"[ ] {number} {title}" in ada.text():
            ada.press("x")
    ada.wait("three sessions to be chosen", "3 sessions")
    ada.press("tab")
    while (shown := ada.wait("a format", lambda: re.search(r"format  (\S+)", ada.text())))[1] != "openai":
        ada.press("l")
        ada.wait("the next format", lambda before=shown[0]: before not in ada.text())
    ada.press("w")
    ada.wait("the question what becomes of advice", "what becomes of that?")
    ada.press("k")
    ada.wait("the file", "✓ wrote")
    [out] = apollo.folder.glob("*.openai.jsonl")
    found: dict[str, dict[int, int]] = {}
    for row in map(json.loads, out.read_text("utf-8").splitlines()):
        replies = [message for message in row["messages"] if message["role"] == "assistant"]
        found[row["meta"]["session"]] = {step: reply["weight"] for step, reply in enumerate(replies, start=1)}
    return found
