"""Train a small classifier by gradient descent. Plain Python, so that it runs wherever Python does.

Prints the loss as it goes and writes model.json at the end. A full run takes about a minute: let it run.
"""

import argparse
import json
import math
import os
import random
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--steps", type=int, default=120)
args = parser.parse_args()
pause = float(os.environ.get("APOLLO_DEMO_PACE", "1")) * 0.5

random.seed(7)
SIZE = 12
truth = [random.uniform(-1, 1) for _ in range(SIZE)]


def draw():
    point = [random.gauss(0, 1) for _ in range(SIZE)]
    return point, 1.0 if sum(a * b for a, b in zip(truth, point)) > 0 else 0.0


data = [draw() for _ in range(400)]
weights = [random.gauss(0, 2) for _ in range(SIZE)]
for step in range(1, args.steps + 1):
    loss, gradient = 0.0, [0.0] * SIZE
    for point, label in data:
        z = max(-30.0, min(30.0, sum(a * b for a, b in zip(weights, point))))
        p = 1 / (1 + math.exp(-z))
        loss -= math.log(max(1e-9, p if label else 1 - p))
        for i in range(SIZE):
            gradient[i] += (p - label) * point[i]
    weights = [w - args.lr * 0.2 * g for w, g in zip(weights, gradient)]
    if step == 1 or step % 5 == 0:
        print(f"step {step:>4}/{args.steps}  loss {loss / len(data):.4f}  lr {args.lr:g}")
    time.sleep(pause)
with open("model.json", "w") as out:
    json.dump({"weights": weights, "steps": args.steps, "lr": args.lr}, out)
print("saved model.json")
