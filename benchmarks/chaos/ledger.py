"""What came of it all, read from the log and from the traces that the tools left."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.chaos.product import Product, trace, workspaces
from sessions import events as ev
from sessions.events.states import ENDED
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request


@dataclass
class Ledger:
    """The figures of a run. ``lost``, ``repeated`` and ``stuck`` name what they count."""

    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    sessions: int = 0
    steps: int = 0
    commands: int = 0
    told_done: int = 0
    told_otherwise: Counter[str] = field(default_factory=Counter)
    failed_attempts: int = 0
    acts: int = 0
    prompts: int = 0
    persons: Counter[str] = field(default_factory=Counter)
    """Why a person was asked to come; each came at once, and had it resumed."""
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing lost, nothing done twice, nothing stuck."""
        return not (self.lost or self.repeated or self.stuck)

    def table(self) -> str:
        """As docs/reliability.md has it."""
        shares = ", ".join(f"{kind} {count}" for kind, count in self.kills.items())
        otherwise = ", ".join(f"{what} {count}" for what, count in sorted(self.told_otherwise.items())) or "none"
        persons = ", ".join(f"{why} {count}" for why, count in self.persons.most_common()) or "none"
        rows = [
            ("kills", f"{self.kills.total()} ({shares}) in {self.seconds:.0f} s"),
            ("sessions, steps, commands", f"{self.sessions}, {self.steps}, {self.commands}"),
            ("failed requests to the model", str(self.failed_attempts)),
            ("commands told as done, whose trace was looked for", str(self.told_done)),
            ("commands told as failed, cut or unknown", otherwise),
            ("acts of an annotator that were acknowledged", str(self.acts)),
            ("prompts rebuilt and equal to what was sent", str(self.prompts)),
            ("times that a person was asked for", persons),
            ("lost", _said(self.lost)),
            ("done twice", _said(self.repeated)),
            ("stuck", _said(self.stuck)),
        ]
        return "\n".join(["| what | count |", "|---|---|", *(f"| {what} | {count} |" for what, count in rows)])


def _said(names: list[str]) -> str:
    return f"{len(names)}{': ' + '; '.join(names[:5]) if names else ''}"


def read_ledger(product: Product, ledger: Ledger, models: dict[str, str], acknowledged: set[str]) -> None:
    """Look at every session of ``models`` (their models by session), and at what was acknowledged."""
    with LogReader(product.paths.log) as reader:
        states = {summary.session: summary.state for summary in reader.summaries()}
        ledger.sessions = len(models)
        ledger.acts = len(acknowledged)
        applied: Counter[str] = Counter()
        places = workspaces(reader, list(models))
        for session, model in models.items():
            if states.get(session) not in ENDED:
                ledger.stuck.append(f"session {session} is {states.get(session, 'not there')}")
            file = places[session] / "traces"
            left = Counter(file.read_text().split() if file.exists() else ())
            _read_session(reader, ledger, session, model, left)
            applied.update(event.request for event in reader.events(session) if event.request)
    ledger.lost += [f"act {request}" for request in acknowledged if not applied[request]]
    ledger.repeated += [f"act {request}" for request, count in applied.items() if count > 1]


def _read_session(reader: LogReader, ledger: Ledger, session: str, model: str, left: Counter[str]) -> None:
    open_calls: dict[tuple[int | None, int | None], str] = {}
    steps: Counter[int | None] = Counter()
    done = 0
    for event in reader.events(session):
        body = event.body
        if isinstance(body, ev.ActionStarted) and body.name == "run":
            ledger.commands += 1
            open_calls[event.step, event.call] = str(body.arguments.get("command", "")).split()[-3]
        elif isinstance(body, ev.ActionResult) and (event.step, event.call) in open_calls:
            line = open_calls.pop((event.step, event.call))
            if body.outcome == "ok":
                done += 1
                if not left[line]:
                    ledger.lost.append(f"{line} of session {session}: told as done, and left no trace")
            else:
                ledger.told_otherwise[body.outcome] += 1
        elif isinstance(body, ev.ModelReplied) and event.step:
            steps[event.step] += 1
        elif isinstance(body, ev.ModelAttemptFailed):
            ledger.failed_attempts += 1
        elif isinstance(body, ev.ModelRequested):
            ledger.prompts += 1
            if hashlib.sha256(rebuild_request(reader, session, event.seq)).hexdigest() != body.sha256:
                ledger.lost.append(f"the prompt of event {event.seq} of session {session}")
    ledger.told_done += done
    ledger.steps += len(steps)
    ledger.repeated += [f"{line} of session {session}, {count} times" for line, count in left.items() if count > 1]
    ledger.repeated += [f"step {step} of session {session}" for step, count in steps.items() if count > 1]
    ledger.stuck += [f"{line} of session {session} has no result" for line in open_calls.values()]
    foreign = [line for line in left if not line.startswith(trace(model, 0, 0).partition("-")[0] + "-")]
    ledger.lost += [f"{line} stands in session {session}, which never wrote it" for line in foreign]
