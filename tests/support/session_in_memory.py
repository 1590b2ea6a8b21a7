"""A session told event by event, without a log: for tests of folds and rules."""

from __future__ import annotations

from typing import Any

from sessions import events as ev
from sessions.fold.summary import Summary, fold_summary


class Story:
    """A session told event by event."""

    def __init__(self, session: str = "S", number: int = 1, **more: Any) -> None:
        self.session, self.seq, self.at = session, 0, 1_000_000
        self.step = 0
        self.summary: Summary | None = None
        self.events: list[ev.Event] = []
        spec = ev.ModelSpec(provider="demo", name="x")
        self.tell(
            ev.SessionCreated(
                number=number, title=f"s{number}", task="t", model=spec, **{"limits": ev.Limits(steps=100)} | more
            )
        )
        self.tell(ev.StateChanged(state="running"))

    def tell(self, body: ev.Body, *, call: int | None = None, after: int = 1000, actor: str = "agent") -> int:
        self.seq += 1
        self.at += after
        step = self.step or None
        event = ev.Event(self.seq, self.session, self.seq, step, call, body.kind, body.v, self.at, actor, None, body)
        self.events.append(event)
        self.summary = fold_summary(self.summary, event)
        return self.seq

    def act(
        self, name: str, arguments: dict[str, Any] | None = None, output: str = "", outcome: Any = "ok", **data: Any
    ) -> int:
        """One whole action of one call, as the next step; returns the seq of its result."""
        self.step += 1
        self.tell(ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256=""))
        return self.act_of(self.step, name, output, outcome, arguments, **data)

    def act_of(
        self,
        step: int,
        name: str,
        output: str = "",
        outcome: Any = "ok",
        arguments: dict[str, Any] | None = None,
        **data: Any,
    ) -> int:
        """The action alone, of a step whose reply has been told."""
        self.step = step
        self.tell(ev.ActionStarted(call_id="c", name=name, arguments=arguments or {}), call=1)
        result = ev.ActionResult(call_id="c", outcome=outcome, output=ev.LongText(output, chars=len(output)), data=data)
        return self.tell(result, call=1)
