"""``python -m benchmarks.chaos [--kills N] [--seconds S]``: kill, look whether anything was lost, and print a table."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.budgets.machine import described
from benchmarks.chaos.ledger import Ledger, read_ledger
from benchmarks.chaos.product import ANNOTATOR, Product, turns
from benchmarks.chaos.victims import KINDS, find_victims, kill
from sessions.containment.choice import LOCAL, NONE, works_here
from sessions.errors import ApolloError
from sessions.host import protocol
from sessions.host.client import RequestRefused, call_once

PREFIXES: Final = (*(kind for kind in LOCAL if not works_here()[kind]), NONE)
"""Those that this machine has, in turn."""
STEPS: Final = 24
"""Of each session; a new one begins when one has ended."""
STANDSTILL_S: Final = 90.0
"""No step for so long, and nothing of a kind to kill: it does not come back."""
END_S: Final = 240.0
"""So long the sessions may take to their end after the last kill."""


class Annotator(threading.Thread):
    """Flags and advises all the time. What was not acknowledged is sent again under its old id."""

    def __init__(self, product: Product, draw: random.Random) -> None:
        super().__init__(daemon=True)
        self._product, self._draw = product, draw
        self._over = threading.Event()
        self.sessions: list[str] = []
        self.acknowledged: set[str] = set()

    def run(self) -> None:
        """Until ``end``."""
        params: protocol.Change[protocol.Done] | None = None
        while not self._over.wait(0.2):
            if params is None and self.sessions:
                params = self._next(self._draw.choice(self.sessions))
            if params is None:
                continue
            try:
                call_once(self._product.paths, params, actor=ANNOTATOR, start=False, seconds=10)
            except RequestRefused:
                params = None  # its session has ended, or has no such step yet
            except (ApolloError, OSError):
                continue
            else:
                self.acknowledged.add(params.request)
                params = None

    def _next(self, session: str) -> protocol.Change[protocol.Done]:
        request = uuid.uuid4().hex
        if self._draw.random() < 0.3:
            return protocol.QueueAdvice(request=request, session=session, text=f"advice {request}", hold_ms=0)
        body = {"flag": request, "target": {"step": 1}, "label": "unspecified"}
        return protocol.Annotate(request=request, session=session, kind="flag.set", body=body)

    def end(self) -> None:
        """No more of it."""
        self._over.set()
        self.join(15)


class Chaos:
    """One run."""

    def __init__(self, folder: Path, kills: int, seconds: float, sessions: int, seed: int) -> None:
        self._draw = random.Random(seed)
        self._kills, self._seconds, self._count = kills, seconds, sessions
        models = sessions * (2 + kills // 4)
        script = {f"m{n}": turns(f"m{n}", STEPS, self._draw) for n in range(1, models + 1)}
        self._names = iter(script)
        self._product = Product(folder, script)
        self._models: dict[str, str] = {}
        self._ledger = Ledger()

    def run(self) -> Ledger:
        """Kill, let everything come to its end, and count."""
        ledger, product = self._ledger, self._product
        with product.running():
            annotator = Annotator(product, random.Random(self._draw.random()))
            annotator.start()
            began = time.monotonic()
            self._kill_all(annotator, began + self._seconds)
            ledger.seconds = time.monotonic() - began
            annotator.end()
            self._finish()
            read_ledger(product, ledger, self._models, annotator.acknowledged)
            if product.app is not None:
                product.app.close()
            product.stop()
            self._require_nothing_left()
        return ledger

    def _kill_all(self, annotator: Annotator, deadline: float) -> None:
        pause = self._seconds / max(1, self._kills)
        while self._ledger.kills.total() < self._kills:
            self._keep_going(annotator)
            kind = min(KINDS, key=lambda kind: (self._ledger.kills[kind], self._draw.random()))
            victims = self._wait_for(kind)
            if not victims:
                self._ledger.stuck.append(f"no {kind} came back after {self._ledger.kills.total()} kills")
                return
            if kill(self._draw.choice(victims)):
                self._ledger.kills[kind] += 1
            left = max(0.0, deadline - time.monotonic()) / max(1, self._kills - self._ledger.kills.total())
            time.sleep(self._draw.uniform(0, 2 * min(pause, left)))

    def _wait_for(self, kind: str) -> Sequence[int]:
        """Until there is one to kill. A command may live for less than a look takes: only a standstill ends it."""
        steps, moved = 0, time.monotonic()
        while not (found := find_victims(self._product, kind)) and time.monotonic() < moved + STANDSTILL_S:
            self._keep_going(None)
            now = sum(summary.step for summary in self._product.summaries().values())
            if now > steps:
                steps, moved = now, time.monotonic()
        return found

    def _keep_going(self, annotator: Annotator | None) -> None:
        """What people do: look whether it runs, attach again, begin another session, resume one that asks."""
        product = self._product
        if not find_victims(product, "host") or not find_victims(product, "watcher"):
            product.wake()
        product.open_app()
        states = product.summaries()
        at_work = [session for session in self._models if session not in states or not _over(states[session].state)]
        for session in at_work:
            self._resume(session)
        while len(at_work) < self._count:
            model = next(self._names)
            inside = PREFIXES[len(self._models) % len(PREFIXES)]
            session = product.begin(model, inside)
            self._models[session] = model
            at_work.append(session)
        if annotator is not None:
            annotator.sessions = at_work

    def _resume(self, session: str) -> None:
        summary = self._product.summaries().get(session)
        if summary is not None and summary.state in ("needs_you", "paused"):
            self._ledger.persons[summary.reason or summary.state] += 1
            request = protocol.Control(request=uuid.uuid4().hex, session=session, verb="resume")
            try:
                self._product.ask(request)
            except RequestRefused:
                return  # it has gone on by itself

    def _finish(self) -> None:
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            if not find_victims(self._product, "host"):
                self._product.wake()
            states = self._product.summaries()
            if all(session in states and _over(states[session].state) for session in self._models):
                return
            for session in self._models:
                self._resume(session)
            time.sleep(0.3)

    def _require_nothing_left(self) -> None:
        deadline = time.monotonic() + 20
        while (left := self._product.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        self._ledger.stuck += [f"process {pid} is left: {line[:80]}" for pid, line in left]


def _over(state: str) -> bool:
    return state in ("finished", "stopped", "failed", "archived")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 if anything was lost, done twice or stuck."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1002, help="how many, in equal shares of six kinds")
    parser.add_argument("--seconds", type=float, default=1500, help="so long they may take")
    parser.add_argument("--sessions", type=int, default=6, help="at work at any time")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    print(f"{described()}; {time.strftime('%Y-%m-%d')}; seed {seed}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="apollo-chaos-") as folder:
        ledger = Chaos(Path(folder), given.kills, given.seconds, given.sessions, seed).run()
    print(ledger.table(), flush=True)
    return 0 if ledger.good else 1


if __name__ == "__main__":
    sys.exit(main())
