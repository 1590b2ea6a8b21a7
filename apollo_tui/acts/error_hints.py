"""What to do about a refusal, in the words of the app: its keys and its `:` commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from apollo_tui import keys
from apollo_tui.backend.feed import LinkChanged, NotDone
from sessions.errors import ApolloError
from sessions.fold.remedies import remedies_where_it_stands
from sessions.fold.summary import Summary
from sessions.hints import Remedy, Way, say_remedies
from sessions.host.protocol import Done
from widgets.models import SessionView

KEYS: Final[dict[Way, str]] = {
    "start": "pause",
    "resume": "pause",
    "advise": "advise",
    "answer": "answer",
    "send_draft": "advise",
    "send_correction": "correct",
    "create": "new",
}
"""Way to the id of a key."""

COMMANDS: Final[dict[Way, str]] = {
    "reopen": ":reopen",
    "unarchive": ":unarchive",
    "stop": ":stop",
    "drop": ":drop",
    "shorten": ":shorten",
    "retry": ":retry",
    "limit": ":limit {words}",
    "start_host": ":host start",
    "restart_host": ":host restart",
    "stop_host": ":host stop",
}


def key(remedy: Remedy, keymap: Mapping[str, str]) -> str:
    """The key or the command, "" where the app has none; ``keymap`` is the config's."""
    if remedy.way in KEYS:
        return keys.key_name(KEYS[remedy.way], keymap)
    return COMMANDS.get(remedy.way, "").format(words=remedy.words)


def explain(problem: Exception, keymap: Mapping[str, str]) -> str:
    """What went wrong, with the way on."""
    remedies = problem.remedies if isinstance(problem, NotDone | ApolloError) else ()
    return say_remedies(str(problem), remedies, partial(key, keymap=keymap))


def ways(summary: Summary, keymap: Mapping[str, str]) -> str:
    """What lets a session go on where it stands, "" if nothing has to."""
    return say_remedies("", remedies_where_it_stands(summary), _key_at(summary, keymap), "")


def with_ways(summary: Summary, view: SessionView, keymap: Mapping[str, str]) -> SessionView:
    """The session, with why it stands where it stands and what lets it go on."""
    why = say_remedies(view.why, remedies_where_it_stands(summary), _key_at(summary, keymap))
    return msgspec.structs.replace(view, why=why)


def _key_at(summary: Summary, keymap: Mapping[str, str]) -> Callable[[Remedy], str]:
    """The key or command of a remedy for a session that stands where it stands: a held reply has a key of its own."""

    def way(remedy: Remedy) -> str:
        lets_go = remedy.way == "resume" and summary.holds_reply
        return keys.key_name("hold", keymap) if lets_go else key(remedy, keymap)

    return way


def explain_receipt(done: object, keymap: Mapping[str, str]) -> str:
    """What the host said of a change, with what to do next."""
    return say_remedies(done.note, done.remedies, partial(key, keymap=keymap), "; ") if isinstance(done, Done) else ""


def explain_link(link: LinkChanged, keymap: Mapping[str, str]) -> str:
    """What is wrong with the link to the host, with the way on."""
    return say_remedies(link.detail, link.remedies, partial(key, keymap=keymap))
