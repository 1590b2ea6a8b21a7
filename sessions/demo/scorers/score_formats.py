"""Share of rows that came through as JSON objects with three fields; the last line is the score."""

import json
import os

workspace = os.environ.get("APOLLO_WORKSPACE", ".")
right = 0
for name in ("orders", "customers", "returns", "stock", "prices"):
    path = os.path.join(workspace, "out", f"{name}.jsonl")
    if not os.path.exists(path):
        print(f"{name}: missing")
        continue
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    good = sum(set(row) == {"id", "name", "amount"} for row in rows)
    print(f"{name}: {good} of {len(rows)}")
    right += good
print(right / 120)
