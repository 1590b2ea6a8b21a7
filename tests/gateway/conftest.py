"""A session without a command, and a way to ask its endpoint as a harness would that was started elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from apollo_process import Apollo, wait_for
from wire_model import WireModel

KEY = "sk-a-real-key-that-nobody-may-see"
TOOLS = [{"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}]
SYSTEM = {"role": "system", "content": "You are an agent."}
TASK = {"role": "user", "content": "Write numbers."}


@pytest.fixture
def model() -> Iterator[WireModel]:
    with WireModel(20).serving() as model:
        yield model


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[Apollo]:
    product = Apollo(tmp_path, {"MY_KEY": KEY})
    product.write_config()
    yield product
    product.close()


@pytest.fixture
def session(apollo: Apollo, model: WireModel) -> str:
    config = apollo.folder / "config" / "apollo-tui" / "config.toml"
    config.write_text(
        f'{config.read_text()}\n[profiles.here]\nmodel = "openai:m"\nbase_url = "{model.url}"\nkey_env = "MY_KEY"\n'
    )
    apollo.run("run", "--name", "there", "--model", "here", "--task", "Write numbers.", "--inside", "none")
    wait_for("it runs", lambda: apollo.session("there")["state"] == "running")
    return str(apollo.session("there")["id"])


@pytest.fixture
def ask(apollo: Apollo, session: str) -> Callable[..., httpx2.Response]:
    variables = apollo.json("gateway", session)
    url = f"{variables['OPENAI_BASE_URL']}/chat/completions"

    def post(
        *talk: dict[str, Any], timeout: float = 30, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        body = {"model": "m", "messages": [SYSTEM, TASK, *talk], "tools": TOOLS} | more
        own = {"authorization": f"Bearer {variables['OPENAI_API_KEY']}", "cookie": "me=1"}
        return httpx2.post(url, json=body, headers=own | (headers or {}), timeout=timeout, trust_env=False)

    return post
