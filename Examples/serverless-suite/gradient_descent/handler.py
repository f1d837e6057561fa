# SPDX-License-Identifier: Apache-2.0
"""Fits a line through many dimensions with `size` passes each of plain gradient descent, RMSprop and Adam."""

import concurrent.futures
import json
import os

# Threads are the caller's choice, not the library's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy  # noqa: E402

SIZE_MAX = 100_000
SAMPLES, FEATURES = 4000, 40
RATES = {"descent": 0.05, "rmsprop": 0.01, "adam": 0.02}


def fit(method, inputs, outputs, passes):
    """The weights after that many passes, and the mean square error they leave."""
    weights = numpy.zeros(inputs.shape[1])
    mean, square = numpy.zeros_like(weights), numpy.zeros_like(weights)
    rate = RATES[method]
    for step in range(1, passes + 1):
        gradient = 2 * inputs.T @ (inputs @ weights - outputs) / len(outputs)
        if method == "descent":
            weights -= rate * gradient
            continue
        square += (1 - 0.999 if method == "adam" else 1 - 0.9) * (gradient**2 - square)
        if method == "rmsprop":
            weights -= rate * gradient / (numpy.sqrt(square) + 1e-8)
            continue
        mean += (1 - 0.9) * (gradient - mean)
        weights -= rate * (mean / (1 - 0.9**step)) / (numpy.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights, float(((inputs @ weights - outputs) ** 2).mean())


def run(size=200, seed=1, parallel=1):
    if not 1 <= size <= SIZE_MAX or not 1 <= parallel <= len(RATES):
        raise ValueError(f"size must be 1 to {SIZE_MAX} and parallel 1 to {len(RATES)}, not {size} and {parallel}")
    draw = numpy.random.Generator(numpy.random.PCG64(seed))
    truth = draw.normal(0, 1, FEATURES)
    inputs = draw.normal(0, 1, (SAMPLES, FEATURES))
    outputs = inputs @ truth + draw.normal(0, 0.1, SAMPLES)
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        fits = dict(zip(RATES, pool.map(lambda method: fit(method, inputs, outputs, size), RATES)))
    errors = {method: round(error, 6) for method, (_, error) in fits.items()}
    best = min(errors, key=errors.get)
    distance = float(numpy.abs(fits[best][0] - truth).max())
    # Rounded, because the last bits of a sum depend on the instructions that a processor has.
    return {"size": size, "errors": errors, "best": best, "distance": round(distance, 5), "check": f"{errors[best]:.4f}"}


def handle(event, context):
    try:
        return run(**json.loads(event.body or b"{}"))
    except (TypeError, ValueError) as error:
        return {"statusCode": 400, "body": f"{error}\n"}
