from __future__ import annotations

from pathlib import Path
from typing import Any

import log_events as make
import msgspec

from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter
from sessions.queries.digest import digests, read_up_to, session_digest


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


async def test_advice_that_waited_to_be_said_again_is_no_news(tmp_path: Path) -> None:
    def told(body: ev.Body) -> ev.NewEvent:
        return ev.NewEvent(make.SESSION, body)

    delivered = told(ev.AdviceDelivered(advice=(1,), at_step=2, text="t"))
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        again = told(ev.AdviceRequeued(advice=1, text="t", why="standing"))
        await writer.append(make.session_created(), make.state("running"), delivered, again, delivered)
    with LogReader(tmp_path / "log.sqlite") as reader:
        values = [
            session_digest(reader, make.SESSION, actor="human:ada", now=10**13, since_seq=seq).value("advice")
            for seq in range(6)
        ]
    assert values == [1, 1, 1, 0, 0, 0]


async def test_sub_agents_that_only_worked_are_a_figure_of_their_session_and_one_that_waits_has_a_line(
    tmp_path: Path,
) -> None:
    def works(session: str, step: int) -> ev.NewEvent:
        made = make.reply(step, 1, text="x")
        return msgspec.structs.replace(made, session=session)

    children = [f"01K0000000000000000000000{at}" for at in "ABC"]
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(make.session_created(), make.state("running"), works(make.SESSION, 1))
        for number, child in enumerate(children, 2):
            begins = ev.Beginning(make.SESSION, 1, "child")
            await writer.append(make.session_created(child, number, begins=begins), make.state("running", child))
            await writer.append(works(child, 1), works(child, 2))
        await writer.append(make.state("needs_you", children[2], need="key", reason="no key"))
    with LogReader(tmp_path / "log.sqlite") as reader:
        found = digests(reader, "human:ada", 10**13)
    assert [each.session for each in found] == [children[2], make.SESSION]
    assert [figure.words for figure in found[1].headline] == ["1 step", "4 steps of 2 sub-agents"]
