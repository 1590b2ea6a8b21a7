"""The one door to tokenizers and their chat templates. transformers is imported only when one is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from apollo_train.runtime import TrainError
from sessions.events.text import canonical_json

Messages = Sequence[dict[str, Any]]
FILES: Final = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "config.json")
"""One of these is in every folder that a tokenizer can be read from."""


class NoTokenizer(TrainError):
    """A tokenizer, or the library that reads it, is missing."""


class TemplateRefused(TrainError):
    """The template itself said no to these messages."""


class Engine(Protocol):
    """A tokenizer with a chat template."""

    @property
    def name(self) -> str:
        """Where it came from, as given."""
        ...

    @property
    def template(self) -> str:
        """The text of the chat template."""
        ...

    @property
    def tokenizer_hash(self) -> str:
        """SHA-256 of the tokenizer's own description."""
        ...

    @property
    def borders(self) -> frozenset[int]:
        """The tokens at whose beginning a text can be cut, and its halves encoded apart."""
        ...

    def render(self, messages: Messages, tools: Messages, *, generation: bool, thinking: bool) -> str:
        """The text of a conversation; ``generation`` ends it where a reply begins. Raises TemplateRefused."""
        ...

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, nothing added, and of each the stretch of ``text`` that it stands for (start, end)."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids, special tokens included, exactly."""
        ...

    def token_id(self, text: str) -> int | None:
        """The id of the token whose text is exactly this; None if there is none."""
        ...


def template_hash(engine: Engine) -> str:
    """SHA-256 of the template's text."""
    return hashlib.sha256(engine.template.encode()).hexdigest()


class HFEngine:
    """A Hugging Face tokenizer."""

    def __init__(self, tokenizer: Any, name: str = "") -> None:
        """``tokenizer`` must be a fast one: without offsets no part of a reply can be told from another."""
        if not getattr(tokenizer, "is_fast", False):
            raise NoTokenizer(f"the tokenizer {name!r} has no fast form (tokenizer.json): convert it first")
        if not isinstance(tokenizer.chat_template, str):
            raise NoTokenizer(f"the tokenizer {name!r} has no chat template: give one with --chat-template FILE")
        self.tokenizer = tokenizer
        self.name = name
        self.template: str = tokenizer.chat_template
        self.tokenizer_hash = hashlib.sha256(_description(tokenizer)).hexdigest()
        self.borders = _find_borders(tokenizer)
        self._below = tokenizer.backend_tokenizer
        # What a tokenizer.json says of the length of a run is not for us: no text is cut or filled up.
        self._below.no_truncation()
        self._below.no_padding()

    def render(self, messages: Messages, tools: Messages, *, generation: bool, thinking: bool) -> str:
        """See Engine."""
        import jinja2

        # A template that does not know `enable_thinking` sees one more unused variable.
        extra = {} if thinking else {"enable_thinking": False}
        try:
            text = self.tokenizer.apply_chat_template(
                list(messages), tools=list(tools) or None, tokenize=False, add_generation_prompt=generation, **extra
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as problem:
            said = " ".join(str(problem).split())[:200]
            raise TemplateRefused(f"the template of {self.name!r} refused a conversation: {said}") from problem
        return str(text)

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """See Engine."""
        # The tokenizer below that of transformers, which takes as long again to put the same into other lists.
        made = self._below.encode(text, add_special_tokens=False)
        return made.ids, made.offsets

    def decode(self, ids: Sequence[int]) -> str:
        """See Engine."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def token_id(self, text: str) -> int | None:
        """See Engine."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return int(ids[0]) if len(ids) == 1 else None


def _is_path(source: str) -> bool:
    """Whether it can be nothing but a path: the name of a model has one slash at most, and does not begin with one."""
    return source.startswith(("/", "./", "../", "~")) or source.count("/") > 1


def open_engine(source: str | Path, chat_template: Path | None = None) -> HFEngine:
    """The tokenizer in that folder (or of that model name). Raises NoTokenizer, one line."""
    try:
        import transformers
    except ImportError as problem:
        raise NoTokenizer(
            "tokens need transformers, which is not installed here: `make train-env`, then .venv-train/bin/apollo-train"
        ) from problem
    if _is_path(str(source)) and not Path(source).is_dir():
        raise NoTokenizer(f"there is no folder {str(source)!r} to read a tokenizer from")
    if Path(source).is_dir() and not any((Path(source) / name).exists() for name in FILES):
        raise NoTokenizer(f"the folder {str(source)!r} holds no tokenizer: expected one of {', '.join(FILES)} in it")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        said = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise NoTokenizer(f"no tokenizer can be read from {str(source)!r}: {said}") from problem
    if chat_template is not None:
        try:
            tokenizer.chat_template = chat_template.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise NoTokenizer(f"the chat template {chat_template} cannot be read: {problem}") from problem
    return HFEngine(tokenizer, str(source))


def _description(tokenizer: Any) -> bytes:
    """All that decides how text becomes ids. Settings of one run (padding, truncation) do not."""
    import json

    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    return canonical_json({key: value for key, value in whole.items() if key not in ("padding", "truncation")})


def _find_borders(tokenizer: Any) -> frozenset[int]:
    """Tokens that are taken out of a text before anything else is, and take nothing of what is before them along."""
    added = {number: token for number, token in tokenizer.added_tokens_decoder.items() if token.content}
    texts = [token.content for token in added.values()]
    return frozenset(
        number
        for number, token in added.items()
        if not (token.normalized or token.lstrip or token.single_word)
        # One that begins before it could swallow it.
        and not any(token.content in text[1:] for text in texts)
    )
