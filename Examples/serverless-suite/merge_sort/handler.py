# SPDX-License-Identifier: Apache-2.0
"""Sorts `size` whole numbers by merging, written out in Python, in `parallel` processes."""

import array
import hashlib
import json
import os
import random

SIZE_MAX = 20_000_000
PARALLEL_MAX = 64


def merged(left, right):
    result, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            result.append(left[i])
            i += 1
        else:
            result.append(right[j])
            j += 1
    result.extend(left[i:])
    result.extend(right[j:])
    return result


def merge_sorted(numbers):
    """From the bottom up: runs of one, two, four and so on."""
    runs = [[number] for number in numbers]
    while len(runs) > 1:
        pairs = [merged(left, right) for left, right in zip(runs[::2], runs[1::2])]
        if len(runs) % 2:
            pairs.append(runs[-1])
        runs = pairs
    return runs[0] if runs else []


def sorted_in_processes(parts):
    """Each part sorted, in a process of its own but for the last."""
    pipes = []
    for part in parts[:-1]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(reading)
                with os.fdopen(writing, "wb") as pipe:
                    array.array("q", merge_sorted(part)).tofile(pipe)
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        pipes.append((child, reading, len(part)))
    last = merge_sorted(parts[-1])
    results = []
    for child, reading, count in pipes:
        with os.fdopen(reading, "rb") as pipe:
            results.append(array.array("q", pipe.read()))
        os.waitpid(child, 0)
        if len(results[-1]) != count:
            raise RuntimeError("a process of this call ended without a result, perhaps for want of memory")
    return results + [last]


def run(size=20_000, seed=1, parallel=1):
    if not 1 <= size <= SIZE_MAX or not 1 <= parallel <= PARALLEL_MAX:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and parallel 1 to {PARALLEL_MAX}, not {size} and {parallel}")
    draw = random.Random(seed)
    numbers = [draw.getrandbits(40) for _ in range(size)]
    bounds = [size * part // parallel for part in range(parallel + 1)]
    result = []
    for part in sorted_in_processes([numbers[first:last] for first, last in zip(bounds, bounds[1:])]):
        result = merged(result, part)
    digest = hashlib.sha256(array.array("q", result).tobytes())
    return {"size": size, "lowest": result[0], "highest": result[-1], "check": digest.hexdigest()[:16]}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
