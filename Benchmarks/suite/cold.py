# SPDX-License-Identifier: Apache-2.0
"""Cold starts: one by one on each contract, and as many per second as the node sustains."""

import statistics
import time

from . import BenchError, load

SECTION = "Cold start"
REPLICA_GONE_SECONDS = 0.05  # between a replica's end in the books and the end of its processes
SPARE_READY_SECONDS = 0.25  # until the next spare sandbox is ready, whatever waits in it


def functions(context):
    """Name, deploy words, targets of the median in milliseconds: from a spare sandbox, and without one."""
    echo, bootstrap = context.programs["echo-server"], context.programs["bootstrap"]
    yield "fork, static program", ["--command", "./echo-filter", "--directory", context.programs["echo-filter"].parent], (10, 10)
    yield "http, static server", ["--http", "./echo-server", "--directory", echo.parent], (10, 10)
    yield "handler, Python", ["--handler", context.functions / "handler.py"], (5, 25)
    yield "handler, Node", ["--handler", context.functions / "handler.js"], (None, None)
    yield "lambda, static program", ["--lambda", bootstrap], (10, 10)


def measure(context, results):
    with context.owner() as owner:
        node = context.node(owner)
        one_by_one(context, node, results, "", 0, SPARE_READY_SECONDS)
        node.stop()
        node = context.node(owner, "--spares", "0")
        one_by_one(context, node, results, " without a spare", 1, REPLICA_GONE_SECONDS)
        sustained(context, node, results)


def one_by_one(context, node, results, suffix, target, pause):
    for number, (title, words, targets) in enumerate(functions(context)):
        name = f"cold-{number}"
        title += suffix
        try:
            node.deploy(name, *words, "--cpu", "2", "--min", "0", "--max", "1")
            samples = starts(node, name, context.cold_starts, pause)
        except BenchError as error:
            results.pending(SECTION, title, str(error))
            continue
        results.keep(f"cold start, {title}, ms", samples)
        results.add(SECTION, f"{title}, p50", statistics.median(samples), "ms", targets[target])
        results.add(SECTION, f"{title}, p99", sorted(samples)[min(len(samples) - 1, len(samples) * 99 // 100)], "ms")


def starts(node, name, count, pause):
    """The times of so many calls, each on a function scaled to zero before."""
    samples = []
    for _ in range(count):
        node.scale(name, 0)
        time.sleep(pause)
        elapsed, status, headers = node.timed_call(name)
        if status != 200:
            raise BenchError(f"a cold call was answered with {status}: {headers.get('X-Brume-Failure')}")
        if headers.get("X-Brume-Start") != "cold":
            raise BenchError(f"a call after scaling to zero was {headers.get('X-Brume-Start')}, not cold")
        samples.append(elapsed)
    return samples


def sustained(context, node, results):
    """Every call of a function without keep-alive is a cold start; the calls' own records prove it."""
    words = ["--command", "./echo-filter", "--directory", context.programs["echo-filter"].parent]
    # Without --no-wait deploy looks for a ready replica, and this function never keeps one.
    node.deploy("cold-rate", *words, "--no-wait", "--cpu", "2", "--min", "0", "--max", "16", "--keep-alive", "0s")
    figures = load.compare(context.brume, [("brume", node.url("cold-rate"))], 1, f"{max(context.seconds, 5)}s", concurrency=4)["brume"]
    calls = node.calls("cold-rate", 500)
    share = sum(1 for call in calls if call["cold"]) / max(1, len(calls))
    results.keep("cold starts sustained", {"load": figures, "coldShare": share})
    results.add(SECTION, "sustained per second, 4 clients", figures["throughput"] * share, "/s", note=f"{share:.0%} of the calls were cold")
    results.add(SECTION, "failed calls meanwhile", figures["failed"], "", 0)
