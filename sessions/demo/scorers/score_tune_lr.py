"""Held-out accuracy of model.json; the last line is the score."""

import json
import os
import random

SIZE = 12
random.seed(7)
truth = [random.uniform(-1, 1) for _ in range(SIZE)]
random.seed(99)
path = os.path.join(os.environ.get("APOLLO_WORKSPACE", "."), "model.json")
if not os.path.exists(path):
    print("no model.json: nothing was trained to the end")
    print(0.0)
else:
    with open(path) as file:
        weights = json.load(file)["weights"]
    right, total = 0, 2000
    for _ in range(total):
        point = [random.gauss(0, 1) for _ in range(SIZE)]
        right += (sum(a * b for a, b in zip(truth, point)) > 0) == (sum(a * b for a, b in zip(weights, point)) > 0)
    print(f"{right} of {total} right")
    print(right / total)
