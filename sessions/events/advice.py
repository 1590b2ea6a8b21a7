"""The life of advice."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessions.events.base import Body, ReversibleAct, Seen, Target

AdviceKind = Literal["knowledge", "strategy", "correction", "stop"]
Reach = Literal["general", "here"]
"""``general`` advice would have helped from the beginning and anybody; what holds ``here`` made sense at that step."""


class AdviceQueued(Body, frozen=True, kw_only=True):
    """Advice is on disk and waits for the boundary. ``advice`` counts from 1 in its session; ``not_before`` in ms."""

    kind: ClassVar[str] = "advice.queued"
    advice: int
    text: str
    advice_kind: AdviceKind | None = None
    about: Target | None = None
    about_text: str = ""
    """How the model is told what it is about: ``About step 40 (`job_kill`, job 7):``."""
    now: bool = False
    not_before: int = 0
    drafted_at: int | None = None
    seen: Seen | None = None
    answers: int | None = None
    """The number of the question that it answers (channel ``tool_result``)."""
    reach: Reach | None = None
    """None: nobody said it (older clients, imports), which counts as ``here``."""
    bulk: str = ""
    """Advice with the same id here was one, to several sessions: it is taken back together."""


class AdviceEdited(ReversibleAct, frozen=True, kw_only=True):
    """Queued advice has new text (or is now urgent); only before delivery."""

    kind: ClassVar[str] = "advice.edited"
    advice: int
    text: str
    now: bool = False


class AdviceReach(ReversibleAct, frozen=True, kw_only=True):
    """A person says how far advice reaches, before or after its delivery; None takes back what was said of it."""

    kind: ClassVar[str] = "advice.reach"
    advice: int
    reach: Reach | None


class AdviceWithdrawn(ReversibleAct, frozen=True, kw_only=True):
    """Queued advice was taken back before delivery; ``to_draft`` when it became a draft again."""

    kind: ClassVar[str] = "advice.withdrawn"
    advice: int
    to_draft: bool = False


class AdviceDelivered(Body, frozen=True, kw_only=True):
    """These pieces of advice are one user turn, ``text``, in the prompt of step ``at_step``. ``woke`` ended a wait.
    ``as_prompt``: an agent program that had ended its turn was told it as its next prompt."""

    kind: ClassVar[str] = "advice.delivered"
    advice: tuple[int, ...]
    at_step: int
    text: str
    channel: Literal["user", "tool_result"] = "user"
    woke: bool = False
    without_effect: bool = False
    """True for replayed sessions: they cannot change course."""
    as_prompt: bool = False
    """It is part of the program's own history, and not put into it by us."""


class AdviceRequeued(Body, frozen=True, kw_only=True):
    """Advice that was delivered waits for the next boundary again; ``text`` as it reads by now.

    ``not_delivered``: the request that it was put into was no step, so nothing came of it. ``standing``: it is to hold
    as long as the work goes on, and the harness has replaced its conversation by one that does not have it.
    """

    kind: ClassVar[str] = "advice.requeued"
    advice: int
    text: str
    why: Literal["not_delivered", "standing"]


class AdviceStanding(ReversibleAct, frozen=True, kw_only=True):
    """A person says that advice is to hold as long as the work goes on, or no more (``standing`` False: it is done)."""

    kind: ClassVar[str] = "advice.standing"
    advice: int
    standing: bool


class AdviceJoined(Body, frozen=True, kw_only=True):
    """From here on a person's words are joined to the user's newest turn: the model's server takes no two in a row.
    ``why``: what it said when it refused them as a turn of their own."""

    kind: ClassVar[str] = "advice.joined"
    why: str


class AdviceOutcome(ReversibleAct, frozen=True, kw_only=True):
    """What a person says became of the advice: a later word of theirs takes its place, None takes it back."""

    kind: ClassVar[str] = "advice.outcome"
    v: ClassVar[int] = 2
    advice: int
    outcome: Literal["followed", "ignored", "made_it_worse"] | None
    note: str = ""
