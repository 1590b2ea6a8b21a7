"""Build an inverted index over a generated corpus and write index.json. Takes about two minutes."""

import json
import os
import random
import time

pause = float(os.environ.get("APOLLO_DEMO_PACE", "1")) * 1.2
random.seed(3)
WORDS = "loss rate batch model data token mask flag advice agent step score plan train job wait eval cache log run".split()
index = {}
SHARDS = 100
for shard in range(SHARDS):
    for number in range(shard * 20, shard * 20 + 20):
        for word in random.choices(WORDS, k=12):
            index.setdefault(word, set()).add(number)
    if shard % 5 == 4:
        print(f"shard {shard + 1} of {SHARDS} done, {len(index)} words")
    time.sleep(pause)
with open("index.json", "w") as out:
    json.dump({word: sorted(numbers) for word, numbers in sorted(index.items())}, out)
print("wrote index.json")
