"""What the host and an agent program say to each other beside its requests (the Agent Client Protocol): no words of its
replies, which come through its model endpoint.
"""

from __future__ import annotations

from typing import ClassVar, Final

from sessions.events.base import Body

GO_ON: Final = "Go on."
"""What an agent program is told that starts again, where no person has said anything else."""


class HarnessOpened(Body, frozen=True, kw_only=True):
    """The program of ``job`` has a ``conversation`` (the id by which it knows it). ``loaded``: an earlier one, which
    goes on; else it is new, and ``why`` says why no earlier one goes on. ``can_load``: a later program can go on with
    it. ``agent``: its name and version, as it says."""

    kind: ClassVar[str] = "harness.opened"
    job: int
    conversation: str
    loaded: bool = False
    can_load: bool = False
    agent: str = ""
    why: str = ""


class HarnessPrompted(Body, frozen=True, kw_only=True):
    """The program of ``job`` is told ``text``. ``prompt`` counts from 1 in its job."""

    kind: ClassVar[str] = "harness.prompted"
    job: int
    prompt: int
    text: str


class HarnessRested(Body, frozen=True, kw_only=True):
    """The program has ended its turn on ``prompt`` (0: it did not come that far), and ``why`` in its own word:
    ``end_turn``, ``max_tokens``, ``max_turn_requests``, ``refusal``, ``cancelled``, or ``error`` with ``message``."""

    kind: ClassVar[str] = "harness.rested"
    job: int
    prompt: int
    why: str
    message: str = ""
