from __future__ import annotations

import hashlib
import json
import urllib.request
from pathlib import Path

import pytest
from sse_server import server_process

from sessions.events.text import canonical_json

SCRIPT = {
    "slow": {"turns": [{"text": "never used"}]},
    "*": {
        "turns": [
            {"calls": [{"name": "run", "arguments": {"command": "ls"}}], "faults": [{"status": 500}]},
            {"text": "Done."},
        ],
        "summary": {"text": "So far."},
    },
}


def post(url: str, body: bytes) -> str:
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return answer.read().decode()


def test_a_server_in_its_own_process_answers_by_script_and_records_what_it_received(tmp_path: Path) -> None:
    script, record = tmp_path / "script.json", tmp_path / "record.jsonl"
    script.write_text(json.dumps(SCRIPT))
    tools = [{"type": "function", "function": {"name": "run"}}]
    first = canonical_json({"model": "m", "messages": [{"role": "user", "content": "Go."}], "tools": tools})
    with server_process(script, record) as url:
        with pytest.raises(OSError, match="500"):
            post(url, first)
        replies = {post(url, first) for _ in range(2)}
        assert len(replies) == 1
        assert "call_0_0" in replies.pop()
        assert "So far." in post(url, canonical_json({"model": "m", "messages": []})).replace('"}, "finish', "")
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["answered"] for line in lines] == ["500", "reply", "reply", "reply"]
    assert [line["attempt"] for line in lines[:3]] == [1, 2, 3]
    assert lines[0]["body"].encode() == first
    assert lines[0]["sha256"] == hashlib.sha256(first).hexdigest()
