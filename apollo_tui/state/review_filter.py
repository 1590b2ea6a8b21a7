"""What of the review queue is shown: a kind, a rule or judge, a session, a label, an annotator; with counts. Pure."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Final, Literal, get_args

import msgspec

from sessions.annotators import shown_name
from sessions.fold.review import Item, Why
from sessions.fold.review_worth import Evidence
from widgets.models import Choice

Kind = Literal["all", "why", "source", "session", "label", "by"]

WHYS: Final[dict[Why, tuple[str, str, str]]] = {
    "signal": ("s", "signals", "Something is wrong by a rule, the most reliable rule first."),
    "disputed": ("d", "disputed", "Annotators said different things of it."),
    "proposed": ("p", "proposed", "A rule or a judge flagged it, and no person has."),
    "malformed": ("m", "malformed", "Calls that could not be run as they were written."),
    "error": ("e", "errors", "Calls that failed."),
    "unseen": ("u", "unseen", "Nobody has read it."),
}
SPARE_KEYS: Final = [letter for letter in string.ascii_letters if letter not in "asdpmeuq"]
"""For rules, judges, labels and annotators, in their order; sessions have their number."""
GROUPS: Final = {"why": "kind", "source": "rule or judge", "session": "session", "label": "label", "by": "said by"}


class ReviewFilter(msgspec.Struct, frozen=True):
    """Which items are shown: those whose ``kind`` of property is ``value``."""

    kind: Kind = "all"
    value: str = ""

    @property
    def id(self) -> str:
        """What a choice of it is known by."""
        return f"{self.kind}:{self.value}"

    def keeps(self, item: Item) -> bool:
        """Whether the item is shown."""
        return self.kind == "all" or self.value in properties(item)[self.kind]


def filter_of(id: str) -> ReviewFilter:
    """The filter of a choice."""
    kind, _, value = id.partition(":")
    return ReviewFilter(next((one for one in get_args(Kind) if one == kind), "all"), value)


def properties(item: Item) -> dict[str, tuple[str, ...]]:
    """What an item can be chosen by, per kind."""
    return {
        "why": (item.why,),
        "source": (item.source,) if item.source else (),
        "session": (item.session,),
        "label": item.labels,
        "by": tuple(one for one in item.by if one != item.source),
    }


def choices_of(
    items: Sequence[Item],
    session: Callable[[str], tuple[int, str]],
    label: Callable[[str], str],
    evidence: Evidence = MappingProxyType({}),
) -> list[Choice]:
    """Every filter that shows anything, and how much. ``session`` gives number and title, ``label`` a name;
    ``evidence``: how often rules and judges were right."""
    found = [Choice("all:", f"all {len(items):,}", "a", note="Everything, what is most likely worth it first.")]
    counted: dict[str, Counter[str]] = {kind: Counter() for kind in GROUPS}
    for item in items:
        for kind, values in properties(item).items():
            counted[kind].update(values)
    found += [
        Choice(f"why:{why}", f"{name} {counted['why'][why]:,}", key, note=note, group=GROUPS["why"])
        for why, (key, name, note) in WHYS.items()
        if counted["why"][why]
    ]
    spare = iter(SPARE_KEYS)

    def add(kind: Kind, name: Callable[[str], str], said: str) -> Iterable[Choice]:
        for value, count in counted[kind].most_common():
            note = f"{said} {_say_precision(value, evidence)}".rstrip() if kind == "source" else said
            yield Choice(f"{kind}:{value}", f"{name(value)} {count:,}", next(spare, ""), note=note, group=GROUPS[kind])

    found += add("source", lambda source: shown_name(source) if ":" in source else source.replace("_", " "),
                 "What this rule or judge said.")  # fmt: skip
    found += add("by", shown_name, "What this annotator said something of.")
    found += add("label", label, "What was flagged so.")
    numbered = sorted(((*session(id), count, id) for id, count in counted["session"].items()))
    found += [
        Choice(f"session:{id}", f"{number} {title} {count:,}", str(number) if number < 10 else "",
               note="Only this session.", group=GROUPS["session"])
        for number, title, count, id in numbered
    ]  # fmt: skip
    return found


def _say_precision(source: str, evidence: Evidence) -> str:
    right, wrong = evidence.get(("signal", source), evidence.get(("proposed", source), (0, 0)))
    return f"People found it right {right} of {right + wrong} times." if right + wrong else "Nobody has judged it yet."
