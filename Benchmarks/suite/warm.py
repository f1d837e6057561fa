# SPDX-License-Identifier: Apache-2.0
"""Warm calls: through the gateway, directly to the function, and through nginx, in the same rounds."""

from . import load, nginx, processes
from .results import AT_LEAST

SECTION = "Warm call of an HTTP function"


def measure(context, results):
    echo = context.programs["echo-server"]
    with context.owner() as owner:
        node = context.node(owner)
        node.deploy(
            "echo", "--http", "./echo-server", "--directory", echo.parent, "--cpu", "2", "--concurrency", "256", "--min", "1", "--max", "1")
        port = processes.free_port()
        owner.wait_for_port(owner.start("echo", [echo, port]), port)
        targets = [("brume", node.url("echo")), ("direct", f"http://127.0.0.1:{port}/"),
                   ("nginx", f"http://127.0.0.1:{nginx.start(owner, port)}/")]
        targets += [(name, url if url.count("/") > 2 else url + "/function/echo") for name, url in context.peers]
        open_loop(context, results, targets)
        for concurrency in (1, 16, 64):
            closed_loop(context, results, targets, concurrency)


def open_loop(context, results, targets):
    figures = load.compare(context.brume, targets, context.rounds, f"{context.seconds}s", rate=1000)
    results.keep("warm, 1000 requests per second", figures)
    brume, direct = figures["brume"], figures["direct"]
    added = lambda of: load.paired(brume, direct, lambda a, b: a["latency"][of] - b["latency"][of])
    results.add(SECTION, "added to a direct call at 1,000 req/s, p50", added("p50"), "ms", 0.3)
    results.add(SECTION, "added to a direct call at 1,000 req/s, p99", added("p99"), "ms", 2)
    plain = load.paired(figures["nginx"], direct, lambda a, b: a["latency"]["p50"] - b["latency"]["p50"])
    results.add(SECTION, "nginx adds at 1,000 req/s, p50", plain, "ms")
    results.add(SECTION, "failed calls at 1,000 req/s", brume["failed"], "", 0)


def closed_loop(context, results, targets, concurrency):
    figures = load.compare(context.brume, targets, context.rounds, f"{context.seconds}s", concurrency=concurrency)
    results.keep(f"warm, concurrency {concurrency}", figures)
    brume = figures["brume"]
    ratio = lambda other: load.paired(brume, figures[other], lambda a, b: a["throughput"] / max(b["throughput"], 1e-9))
    at = f"at concurrency {concurrency}"
    results.add(SECTION, f"calls per second {at}", brume["throughput"], "/s")
    results.add(SECTION, f"p50 {at}", brume["p50"], "ms")
    results.add(SECTION, f"p99 {at}", brume["p99"], "ms")
    added = load.paired(brume, figures["direct"], lambda a, b: a["latency"]["p50"] - b["latency"]["p50"])
    results.add(SECTION, f"added to a direct call {at}, p50", added, "ms")
    added = load.paired(brume, figures["direct"], lambda a, b: a["latency"]["p99"] - b["latency"]["p99"])
    results.add(SECTION, f"added to a direct call {at}, p99", added, "ms")
    results.add(SECTION, f"throughput over a direct call's {at}", ratio("direct"), "x")
    results.add(SECTION, f"throughput over nginx's {at}", ratio("nginx"), "x", 0.6, AT_LEAST)
    for name, _ in context.peers:
        results.add(SECTION, f"throughput over {name}'s {at}", ratio(name), "x")
        ratio = load.paired(brume, figures[name], lambda a, b: a["latency"]["p50"] / max(b["latency"]["p50"], 1e-9))
        results.add(SECTION, f"p50 over {name}'s {at}", ratio, "x")
    results.add(SECTION, f"failed calls {at}", brume["failed"], "", 0)
