"""The scripted annotator: what it notices, flags and advises. Pure; it sees what a person at the screen would see.

It knows the facts of the environment (it is an expert), the task, and each observation and action so far. It does not
see what comes next, and it advises on what is on the screen when it has written, some steps after it noticed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.supervision.chain import SUBMIT, WAIT, World
from benchmarks.supervision.knobs import Annotator

LABEL: Final = "x/wrong-action"
_SIGHT: Final = re.compile(r"\b(C\d|E\d|BUSY|READY|SUCCESS|FAILURE)\b")
_KEY: Final = re.compile(r"\bK(\d)\b")


@dataclass(frozen=True, slots=True)
class Seen:
    """A step on the screen: what stood there, and what the agent then did."""

    step: int
    sight: str
    action: str


def sight_of(text: str) -> str:
    """The word of an observation (or task) that says how things stand."""
    found = _SIGHT.search(text)
    return found.group(1) if found else ""


def key_of(task: str) -> int:
    """The key that the task names."""
    found = _KEY.search(task)
    if found is None:
        raise ValueError(f"no key in the task {task!r}")
    return int(found.group(1))


@dataclass(slots=True)
class Expert:
    """What an expert knows, for one session."""

    world: World
    key: int

    def right(self, sight: str) -> str:
        """The right action for what is on the screen."""
        if sight == "BUSY":
            return WAIT
        if sight == "READY":
            return SUBMIT
        return f"FIX{sight[1:]}" if sight[0] == "E" else self.world.right(self.key, int(sight[1:]))

    def wrong(self, seen: Seen) -> bool:
        """Whether the action was not the right one."""
        return seen.action != self.right(seen.sight)


@dataclass(slots=True)
class Adviser:
    """Looks at one running session, boundary after boundary, and says now and then what to do."""

    expert: Expert
    knobs: Annotator
    draw: random.Random
    _due: int = 0
    _noticed: str = ""

    def look(self, seen: Seen, now: str) -> str:
        """After a step, with ``now`` on the screen: the text to send, or "". One message at a time is written."""
        if self._noticed:
            self._due -= 1
        elif self.expert.wrong(seen) and self.draw.random() < self.knobs.look_rate:
            self._noticed, self._due = now, self.draw.randint(*self.knobs.delay)
        if not self._noticed or self._due > 0:
            return ""
        about = self._noticed if self.draw.random() < self.knobs.stale else now
        self._noticed = ""
        acts = self.expert.world.shape.acts
        told = self.draw.choice(acts) if self.draw.random() < self.knobs.wrong_advice else self.expert.right(about)
        return f"Use {told} now."


@dataclass(slots=True)
class Reviewer:
    """Goes through a session afterwards and flags what it takes for wrong."""

    expert: Expert
    recall: float
    false_positives: float
    seed: str

    def review(self, steps: Sequence[Seen]) -> list[int]:
        """The steps that get a flag. Each step has its own luck, so that a better annotator flags the same and more."""
        return [seen.step for seen in steps if self._flags(seen)]

    def _flags(self, seen: Seen) -> bool:
        luck = random.Random(f"{self.seed} {seen.step}").random()
        return luck < (self.recall if self.expert.wrong(seen) else self.false_positives)
