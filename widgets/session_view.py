"""A session's summary becomes what lists and titles show of it."""

from __future__ import annotations

from sessions.fold.summary import Summary
from sessions.log.states import ENDED
from widgets.glyphs import STATES, duration
from widgets.sanitise import clean_line
from widgets.views import SessionView


def session_view(
    summary: Summary,
    now: int,
    *,
    unread: int = 0,
    why: str = "",
    can_wait: bool = False,
    activity: tuple[int, ...] = (),
) -> SessionView:
    """``summary`` as of ``now`` (Unix ms). ``why`` is the reason of a signal; a need of its own comes first."""
    needs = summary.state in ("needs_you", "failed")
    reason = clean_line(summary.open_question or summary.reason, 200) if needs else ""
    return SessionView(
        id=summary.session,
        number=summary.number,
        title=clean_line(summary.title, 80) or "untitled",
        state=summary.state,
        model=clean_line(summary.model, 80),
        state_words=_words(summary, now),
        step=summary.step,
        active_ms=summary.active_now(now),
        age_ms=max(0, now - summary.last_at),
        context_tokens=summary.context_tokens,
        context_limit=summary.context_limit,
        tokens=summary.input_tokens + summary.output_tokens,
        cost=summary.cost,
        unpriced=summary.unpriced,
        unread=unread,
        why=reason or clean_line(why, 200),
        can_wait=can_wait and not needs,
        needs_you=needs,
        last_line=clean_line(summary.last_line, 200),
        pending=summary.pending,
        flags=summary.flags,
        activity=activity,
        sign_off=summary.sign_off,
    )


def _words(summary: Summary, now: int) -> str:
    if summary.state == "on_job" and summary.on_job is not None:
        return f"on job {summary.on_job}"
    if summary.state == "sleeping" and summary.until is not None:
        return f"sleeping {duration(max(60_000, summary.until - now))}"
    if summary.pending and summary.state not in ENDED:
        return f"{STATES[summary.state].word}, {'pausing' if summary.pending == 'pause' else 'stopping'}"
    return ""
