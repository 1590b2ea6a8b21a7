from __future__ import annotations

from pathlib import Path

import pytest
from training_log import Teller, kept_policy

from apollo_train.export.run import run_export
from sessions import events as ev
from sessions.log.reader import LogReader


@pytest.mark.parametrize("format", ["steps", "openai", "ms-swift", "axolotl"])
async def test_no_row_twin_line_or_manifest_says_who_judged_or_what_they_noted(
    told: Teller, reader: LogReader, tmp_path: Path, format: str
) -> None:
    who = "human:zoe-quill"
    for command in ("ls", "pwd", "make"):
        await told.act(command)
    await told.flag(ev.Target(2), actor=who, note="a note by zoe-quill")
    await told.advise("use a smaller rate", actor=who)
    await told.act("make again")
    for body in (
        ev.EffortSpent(active_ms=123_457, keys=98_765),
        ev.NoteWritten(text="a secret note"),
        ev.BookmarkSet(target=ev.Target(1)),
        ev.SignedOff(verdict="good", note="signed by zoe-quill"),
        ev.CursorMoved.up_to(told.history[-1].seq),
    ):
        await told.tell(body, actor=who)
    out = tmp_path / "rows.jsonl"
    report = run_export(reader, None, kept_policy(), format, out)
    for path in (out, report.excluded, report.manifest):
        text = path.read_text()
        assert text
        assert "zoe-quill" not in text and "a secret note" not in text
