"""The files that other trainers are handed, and which token positions they must train.

In the trainers' environment, ``python tests/conformance/cases.py FOLDER`` writes for each of four templates a
tokenizer, our files in every format as ``--template`` writes them (also where the exporter knows better and refuses),
and ``expected.json``. One session has a flagged reply in its middle, whose loss must not come back; in the other one
an advisor speaks between two steps, where templates that drop earlier reasoning go wrong. Judged replies, for DPO and
KTO, have a log of their own (``judged.py``).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

import judged
import training_log
from tiny_models import TEMPLATES, renderer, tiny_llama, tokenizer
from training_log import OTHER, Teller, new_log

from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.formats.rows import MessageRows
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import PRESETS, FilterPolicy, TargetRules
from apollo_train.runtime import CannotExpress, NothingToExport
from apollo_train.templates.packing import Packing
from apollo_train.templates.renderer import NoThink
from sessions import events as ev
from sessions.log.reader import LogReader

POLICY = FilterPolicy(targets=TargetRules(text_only=True)).with_advice("kept")
BARE = "01K00000000000000000000001"
"""A session without reasoning, for templates that have a form for it."""
EVERYTHING = ("verl",)
"""Formats without any mask: their file holds the same sessions with no flag applied, and is compared with that."""

EVERY_REPLY = PRESETS["everything"].with_advice("kept")
PACKINGS: Final[tuple[tuple[str, Packing, FilterPolicy, NoThink], ...]] = (
    ("tokens", "rounds", POLICY, "mask"),
    ("unpacked", "steps", POLICY, "mask"),
    ("segments", "rounds", POLICY, "exclude"),
    ("steps", "steps", POLICY, "exclude"),
    ("everything", "rounds", EVERY_REPLY, "exclude"),
)
"""What rows must come to: by name, how replies share them, by which policy, and what becomes of replies without
reasoning. The first two are token files; files of messages leave such replies out where a template thinks."""


def _tool(name: str, about: str, **takes: str) -> dict[str, Any]:
    properties = {key: {"type": kind, "description": f"The {key}."} for key, kind in takes.items()}
    parameters = {"type": "object", "properties": properties, "required": list(takes)}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


TOOLS = [_tool("run", "Run a command.", command="string"), _tool("wait", "Do nothing.", seconds="number")]
"""Two that take different arguments: a loader that merges the columns of different objects is found out."""


async def tell(folder: Path, name: str) -> None:
    """Four replies, the second flagged; then advice after a step. What a template cannot say is left out."""
    training_log.TOOLS = TOOLS
    writer = await new_log(folder)
    told = await Teller(writer).begin("Make it learn.")
    thinks = name in ("qwen3", "glm")

    def more(thought: str, text: str = "") -> dict[str, Any]:
        return {"reasoning": thought if thinks else "", "text": text}

    if name == "gemma":
        for number, text in enumerate(("I look at it.", "I kill it.", "It runs.", "All is done."), 1):
            if number > 1:
                await told.advise("Go on.")
            await told.reply(text=text)
    else:
        await told.act("ls", "a b", **more("Look first.", "I look." if thinks else ""))
        await told.act("kill 7", "dead", **more("Too slow."))
        await told.reply(("wait", '{"seconds": 9}'), **more("Let it run."))
        await told.result(1, "9 s")
        await told.act("cat a", "xx", **more("Read it."))
        await told.reply(**more("Finish.", "All is done."))
    await told.flag(ev.Target(2))
    told = await Teller(writer, OTHER).begin("Find the fault.")
    if name == "gemma":
        await told.reply(text="I look.")
    else:
        await told.act("cat log", "loss 9", **more("Where is it?"))
    await told.advise("Look at the rate.")
    if name != "gemma":
        await told.act("cat rate", "0.1", **more("They are right.", "I look there." if thinks else ""))
    await told.reply(**more("Found.", "It is too high."))
    if thinks:
        told = await Teller(writer, BARE).begin("Stop it.")
        await told.act("kill 9", "ok")
        await told.reply(text="It has stopped.")
    await writer.close()


def export(reader: LogReader, case: Path, name: str) -> None:
    """One file; where the format itself refuses, its words instead."""
    made = FORMATS[name]
    if isinstance(made, MessageRows):
        made = made.adopt_form(case.name)
    try:
        run_export(reader, None, EVERY_REPLY if name in EVERYTHING else POLICY, made, case / f"{name}.jsonl")
    except (CannotExpress, NothingToExport) as problem:
        (case / f"{name}.refused").write_text(str(problem))


def write(folder: Path) -> None:
    """All cases below ``folder``."""
    for name in TEMPLATES:
        case = folder / name
        case.mkdir(parents=True)
        asyncio.run(tell(case, name))
        tokenizer(name).save_pretrained(case / "model")
        tiny_llama(len(tokenizer(name))).save_pretrained(case / "model")
        with LogReader(case / "log.sqlite") as reader:
            for key, packing, policy, no_think in PACKINGS:
                tokens = TokensFormat(renderer(name, no_think), packing, attention_mask=True)
                run_export(reader, None, policy, tokens, case / f"{key}.tokens.jsonl")
            for form, made in FORMATS.items():
                if made.unit in ("step", "segment"):
                    export(reader, case, form)
        expected: dict[str, list[dict[str, Any]]] = judged.write(case, POLICY)
        rows = {key: [json.loads(x) for x in (case / f"{key}.tokens.jsonl").open()] for key, *_ in PACKINGS}
        expected |= {
            key: [
                {"ids": row["input_ids"], "trained": [n for n, x in enumerate(row["labels"]) if x != -100]}
                for row in found
            ]
            for key, found in rows.items()
        }
        (case / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
