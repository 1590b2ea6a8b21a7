"""Eight sessions of one task on a real host, as an annotator finds them in the morning; their models are scripted."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.budgets.pty_program import ROOT, Gone
from benchmarks.chaos.product import Product
from benchmarks.effort.player import Player
from sessions.fold.summary import Summary
from sessions.private_files import write_private

LOOP: Final = 60
"""Equal failures in a row."""
STEPS: Final = 24
"""Of each session that only works."""
PLAIN: Final = ("steady-1", "steady-2", "steady-3", "steady-4", "steady-5")
WORKING: Final = "working"
"""The session whose command runs, and says something now and then."""
LOOPING: Final = "looping"
ASKING: Final = "asking"
SAID: Final = "epoch"
"""What the running command prints."""


def script() -> dict[str, Any]:
    """What each model says."""
    models = {LOOPING: [*(_run("python missing.py") for _ in range(LOOP)), _finish()]}
    for number, model in enumerate(PLAIN):
        models[model] = [*(_run(f"echo {number}.{step} >> notes.txt") for step in range(STEPS)), _finish()]
    work = f"i=0; while true; do i=$((i+1)); echo $i > changed.txt; echo {SAID} $i; sleep 0.2; done"
    models[WORKING] = [_run("ls"), _run(work)]
    models[ASKING] = [_run("ls"), {"calls": [{"name": "ask_human", "arguments": {"question": "Which one?"}}]}]
    return {model: {"turns": turns} for model, turns in models.items()}


def _run(command: str) -> dict[str, Any]:
    return {"text": "I go on.", "calls": [{"name": "run", "arguments": {"command": command}}]}


def _finish() -> dict[str, Any]:
    return {"calls": [{"name": "finish", "arguments": {"summary": "done"}}]}


@contextlib.contextmanager
def _server_with_key(folder: Path) -> Iterator[str]:
    """A model's server that wants another key than the annotator has."""
    command = [sys.executable, str(ROOT / "tests/support/sse_server.py"), "--script", str(folder / "script.json")]
    with subprocess.Popen(
        [*command, "--key", "sk-right-0123456789"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


class Scene:
    """The sessions by their titles, and apps on them."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.numbers: dict[str, int] = {}

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator[Scene]:
        """As long as this lasts; the sessions are where they are to be when it begins."""
        product = Product(folder, script())
        with product.running(), _server_with_key(folder) as url:
            with (folder / "config.toml").open("a") as config:
                config.write(f'[profiles.hosted]\nmodel = "openai:m"\nbase_url = "{url}/v1"\nkey_env = "HOSTED_KEY"\n')
            write_private(folder / "keys", "HOSTED_KEY=sk-wrong-0123456789\n")
            made = cls(product)
            for model in (LOOPING, *PLAIN, WORKING, ASKING):
                product.begin(model, "none")
            made.wait("the sessions", made.is_ready)
            made.numbers = {one.title: one.number for one in product.summaries().values()}
            yield made

    def is_ready(self) -> bool:
        """Whether all have come to where the annotator finds them."""
        found = {one.title: one for one in self.product.summaries().values()}
        ended = all(found[title].state == "finished" for title in (LOOPING, *PLAIN))
        return ended and found[ASKING].state == "needs_you" and found[WORKING].step == 2 and bool(found[WORKING].doing)

    def wait(self, what: str, condition: Callable[[], object], seconds: float = 600.0) -> None:
        """Until the condition holds; raises Gone."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Gone(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(0.05)

    def session(self, title: str) -> Summary:
        """How a session stands."""
        return next(one for one in self.product.summaries().values() if one.title == title)

    @contextlib.contextmanager
    def app(self, size: tuple[int, int], name: str = "ada") -> Iterator[Player]:
        """An app of this annotator, open on the board, with nothing in front of it."""
        command = [sys.executable, "-P", "-m", "apollo_tui", "--log", str(self.product.paths.log)]
        kept = {name: value for name, value in os.environ.items() if name.startswith(("APOLLO_", "XDG_"))}
        with Player(command, {**kept, "APOLLO_AS": name}, size) as player:
            player.wait(lambda text: all(title in text for title in (LOOPING, WORKING)), 60)
            with contextlib.suppress(Gone):
                player.wait("you left", 1.0)
                player.press("esc")
            yield player
