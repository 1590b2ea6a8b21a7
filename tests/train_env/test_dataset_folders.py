from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_log import OTHER, Teller, kept_policy, new_log, rows_of

from apollo_train.export.dataset_folder import write_folder
from apollo_train.export.run import run_export
from apollo_train.policy import SplitRules
from sessions import events as ev
from sessions.log.reader import LogReader

POLICY = kept_policy(split=SplitRules(test=0.5, seed="3"))


async def a_log(folder: Path, *, advised: bool = True) -> Path:
    """``advised`` False: no user turn right after a tool result, where ms-swift's rows end."""
    writer = await new_log(folder)
    first = await Teller(writer).begin("One.", task_id="one")
    second = await Teller(writer, OTHER).begin("Two.", task_id="two")
    for told in (first, second):
        await told.reply(("run", '{"command":"kill 1"}'), reasoning="It looks stuck.")
        await told.refuse(why="skipped_for_advice", shown="This call was not run.")
        await told.flag(ev.Target(1, "call", 1))
        if advised:
            await told.advise("The job is healthy.")
        await told.reply(("run", '{"command": ["ls", 3], "other": {"deep": null}}'))
        await told.result(1)
        await told.act("tail log", reasoning="I read the log.")
    await writer.close()
    return writer.path


@pytest.mark.parametrize(
    "name", ["steps", "messages", "openai", "ms-swift", "slime", "llamafactory-v1", "nemo-rl", "kto", "dpo"]
)
async def test_datasets_loads_the_folder_and_changes_nothing_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import datasets

    log = await a_log(tmp_path, advised=name != "ms-swift")
    with LogReader(log) as reader:
        write_folder(reader, None, POLICY, name, tmp_path / "set")
        whole = rows_of(run_export(reader, None, POLICY, name, tmp_path / "x.jsonl").path)
    loaded = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    found = [row for split in loaded.values() for row in split]
    assert sum(split.num_rows for split in loaded.values()) == len(whole)
    by_id = {row["meta"]["id"]: row for row in found}
    for row in whole:
        assert said(by_id[row["meta"]["id"]]) == said(row)


def said(row: dict[str, Any]) -> str:
    """The row without the empty fields that Arrow adds where another row has them."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(item) for key, item in value.items() if item is not None}
        return [bare(item) for item in value] if isinstance(value, list) else value

    return json.dumps(bare(row), sort_keys=True)
