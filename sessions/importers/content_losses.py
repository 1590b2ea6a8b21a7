"""What in a content field is no text, wherever it hides: images, audio, files. The log keeps text only."""

from __future__ import annotations

import re
from typing import Any, Final

from sessions.events.recording import LostPart

_KINDS: Final[dict[str, LostPart]] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "output_image": "image",
    "computer_screenshot": "image",
    "audio": "audio",
    "input_audio": "audio",
    "output_audio": "audio",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "pdf": "file",
    "blob": "file",
    "resource_link": "file",
    "image_generation_call": "image",
}
"""Kinds of parts (of OpenAI, Anthropic, MCP, ATIF, Inspect, OpenHands) and what is lost with one."""
TEXTS: Final = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal"})
HANDLED: Final = frozenset(
    {
        "thinking",
        "redacted_thinking",
        "reasoning",
        "reasoning_content",
        "tool_use",
        "tool_result",
        "tool_call",
        "tool_calls",
        "toolCall",
        "function_call",
        "function_call_output",
        "cache_control",
    }
)
"""Parts that an importer reads by themselves."""
_IN_TEXT: Final = re.compile(
    r"!\[[^\]]*\]\(\s*data:image/|<MSWEA_MULTIMODAL_CONTENT>|<img[^>]{0,200}src=[\"']data:image/", re.I
)
"""How an image stands in a text, for an agent that takes it out again before it asks its model."""
_WHOLE: Final = re.compile(r"\s*data:(image|audio|video)/[\w.+-]+;base64,", re.I)


def find_losses(content: Any) -> list[LostPart]:
    """What of a content field (text, a part, or a list of parts) is no text, a word for each."""
    match content:
        case str():
            if whole := _WHOLE.match(content):
                return [_KINDS[whole[1].lower()]]
            return ["image"] * len(_IN_TEXT.findall(content)) if "data:image/" in content or "MSWEA" in content else []
        case dict():
            return _find_in_part(content)
        case list():
            return [lost for part in content for lost in find_losses(part)]
        case _:
            return []


def _find_in_part(part: dict[str, Any]) -> list[LostPart]:
    kind = part.get("type", "text" if "text" in part else "")
    if not isinstance(kind, str):
        return []
    if kind in HANDLED:
        return find_losses(part.get("content"))
    if kind in TEXTS or (kind not in _KINDS and isinstance(part.get("text"), str)):
        return find_losses(part.get("text"))
    if kind == "resource":  # of MCP: a text, or bytes
        inner = part.get("resource")
        return [] if isinstance(inner, dict) and isinstance(inner.get("text"), str) else ["file"]
    if kind == "document" and isinstance(part.get("source"), dict) and part["source"].get("type") == "text":
        return []
    many = part.get("image_urls")
    number = len(many) if isinstance(many, list) and many else 1
    return [_KINDS.get(kind, "part")] * number if kind else []
