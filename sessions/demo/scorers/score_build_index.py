"""Share of the queries that are answered right; the last line is the score."""

import json
import os
import random

random.seed(3)
WORDS = "loss rate batch model data token mask flag advice agent step score plan train job wait eval cache log run".split()
index = {}
for number in range(2000):
    for word in random.choices(WORDS, k=12):
        index.setdefault(word, set()).add(number)
workspace = os.environ.get("APOLLO_WORKSPACE", ".")
with open(os.path.join(workspace, "answers.json")) as file:
    answers = json.load(file)
right = sum(len(set.intersection(*(index[w] for w in query.split()))) == count for query, count in answers.items())
print(f"{right} of {len(answers)} right")
print(right / max(1, len(answers)))
