"""What lets a harness in: the token of its session, and the variables that point it at its endpoint."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
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


def endpoint_variables(port: int, token: str) -> Mapping[str, str]:
    """What points a harness at its endpoint: the base URLs and keys of the SDKs, whichever it is made with."""
    base = f"http://127.0.0.1:{port}/s/{token}"
    return {
        "OPENAI_BASE_URL": f"{base}/v1",
        "OPENAI_API_BASE": f"{base}/v1",
        "OPENAI_API_KEY": token,
        "ANTHROPIC_BASE_URL": base,
        "ANTHROPIC_API_KEY": token,
    }
