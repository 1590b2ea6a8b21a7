"""Short ways to make events for tests of what is shown."""

from __future__ import annotations

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart

START = 1_700_000_000_000
ESCAPES = (
    "[/foo] [bold [@click=app.quit]x\x1b]52;c;b3duZWQ=\x07\x1b]0;owned\x07\x1b[2J\x1b[?1049l"
    "\x00\x9b31m\u202e数値👩\u200d👧"
)


class Told:
    """Numbers events in order, one second apart."""

    def __init__(self) -> None:
        self.seq = 0
        self.events: list[ev.Event] = []

    def add(self, body: ev.Body, step: int | None = None, call: int | None = None, actor: str = "agent") -> ev.Event:
        self.seq += 1
        event = ev.Event(
            self.seq, "s", self.seq, step, call, body.kind, body.v, START + self.seq * 1000, actor, None, body
        )
        self.events.append(event)
        return event

    def reply(self, step: int, text: str = "", reasoning: str = "", calls: int = 1) -> ev.Event:
        parts: list[ReasoningPart | TextPart | CallPart] = []
        if reasoning:
            parts.append(ReasoningPart(reasoning))
        if text:
            parts.append(TextPart(text))
        parts += [CallPart(f"c{step}.{n}", "run", "{}") for n in range(calls)]
        return self.add(ev.ModelReplied(request=1, parts=tuple(parts), finish="calls"), step)

    def action(
        self,
        step: int,
        call: int = 1,
        name: str = "run",
        output: str | None = "ok\n",
        outcome: ev.Outcome = "ok",
        **arguments: object,
    ) -> ev.Event:
        started = self.add(ev.ActionStarted(call_id="c", name=name, arguments=arguments), step, call)
        if output is not None:
            self.add(
                ev.ActionResult(
                    call_id="c", outcome=outcome, output=ev.LongText(output, chars=len(output)), duration_ms=12_000
                ),
                step,
                call,
            )
        return started
