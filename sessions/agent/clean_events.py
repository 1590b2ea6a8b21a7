"""The door of the log: no secret gets past it, neither in an event nor in a blob that an event refers to."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from sessions import events as ev
from sessions.events.text import INLINE_CHARS, Blob
from sessions.redaction import Redactor

BodyType = TypeVar("BodyType", bound=ev.Body)


class Cleaner:
    """Cleans one write set: first its blobs, then the bodies, which are made to refer to the cleaned ones."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._renamed: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def blob(self, blob: Blob) -> Blob:
        """``blob``, or one with another hash if there was a secret in it."""
        if not self._redactor.longest:
            return blob
        # Raw output need not be UTF-8; this way every byte survives.
        text = blob.data.decode(errors="surrogateescape")
        clean = self._redactor.redact(text)
        if clean == text:
            return blob
        made = Blob.of(clean.encode(errors="surrogateescape"))
        self._renamed[blob.hash] = made.hash
        self._texts[made.hash] = clean
        return made

    def body(self, body: BodyType) -> BodyType:
        """``body`` without secrets."""
        # A request is made of what is in the log already; to change it here would break its hash.
        if not self._redactor.longest or isinstance(body, ev.ModelRequested):
            return body
        if isinstance(body, ev.ModelReplied):
            parts = tuple(self._redactor.redact_part(part) for part in body.parts)
            clean = msgspec.structs.replace(body, parts=parts, raw_text=self._redactor.redact(body.raw_text))
            if body.wire is not None and (renamed := self._renamed.get(body.wire.blob)) is not None:
                clean = msgspec.structs.replace(clean, wire=ev.WireAnswer(renamed, body.wire.media))
            # Tokens spell the secret that the text no longer has.
            return body if clean == body else msgspec.structs.replace(clean, token_ids=(), logprobs=())
        return msgspec.convert(self._replace_hashes(self._redactor.redact_value(msgspec.to_builtins(body))), type(body))

    def _replace_hashes(self, value: Any) -> Any:
        """``value`` with the hashes of cleaned blobs."""
        if not self._renamed:
            return value
        match value:
            case str():
                return self._renamed.get(value, value)
            case dict():
                named = {key: self._replace_hashes(item) for key, item in value.items()}
                whole = self._texts.get(str(named.get("blob")))
                if whole is not None and "chars" in named:
                    # The head of a long text may end within a secret that only the whole shows.
                    named |= {"text": whole[:INLINE_CHARS], "chars": len(whole) + named.get("lost", 0)}
                return named
            case list():
                return [self._replace_hashes(item) for item in value]
            case _:
                return value
