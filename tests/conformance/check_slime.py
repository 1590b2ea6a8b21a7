"""slime: the mask generator of its SFT rollout, from a checkout of its source (it is on no package index).

The rollout reads rows of JSON lines as they are, takes `messages` and `metadata.tools`, and asks the generator.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from compare import Labelled, ours, rows, table, verdict
from transformers import AutoTokenizer

ADAPTER = Path(__file__).parents[2] / "apollo_train" / "adapters" / "slime_tokens.py"
KINDS = {"llama3": "qwen", "qwen3": "qwen3", "glm": "qwen", "gemma": "qwen"}
"""`--loss-mask-type`: there is one for Qwen; `qwen` is the one that asks least of a template."""


def tokens(case: Path) -> str:
    """Our token rows, through the rollout function that we hand to slime; it reads a row as its data set gives one."""
    samples = [
        [SimpleNamespace(prompt=row["input_ids"], label=row["labels"])] for row in rows(case / "tokens.tokens.jsonl")
    ]
    buffer = SimpleNamespace(get_samples=lambda number: samples[:number])
    arguments = SimpleNamespace(rollout_batch_size=len(samples))
    made = _module(ADAPTER).generate_rollout(arguments, 0, buffer)
    found = [_masked(one.tokens, [0] * (len(one.tokens) - one.response_length) + one.loss_mask) for (one,) in made]
    return verdict(case, "tokens", found, AutoTokenizer.from_pretrained(case / "model").decode)


def segments(case: Path) -> str:
    """Our file with `step_loss_mask`."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    theirs = _module(Path(os.environ["SOURCE"]) / "slime/utils/mask_utils.py")
    generator = theirs.MultiTurnLossMaskGenerator(tokenizer, KINDS[case.name])
    return verdict(case, "segments", list(_labelled(generator, ours(case, "slime"))), tokenizer.decode)


def _labelled(generator: Any, path: Path) -> Iterator[Labelled]:
    for row in rows(path):
        tools = (row.get("metadata") or {}).get("tools")
        ids, mask = generator.get_loss_mask(row["messages"], tools=tools)
        yield _masked(ids, mask)


def _masked(ids: list[int], mask: list[int]) -> Labelled:
    return ids, [number if on else -100 for number, on in zip(ids, mask, strict=True)]


def _module(path: Path) -> Any:
    """One file, by itself."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


if __name__ == "__main__":
    table("slime", Path(sys.argv[1]), {"tokens": tokens, "slime": segments})
