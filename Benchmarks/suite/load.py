# SPDX-License-Identifier: Apache-2.0
"""Load, sent by `brume bench`."""

import json
import statistics

from . import processes

BODY = "hello"  # five bytes, as the published comparisons of gateways use


def compare(brume, targets, rounds, duration, concurrency=None, rate=None, burst=None, warm_up="1s", timeout="30s"):
    """Measures the targets [(name, url)] in turn; returns {name: figures}, each with its rounds under "runs"."""
    (first, url), *others = targets
    command = [brume, "bench", "--url", url, "--json", "--quiet", "--body", BODY, "--header", "Content-Type: text/plain"]
    command += ["--rounds", rounds, "--duration", duration, "--warm-up", warm_up, "--timeout", timeout]
    for name, peer in others:
        command += ["--peer", f"{name}={peer}"]
    if concurrency:
        command += ["--concurrency", concurrency]
    if rate:
        command += ["--rate", rate, "--arrivals", "constant"]
    if burst:
        command += ["--burst", burst]
    subjects = json.loads(processes.run(command, "brume bench"))["subjects"]
    subjects[0]["name"] = first
    return {subject["name"]: subject for subject in subjects}


def paired(first, second, figure):
    """The median, over the rounds, of a figure computed from both subjects' runs of the same round."""
    return statistics.median(figure(a, b) for a, b in zip(first["runs"], second["runs"]))
