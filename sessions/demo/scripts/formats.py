"""Malformed calls: broken JSON, invented tools, wrong field names, until somebody spells it out."""

from __future__ import annotations

import json

from sessions.demo.script import Call, Script, call, say

FILES = ("orders", "customers", "returns", "stock", "prices")

CONVERT = '''"""Turn one CSV file into JSON lines."""
import csv, json, sys

source, target = sys.argv[1:3]
with open(source, newline="", encoding="utf-8") as rows, open(target, "w", encoding="utf-8") as out:
    dialect = csv.Sniffer().sniff(rows.read(2048), delimiters=",;\\t")
    rows.seek(0)
    for row in csv.DictReader(rows, dialect=dialect):
        out.write(json.dumps({key.strip(): value.strip() for key, value in row.items()}) + "\\n")
'''

BROKEN = (
    lambda name: Call("read_file", f'{{"path": "data/{name}.csv", "start": 1,'),
    lambda name: Call("open_file", json.dumps({"filename": f"data/{name}.csv"})),
    lambda name: Call("run", json.dumps({"cmd": f"head -3 data/{name}.csv"})),
    lambda name: Call("run", f'["head", "-3", "data/{name}.csv"]'),
)


def formats() -> Script:
    """Convert five CSV files, each with its own separator, to JSON lines."""
    seen = yield say(
        "Five files to convert.",
        call("plan", items=[{"text": f"Convert {name}.csv", "status": "todo"} for name in FILES]),
        call("run", command="ls -la data"),
        why="The files may not all use the same separator. I will look at each one.",
    )
    seen = yield say("One converter for all of them.", call("write_file", path="convert.py", content=CONVERT))
    advised = bool(seen.advice)
    for number, name in enumerate(FILES):
        for slip in range(0 if advised else 4 if number in (1, 3) else 2):
            if advised:
                break
            seen = yield say(
                f"Looking at {name}.csv." if slip == 0 else "That did not work. Again.",
                BROKEN[(number + slip) % len(BROKEN)](name),
                why="I need the header line." if slip == 0 else "The tool refused it; perhaps another way.",
            )
            advised = bool(seen.advice)
        prefix = "Understood: plain JSON objects, with the fields that the tool lists. " if seen.advice else ""
        seen = yield say(
            f"{prefix}The header of {name}.csv.", call("read_file", path=f"data/{name}.csv", start=1, lines=3)
        )
        advised = advised or bool(seen.advice)
        seen = yield say(
            f"Converting {name}.csv.",
            call("run", command=f"python3 convert.py data/{name}.csv out/{name}.jsonl && wc -l out/{name}.jsonl"),
        )
        advised = advised or bool(seen.advice)
    yield say("All five are converted. The score:", call("evaluate"))
    yield say("Done.", call("finish", summary="Five CSV files converted to JSON lines."))
