"""Judged replies: what the files for DPO and KTO are made of, and the rows of ids that they must come to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Literal

from tiny_models import renderer
from training_log import Teller, new_log

from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.formats.rows import MessageRows
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import FilterPolicy
from apollo_train.trainers.preference_rows import PreferenceTokens
from sessions import events as ev
from sessions.log.reader import LogReader

METHODS: tuple[Literal["dpo", "kto"], ...] = ("dpo", "kto")


async def tell(folder: Path, name: str) -> None:
    """Twice a reply that is flagged before it runs, then advice and a better one; at last a flagged one that ran."""
    told = await Teller(await new_log(folder)).begin("Make it learn.")
    thought = {"reasoning": "Quick."} if name in ("qwen3", "glm") else {}
    for bad, good in (("kill 7", "sleep 9"), ("rm -rf data", "ls data")):
        if name == "gemma":
            await told.reply(text=bad)
        else:
            await told.reply(("run", json.dumps({"command": bad})), **thought)
            await told.refuse(why="skipped_for_advice", shown="skipped for advice")
        await told.flag(ev.Target(told.step))
        await told.advise("Think of the data.")
        if name == "gemma":
            await told.reply(text=good)
        else:
            await told.act(good, **({"reasoning": "Slow."} if thought else {}))
        await told.flag(ev.Target(told.step), verdict="good")
        if name == "gemma":
            await told.advise("Go on.")
    if name != "gemma":
        await told.act("kill 9", **thought)
        await told.flag(ev.Target(told.step))
    await told.writer.close()


def write(case: Path, policy: FilterPolicy) -> dict[str, list[dict[str, Any]]]:
    """Our files, as ``--template`` writes them; and by method the rows that ``apollo-train dpo`` and ``kto`` train."""
    folder = case / "judged"
    folder.mkdir()
    asyncio.run(tell(folder, case.name))
    expected = {}
    with LogReader(folder / "log.sqlite") as reader:
        for method in METHODS:
            made = FORMATS[method]
            assert isinstance(made, MessageRows)
            run_export(reader, None, policy, made.adopt_form(case.name), case / f"{method}.jsonl")
            out = case / f"{method}.tokens.jsonl"
            run_export(reader, None, policy, PreferenceTokens(method, TokensFormat(renderer(case.name))), out)
            rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
            expected[method] = [made for row in rows for made in _labelled(row)]
    return expected


def _labelled(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A row's ids, the places of its reply, and whether it is wanted: of a pair what is chosen, then the other."""
    if "completion_ids" in row:
        replies = [(row["completion_ids"], row["label"])]
    else:
        replies = [(row["chosen_ids"], True), (row["rejected_ids"], False)]
    prompt = row["prompt_ids"]
    return [
        {"ids": prompt + ids, "trained": list(range(len(prompt), len(prompt + ids))), "good": good}
        for ids, good in replies
    ]
