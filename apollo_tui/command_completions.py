"""What may stand behind the name of a command of ``:``: sessions, tags, labels, budgets and the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from apollo_tui.state.board_filter import complete_filter
from apollo_tui.state.board_order import WORDS as ORDERS
from apollo_tui.state.board_order import Order
from sessions.host.protocol import BUDGETS

if TYPE_CHECKING:
    from apollo_tui.context import AppContext
    from apollo_tui.screens.base import ApolloScreen

Offer = tuple[str, str]
"""A word, and what it means."""
MOST: Final = 60


def offer_words(screen: ApolloScreen, name: str, arguments: str, before: Sequence[str], last: str) -> list[Offer]:
    """What the word ``last`` behind the command and the words ``before`` may become: those that begin so, then those
    whose meaning holds it."""
    source = SOURCES.get(name)
    known = source(screen, before, last) if source is not None else _fixed(arguments, before)
    low = last.lower()
    begun = [offer for offer in known if offer[0].lower().startswith(low)]
    inside = [offer for offer in known if offer not in begun and low in offer[1].lower()]
    return (begun + inside)[:MOST]


def _fixed(arguments: str, before: Sequence[str]) -> list[Offer]:
    """The words between the bars of what a command takes: ``on | off | auto``."""
    if "|" not in arguments or before:
        return []
    words = [word.strip(" []") for word in arguments.split("|")]
    return [(word, "") for word in words if word.isascii() and word.islower() and " " not in word]


def _sessions(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    state = screen.context.state
    if before:
        return []
    summaries = [state.sessions[session].summary for session in state.order()]
    return [(s.address, f"{s.title}  {s.state.replace('_', ' ')}") for s in summaries]


def _tags(screen: ApolloScreen, before: Sequence[str], last: str) -> list[Offer]:
    """Those of the session to be taken away; all that others have to be given."""
    state = screen.context.state
    counts = Counter(tag for now in state.sessions.values() for tag in now.summary.tags)
    own = state.sessions[screen.session].summary.tags if screen.session else ()
    gone = [(f"-{tag}", "takes it away") for tag in own if f"-{tag}" not in before]
    new = [(tag, f"{count} have it") for tag, count in counts.most_common() if tag not in own and tag not in before]
    return gone + new if last.startswith("-") else new + gone


def _title(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    session = screen.session
    return [] if before or not session else [(screen.context.state.sessions[session].summary.title, "as it is called")]


def _filter(screen: ApolloScreen, before: Sequence[str], last: str) -> list[Offer]:
    context, now = screen.context, screen.context.clock()
    known = [context.state.facts(id, now, marked=id in context.marked) for id in context.state.all_sessions()]
    return [
        (one.word, f"{one.count}  {one.about}".rstrip()) for one in complete_filter(" ".join((*before, last)), known)
    ]


def _labels(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    known = screen.context.labels.labels
    return [] if before else [(label.id, f"{label.name}: {label.definition}") for label in known]


def _limits(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    context, session = screen.context, screen.session
    limits = context.state.sessions[session].summary.limits if session else None
    if not before:
        return [(name, _limit_now(getattr(limits, name, None))) for name in BUDGETS]
    if len(before) > 1 or before[0] not in BUDGETS:
        return []
    return [("+200" if before[0] in ("steps", "tokens") else "+1", "raises it"), ("none", "lifts it")]


def _limit_now(value: float | None) -> str:
    return "no limit now" if value is None else f"{value:g} now"


def _themes(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    return [] if before else [(name, "") for name in sorted(screen.app.available_themes)]


def _policies(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    from apollo_train.policy import PRESETS

    return [] if before else [(name, "a preset") for name in PRESETS]


def _advice(screen: ApolloScreen, before: Sequence[str], _: str) -> list[Offer]:
    context, session = screen.context, screen.session
    if before or not session:
        return []
    return [(str(one.advice), one.text) for one in context.state.sessions[session].summary.open_advice]


def _orders(_: ApolloScreen, before: Sequence[str], last: str) -> list[Offer]:
    return [] if before else [(order, words) for order, words in ORDERS.items()]


Source = Callable[["ApolloScreen", Sequence[str], str], Sequence[Offer]]

SOURCES: Final[Mapping[str, Source]] = {
    "goto": _sessions,
    "tag": _tags,
    "rename": _title,
    "only": _filter,
    "label": _labels,
    "limit": _limits,
    "theme": _themes,
    "train": _policies,
    "withdraw": _advice,
    "order": _orders,
}
"""Commands whose words are not in what they say that they take."""


def find_order(word: str) -> Order | None:
    """The order of that name; None if there is none."""
    return next((order for order in ORDERS if order == word), None)


def find_label(context: AppContext, word: str) -> str | None:
    """The id of the label that ``word`` names, or begins alone; None if there is none, or more than one."""
    low = word.lower()
    known = context.labels.labels
    exact = [one.id for one in known if low in (one.id.lower(), one.name.lower())]
    begun = [one.id for one in known if one.id.lower().startswith(low) or one.name.lower().startswith(low)]
    found = exact or begun
    return found[0] if len(found) == 1 else None
