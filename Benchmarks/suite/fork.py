# SPDX-License-Identifier: Apache-2.0
"""The `fork` contract beside a C loop that starts the same program."""

import json
import statistics

from . import load, processes

SECTION = "Call of a fork function"
PROGRAM = "/bin/cat"


def measure(context, results):
    with context.owner() as owner:
        node = context.node(owner)
        node.deploy("cat", "--command", PROGRAM, "--cpu", "2", "--concurrency", "16", "--min", "1", "--max", "1")
        for concurrency in (1, 4):
            rounds = []
            for _ in range(context.rounds):
                subjects = [("brume", node.url("cat"))]
                brume = load.compare(context.brume, subjects, 1, f"{context.seconds}s", concurrency=concurrency)["brume"]
                command = [context.programs["fork-loop"], context.seconds, concurrency, load.BODY, PROGRAM]
                rounds.append((brume, json.loads(processes.run(command, "fork-loop"))))
            results.keep(f"fork, concurrency {concurrency}", rounds)
            median = lambda figure: statistics.median(figure(brume, direct) for brume, direct in rounds)
            at = f"at concurrency {concurrency}"
            results.add(SECTION, f"calls per second {at}", median(lambda a, b: a["throughput"]), "/s")
            results.add(SECTION, f"p50 {at}", median(lambda a, b: a["p50"]), "ms")
            results.add(SECTION, f"p50 of forking directly {at}", median(lambda a, b: b["p50"]), "ms")
            results.add(SECTION, f"time over forking directly {at}, p50", median(lambda a, b: a["p50"] / b["p50"]), "x", 1.3)
            results.add(SECTION, f"failed calls {at}", sum(brume["failed"] for brume, _ in rounds), "", 0)
