"""The jobs, each from where an annotator stands to the receipt on the screen; the keys that they may take."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.budgets.pty_program import Gone
from benchmarks.effort.player import Player
from benchmarks.effort.scene import ASKING, LOOP, LOOPING, PLAIN, SAID, WORKING, Scene

REVIEWED: Final = 50
SPAN: Final = (16, 23)
"""The first and the last of eight steps of a session that has more."""
BACK: Final = 20
"""Actions that one goes back at most to where a job begins."""
ANSWERS: Final = {"becomes of that?": "k", "of which?": "a"}
"""What the export menu asks once, and the key that answers: advice is kept, all models are trained."""


@dataclass(frozen=True, slots=True)
class Job:
    """``prepare`` brings the annotator to where the job begins; ``play`` is what is counted, to the receipt."""

    what: str
    must: int
    play: Callable[[Scene, Player], None]
    prepare: Callable[[Scene, Player], None]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job cost. ``typed``: characters of texts, which are no keys."""

    keys: int
    typed: int
    seconds: float


def measure(job: Job, scene: Scene, player: Player) -> Cost:
    """Play it once. Raises Gone where the receipt does not come."""
    job.prepare(scene, player)
    player.keys = player.typed = 0
    began = time.monotonic()
    job.play(scene, player)
    return Cost(player.keys, player.typed, time.monotonic() - began)


# --- where one stands -------------------------------------------------------------------------------------------------


def on_board(scene: Scene, player: Player) -> None:
    """The board, with nothing in front of it."""


def in_session(title: str, row: str = "") -> Callable[[Scene, Player], None]:
    """The transcript of a session; selected is its newest action, or the newest whose row looks like ``row``."""

    def prepare(scene: Scene, player: Player) -> None:
        player.press(str(scene.numbers[title]))
        name = f"{scene.numbers[title]} {title}"
        player.wait(lambda text: re.search(rf"›[! ]?{name} ", text))
        player.press("enter")
        player.wait(lambda text: name in text.splitlines()[0])
        for _ in range(BACK):
            before = player.text()
            player.press("[")
            text = player.wait(lambda text, before=before: "›" in text and text != before)  # type: ignore[misc]
            if re.search(rf"^› *{row}", text, re.MULTILINE):
                return
        raise Gone(f"no row of {title} looks like {row!r}")

    return prepare


# --- the jobs ---------------------------------------------------------------------------------------------------------


def flag(scene: Scene, player: Player) -> None:
    """The key, and what was flagged."""
    player.press("f")
    player.wait("u undoes")


def label(scene: Scene, player: Player) -> None:
    """The picker, and the letter of impatience."""
    player.press("F")
    player.wait("a letter")
    player.press("x")
    player.wait("impatience")


def flag_loop(scene: Scene, player: Player) -> None:
    """The loop as a span that is shown, then its label."""
    player.press("l")
    player.wait(f"{LOOP} steps, 1 to {LOOP}")
    player.press("F")
    player.wait("a letter")
    player.press("x")
    player.wait(lambda text: f"steps 1 to {LOOP}: impatience" in text and "u undoes" in text)


def flag_span(scene: Scene, player: Player) -> None:
    """Eight steps, the label."""
    player.press("V", "8", "F")
    player.wait("a letter")
    player.press("x")
    player.wait(lambda text: f"steps {SPAN[0]} to {SPAN[1]}: impatience" in text and "u undoes" in text)


def advise(scene: Scene, player: Player) -> None:
    """The composer, the text, and that it is queued."""
    player.press("i")
    player.wait("advise")
    player.type("wait for the job before you judge it")
    player.wait("before you judge it")
    player.press("enter")
    player.wait("queued: advice")


def see_output(scene: Scene, player: Player) -> None:
    """Lines of the command that runs."""
    player.press("J")
    player.wait(lambda text: text.count(SAID) > 3)


def go_to_need(scene: Scene, player: Player) -> None:
    """The session whose agent asks."""
    player.press("!")
    player.wait(lambda text: re.search(rf"›[! ]?{scene.numbers[ASKING]} {ASKING} ", text))


def see_changes(scene: Scene, player: Player) -> None:
    """The file that the running command writes again and again, marked."""
    player.press("W")
    player.wait(lambda text: "• 1 since you left" in text and "•changed.txt" in text)


def review(scene: Scene, player: Player) -> None:
    """A good mark on each item, the next one being there."""
    player.press("r")
    player.wait("review")
    for _ in range(REVIEWED):
        before = _item(player.text())
        player.press("+")
        player.wait(lambda text, before=before: _item(text) != before, 20)  # type: ignore[misc]  # mypy sees no default


def _item(text: str) -> str:
    """What the review says of the item at hand, and how far one is."""
    return "\n".join(text.splitlines()[:2])


def export_all(scene: Scene, player: Player) -> None:
    """All of them, the path, what is asked once, and that it is written."""
    player.press("e")
    player.wait("write it")
    player.press("a")
    player.wait("8 sessions are chosen")
    player.press("p")
    player.wait(lambda text: text.splitlines()[-1].startswith(" file"))
    player.type(str(scene.product.folder / "out.jsonl"))
    player.press("enter")
    player.wait("w writes")
    player.press("w")
    asked: list[str] = []
    while not asked or asked[-1]:
        text = player.wait(
            lambda text: "wrote" in text or any(q in text for q in ANSWERS if q not in asked),
            60,
        )
        asked.append("" if "wrote" in text else next(q for q in ANSWERS if q in text and q not in asked))
        if asked[-1]:
            player.press(ANSWERS[asked[-1]])


def begin_with_wrong_key(scene: Scene, player: Player) -> None:
    """The form, a task, and what is wrong; no session is there."""
    before = len(scene.product.summaries())
    player.press("c")
    player.wait("the path of a task file")
    player.type("Sort the files by date")
    player.press("ctrl+s")
    player.wait(lambda text: "refuses the key" in text and "nothing is created" in text)
    if len(scene.product.summaries()) != before:
        raise Gone("a session was created although its key is wrong")


def compare(scene: Scene, player: Player) -> None:
    """Both side by side, and the word on them."""
    player.press("T")
    player.wait("opens both")
    player.press("a")
    player.wait("(right)")
    player.press("<")
    player.wait("is better than")


JOBS: Final = (
    Job("flag the newest action", 1, flag, in_session(PLAIN[0])),
    Job("flag it with a label", 2, label, in_session(PLAIN[1])),
    Job("a loop of 60 equal failures", 3, flag_loop, in_session(LOOPING, f"1 ▸ run ×{LOOP} ")),
    Job("a span of 8 steps", 5, flag_span, in_session(PLAIN[2], f"{SPAN[0]} ▸ run ")),
    Job("advise (and the text)", 3, advise, in_session(WORKING)),
    Job("see what runs print", 1, see_output, in_session(WORKING)),
    Job("to the first that needs me", 1, go_to_need, on_board),
    Job("what changed in the workspace since I left", 2, see_changes, in_session(WORKING)),
    Job("review 50 items in their transcripts", 60, review, on_board),
    Job("export 8 sessions (and the path)", 8, export_all, on_board),
    Job("a new session with a wrong key: told before it is there (and the task)", 3, begin_with_wrong_key, on_board),
    Job("compare two runs, and say which is better", 3, compare, on_board),
)
