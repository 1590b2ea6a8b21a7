from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import TOKEN, EndpointServer, Said, make_certificate, models, server_context

from sessions.events import ModelSpec
from sessions.providers.endpoint_check import PATHS, Dialect, ask_endpoint
from sessions.providers.endpoint_faults import EndpointFault
from sessions.providers.failures import one_line

KEY = "sk-secret-0123456789"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


def spec(url: str, name: str = "tiny", provider: str = "openai", **more: Any) -> ModelSpec:
    return ModelSpec(provider, name, base_url=url, **more)


async def fault(of: ModelSpec, key: str | None = None, dialect: Dialect | None = None, **more: Any) -> EndpointFault:
    with pytest.raises(EndpointFault) as caught:
        await ask_endpoint(of, key, dialect, **more)
    said = str(caught.value)
    assert "\n" not in said and KEY not in said and KEY[:6] not in said, "one line, and no part of a key"
    return caught.value


@pytest.mark.parametrize("dialect", list(PATHS))
@pytest.mark.parametrize("listed", [models("other", "tiny"), Said({"error": "none"}, 404), Said("nonsense")])
async def test_an_endpoint_that_answers_is_fine_with_a_list_or_without(dialect: Dialect, listed: Said) -> None:
    async with EndpointServer({"/v1/models": listed, f"/v1/{PATHS[dialect]}": TOKEN}) as server:
        served = await ask_endpoint(spec(server.url, key_env="A_KEY"), KEY, dialect)
        assert served.models == (("other", "tiny") if listed.status == 200 and listed.body != "nonsense" else ())
        (_, _, _, _), (method, path, headers, body) = server.asked
        assert (method, path, headers["authorization"]) == ("POST", f"/v1/{PATHS[dialect]}", f"Bearer {KEY}")
        sent = json.loads(body)
        assert sent["model"] == "tiny" and {1, 16} & {sent.get("max_tokens"), sent.get("max_output_tokens")}


async def test_the_messages_api_is_asked_as_it_wants_to_be() -> None:
    async with EndpointServer({"/v1/models": models("tiny"), MESSAGES: TOKEN}) as server:
        address = server.url.removesuffix("/v1")
        quirks = {"thinking_budget": 4000}
        await ask_endpoint(spec(address, provider="anthropic", key_env="A_KEY", quirks=quirks), KEY)
        for _, _, headers, _ in server.asked:
            assert headers["x-api-key"] == KEY and headers["anthropic-version"] and "authorization" not in headers
        assert json.loads(server.asked[-1][3])["max_tokens"] == 1, "no thinking is asked for"
        await ask_endpoint(spec(address, provider="anthropic", key_env="A_KEY", quirks={"auth": "bearer"}), KEY)
        assert server.asked[-1][2]["authorization"] == f"Bearer {KEY}" and "x-api-key" not in server.asked[-1][2]


@pytest.mark.parametrize(
    ("status", "said", "key", "kind", "words"),
    [
        (401, f"Incorrect API key provided: {KEY[:9]}****", KEY, "key", "refuses the key in A_KEY (401)"),
        (401, "no key", None, "key", "wants a key (401), and none is given"),
        (403, "not in your country", KEY, "key", "refuses the key in A_KEY (403): not in your country"),
        (402, "pay", KEY, "key", "wants to be paid first: pay"),
        (429, "You exceeded your current quota", KEY, "key", "wants to be paid first"),
        (429, "slow down", KEY, "busy", "has enough to do (429): slow down"),
        (500, "out of memory", KEY, "server", "fails (500): out of memory"),
        (404, "no such path", KEY, "url", "there is no such API at"),
        (404, "The model `tiny` does not exist.", KEY, "model", "has no model tiny"),
        (400, "Invalid model name passed in model=tiny", KEY, "model", "has no model tiny"),
        (400, "unknown field stream_options", KEY, "request", "refuses the request (400): unknown field"),
        (400, "Client sent an HTTP request to an HTTPS server.", KEY, "tls", "speaks TLS there: write https://"),
        (308, "", KEY, "url", "leads elsewhere (308)"),
    ],
)
async def test_what_a_server_refuses_is_told_by_what_has_to_be_put_right(
    status: int, said: str, key: str | None, kind: str, words: str
) -> None:
    async with EndpointServer({CHAT: Said({"error": {"message": said}}, status)}) as server:
        # On this machine a key is not expected, so a missing one is told by the server.
        found = await fault(spec(server.url, key_env="A_KEY"), key)
        assert (found.kind, words in str(found)) == (kind, True), str(found)


async def test_a_length_that_is_too_short_for_the_model_is_no_fault() -> None:
    said = "Could not finish the message because max_tokens or model output limit was reached."
    async with EndpointServer({CHAT: Said({"error": {"message": said}}, 400)}) as server:
        assert await ask_endpoint(spec(server.url), None)


async def test_an_unknown_model_is_told_with_the_nearest_of_the_list() -> None:
    refused = Said({"error": {"message": "nope"}}, 400)
    async with EndpointServer({"/v1/models": models("qwen3-8b", "glm-4.6", "tiny-2"), CHAT: refused}) as server:
        near = await fault(spec(server.url, "glm-4.5"))
        assert near.kind == "model" and str(near).endswith("has no model glm-4.5; near it: glm-4.6")
        far = await fault(spec(server.url, "0000"))
        assert str(far).endswith("; it has qwen3-8b, glm-4.6, tiny-2")


async def test_a_model_that_answers_need_not_be_in_the_list() -> None:
    async with EndpointServer({"/v1/models": models("other"), CHAT: TOKEN}) as server:
        assert (await ask_endpoint(spec(server.url, "alias"), None)).models == ("other",)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said("<!doctype html><title>Log in</title>", kind="text/html"), "url"),
        (Said("<html>", kind="text/plain"), "url"),
        (Said("hello"), "server"),
        (Said({"error": {"message": "bad key", "code": "invalid_api_key"}}), "key"),
        (Said('data: {"error": {"message": "model tiny not found"}}\n\n', kind="text/event-stream"), "model"),
    ],
)
async def test_an_answer_that_is_no_reply_is_no_success(said: Said, kind: str) -> None:
    async with EndpointServer({CHAT: said}) as server:
        assert (await fault(spec(server.url, key_env="A_KEY"), KEY)).kind == kind


async def test_a_base_url_without_its_path_is_told_what_is_missing() -> None:
    async with EndpointServer({CHAT: TOKEN}) as server:
        found = await fault(spec(server.url.removesuffix("/v1")))
        assert found.kind == "url" and "most servers have it below /v1" in str(found)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "http://", "ftp://h/v1", "http://h:port/v1"])
async def test_what_is_no_base_url_is_told_so(url: str) -> None:
    found = await fault(spec(url))
    assert found.kind == "url" and "is no base URL" in str(found)


async def test_nobody_at_the_port_no_such_host_and_a_missing_key() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        found = await fault(spec(f"http://user:{KEY}@127.0.0.1:{port}/v1"))
    assert found.kind == "url" and f"nobody listens at 127.0.0.1:{port}" in str(found)
    found = await fault(spec("https://models.invalid/v1", key_env="A_KEY"))
    assert found.kind == "key" and "set A_KEY" in str(found), "nothing is asked without it"


async def test_no_such_host_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = await fault(spec("http://models.invalid/v1"), KEY)
    assert found.kind == "url" and str(found) == "there is no host models.invalid"


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")
async def test_tls_faults_are_told_as_such(tmp_path: Path) -> None:
    tls = server_context(make_certificate(tmp_path))
    async with EndpointServer({CHAT: TOKEN}, tls) as server:
        untrusted = await fault(spec(server.url))
        assert untrusted.kind == "tls" and "is not trusted (self-signed certificate)" in str(untrusted)
        assert "SSL_CERT_FILE" in str(untrusted)
        plain = await fault(spec(server.url.replace("https", "http")))
        assert plain.kind == "tls" and "write https://" in str(plain)
    async with EndpointServer({CHAT: TOKEN}) as server:
        wrong = await fault(spec(server.url.replace("http", "https")))
        assert wrong.kind == "tls" and "is it http:// there?" in str(wrong)


async def test_a_server_that_says_nothing_is_waited_for_so_long_and_no_longer() -> None:
    async with EndpointServer({"/v1/models": models("tiny"), CHAT: Said(silent=True)}) as server:
        found = await fault(spec(server.url), seconds=0.3)
        assert found.kind == "slow" and "has not answered within 0.3 s" in str(found)


async def test_scripted_models_and_recordings_are_not_asked() -> None:
    for model in ("demo:steady", "replay:/nowhere"):
        provider, _, name = model.partition(":")
        assert (await ask_endpoint(ModelSpec(provider, name), None)).models == ()


def test_pieces_of_a_key_are_taken_out_of_what_servers_say() -> None:
    assert one_line(f"bad key sk-se***{KEY[-4:]}", KEY) == "bad key [redacted]"
    assert one_line(f"the key ending in {KEY[-4:]} has no credit", KEY) == "the key ending in [redacted] has no credit"
    assert one_line("nothing of it", KEY) == "nothing of it"
