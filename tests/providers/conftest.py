from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from provider_testbed import Bench
from sse_script import Script, Turn, in_order
from sse_server import ScriptedServer


@pytest.fixture(params=["openai", "anthropic"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bench(provider: str) -> Callable[..., Any]:
    """``async with bench(Turn(...), ...) as b``: the adapter under test and a server that says those turns."""

    @asynccontextmanager
    async def make(
        *turns: Turn, script: Script | None = None, quirks: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Bench]:
        async with ScriptedServer(script or in_order(*turns), **options) as server:
            yield Bench(provider, server, quirks or {})

    return make
