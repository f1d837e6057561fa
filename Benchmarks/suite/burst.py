# SPDX-License-Identifier: Apache-2.0
"""From nothing to 500 calls at the same moment."""

from . import load

SECTION = "Burst"
CALLS = 500


def measure(context, results):
    with context.owner() as owner:
        node = context.node(owner)
        for name, title, words in [
            (
                "burst-http", "http, 64 calls per replica",
                ["--http", "./echo-server", "--directory", context.programs["echo-server"].parent, "--concurrency", "64"]),
            ("burst-python", "Python, 1 call per replica", ["--handler", context.functions / "handler.py", "--concurrency", "1"]),
        ]:
            node.deploy(name, *words, "--cpu", "2", "--min", "0", "--max", "8")
            failed, seconds = 0, []
            for _ in range(context.rounds):
                node.scale(name, 0)
                figures = load.compare(context.brume, [("brume", node.url(name))], 1, "60s", burst=CALLS)["brume"]
                results.keep(f"burst, {title}", figures)
                failed += figures["failed"]
                seconds.append(figures["runs"][0]["seconds"])
            results.add(SECTION, f"0 to {CALLS} calls at once, {title}: failed", failed, "", 0)
            median = sorted(seconds)[len(seconds) // 2] * 1000
            results.add(SECTION, f"0 to {CALLS} calls at once, {title}: all answered after", median, "ms")
