"""`renderers` (prime-rl's): one render of a whole segment, a mask per message, its own stop token at the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from compare import ours, rows, table, verdict
from renderers import configs, create_renderer
from renderers.base import build_training_sample
from transformers import AutoTokenizer

KEYS = ("role", "content", "reasoning_content", "tool_calls", "tool_call_id")
CONFIGS = {
    "llama3": configs.Llama3RendererConfig,
    "qwen3": configs.Qwen3RendererConfig,
    "glm": configs.GLM45RendererConfig,
    "gemma": configs.DefaultRendererConfig,
}


def segments(case: Path) -> str:
    """Our plain messages, `weight` as the mask of each."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    renderer = create_renderer(tokenizer, CONFIGS[case.name]())
    found = []
    for row in rows(ours(case, "messages")):
        mask = [int(message.get("weight", 0)) for message in row["messages"]]
        messages = [{key: message[key] for key in KEYS if key in message} for message in row["messages"]]
        tools = json.loads(row["tools"]) if row.get("tools") else None
        made = build_training_sample(renderer, messages, tools=tools, message_loss_mask=mask, ensure_final_stop=True)
        pairs = zip(made.token_ids, made.loss_mask, strict=True)
        found.append((made.token_ids, [number if on else -100 for number, on in pairs]))
    return verdict(case, "segments", found, tokenizer.decode)


if __name__ == "__main__":
    table("renderers", Path(sys.argv[1]), {"messages": segments})
