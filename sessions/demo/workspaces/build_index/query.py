"""Answer queries with index.json: how many documents hold all words of the line."""

import json
import sys

queries, target = sys.argv[1:3]
with open("index.json") as file:
    index = {word: set(numbers) for word, numbers in json.load(file).items()}
answers = {}
with open(queries) as file:
    for line in file.read().splitlines():
        found = [index.get(word, set()) for word in line.split()]
        answers[line] = len(set.intersection(*found)) if found else 0
with open(target, "w") as out:
    json.dump(answers, out, indent=1)
print(f"answered {len(answers)} queries")
