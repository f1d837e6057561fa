# SPDX-License-Identifier: Apache-2.0
"""Visits a graph of `size` nodes in breadth, and says how many nodes lie how far from the first."""

import hashlib
import json
import random

SIZE_MAX = 2_000_000


def neighbours(size, seed, degree):
    """A ring, so that all hangs together, and `degree` more edges for each node."""
    draw = random.Random(seed)
    lists = [[(node + 1) % size, (node - 1) % size] for node in range(size)]
    for node in range(size):
        for _ in range(degree):
            other = draw.randrange(size)
            lists[node].append(other)
            lists[other].append(node)
    return lists


def distances(lists, start):
    far = [-1] * len(lists)
    far[start] = 0
    front = [start]
    while front:
        following = []
        for node in front:
            step = far[node] + 1
            for other in lists[node]:
                if far[other] < 0:
                    far[other] = step
                    following.append(other)
        front = following
    return far


def run(size=5000, seed=1, degree=2):
    if not 1 <= size <= SIZE_MAX or not 0 <= degree <= 1000:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and degree 0 to 1000, not {size} and {degree}")
    far = distances(neighbours(size, seed, degree), 0)
    levels = [0] * (max(far) + 1)
    for distance in far:
        levels[distance] += 1
    digest = hashlib.sha256(" ".join(map(str, far)).encode())
    return {"size": size, "depth": len(levels) - 1, "levels": levels[:20], "check": digest.hexdigest()[:16]}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
