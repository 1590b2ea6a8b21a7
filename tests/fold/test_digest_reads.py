from __future__ import annotations

from pathlib import Path
from typing import Any

import log_events as make

from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.queries.digest import read_up_to


class Counting(LogReader):
    read = 0

    def events(self, *args: Any, **more: Any) -> list[ev.Event]:
        found = super().events(*args, **more)
        self.read += len(found)
        return found


async def test_where_somebody_stopped_reading_is_found_without_all_that_was_read_in_days(tmp_path: Path) -> None:
    moved = [(f"human:{'ada' if n == 3900 else 'ben'}", n) for n in range(1, 4001)]
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(make.session_created())
        await writer.append(
            *(ev.NewEvent(make.SESSION, ev.CursorMoved(read_seq=seq), actor=actor) for actor, seq in moved)
        )
    with Counting(tmp_path / "log.sqlite") as reader:
        assert read_up_to(reader, make.SESSION, "human:ben") == 4000
        assert reader.read < 50
        assert read_up_to(reader, make.SESSION, "human:ada") == 3900
        assert reader.read < 500
        assert read_up_to(reader, make.SESSION, "human:eve") == 0
