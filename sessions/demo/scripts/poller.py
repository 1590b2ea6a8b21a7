"""Polling: it asks a job for its output every few seconds instead of waiting for it."""

from __future__ import annotations

from sessions.demo.script import Script, call, say

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
    advised = bool(seen.advice)
    for look in range(60):
        if advised:
            break
        seen = yield say(
            REMARKS[look % len(REMARKS)],
            call("job_output", job=job, lines=2),
            why="I need to know when it is done." if look % 5 == 0 else "",
        )
        advised = bool(seen.advice)
        if "exited" in seen.result or "ended" in seen.result:
            break
    if advised:
        seen = yield say(
            "Understood: I wait for the job instead of asking again and again.",
            call("wait", job=job),
            why="One wait costs one step; polling has cost me a step every few seconds.",
        )
        while "still running" in seen.result:
            seen = yield say("I keep waiting.", call("wait", job=job))
    yield say("The index is built. Now the queries.", call("run", command="python3 query.py queries.txt answers.json"))
    yield say("A look at the answers.", call("read_file", path="answers.json"))
    yield say("Now the score.", call("evaluate"))
    yield say("Done.", call("finish", summary="Index built, three queries answered."))
