"""An agent of somebody's own that counts the wrong lines, hour by hour, until somebody says which ones count."""

from __future__ import annotations

from sessions.demo.script import Script, Turn, call, say

PATTERN = "ERROR|WARN"


def errors() -> Script:
    """Find the hour with the most errors in a server's log."""
    seen = yield say(
        "I look at the file first.", call("shell", command="ls -la && head -5 server.log"), why="What is in there?"
    )
    seen = yield say("How long is it?", call("shell", command="wc -l server.log"))
    advised = seen.advice
    for hour in range(0, 24, 2):
        if advised:
            break
        seen = yield say(
            f"Errors and warnings between {hour:02} and {hour + 2:02} o'clock.",
            call("shell", command=_count(hour)),
            why="Warnings are errors of a kind, I suppose. I count both." if hour == 0 else "The next two hours.",
        )
        advised = seen.advice
    if advised:
        yield say(
            "Understood: only the lines that say ERROR, and all hours in one go.",
            call("shell", command="grep ' ERROR ' server.log | cut -c12-13 | sort | uniq -c | sort -rn | head -3"),
            why="One command tells it.",
        )
        yield say("17 o'clock. I write it down.", call("shell", command="echo 17 > answer.txt && cat answer.txt"))
        yield Turn(text="The hour with the most errors is 17; it is in answer.txt.")
        return
    yield say("Three o'clock has the most. I write it down.", call("shell", command="echo 03 > answer.txt"))
    yield Turn(text="The hour with the most errors is 03; it is in answer.txt.")


def _count(hour: int) -> str:
    return f'for h in {hour:02} {hour + 1:02}; do echo $h $(grep -cE "^.{{11}}$h.*({PATTERN})" server.log); done'
