# SPDX-License-Identifier: Apache-2.0
"""Does `size` rounds of adding, subtracting, multiplying and dividing whole numbers, in `parallel` processes."""

import json
import os

SIZE_MAX = 100_000_000
PARALLEL_MAX = 64
MODULUS = (1 << 61) - 1


def rounds(first, last, seed):
    total = 0
    for number in range(first, last):
        sum_ = number + seed
        difference = 3 * number - sum_
        product = sum_ * difference
        quotient = product // (number + 1)
        total = (total + sum_ - difference + product + quotient) % MODULUS
    return total


def in_processes(parts):
    """What the calls give, each in a process of its own but for the last, in order."""
    pipes = []
    for part in parts[:-1]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(writing, b"%d" % part())
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        pipes.append((child, reading))
    last = parts[-1]()
    results = []
    for child, reading in pipes:
        with os.fdopen(reading, "rb") as pipe:
            results.append(pipe.read())
        os.waitpid(child, 0)
    if not all(results):
        raise RuntimeError("a process of this call ended without a result, perhaps for want of memory")
    return [int(result) for result in results] + [last]


def run(size=100_000, seed=1, parallel=1):
    if not 1 <= size <= SIZE_MAX or not 1 <= parallel <= PARALLEL_MAX:
        raise ValueError(f"size must be 1 to {SIZE_MAX} and parallel 1 to {PARALLEL_MAX}, not {size} and {parallel}")
    if not isinstance(seed, int):
        raise ValueError("seed must be a whole number")
    bounds = [size * part // parallel for part in range(parallel + 1)]
    parts = [lambda first=first, last=last: rounds(first, last, seed) for first, last in zip(bounds, bounds[1:])]
    return {"size": size, "check": sum(in_processes(parts)) % MODULUS}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
