"""What a model's server says of its key is not for the harness; where it looks for one, and where a key does not go."""

from __future__ import annotations

import httpx2
import pytest
from endpoint_server import EndpointServer, Said

from sessions.events import ModelSpec
from sessions.gateway.upstream import pass_on
from sessions.providers.attempt import http_client
from sessions.providers.base import CallContext

KEY = "sk-secret-0123456789"


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_key_that_a_server_repeats_is_not_handed_to_the_harness(provider: str) -> None:
    async with EndpointServer({"/v1/models": Said({"error": {"message": f"no such key: {KEY}"}}, 401)}) as server:
        spec = ModelSpec(provider, "m", base_url=server.url)
        answer = await pass_on(spec, "GET", "models", "", [], b"", CallContext("", 0, key=KEY))
    assert answer.status == 401 and b"no such key: [redacted]" in answer.body and KEY.encode() not in answer.body


async def test_a_server_of_messages_that_wants_a_bearer_gets_one() -> None:
    async with EndpointServer({"/v1/models": Said({"data": []})}) as server:
        spec = ModelSpec("anthropic", "m", base_url=server.url, quirks={"auth": "bearer"})
        await pass_on(spec, "GET", "models", "", [], b"", CallContext("", 0, key=KEY))
    ((_, _, headers, _),) = server.asked
    assert headers["authorization"] == f"Bearer {KEY}" and "x-api-key" not in headers


async def test_a_key_does_not_go_where_a_server_leads_to_another_host() -> None:
    seen: list[tuple[str, bool]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.url.host, "x-api-key" in request.headers))
        if request.url.path == "/end":
            return httpx2.Response(200)
        to = "http://other.invalid/end" if request.url.path == "/again" else "http://models.invalid/again"
        return httpx2.Response(307, headers={"location": to})

    async with http_client(None, CallContext("", 0), transport=httpx2.MockTransport(answer)) as http:
        assert (await http.post("http://models.invalid/v1", headers={"x-api-key": KEY})).status_code == 200
    assert seen == [("models.invalid", True), ("models.invalid", True), ("other.invalid", False)]
