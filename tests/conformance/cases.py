"""The files that other trainers are handed, and which token positions they must train.

In the trainers' environment, ``python tests/conformance/cases.py FOLDER`` writes for each of four templates a
tokenizer, our files in every format, and ``expected.json``. The session has one flagged reply in its middle, whose loss
must not come back.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from tiny_models import TEMPLATES, renderer, tiny_llama, tokenizer
from trainlog import Teller, new_log

from apollo_train.errors import CannotExpress, NothingToExport
from apollo_train.export import run_export
from apollo_train.formats import FORMATS
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import FilterPolicy, TargetRules
from sessions.log import events as ev
from sessions.log.reader import LogReader

POLICY = FilterPolicy(targets=TargetRules(text_only=True))


async def tell(folder: Path, name: str) -> None:
    """Four replies, the second flagged; all that a template cannot say is left out of its session."""
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
        await told.act("cat a", "xx", **more("Read it."))
        await told.reply(**more("Finish.", "All is done."))
    await told.flag(ev.Target(2))
    await writer.close()


def export(reader: LogReader, case: Path, form: str) -> None:
    """One file; where the exporter itself refuses, its words instead."""
    try:
        run_export(reader, None, POLICY, form, case / f"{form}.jsonl")
    except (CannotExpress, NothingToExport) as problem:
        (case / f"{form}.refused").write_text(str(problem))


def write(folder: Path) -> None:
    """All cases below ``folder``."""
    for name in TEMPLATES:
        case = folder / name
        case.mkdir(parents=True)
        asyncio.run(tell(case, name))
        tokenizer(name).save_pretrained(case / "model")
        tiny_llama(len(tokenizer(name))).save_pretrained(case / "model")
        with LogReader(case / "log.sqlite") as reader:
            for packing in ("steps", "rounds"):
                run_export(
                    reader,
                    None,
                    POLICY,
                    TokensFormat(renderer(name), packing, attention_mask=True),
                    case / f"{packing}.tokens.jsonl",
                )  # type: ignore[arg-type]  # a literal
            for form, made in FORMATS.items():
                if made.unit in ("step", "segment"):
                    export(reader, case, form)
        rows = {p: [json.loads(x) for x in (case / f"{p}.tokens.jsonl").open()] for p in ("steps", "rounds")}
        expected = {
            packing: [
                {"ids": row["input_ids"], "trained": [n for n, x in enumerate(row["labels"]) if x != -100]}
                for row in found
            ]
            for packing, found in rows.items()
        }
        (case / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
