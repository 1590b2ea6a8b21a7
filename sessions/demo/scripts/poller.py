"""Polling: it asks a job for its output every few seconds instead of waiting for it."""

from __future__ import annotations

from typing import Final

from sessions.demo.script import Feedback, Script, call, say

LOOKS: Final = 75
"""At a person's pace so many looks take longer than the job."""
REMARKS = (
    "Let me check the progress.",
    "Still going. I will check again.",
    "Not yet. Once more.",
    "It is moving. Checking again.",
)


def poller() -> Script:
    """Build an index over a corpus, which takes some minutes, and answer three queries with it."""
    yield say(
        "First an overview.",
        call("plan", items=[
            {"text": "Build the index", "status": "doing"},
            {"text": "Answer the queries in queries.txt", "status": "todo"},
            {"text": "Evaluate", "status": "todo"},
        ]),
        call("read_file", path="build_index.py"),
        call("read_file", path="queries.txt"),
        why="Building comes first; the queries need the index.",
    )  # fmt: skip
    seen = yield say(
        "Building the index in the background.",
        call("run", command="python3 build_index.py", background=True),
        why="The script says that it takes some minutes.",
    )
    job = seen.job or 1
    advised, over = bool(seen.advice), _over(seen)
    for look in range(LOOKS):
        if advised or over:
            break
        seen = yield say(
            REMARKS[look % len(REMARKS)],
            call("job_output", job=job, lines=2),
            why="I need to know when it is done." if look % 5 == 0 else "",
        )
        advised, over = bool(seen.advice), _over(seen)
    if advised and not over:
        seen = yield say(
            "Understood: I wait for the job instead of asking again and again.",
            call("wait", job=job),
            why="One wait costs one step; polling has cost me a step every few seconds.",
        )
        while "still running" in seen.result:
            seen = yield say("I keep waiting.", call("wait", job=job))
        over = True
    seen = yield say(
        "The job has ended. Now the queries." if over else "I have looked long enough. I try the queries all the same.",
        call("run", command="python3 query.py queries.txt answers.json"),
    )
    answered = "answered" in seen.result
    if answered:
        yield say("A look at the answers.", call("read_file", path="answers.json"))
    yield say("Now the score.", call("evaluate"))
    summary = "Index built, three queries answered." if answered else "The queries are not answered: there is no index."
    yield say("Done.", call("finish", summary=summary))


def _over(seen: Feedback) -> bool:
    """Whether the job is said to have ended."""
    return "ended, " in seen.result or "exit code" in seen.result
