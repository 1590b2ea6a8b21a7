"""Made sessions: a background as 660 archived runs of research agents have it, with drifts put in at known steps.

Real rates: a step every 69 s in the median, 36 % polling and waiting, 6.6 % malformed, 9.5 % edits (half rolled back in
the archive's count, which counts any later change), 1 % evaluations, about 10 % errors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sessions import events as ev
from sessions.fold.summary import Summary, fold_summary

STEP_MEDIAN: Final = 69.0
STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class Drift:
    """A drift that was put in: the rule that should fire, and the steps at which it begins and ends."""

    rule: str
    step: int
    end: int = 0


class Made:
    """One session as a stream of (event, summary after it); ``drifts`` says what is in it."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.drifts: list[Drift] = []
        self.summary: Summary | None = None
        self.seq, self.at, self.step, self.job, self.text = 0, 1_700_000_000_000, 0, 0, 0
        self.path, self.score = 0, 0.3

    def play(self) -> Iterator[Summary]:
        """The summary after each event."""
        spec = ev.ModelSpec(provider="openai", name="made")
        yield self._tell(ev.SessionCreated(number=1, title="made", task="t", model=spec))
        yield self._tell(ev.StateChanged(state="running"))
        places = sorted(self.draw.sample(range(20, STEPS - 40, 12), k=self.draw.randint(2, 4)))
        while self.step < STEPS:
            if places and self.step >= places[0]:
                places.pop(0)
                rule = self.draw.choice(list(DRIFTS))
                self.drifts.append(Drift(rule, self.step + 1))
                yield from DRIFTS[rule](self)
                self.drifts[-1] = replace(self.drifts[-1], end=self.step)
            else:
                yield from self._background()

    def _tell(self, body: ev.Body, after: float = 0.0, call: int | None = None) -> Summary:
        self.seq += 1
        self.at += int(after * 1000)
        event = ev.Event(
            self.seq, "made", self.seq, self.step or None, call, body.kind, 1, self.at, "agent", None, body
        )
        self.summary = fold_summary(self.summary, event)
        return self.summary

    def _begin(self) -> Summary:
        self.step += 1
        pause = self.draw.lognormvariate(0, 0.8) * STEP_MEDIAN * 0.8
        return self._tell(ev.ModelRequested(adapter="made", adapter_version=1, envelope={}, sha256=""), after=pause)

    def act(
        self, name: str, arguments: dict[str, Any], output: str, outcome: ev.Outcome = "ok", *bodies: ev.Body
    ) -> Iterator[Summary]:
        """One step of one action."""
        yield self._begin()
        yield self._tell(ev.ActionStarted(call_id="c", name=name, arguments=arguments), call=1)
        for body in bodies:
            yield self._tell(body, call=1)
        job = arguments.get("job")
        data = {"job": job} if job else {}
        result = ev.ActionResult(call_id="c", outcome=outcome, output=ev.LongText(output), data=data)
        yield self._tell(result, after=self.draw.lognormvariate(0, 1.0) * STEP_MEDIAN * 0.2, call=1)

    def refuse(self) -> Iterator[Summary]:
        """One malformed call."""
        yield self._begin()
        yield self._tell(ev.ActionRefused(call_id="c", name="run", why="malformed", arguments="{"), call=1)

    def fresh(self) -> str:
        """A text that was never there before."""
        self.text += 1
        return f"output {self.text}: {self.draw.random():.6f}"

    def _background(self) -> Iterator[Summary]:
        chance = self.draw.random()
        if chance < 0.066:
            yield from self.refuse()
        elif chance < 0.066 + 0.13:
            # Polls come in runs; the mean of 2.8 makes them 36 % of all actions. Most show something new.
            for _ in range(min(9, 1 + int(self.draw.expovariate(1 / 2.3)))):
                new = self.draw.random() < 0.8
                yield from self.act("job_output", {"job": 1}, self.fresh() if new else "still running")
        elif chance < 0.066 + 0.13 + 0.13:
            self.path = self.draw.randint(0, 5)
            body = ev.FileChanged(path=f"f{self.path}.py", before=None, after=f"{self.draw.getrandbits(48):012x}")
            yield from self.act("edit_file", {"path": f"f{self.path}.py"}, self.fresh(), "ok", body)
        elif chance < 0.066 + 0.13 + 0.13 + 0.014:
            self.score = max(0.0, self.score + self.draw.uniform(-0.005, 0.04))
            yield from self.act("evaluate", {}, f"{self.score:.3f}", "ok", ev.EvalScored(score=round(self.score, 3)))
        else:
            failed = self.draw.random() < 0.15
            output = self.draw.choice(ERRORS) if failed else self.fresh()
            yield from self.act("run", {"command": self.fresh()}, output, "error" if failed else "ok")


ERRORS: Final = (
    "No such file or directory",
    "ModuleNotFoundError: No module named 'x'",
    "CUDA out of memory",
    "SyntaxError: invalid syntax",
    "KeyError: 'text'",
    "Permission denied",
)


def _malformed(made: Made) -> Iterator[Summary]:
    for _ in range(made.draw.randint(5, 20)):
        yield from made.refuse()


def _same_error(made: Made) -> Iterator[Summary]:
    for _ in range(made.draw.randint(5, 20)):
        yield from made.act("run", {"command": made.fresh()}, "Error: no valid session 'gpu_0'", "error")


def _same_action(made: Made) -> Iterator[Summary]:
    for _ in range(made.draw.randint(6, 20)):
        yield from made.act("run", {"command": "nvidia-smi"}, "No running processes found")


def _polling(made: Made) -> Iterator[Summary]:
    dead = made.draw.random() < 0.7
    for _ in range(made.draw.randint(14, 30)):
        yield from made.act("job_output", {"job": 1}, "waiting for data" if dead else made.fresh())


def _killed(made: Made) -> Iterator[Summary]:
    made.job += 1
    started = ev.JobStarted(job=made.job, command="train", pid=1, start_time="1", boot_id="b", folder="f")
    yield from made.act("run", {"command": "train"}, f"still running as job {made.job}", "ok", started)
    loss = made.draw.uniform(2, 4)
    for _ in range(made.draw.randint(1, 3)):
        lines = "\n".join(f"step {i} loss {loss * 0.97**i:.4f}" for i in range(5))
        loss *= 0.85
        yield from made.act("job_output", {"job": made.job}, lines)
    ended = ev.JobEnded(job=made.job, how="killed_by_agent", duration_ms=40_000)
    yield from made.act("job_kill", {"job": made.job}, "killed", "ok", ended)


def _thrash(made: Made) -> Iterator[Summary]:
    for number in range(made.draw.randint(4, 8)):
        before, after = ("a" * 12, "b" * 12) if number % 2 else ("b" * 12, "a" * 12)
        body = ev.FileChanged(path="model.py", before=before, after=after)
        yield from made.act("edit_file", {"path": "model.py"}, made.fresh(), "ok", body)


def _drop(made: Made) -> Iterator[Summary]:
    made.score = max(made.score, 0.2)
    yield from made.act("evaluate", {}, "x", "ok", ev.EvalScored(score=round(made.score, 3)))
    made.drifts[-1] = Drift("score_drop", made.step + 1)
    worse = round(made.score * made.draw.uniform(0.3, 0.9), 3)
    yield from made.act("evaluate", {}, "x", "ok", ev.EvalScored(score=worse))


def _silence(made: Made) -> Iterator[Summary]:
    yield made._begin()
    yield made._tell(ev.ActionStarted(call_id="c", name="run", arguments={"command": "hang"}), call=1)
    result = ev.ActionResult(call_id="c", outcome="ok", output=ev.LongText(made.fresh()))
    yield made._tell(result, after=made.draw.uniform(15, 60) * 60, call=1)


DRIFTS: Final[dict[str, Callable[[Made], Iterator[Summary]]]] = {
    "malformed_streak": _malformed,
    "repeated_error": _same_error,
    "repeated_action": _same_action,
    "polling_streak": _polling,
    "killed_healthy_job": _killed,
    "edit_rolled_back": _thrash,
    "score_drop": _drop,
    "silent": _silence,
}
"""Rule to the drift that it should see."""
