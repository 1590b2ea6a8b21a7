"""Whether a text refers to advice that its prompt no longer holds: by speaking of being told, by shared words, or as a
paraphrase that keeps the advice's numbers, paths and names.

Rather too many are found than too few: a reply that is left out costs one reply, one that is trained teaches the model
to refer to what it cannot see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

QUOTE_WORDS: Final = 6
"""This many words in a row, shared with a piece of advice, count as a quotation of it."""
ENOUGH_DETAILS: Final = 2
"""So many details of one piece of advice are a paraphrase of it, whatever else the prompt holds."""
ENOUGH_WORDS: Final = 2
"""So many of its telling words, beside one detail, are too."""
STEM: Final = 5
"""Words are alike that begin with as many letters alike."""

_WORD: Final = re.compile(r"\w+")
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+|\n+")
_ADVISED: Final = re.compile(r"\b(?:advice|advis(?:e|ed|es|or|er|ing)|annotator|supervisor|the human)\b", re.I)
_SAID: Final = (
    r"(?:said|told|suggest(?:ed|s)?|mention(?:ed|s)?|ask(?:ed|s)|request(?:ed|s)|recommend(?:ed|s)?|instruct(?:ed|s)|"
    r"point(?:ed|s) out|noted|propose[ds]?|explain(?:ed|s)|remind(?:ed|s)|hint(?:ed|s)|warn(?:ed|s)|correct(?:ed|s)|"
    r"clarif(?:ied|ies)|confirm(?:ed|s)|stated|wrote|specified|describe[ds]|indicate[ds]|direct(?:ed|s)|wish(?:ed)?)"
)
_WORDS_OF: Final = (
    r"(?:suggestions?|hints?|instructions?|guidance|feedback|tips?|corrections?|remarks?|comments?|messages?|"
    r"reminders?|recommendations?|directions?|clarifications?|pointers?|warnings?|notes?|input|help|words?|requests?|"
    r"wish(?:es)?)"
)
_PERSON: Final = r"(?:the )?(?:user|person|operator|reviewer|somebody|someone)"
_HAVE: Final = r"(?:'ve|'s| have| has| had)?(?: just| now| also| already)?"
_TOLD: Final = re.compile(
    "|".join(
        (
            rf"\b(?:you|they){_HAVE} {_SAID}\b",
            rf"\b(?:as|like|what|since|because) {_PERSON}{_HAVE} {_SAID}\b",
            # "The user asked me to" is how a model speaks of its task: what was asked just now is something else.
            rf"\b{_PERSON}{_HAVE} (?!asked|asks|request|specified|stated|describe|wrote|instructed){_SAID}\b",
            rf"\b{_PERSON}(?:'ve|'s| have| has)? (?:just|now|also|again)\b",
            rf"\b(?:your|{_PERSON}'s)(?: \w+){{0,2}}? {_WORDS_OF}\b",
            rf"\b(?:this|that|the|a) (?:new |latest |last )?{_WORDS_OF} (?:from|by|of) (?:you|{_PERSON})\b",
            r"\b(?:the|this|that|a) (?:suggestion|hint|guidance|feedback|tip|recommendation|reminder|correction)\b",
            r"\bas (?:just |already )?(?:suggested|instructed|told|asked|requested|recommended|directed|hinted|"
            r"proposed|pointed out|you (?:wish|like|want|say))\b",
            r"\b(?:i|we)(?:'ve| have| had)?(?: been| was| were| am| are|'m|'re)(?: just| now| also)? (?:told|asked|"
            r"instructed|reminded|directed|corrected|warned|given)\b",
            r"\byou(?:'re| are| were)(?: absolutely| quite| totally| completely| indeed)? (?:right|correct)\b",
            r"\b(?:thank you|thanks for|thanks[,.!])",
        )
    ),
    re.I,
)
"""Somebody was told something, by whomever and whatever it was."""
_ANSWERING: Final = re.compile(
    r"\W*(?:understood|got it|noted|will do|good (?:point|catch|idea|call)|fair (?:point|enough)|agreed|acknowledged|"
    r"of course|certainly|absolutely|sure\b|right[,.! ]|apologies|sorry|my (?:mistake|bad)|makes sense|ok(?:ay)?\b|"
    r"yes\b)",
    re.I,
)
"""How a text begins that answers a person."""

_PATH: Final = re.compile(
    r"~?(?:\.{0,2}/)?(?:[\w.+-]+/)+[\w.+-]*|/[\w.+-]{2,}|\b[\w-]+(?:\.[\w-]+)*\.[A-Za-z]\w{0,7}\b"
)
_NUMBER: Final = re.compile(r"(?<![\w.])\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?|(?<![\w.])\.\d+")
_NAME: Final = re.compile(r"(?<!\w)--?[A-Za-z][\w-]+|\b[A-Za-z]+(?:_\w+)+\b|\b[a-z]+[A-Z]\w*\b|\b[A-Z]{2}[A-Z\d]*\b")
_QUOTED: Final = re.compile(r"[`\"“]([^`\"“”\n]{3,60})[`\"”]")
_SPELT: Final[dict[str, float]] = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90, "hundred": 100, "thousand": 1000, "million": 1_000_000, "half": 0.5, "twice": 2,
}  # fmt: skip
_COMMON: Final = re.compile(
    "about|after|again|also|before|been|being|both|could|does|done|down|each|even|ever|every|from|have|here|into|just|"
    "keep|leave|less|like|look|make|more|most|much|must|need|next|once|only|other|over|please|same|should|some|still|"
    "take|than|that|their|them|then|there|these|they|this|those|time|under|until|upon|very|want|well|were|what|when|"
    "where|which|while|will|with|would|your"
)


@dataclass(frozen=True, slots=True)
class SaidAdvice:
    """What a piece of advice says, taken apart so that it is found again in other words."""

    words: tuple[str, ...]
    stems: frozenset[str]
    details: frozenset[str]
    """Its numbers, paths, names and quoted words."""

    @classmethod
    def of(cls, text: str) -> SaidAdvice:
        """Take a text apart."""
        words = tuple(split_words(text))
        return cls(words, frozenset(_stems(words)), find_details(text))


def refers(
    text: str, advice: Iterable[SaidAdvice], read_prompt: Callable[[], str], *, openings: Sequence[str] = ()
) -> bool:
    """Whether ``text`` refers to one of the pieces; ``read_prompt`` gives what it could know without them.

    ``openings``: how it begins, where it is the first that was said after one of them, so that "understood" answers it.

        advice "Lower the learning rate to 3e-4, job 7 diverges."
        text   "I set lr to 0.0003, the other run goes wrong."  refers, where 0.0003 stands nowhere else
        text   "As you said, I start anew."                     refers
        text   "I list the files."                              does not
    """
    pieces = list(advice)
    if not pieces:
        return False
    if speaks_of_advice(text) or _TOLD.search(text):
        return True
    if any(_ANSWERING.match(opening) for opening in openings):
        return True
    words = split_words(text)
    if any(shares_run(words, piece.words) for piece in pieces):
        return True
    shared = frozenset[str]().union(*(_shared(find_details(text), piece.details) for piece in pieces))
    if not shared:
        return False
    if any(_says_again(sentence, piece) for sentence in _SENTENCE.split(text) for piece in pieces):
        return True
    return not shared <= _shared(find_details(read_prompt()), shared)


def _says_again(sentence: str, piece: SaidAdvice) -> bool:
    """Whether a sentence says in other words what the advice says: with its details, or one of them and its words."""
    same = _shared(find_details(sentence), piece.details)
    if sum(len(detail) > 1 for detail in same) >= ENOUGH_DETAILS:
        return True
    return bool(same) and len(piece.stems.intersection(_stems(split_words(sentence)))) >= ENOUGH_WORDS


def speaks_of_advice(text: str) -> bool:
    """Whether ``text`` speaks of being advised, whatever the advice was."""
    return bool(_ADVISED.search(text))


def quotes(text: str, advice: Iterable[str]) -> bool:
    """Whether ``text`` shares a run of words with one of the pieces of advice."""
    words = split_words(text)
    return any(shares_run(words, split_words(piece)) for piece in advice)


def shares_run(words: Sequence[str], said: Sequence[str]) -> bool:
    """Whether both hold the same ``QUOTE_WORDS`` words in a row; of a shorter text all of it, three words at least."""
    size = min(QUOTE_WORDS, len(said))
    return size >= 3 and not _runs(said, size).isdisjoint(_runs(words, size))


def find_details(text: str) -> frozenset[str]:
    """The numbers, paths, names and quoted words of a text, each in one form: ``3e-4`` and ``0.0003`` are the same."""
    found = {path[0].rstrip(".,:;/").removeprefix("./").lower() for path in _PATH.finditer(text)}
    for match in _NUMBER.finditer(text):
        scale = 1000 if text[match.end() : match.end() + 2].lower().rstrip(" .,;:)") == "k" else 1
        found.add(f"{float(match[0].replace(',', '').replace('_', '')) * scale:g}")
    found.update(f"{_SPELT[word]:g}" for word in split_words(text) if word in _SPELT)
    found.update(name.lower() for name in _NAME.findall(text))
    found.update(words.strip().lower() for words in _QUOTED.findall(text))
    return frozenset(detail for detail in found if len(detail) > 1 or detail.isdigit())


def split_words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return [word.lower() for word in _WORD.findall(text)]


def _stems(words: Iterable[str]) -> Iterable[str]:
    return (word[:STEM] for word in words if len(word) > 3 and not _COMMON.fullmatch(word) and not word.isdigit())


def _shared(here: frozenset[str], there: frozenset[str]) -> frozenset[str]:
    """The details of ``there`` that are here too: the same, or a path that ends alike."""
    return frozenset(one for one in there if one in here or any(_same_path(one, other) for other in here))


def _same_path(one: str, other: str) -> bool:
    """Whether one of two paths is the end of the other."""
    short, long = sorted((one.split("/"), other.split("/")), key=len)
    return "." in short[-1] and not short[-1][:1].isdigit() and long[-len(short) :] == short


def _runs(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}
