"""What commands print: for people, with foreign text made harmless, and as JSON for scripts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
import msgspec

from apollo_train.cli.terminal_output import say, say_json
from sessions.fold.beginning import say_beginning
from sessions.fold.costs import known_cost, say_cost
from sessions.fold.summary import EARLIEST, Summary
from sessions.hints import command_of, say_remedies
from sessions.host import protocol
from sessions.terminal_text import plain_line

ENDING: Final = 8
"""Characters of an id that name a session, as a rule."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    say_json(value)


def print_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """Print aligned columns; foreign text is made harmless first."""
    from wcwidth import wcswidth

    clean = [[plain_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(max(wcswidth(row[i]), 0) for row in clean) for i in range(len(header))]
    for row in clean:
        cells = [cell + " " * (width - max(wcswidth(cell), 0)) for cell, width in zip(row, widths, strict=True)]
        say("  ".join(cells).rstrip())


def say_age(at: int, now: int | None = None) -> str:
    """How long ago ``at`` (Unix ms) was, in the largest unit: "now", "5 min", "3 h", "2 d"; "–" for no time."""
    if at < EARLIEST:
        return "–"
    return say_duration(max(0, (now if now is not None else int(time.time() * 1000)) - at))


def say_duration(milliseconds: int) -> str:
    """A duration for a person, in whole units."""
    minutes = milliseconds // 60_000
    if minutes < 1:
        return f"{milliseconds // 1000} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def say_title(summary: Summary, addresses: Mapping[str, str]) -> str:
    """The title, and of which session it is a branch or a child; ``addresses`` by id."""
    begins = say_beginning(summary.begins, addresses)
    return f"{summary.title} ({begins})" if begins else summary.title


def known_active_ms(summary: Summary, now: int) -> int | None:
    """How long it was active; None for a recording that says no times."""
    return summary.active_now(now) if summary.has_times else None


def say_active(summary: Summary, now: int) -> str:
    """How long it was active; "–" for a recording that says no times."""
    active = known_active_ms(summary, now)
    return "–" if active is None else say_duration(active)


def session_row(summary: Summary, now: int) -> dict[str, Any]:
    """A session as ``ls --json`` prints it, ``id`` first."""
    return {
        "id": summary.session,
        "number": summary.number,
        "address": summary.address,
        "title": summary.title,
        "state": summary.state,
        "reason": summary.reason,
        "model": summary.model,
        "origin": summary.origin,
        "begins": msgspec.to_builtins(summary.begins),
        "parent": summary.begins.session if summary.begins is not None and summary.is_child else None,
        "contained": summary.contained,
        "harness": summary.harness,
        "passes_replies": summary.passes_replies,
        "step": summary.step,
        "actions": summary.actions,
        "malformed": summary.malformed,
        "flags": summary.flags,
        "active_ms": known_active_ms(summary, now),
        "input_tokens": summary.input_tokens,
        "output_tokens": summary.output_tokens,
        "cost": None if (cost := known_cost(summary.cost, summary.unpriced)) is None else round(cost, 6),
        "retrying": _retry_row(summary),
        "scores": [score.score for score in summary.scores],
        "advice_waiting": [advice.text for advice in summary.open_advice],
        "advice_waiting_numbers": [advice.advice for advice in summary.open_advice],
        "question": summary.open_question,
        "created_at": summary.created_at,
        "last_at": summary.last_at,
        "events": summary.last_seq,
        "last_export": summary.last_export,
        "tags": list(summary.tags),
    }


def _retry_row(summary: Summary) -> dict[str, Any] | None:
    """The request that has failed so far: why, how often, since when and when it is tried again (Unix ms)."""
    tried = summary.no_reply
    if tried is None:
        return None
    return {"reason": tried.reason, "failed": tried.attempt, "since": tried.since, "next_at": tried.next_at}


def say_reason(summary: Summary) -> str:
    """Why it stands where it stands: its reason, or that its model does not reply."""
    if summary.is_child and summary.answered and summary.state == "running":
        return "has answered"
    return summary.no_reply.words if summary.no_reply else summary.reason


def print_done(answer: protocol.Done, as_json: bool, line: str, **more: str) -> None:
    """Say what was committed: JSON with ``id`` first, then ``more``, or one line."""
    note = say_remedies(answer.note, answer.remedies, command_of, "; ")
    if as_json:
        print_json({"id": answer.session, "seq": answer.seq, "number": answer.number, "note": note} | more)
    else:
        say(plain_line(f"{line}{': ' + note if note else ''}"))


def print_lines(items: Iterable[str]) -> None:
    """Print lines of foreign text, made harmless."""
    for item in items:
        say(plain_line(item))


def say_tokens(summary: Summary) -> str:
    """What its replies took, "–" where nobody counted it, "" before the first of them."""
    if not summary.step and not summary.has_used:
        return ""
    total = summary.input_tokens + summary.output_tokens
    return f"{total / 1000:.1f}k" if total or not summary.step else "–"


def say_spent(summary: Summary) -> str:
    """What its replies cost, "" before the first of them."""
    return say_cost(summary.cost, summary.unpriced) if summary.has_used else ""


def say_endings(sessions: Sequence[str]) -> dict[str, str]:
    """The end of each id, as long as it must be to name one session: those of imports may end alike."""
    found: dict[str, str] = {}
    left, length = list(sessions), ENDING
    while left:
        shared = Counter(session[-length:] for session in left)
        found |= {one: one[-length:] for one in left if shared[one[-length:]] == 1 or len(one) <= length}
        left = [one for one in left if one not in found]
        length += 1
    return found
