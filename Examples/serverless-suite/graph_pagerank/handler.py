# SPDX-License-Identifier: Apache-2.0
"""Ranks `size` pages by the links between them (PageRank by repeated multiplication, until the ranks no longer change)."""

import json
import random

SIZE_MAX = 2_000_000
DAMPING = 0.85
TOLERANCE = 1e-9
ROUNDS_MAX = 200


def links(size, seed, degree):
    """Up to `degree` links from each page, most of them to pages with low numbers; every ninth page links nowhere."""
    draw = random.Random(seed)
    return [
        [] if page % 9 == 8 else [int(size * draw.random() ** 2) for _ in range(draw.randint(1, degree))] for page in range(size)
    ]


def ranks(targets):
    count = len(targets)
    rank = [1 / count] * count
    for round_ in range(1, ROUNDS_MAX + 1):
        following, dangling = [0.0] * count, 0.0
        for page, out in enumerate(targets):
            if not out:
                dangling += rank[page]
                continue
            share = rank[page] / len(out)
            for target in out:
                following[target] += share
        base = (1 - DAMPING + DAMPING * dangling) / count
        following = [base + DAMPING * value for value in following]
        change = sum(abs(new - old) for new, old in zip(following, rank))
        rank = following
        if change < TOLERANCE:
            break
    return rank, round_


def run(size=2000, seed=1, degree=8):
    if not 1 <= size <= SIZE_MAX or not 1 <= degree <= 1000:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and degree 1 to 1000, not {size} and {degree}")
    rank, rounds = ranks(links(size, seed, degree))
    best = max(range(size), key=rank.__getitem__)
    return {"size": size, "rounds": rounds, "best": best, "sum": round(sum(rank), 6), "check": f"{best}:{rank[best]:.9f}"}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
