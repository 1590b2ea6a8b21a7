"""A session that goes well: it reads before it edits, tests after each edit, waits, evaluates, finishes."""

from __future__ import annotations

from sessions.demo.script import Script, call, say

FIXES = (
    (
        "count_words splits on single spaces, so runs of spaces make empty words.",
        '    return len(text.split(" "))',
        "    return len(text.split())",
    ),
    (
        "longest_line returns the length of the line, and the docstring promises the line itself.",
        "    return max((len(line) for line in text.splitlines()), default=0)",
        '    return max(text.splitlines(), key=len, default="")',
    ),
    (
        "title_case lowers the rest of each word; names such as McCabe must keep their capitals.",
        '    return " ".join(word.capitalize() for word in text.split())',
        '    return " ".join(word[:1].upper() + word[1:] for word in text.split())',
    ),
    (
        "wrap cuts in the middle of words; textwrap keeps them whole.",
        "    return [text[i : i + width] for i in range(0, len(text), width)]",
        "    return textwrap.wrap(text, width)",
    ),
)


def steady() -> Script:
    """Repair four functions of a small library, one at a time."""
    names = ("count_words", "longest_line", "title_case", "wrap")
    plan = [{"text": f"Repair {name}", "status": "todo"} for name in names]
    yield say(
        "I read the library and its tests before I change anything.",
        call("plan", items=plan),
        call("read_file", path="textkit.py"),
        call("read_file", path="test_textkit.py"),
        why="Four functions, four tests. I want to see the failures first.",
    )
    seen = yield say("What fails now?", call("run", command="python3 -m unittest -v test_textkit 2>&1 | tail -30"))
    for number, (problem, old, new) in enumerate(FIXES):
        advice = "Thank you, I will keep that in mind. " if seen.advice else ""
        seen = yield say(
            f"{advice}{problem}",
            call("edit_file", path="textkit.py", old=old, new=new),
            why=f"The failing test names {names[number]}; the cause is plain in the source.",
        )
        if number == 3:
            seen = yield say(
                "It needs the import.",
                call("edit_file", path="textkit.py", old="from __future__ import annotations\n",
                     new="from __future__ import annotations\n\nimport textwrap\n"),
            )  # fmt: skip
        seen = yield say(
            "The tests again, all of them.",
            call("run", command="python3 -m unittest test_textkit 2>&1 | tail -12"),
            why="An edit is done when its test passes and nothing else broke.",
        )
        plan = [{**item, "status": "done" if i <= number else "todo"} for i, item in enumerate(plan)]
        seen = yield say(f"{names[number]} is right.", call("plan", items=plan))
        seen = yield say(
            "How do the other functions use it?",
            call("search", pattern=names[number], path="."),
        )
    yield say("A slow check over random texts.", call("run", command="python3 fuzz_textkit.py", timeout=90))
    yield say("All four are repaired. The score:", call("evaluate"))
    yield say("Done.", call("finish", summary="Four functions repaired, all tests pass."))
