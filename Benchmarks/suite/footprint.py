# SPDX-License-Identifier: Apache-2.0
"""What a node and its replicas weigh."""

import shutil
import time

from . import BenchError, processes

SECTION = "Footprint"
REPLICAS = 8
QUIET_SECONDS = 2  # for a fresh node to finish what it begins with


def measure(context, results):
    binary(context, results)
    with context.owner() as owner:
        node = context.node(owner)
        time.sleep(QUIET_SECONDS)
        results.add(SECTION, "node idle, resident", processes.memory([node.process.pid], "Rss") / 1e6, "MB", 60)
        for name, title, words in [
            ("idle-http", "http, static server", ["--http", "./echo-server", "--directory", context.programs["echo-server"].parent]),
            ("idle-python", "handler, Python", ["--handler", context.functions / "handler.py"]),
            ("idle-node", "handler, Node", ["--handler", context.functions / "handler.js"]),
        ]:
            try:
                results.add(SECTION, f"idle replica, {title}, proportional share", replica(node, name, words) / 1e6, "MB")
            except BenchError as error:
                results.pending(SECTION, f"idle replica, {title}", str(error))


def replica(node, name, words):
    """Bytes that one more replica adds to the node's whole process tree, each shared page divided among its users."""
    node.deploy(name, *words, "--min", "0", "--max", str(REPLICAS))
    node.scale(name, 0)
    time.sleep(QUIET_SECONDS)
    before = processes.memory(processes.tree(node.process.pid), "Pss")
    node.scale(name, REPLICAS)
    time.sleep(QUIET_SECONDS)
    after = processes.memory(processes.tree(node.process.pid), "Pss")
    node.scale(name, 0)
    return (after - before) / REPLICAS


def binary(context, results):
    strip = shutil.which("strip") or shutil.which("llvm-strip") or shutil.which("llvm-objcopy")
    if not strip:
        results.add(SECTION, "binary, not stripped", context.brume.stat().st_size / 1e6, "MB", note="no strip on this machine")
        return
    stripped = context.work / "brume-stripped"
    command = [strip, "--strip-all", context.brume, stripped] if strip.endswith("objcopy") else [strip, "-o", stripped, context.brume]
    processes.run(command, "strip")
    results.add(SECTION, "binary, stripped", stripped.stat().st_size / 1e6, "MB", 40)
