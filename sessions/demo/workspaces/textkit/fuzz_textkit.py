"""Try the library on random texts for a while."""

import os
import random
import time

import textkit

pause = float(os.environ.get("APOLLO_DEMO_PACE", "1")) * 1.0
random.seed(1)
for number in range(1, 31):
    text = " ".join("".join(random.choices("abcdeXYZ", k=random.randint(1, 9))) for _ in range(random.randint(1, 40)))
    assert textkit.count_words(text) == len(text.split())
    assert all(len(line) <= 20 for line in textkit.wrap(text, 20))
    if number % 5 == 0:
        print(f"{number} texts, no failure")
    time.sleep(pause)
print("done")
