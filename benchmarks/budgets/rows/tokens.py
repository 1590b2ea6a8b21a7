"""Token rows of a long session against step samples of it: each turn is rendered and encoded once, not once per reply.

Needs the trainers' environment: ``.venv-train/bin/python -m benchmarks.budgets tokens``.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any, Final

from benchmarks.budgets.figures import Figure, listed, median
from benchmarks.budgets.machine import Contention
from benchmarks.export.generate import Teller
from sessions import events as ev
from sessions.events.messages import TextPart, Usage
from sessions.log.writer import LogWriter

STEPS: Final = 3000
TEMPLATES: Final = {
    "llama3_1": "<|eot_id|>", "qwen3": "<|im_end|>", "glm4moe": "<|observation|>", "gemma": "<end_of_turn>",
}  # fmt: skip
"""Chat templates as TRL bundles them, with a token on which their replies end: those of the tests."""
TALK: Final = "gemma"
"""Knows no calls: its session only talks."""
SPECIAL: Final = (
    "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|im_start|>",
    "<|im_end|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<bos>",
    "<start_of_turn>", "<end_of_turn>",
)  # fmt: skip


class ShortOutputs(Teller):
    """A session of many steps in one context, its tools of few words."""

    def output(self) -> str:
        """What a tool printed."""
        return self.text(20)


class Talk(ShortOutputs):
    """The same without calls: after each reply the host asks for more."""

    def step(self, step: int) -> None:
        """A reply and the next question."""
        asked = self.request(step)
        said, question = self.text(50), self.text(20)
        reply = ev.ModelReplied(request=asked, parts=(TextPart(said),), finish="stop", usage=Usage(1, 90))
        replied = self.add(reply, step, actor="agent")
        self.say({"role": "assistant", "content": said}, replied)
        self.say({"role": "user", "content": question}, self.add(ev.NudgeSent(text=question), step))


def tokens(folder: Path, quick: bool) -> Iterator[Figure]:
    """A session of 3,000 steps without a summary as ``steps``, and as ``tokens`` with each template; in turn."""
    if importlib.util.find_spec("trl") is None:
        print("| tokens against steps: run it with .venv-train/bin/python | | | | | | |", flush=True)
        return
    from apollo_train.formats.tokens import TokensFormat

    logs = {teller: folder / f"{teller.__name__}.sqlite" for teller in (ShortOutputs, Talk)}
    for teller, log in logs.items():
        asyncio.run(_make_log(log, teller))
    for name in TEMPLATES:
        log = logs[Talk if name == TALK else ShortOutputs]
        steps, rows = [], []
        busy = Contention([])
        for _ in range(1 if quick else 3):
            steps.append(_export(log, "steps", folder))
            rows.append(_export(log, TokensFormat(_renderer(name)), folder))
        raw = f"{listed(rows)} against {listed(steps)} CPU-s"
        what = f"tokens of a session of {STEPS:,} steps ({name}), CPU, against steps"
        yield Figure(what, median(rows) / median(steps), "×", 6, None, raw, busy.percent())


async def _make_log(path: Path, kind: type[ShortOutputs]) -> None:
    async with await LogWriter.open(path) as writer:
        teller = kind(1, context=STEPS, steps=STEPS)
        await writer.append(*teller.tell(), blobs=teller.blobs)


def _export(log: Path, format: Any, folder: Path) -> float:
    """CPU seconds of an export."""
    from apollo_train.export.run import run_export
    from apollo_train.policy import parse_policy
    from sessions.log.reader import LogReader

    policy = parse_policy("version = 1\n[targets]\ntext_only = true")
    before = process_time()
    with LogReader(log) as reader:
        report = run_export(reader, None, policy, format, folder / "rows.jsonl", overwrite=True)
    spent = process_time() - before
    assert report.counts.trained > 0.9 * STEPS
    report.path.unlink()
    return spent


def _renderer(name: str) -> Any:
    """A byte-level tokenizer, trained on the spot, with this template."""
    import trl
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from apollo_train.templates.engine import HFEngine
    from apollo_train.templates.renderer import Renderer
    from apollo_train.templates.stop_tokens import find_stop_tokens
    from apollo_train.templates.template_probe import probe_template

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(Path(__file__).read_text("utf-8").splitlines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=TEMPLATES[name], bos_token=SPECIAL[0])
    templates = Path(trl.__path__[0]) / "chat_templates"
    fast.chat_template = (templates / f"{name}.jinja").read_text("utf-8")
    engine = HFEngine(fast, name)
    return Renderer(engine, find_stop_tokens(engine), probe_template(engine))
