"""Recordings of any size, in our own words: a conversation of replies, calls and what tools print, as tools write it.

``python -m benchmarks.import.generated_recordings FORMAT MB FILE``; the same arguments give the same file.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.export.generate import PRINTED, WORDS

BEGAN: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MEDIAN: Final = 860
SPREAD: Final = 1.8
MOST: Final = 25_000
"""Characters of what a tool prints: as in benchmarks/export."""
TASK: Final = "Find out why the loss of this run stays above two, and mend it without a restart."
MODEL: Final = "made-up-4"

Record = dict[str, Any]


class _Conversation:
    """What is said and done, step by step; what is said when depends on nothing but the seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._printed = PRINTED
        self._at = BEGAN
        self.step = 0

    def next_step(self) -> None:
        """The next reply begins."""
        self.step += 1

    def time(self) -> str:
        """A moment after the one before."""
        self._at += timedelta(milliseconds=self._chance.randrange(800, 9_000))
        return self._at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def name(self) -> str:
        """An id that no other record has."""
        digits = f"{self._chance.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def words(self, most: int) -> str:
        """A few sentences."""
        return " ".join(self._chance.choices(WORDS, k=self._chance.randrange(8, most))) + "."

    def printed(self) -> str:
        """What a tool printed."""
        size = int(min(MOST, MEDIAN * self._chance.lognormvariate(0, SPREAD)))
        start = self._chance.randrange(len(self._printed) - size - 1)
        return self._printed[start : start + size]

    def seldom(self, share: float) -> bool:
        """True so often."""
        return self._chance.random() < share

    def tokens(self) -> int:
        """A number of tokens."""
        return self._chance.randrange(40, 900)


def claude_code(seed: int = 0) -> Iterator[Record]:
    """Records of a Claude Code session: each part of a reply its own record, results with their second telling."""
    said = _Conversation(seed)
    session, parent = said.name(), None

    def record(kind: str, message: Record, **more: Any) -> Record:
        nonlocal parent
        made = {
            "parentUuid": parent,
            "isSidechain": False,
            "userType": "external",
            "cwd": "/home/user/experiment",
            "sessionId": session,
            "version": "2.0.14",
            "gitBranch": "main",
            "type": kind,
            "message": message,
            **more,
            "uuid": said.name(),
            "timestamp": said.time(),
        }
        parent = made["uuid"]
        return made

    yield record("user", {"role": "user", "content": TASK})
    while True:
        said.next_step()
        message, request, call = f"msg_{said.step:08}", f"req_{said.step:08}", f"toolu_{said.step:08}"
        usage = {
            "input_tokens": 4,
            "cache_creation_input_tokens": said.tokens(),
            "cache_read_input_tokens": min(150_000, 400 * said.step),
            "output_tokens": said.tokens(),
            "service_tier": "standard",
        }
        prints = said.seldom(0.6)
        path = f"/home/user/experiment/{said.words(9).split()[0]}_{said.step}.py"
        asked = {"command": f"grep -n {said.words(12)[:-1]!r} train.log", "description": said.words(9)}
        parts: list[Record] = [{"type": "text", "text": said.words(60)}] if said.seldom(0.7) else []
        if said.seldom(0.5):
            parts.insert(0, {"type": "thinking", "thinking": said.words(160), "signature": said.name() * 8})
        parts.append(
            {"type": "tool_use", "id": call, "name": "Bash", "input": asked}
            if prints
            else {"type": "tool_use", "id": call, "name": "Read", "input": {"file_path": path}}
        )
        for part in parts:
            body = {
                "id": message,
                "type": "message",
                "role": "assistant",
                "model": MODEL,
                "content": [part],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": usage,
            }
            yield record("assistant", body, requestId=request)
        text = said.printed()
        result: Record = {"tool_use_id": call, "type": "tool_result", "content": text}
        told: Record = {"stdout": text, "stderr": "", "interrupted": False, "isImage": False}
        if prints:
            result["is_error"] = False
        else:
            lines = text.split("\n")
            result["content"] = "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, 1))
            about = {
                "filePath": path,
                "content": text,
                "numLines": len(lines),
                "startLine": 1,
                "totalLines": len(lines),
            }
            told = {"type": "text", "file": about}
        yield record("user", {"role": "user", "content": [result]}, toolUseResult=told)
        if said.step % 40 == 0:
            yield record("user", {"role": "user", "content": f"Look at {said.words(30)}"})


def codex(seed: int = 0) -> Iterator[Record]:
    """Records of a Codex rollout: items, and the events that tell of them again."""
    said = _Conversation(seed)

    def record(kind: str, **payload: Any) -> Record:
        return {"timestamp": said.time(), "type": kind, "payload": payload}

    def message(role: str, text: str) -> Record:
        kind = "output_text" if role == "assistant" else "input_text"
        return record("response_item", type="message", role=role, content=[{"type": kind, "text": text}])

    yield record(
        "session_meta",
        id=said.name(),
        timestamp=BEGAN.isoformat(),
        cwd="/home/user/experiment",
        originator="codex_cli_rs",
        cli_version="0.63.0",
        instructions=None,
        source="cli",
    )
    yield record("turn_context", cwd="/home/user/experiment", approval_policy="never", model=MODEL, summary="auto")
    yield message("user", TASK)
    yield record("event_msg", type="user_message", message=TASK)
    sent = 9_000
    while True:
        said.next_step()
        call, text = f"call_{said.step:08}", said.words(60)
        yield record("event_msg", type="agent_reasoning", text=text)
        yield record("response_item", type="reasoning", summary=[{"type": "summary_text", "text": text}], content=None)
        if said.seldom(0.5):
            said_so = said.words(60)
            yield record("event_msg", type="agent_message", message=said_so)
            yield message("assistant", said_so)
        asked = json.dumps({"command": ["bash", "-lc", f"grep -n {said.words(12)[:-1]!r} train.log"]})
        yield record("response_item", type="function_call", name="shell", arguments=asked, call_id=call)
        output = json.dumps({"output": said.printed(), "metadata": {"exit_code": 0, "duration_seconds": 0.4}})
        yield record("response_item", type="function_call_output", call_id=call, output=output)
        sent += 400
        last = {"input_tokens": min(sent, 150_000), "cached_input_tokens": 0, "output_tokens": said.tokens()}
        yield record("event_msg", type="token_count", info={"last_token_usage": last, "model_context_window": 272_000})
        if said.step % 40 == 0:
            more = f"Look at {said.words(30)}"
            yield message("user", more)
            yield record("event_msg", type="user_message", message=more)


FORMATS: Final = MappingProxyType[str, Callable[[int], Iterator[Record]]]({"claude-code": claude_code, "codex": codex})


def write_recording(path: Path, format: str, size: int, seed: int = 0) -> None:
    """A recording of at least ``size`` bytes, by less than a record."""
    written = 0
    with path.open("wb") as file:
        for record in FORMATS[format](seed):
            written += file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            if written >= size:
                return


def main() -> None:
    """Write a recording."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import.generated_recordings", description=__doc__)
    parser.add_argument("format", choices=sorted(FORMATS))
    parser.add_argument("megabytes", type=float, metavar="MB")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    write_recording(given.file, given.format, int(given.megabytes * 1e6))


if __name__ == "__main__":
    main()
