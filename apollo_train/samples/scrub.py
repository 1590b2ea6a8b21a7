"""What may not leave the log: what rules find is replaced, the same by the same word, all through a session.

Numbers count anew in each session, by first appearance, so that nothing in a file links one session to another and the
bytes do not depend on which sessions are written, or in which process.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_train.runtime import TrainError
from apollo_train.samples.chat import Chat, Turn
from apollo_train.schema_errors import explain_problem

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
NUMBER: Final = "{number}"
JSON_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*')
"""Strings and numbers of a JSON text: what stands between them holds no value."""
SCHEMA_WORDS: Final = frozenset({"description", "title", "default", "enum", "const", "examples"})
"""Where a tool's schema holds words; its names are called, and stay."""


class BadScrub(TrainError):
    """A file of rules cannot be used; the text names file and rule."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for, by ``regex`` or as one of the texts in ``literal``, and what stands there instead."""

    name: str
    regex: str = ""
    literal: tuple[str, ...] = ()
    replacement: str = ""
    """With ``{number}`` in it; without one ``[NAME_{number}]``."""
    ignore_case: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """The rule as one expression, longer literals first."""
        texts = sorted(self.literal, key=lambda text: (-len(text), text))
        return re.compile(self.regex or "|".join(map(re.escape, texts)), re.IGNORECASE if self.ignore_case else 0)

    def word(self, number: int) -> str:
        """What stands in the place of the ``number``th value."""
        return (self.replacement or f"[{self.name.upper()}_{NUMBER}]").replace(NUMBER, str(number))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class ScrubRules:
    """A file of rules; ``digest`` is of what they say, for manifests, which must not say it."""

    rules: tuple[Rule, ...]
    digest: str


def load_scrub(path: Path) -> ScrubRules:
    """The rules in a TOML file of ``[[rule]]`` tables. Raises BadScrub."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        rules = msgspec.convert(data, _File).rule
    except OSError as problem:
        raise BadScrub(f"{path}: cannot be read: {problem.strerror}") from problem
    except msgspec.ValidationError as problem:
        raise BadScrub(f"{path}: {explain_problem(problem, _File)}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadScrub(f"{path}: no valid TOML: {problem}") from problem
    if not rules:
        raise BadScrub(f"{path}: there is no [[rule]] in it")
    for number, rule in enumerate(rules, 1):
        if problem_of_rule := _problem_of(rule, rules[: number - 1]):
            raise BadScrub(f"{path}: rule {number}: {problem_of_rule}")
    return ScrubRules(rules, hashlib.sha256(msgspec.json.encode(rules)).hexdigest())


def _problem_of(rule: Rule, before: Sequence[Rule]) -> str:
    if not NAME.fullmatch(rule.name):
        return f"name {rule.name!r}: letters, digits and _, 32 at most, with a letter first"
    if rule.name.lower() in {other.name.lower() for other in before}:
        return f"there is a rule {rule.name} already"
    if bool(rule.regex) == bool(rule.literal):
        return "say either regex or literal"
    if rule.replacement and NUMBER not in rule.replacement:
        return f"replacement: put {NUMBER} where the number of the value stands"
    if any(not text for text in rule.literal):
        return "a literal is empty"
    try:
        pattern = rule.pattern
    except re.error as problem:
        return f"regex: {problem}"
    return "regex: it finds nothing, everywhere" if pattern.fullmatch("") else ""


@dataclass(slots=True)
class Scrubber:
    """Replaces in one session."""

    rules: ScrubRules
    replaced: dict[str, int] = field(default_factory=dict)
    """Places in messages by rule; a reply counts as what is trained, and once more in the prompts after it."""
    _words: dict[tuple[str, str], str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _turns: dict[int, tuple[Turn, Turn]] = field(default_factory=dict)
    _patterns: list[tuple[Rule, re.Pattern[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._patterns = [(rule, rule.pattern) for rule in self.rules.rules]

    def counts(self) -> dict[str, int]:
        """``email``: places where something was replaced; ``email values``: different ones."""
        values = {f"{name} values": number for name, number in self._numbers.items()}
        return dict(sorted((self.replaced | values).items()))

    def turns(self, turns: Sequence[Turn]) -> list[Turn]:
        """The messages of a prompt; one that holds nothing stays the same turn, others become the same other one."""
        return [self._turn(turn) for turn in turns]

    def _turn(self, turn: Turn) -> Turn:
        known = self._turns.get(id(turn))
        if known is None:
            chat = self.chat(turn.chat)
            # The turn is kept as well: its id is nobody else's while it lives.
            known = self._turns[id(turn)] = (turn, turn if chat is turn.chat else Turn(chat, turn.sources))
        return known[1]

    def chat(self, chat: Chat) -> Chat:
        """A message; the same object where there is nothing in it."""
        changed: Chat = {}
        for key in ("reasoning_content", "content"):
            text = chat.get(key, "")
            if isinstance(text, str) and (new := self.text(text)) != text:
                changed[key] = new
        calls = chat.get("tool_calls")
        if calls:
            new_calls = [self._call(call) for call in calls]
            if any(new is not old for new, old in zip(new_calls, calls, strict=True)):
                changed["tool_calls"] = new_calls
        return chat | changed if changed else chat

    def tools(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The tools with their words replaced; the same list where there is nothing in them."""
        made: list[dict[str, Any]] = [self._schema(tool, said=False) for tool in tools]
        return tools if made == tools else made

    def words_in(self, chat: Chat) -> list[str]:
        """The words that stand in a message for something, each as often as it stands there."""
        known = set(self._words.values())
        texts = [chat.get("reasoning_content", ""), chat["content"]]
        texts += [call["function"]["arguments"] for call in chat.get("tool_calls", ())]
        return [word for word in sorted(known) for text in texts for _ in range(text.count(word))]

    def text(self, text: str, *, count: bool = True) -> str:
        """A text with all that the rules find in it replaced; of two finds that overlap, the earlier, else of the
        earlier rule."""
        found = sorted(
            (match.start(), number, match.end(), match.group())
            for number, (_, pattern) in enumerate(self._patterns)
            for match in pattern.finditer(text)
            if match.end() > match.start()
        )
        pieces: list[str] = []
        at = 0
        for start, number, end, value in found:
            if start < at:
                continue
            pieces += (text[at:start], self._word(self._patterns[number][0], value, count))
            at = end
        return "".join([*pieces, text[at:]]) if pieces else text

    def json(self, text: str) -> str:
        """A JSON text: what its strings mean is looked at, not how they are written; all else stays byte for byte."""
        try:
            json.loads(text)
        except ValueError:
            return self.text(text)
        return JSON_PIECE.sub(lambda match: self._json_piece(match.group()), text)

    def _json_piece(self, piece: str) -> str:
        means = json.loads(piece) if piece.startswith('"') else piece
        new = self.text(means)
        return piece if new == means else json.dumps(new, ensure_ascii=False)

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        text = call["function"]["arguments"]
        new = self.json(text)
        return call if new == text else {**call, "function": {**call["function"], "arguments": new}}

    def _schema(self, value: Any, *, said: bool) -> Any:
        match value:
            case str():
                return self.text(value) if said else value
            case dict():
                return {key: self._schema(item, said=said or key in SCHEMA_WORDS) for key, item in value.items()}
            case list():
                return [self._schema(item, said=said) for item in value]
            case _:
                return value

    def _word(self, rule: Rule, value: str, count: bool) -> str:
        key = (rule.name, value.casefold() if rule.ignore_case else value)
        word = self._words.get(key)
        if word is None:
            number = self._numbers[rule.name] = self._numbers.get(rule.name, 0) + 1
            word = self._words[key] = rule.word(number)
        self.replaced[rule.name] = self.replaced.get(rule.name, 0) + count
        return word


def scrubber_for(rules: ScrubRules | None) -> Scrubber | None:
    """A scrubber for one session; None without rules."""
    return Scrubber(rules) if rules is not None else None


def find_words(text: str, words: Sequence[str], spell: Callable[[str], Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Where one of ``words`` stands in ``text``, in any of its spellings."""
    spelled = {way for word in set(words) for way in spell(word)}
    if spelled:
        pattern = "|".join(re.escape(way) for way in sorted(spelled, key=len, reverse=True))
        for match in re.finditer(pattern, text):
            yield match.span()


def spellings(word: str) -> tuple[str, ...]:
    """How a template may write a word: as it is, or as JSON does."""
    return tuple({word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1]})
