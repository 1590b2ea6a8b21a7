"""Budgets: what is used of each, what is reached, and when the model is told. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from sessions.fold.summary import Summary

TOLD_AT: Final = (50, 80, 95)
"""The model is told when this share (percent) of a budget is used."""
HOUR_MS: Final = 3_600_000
_REASON: Final = re.compile(r"budget used up: (about )?([\d,]+(?:\.\d+)?) of [\d,.]+ (.+)")
UNITS: Final = {"steps": "steps", "active_hours": "active hours", "tokens": "tokens", "money": "US dollars"}


class Budget(msgspec.Struct, frozen=True):
    """One limited thing: how much is used of how much."""

    name: str
    used: float
    limit: float
    estimated: bool = False
    """Whether a part of it is our own count, because the server does not say."""

    @property
    def percent(self) -> float:
        """Share used; a limit of zero is used up."""
        return 100.0 * self.used / self.limit if self.limit > 0 else 100.0

    @property
    def allowed(self) -> str:
        """The limit in words: ``40 steps``."""
        return f"{say_figure(self.limit)} {UNITS.get(self.name, self.name)}"

    def __str__(self) -> str:
        used = f"about {say_figure(self.used)}" if self.estimated else say_figure(self.used)
        return f"{used} of {self.allowed}"


def budgets(summary: Summary, now: int, *, step: int) -> list[Budget]:
    """The budgets that the loop checks, where they are limited; ``step`` is the newest step with a reply.

    Evaluations are not among them: their budget bites when the agent asks for one too many.
    """
    used = {
        "steps": float(step),
        "active_hours": summary.active_now(now) / HOUR_MS,
        "tokens": float(summary.tokens),
        "money": summary.spent,
    }
    estimated = {"tokens": summary.estimated_tokens > 0, "money": summary.estimated_cost > 0}
    limits = {name: getattr(summary.limits, name) for name in used}
    return [
        Budget(name, used[name], float(limit), estimated.get(name, False))
        for name, limit in limits.items()
        if limit is not None
    ]


def reason_to_pause(summary: Summary, now: int, *, step: int) -> str:
    """Why the session must pause at this boundary, in one line; empty if it need not."""
    spent = _first_spent(summary, now, step=step)
    return limit_reason(spent) if spent is not None else ""


def _first_spent(summary: Summary, now: int, *, step: int) -> Budget | None:
    return next((budget for budget in budgets(summary, now, step=step) if budget.used >= budget.limit), None)


def limit_reason(budget: Budget) -> str:
    """The reason of a pause at a limit."""
    return f"budget used up: {budget}"


def reason_to_stay_paused(summary: Summary) -> str:
    """Why a session that was paused at a limit would only be paused there again, in one line; "" if it would not."""
    spent = limit_it_stands_at(summary)
    return limit_reason(spent) if spent is not None else ""


def limit_it_stands_at(summary: Summary) -> Budget | None:
    """The limit that a session was paused at and would be paused at again; None: it was raised, or there is none."""
    if summary.need != "limit":
        return None
    # No active time passes while it stands still.
    spent = _first_spent(summary, summary.last_at, step=summary.step) or _spent_together(summary)
    if spent is not None:
        return spent
    spent = evaluation_budget(summary)
    stands = spent is not None and summary.reason.endswith(f" {spent.name}") and spent.used >= spent.limit
    return spent if stands else None


def _spent_together(summary: Summary) -> Budget | None:
    """The budget that a session and its sub-agents have used up together, as the reason of its pause says it; None: it
    was raised above that, or it was none. While it stands still they use nothing.
    """
    told = _REASON.fullmatch(summary.reason)
    if summary.need != "limit" or told is None:
        return None
    about, figure, unit = told.groups()
    name = next((name for name, word in UNITS.items() if word == unit and name != "active_hours"), "")
    limit = getattr(summary.limits, name) if name else None
    used = float(figure.replace(",", ""))
    return Budget(name, used, float(limit), bool(about)) if limit is not None and used >= limit else None


def exhausted_budget(summary: Summary) -> str:
    """The name of the budget that a session which stands still has used up, "" if there is none."""
    # No active time passes while it stands still.
    found = budgets(summary, summary.last_at, step=summary.step)
    names = [budget.name for budget in found if budget.used >= budget.limit]
    names += [spent.name] if (spent := _spent_together(summary)) is not None else []
    names += ["evaluations"] if evaluations_left(summary) == 0 else []
    return names[0] if names else ""


def evaluation_budget(summary: Summary) -> Budget | None:
    """The budget of evaluations; None: without limit."""
    limit = summary.limits.evaluations
    return None if limit is None else Budget("evaluations", summary.evaluations, limit)


def evaluations_left(summary: Summary) -> int | None:
    """How often the agent may still evaluate; None: without limit."""
    spent = evaluation_budget(summary)
    return None if spent is None else max(0, int(spent.limit - spent.used))


def budget_notices(summary: Summary, now: int, told: Mapping[str, int], *, step: int) -> tuple[str, dict[str, int]]:
    """What to append to the observation, and the shares that it tells of; empty while no threshold is crossed.

    ``told`` is the share that the model was last told of, by budget; after a raised limit it hears of it again.
    """
    lines: list[str] = []
    fresh: dict[str, int] = {}
    for budget in budgets(summary, now, step=step):
        level = max((share for share in TOLD_AT if budget.percent >= share), default=0)
        if level > told.get(budget.name, 0):
            fresh[budget.name] = level
            lines.append(f"[budget: {budget} used]")
    return "\n".join(lines), fresh


def forget_raised(summary: Summary, now: int, told: Mapping[str, int], *, step: int) -> dict[str, int]:
    """``told`` without the shares that a raised limit has put out of reach again."""
    now_at = {budget.name: budget.percent for budget in budgets(summary, now, step=step)}
    kept: dict[str, int] = {}
    for name, share in told.items():
        reached_shares = [level for level in TOLD_AT if level <= min(share, now_at.get(name, 0))]
        if reached_shares:
            kept[name] = max(reached_shares)
    return kept


def say_figure(value: float) -> str:
    """A figure of a budget for a person: whole where it is whole."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
