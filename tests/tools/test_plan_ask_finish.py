from __future__ import annotations

from pathlib import Path

from tool_testbed import Bench

from sessions.events import PlanChanged, PlanItem


async def test_a_plan_is_noted_whole(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    result = await bench.do("plan", items=[{"text": "read"}, {"text": "write", "status": "done"}])
    assert result.events == (PlanChanged(items=(PlanItem("read", "todo"), PlanItem("write", "done"))),)
    assert result.output == "The plan has 2 items, 1 done."


async def test_a_question_returns_its_answer(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    asked: list[tuple[str, float]] = []

    def answer(question: str, timeout: float) -> tuple[str, bool]:
        asked.append((question, timeout))
        return "blue", False

    bench.answer = answer
    result = await bench.do("ask_human", question="Which colour?")
    assert (result.output, result.data) == ("blue", {"timed_out": False})
    assert asked == [("Which colour?", 1800.0)]


async def test_nobody_there_means_use_your_judgement(tmp_path: Path) -> None:
    result = await Bench.at(tmp_path).do("ask_human", question="Which colour?", timeout_minutes=1)
    assert result.output == "Nobody answered in time. Use your judgement."
    assert result.data == {"timed_out": True}


async def test_finish_ends_the_session_and_names_jobs_that_still_run(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    await bench.do("run", command="sleep 1000", background=True)
    result = await bench.do("finish", summary="done")
    await bench.jobs.kill_all(grace=0.1)
    assert result.finish
    assert result.data == {"summary": "done", "running_jobs": [1]}
