"""Limits and annotations as requests to the host, for the app and the command line alike.

Each of the two says in its own words what is wrong and what was done. New sessions are in ``new_session``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sessions.events import Body, Verb
from sessions.host import protocol
from sessions.ulid import new_ulid

if TYPE_CHECKING:
    from apollo_tui.backend.feed import Feed

KEYED: Final[frozenset[Verb]] = frozenset({"start", "resume", "reopen", "drop", "shorten", "retry"})
"""The verbs that bring the model's key along, from the environment of the person who asks."""


def find_budget(name: str) -> protocol.BudgetName | None:
    """The budget of that name, None if there is none."""
    return next((known for known in protocol.BUDGETS if known == name), None)


def is_limit_change(text: str) -> bool:
    """Whether ``text`` is ``200``, ``+200``, ``-50`` or ``none``."""
    return re.fullmatch(r"[+-]?\d+(\.\d+)?|none", text) is not None


def limit_request(request: str, session: str, budget: protocol.BudgetName, change: str) -> protocol.SetLimit:
    """Set the budget to a number, change it by a number with a sign, or lift it (``none``)."""
    if change == "none":
        return protocol.SetLimit(request=request, session=session, name=budget)
    if change[0] in "+-":
        return protocol.SetLimit(request=request, session=session, name=budget, delta=float(change))
    return protocol.SetLimit(request=request, session=session, name=budget, value=float(change))


def annotation_request(request: str, session: str, body: Body) -> protocol.Annotate:
    """One event that a person, or an export, adds to a session."""
    return protocol.Annotate(request=request, session=session, kind=body.kind, body=msgspec.to_builtins(body))


async def send_annotation(feed: Feed, session: str, body: Body, request: str = "") -> Any:
    """One event of a person's judgement; on disk when this returns. Raises NotDone."""
    return await feed.call(annotation_request(request or new_ulid(), session, body))
