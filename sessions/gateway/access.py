"""What lets a harness in: the token of its session, and the variables that point it at its endpoint."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions.json_files import create_json, read_json

FILE: Final = "gateway.json"
"""In a session's folder: its token."""


def read_token(folder: Path) -> str:
    """The token of the session with this folder, made now if it has none. Nobody else can read it."""
    path = folder / FILE
    if create_json(path, {"token": secrets.token_hex(16)}):
        path.chmod(0o600)
    token = (read_json(path) or {}).get("token")
    if not isinstance(token, str) or len(token) < 32:
        raise ValueError(f"{path} holds no token")
    return token


@dataclass(frozen=True, slots=True)
class EndpointAccess:
    """Where a session's endpoint is, and what opens it."""

    port: int
    token: str

    @property
    def places(self) -> Mapping[str, str]:
        """What stands for it in presets. ``address`` holds no token: other users of a machine can read commands."""
        address = f"http://127.0.0.1:{self.port}"
        return {"address": address, "url": f"{address}/s/{self.token}", "token": self.token}

    @property
    def variables(self) -> dict[str, str]:
        """What points a harness there: the base URLs and keys of the SDKs, whichever it is made with."""
        url = self.places["url"]
        return {
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_BASE": f"{url}/v1",
            "OPENAI_API_KEY": self.token,
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": self.token,
        }
