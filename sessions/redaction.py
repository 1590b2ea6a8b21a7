"""Secrets stay out of everything: values are replaced on entry, before model, screen and log see the text.

Two jobs: ``Redactor`` replaces known values in text, also in a text that arrives in pieces; ``scrub_env`` removes
variables that look like credentials from the environment that tools get.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from sessions.events.messages import Part, ReasoningPart

MIN_SECRET_CHARS: Final = 16
"""Shorter values are left alone: they would be found by chance, all over ordinary text."""

_PartType = TypeVar("_PartType", bound=Part)

_CREDENTIAL_NAME: Final = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|PGPASS|SECRET|CREDENTIAL|API_?KEY|PRIVATE_?KEY|COOKIE|WEBHOOK|KUBECONFIG|NETRC"
    r"|CONN(?:ECTION)?_?STR|(?:KEY|TOKEN)(?:_|$)|(?:^|_)(?:AUTH|PASS|PWD|PAT|JWT|DSN)(?:_|$)"
    r"|^(?:DOCKER_CONFIG|AWS_CONFIG_FILE|BOTO_CONFIG|CLOUDSDK_CONFIG|AZURE_CONFIG_DIR)$",
    re.IGNORECASE,
)
_CREDENTIAL_IN_URL: Final = re.compile(r"://[^/\s:@]*:[^/\s@]+@|https?://hooks\.|https?://[^/\s]+/(?:api/)?webhooks?/")
_ORDINARY: Final = frozenset({"PATH", "HOME", "PWD", "OLDPWD", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TMPDIR"})
_OWN_PREFIX: Final = "APOLLO_"


def looks_secret(name: str, value: str = "") -> bool:
    """Whether a variable is taken for a credential.

    The rule: its name contains PASSWORD, SECRET, CREDENTIAL, API_KEY, WEBHOOK or the like, has a word that ends in KEY
    or TOKEN or is AUTH, PASS, PWD, PAT, JWT, DSN, or names a file of credentials (KUBECONFIG); or its value is a URL
    with a password in it or of a webhook. PATH, HOME and other names that every program needs never are.
    """
    if name.upper() in _ORDINARY:
        return False
    return bool(_CREDENTIAL_NAME.search(name) or _CREDENTIAL_IN_URL.search(value))


def scrub_env(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` for an agent's tools: without credentials, and without Apollo's own variables."""
    return {
        name: value
        for name, value in env.items()
        if not looks_secret(name, value) and not name.upper().startswith(_OWN_PREFIX)
    }


class Redactor:
    """Replaces the values of ``secrets`` (name to value) by ``[redacted:NAME]``. Immutable; cheap when it has none."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        names: dict[str, str] = {}
        for name, value in secrets.items():
            stripped = value.strip()
            if len(stripped) >= MIN_SECRET_CHARS:
                names.setdefault(stripped, name)
        self._names = names
        # Longest first, so that a value that begins with another one is replaced as a whole.
        self._values = sorted(names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._values))) if names else None

    def redact(self, text: str) -> str:
        """``text`` without any secret value."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[redacted:{self._names[found.group()]}]", text)

    def secret_in(self, text: str) -> str:
        """The name of a secret that is in ``text``, "" if there is none."""
        match = self._pattern.search(text) if self._pattern else None
        return self._names[match.group()] if match else ""

    def redact_value(self, value: Any) -> Any:
        """A JSON value with every string in it, keys included, redacted."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {
                self.redact(key) if isinstance(key, str) else key: self.redact_value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.redact_value(item) for item in value]
        return value

    def redact_part(self, part: _PartType) -> _PartType:
        """A part of a reply without secrets, in its raw block too.

        Reasoning whose text had to change loses its raw block: its signature no longer fits, and servers refuse it.
        """
        if self._pattern is None:
            return part
        clean: _PartType = msgspec.convert(self.redact_value(msgspec.to_builtins(part)), type=type(part))
        if isinstance(clean, ReasoningPart) and isinstance(part, ReasoningPart) and clean.raw != part.raw:
            return msgspec.structs.replace(clean, raw=None)
        return clean

    def open_stream(self) -> StreamRedactor:
        """For one text that arrives in pieces."""
        return StreamRedactor(self)

    def safe_length(self, text: str) -> int:
        """How much of ``text`` can go on: up to where a secret may have begun that is not whole yet."""
        for start in range(max(0, len(text) - self.longest + 1), len(text)):
            tail = text[start:]
            if any(len(value) > len(tail) and value.startswith(tail) for value in self._values):
                return start
        return len(text)

    def end_of_secret_across(self, text: str, cut: int) -> int:
        """Where a whole secret ends that begins before ``cut`` and ends after it; 0 if there is none."""
        found = self._pattern.finditer(text) if self._pattern else ()
        return next((match.end() for match in found if match.start() < cut < match.end()), 0)

    @property
    def longest(self) -> int:
        """Length of the longest secret; 0 if there is none."""
        return len(self._values[0]) if self._values else 0


class StreamRedactor:
    """Redacts one text that arrives in pieces; a secret that is split across pieces is still found."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now; the rest is held back until it is known to be harmless."""
        redactor, text = self._redactor, self._held + piece
        shown = ""
        while True:
            cut = redactor.safe_length(text)
            end = redactor.end_of_secret_across(text, cut)
            shown += redactor.redact(text[: end or cut])
            if not end:
                self._held = text[cut:]
                return shown
            text = text[end:]

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return self._redactor.redact(held)
