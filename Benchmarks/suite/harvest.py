# SPDX-License-Identifier: Apache-2.0
"""How fast limits follow: what the safeguard takes from crossing a threshold to restored limits, on a real node, and what watching costs.

The node tells in its log when each limit was written, by the same clock as the functions tell when they began to use more.
"""

import json
import os
import pathlib
import re
import threading
import time

from . import BenchError, processes

SECTION = "Harvesting"
TRIPS_EACH = (200, 40)  # of each resource: in full, and in a hurry
QUIET_CALLS = 9  # between two trips, so that the latest five, of which the most is expected, are all quiet
OWN_MILLICORES, OWN_MIB = 1000, 256
# Of SafeguardSettings: near a limit is 80 % of it, averaged over a window, and less than the margin left of memory.
THRESHOLD_PERCENT, WINDOW_MS, MARGIN = 80, 40, 16 << 20
IDLE_MS = 100  # before a trip, so that its window is empty and the memory in use can be read
SLEEPERS = 16  # calls that do nothing, for the cost of watching
WATCH_SECONDS = 4

LINE = re.compile(r'"limit written".* kind=(\w+) replica=(\S+) to=(\d+) took-ns=(\d+) uptime-ns=(\d+)')


def measure(context, results):
    quick = context.cold_starts < 100
    trips = TRIPS_EACH[1 if quick else 0]
    with context.owner() as owner:
        # The most of the latest five calls is expected: so a call that uses more is a surprise soon after the one before. No function is
        # left alone for having surprised so often, nor because other work of the machine made its quiet calls look busy.
        node = context.node(
            owner, "--sharing", "harvest", "--sharing-without", "profiler", "--safeguard-pause", "0s", "--spares", "0", "--log-level",
            "trace")
        for name in ("spin", "grow"):
            node.deploy(
                name, "--handler", context.functions / "harvest.py", "--cpu", f"{OWN_MILLICORES}m", "--memory", f"{OWN_MIB}Mi",
                "--min", "1", "--max", "1", "--annotation", f"dev.brume.harvest={'cpu' if name == 'spin' else 'memory'}")
        for busy in (False, True):
            with Burden(busy):
                surprises = {name: [surprise(context, node, name) for _ in range(trips)] for name in ("spin", "grow")}
            written = limits(context, node)
            report(results, "CPU", [cpu_reaction(trip, written) for trip in surprises["spin"]], busy)
            report(results, "memory", [memory_reaction(trip, written) for trip in surprises["grow"]], busy)
        took = sorted(line["took"] for line in written)
        results.add(SECTION, "a limit, from decided to written, p50", at(took, 50) / 1e3, "us", 100)
        results.add(SECTION, "a limit, from decided to written, p99", at(took, 99) / 1e3, "us", 100, note=f"{len(took)} limits")
        watching(node, results)


class Burden:
    """Keeps every core busy with the work of others, or does not."""

    def __init__(self, wanted):
        self.cores = os.cpu_count() if wanted else 0

    def __enter__(self):
        self.children = []
        for _ in range(self.cores):
            pid = os.fork()
            if pid == 0:
                end = time.monotonic() + 300  # should this program be killed
                while time.monotonic() < end:
                    pass
                os._exit(0)
            self.children.append(pid)

    def __exit__(self, *_):
        for pid in self.children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def call(node, name, **words):
    status, body = node.request("POST", f"/function/{name}", words)
    if status != 200:
        raise BenchError(f"{name} answered {status}: {body.decode(errors='replace').strip()}")
    return json.loads(body)


def surprise(context, node, name):
    """Quiet calls, from which the node learns that this function needs next to nothing; then one that does."""
    for _ in range(QUIET_CALLS):
        call(node, name, idle=0, spin=0, mib=0)
    if name == "grow" and not hasattr(node, "memory_file"):
        node.memory_file = usage_file(context, node)
    told = {}
    thread = threading.Thread(
        target=lambda: told.update(call(node, name, idle=IDLE_MS, spin=60 if name == "spin" else 0, mib=160 if name == "grow" else 0)))
    thread.start()
    time.sleep(IDLE_MS / 2000)
    held = int(node.memory_file.read_text()) if name == "grow" else 0
    thread.join()
    if not told:
        raise BenchError(f"{name} did not answer")
    return dict(told, held=held)


def usage_file(context, node):
    """Where the control group of the only replica that lends memory says what it holds."""
    replica = next(line["replica"] for line in limits(context, node) if line["kind"] == "memory")
    for pid in processes.tree(node.process.pid):
        try:
            groups = pathlib.Path(f"/proc/{pid}/cgroup").read_text().split()
        except OSError:
            continue
        for group in groups:
            _, controllers, path = group.split(":", 2)
            for root, file in ((f"/sys/fs/cgroup/{controllers}", "memory.usage_in_bytes"), ("/sys/fs/cgroup", "memory.current")):
                found = pathlib.Path(f"{root}{path}/{file}")
                if re.search(rf"/brume-\w+/{replica}$", path) and found.exists():
                    return found
    raise BenchError(f"the control group of {replica} was not found")


def limits(context, node):
    """Every limit that the node says it wrote, in order."""
    text = (context.work / f"{node.name}.log").read_text(errors="replace")
    keys = ("kind", "replica", "to", "took", "at")
    found = [dict(zip(keys, match.groups())) for match in LINE.finditer(text)]
    for line in found:
        line.update({key: int(line[key]) for key in ("took", "to", "at")})
    return sorted(found, key=lambda line: line["at"])


def reaction(written, kind, own, trip, crossing):
    """Milliseconds from a crossing, which depends on the limit, until the call had its own again; None if it had lent nothing."""
    before = [line for line in written if line["kind"] == kind and trip["began"] - 10**9 < line["at"] < trip["began"]]
    lowered = [line for line in before if line["to"] < own]
    if not lowered or before[-1]["to"] >= own:
        return None
    crossed = crossing(before[-1]["to"])
    restored = next(
        (line["at"] for line in written
         if line["kind"] == kind and line["replica"] == before[-1]["replica"] and trip["began"] <= line["at"] <= trip["ended"]
         and line["to"] >= own), None)
    if crossed is None:
        return None
    # One that was never restored counts as long as it ran.
    return ((restored or trip["ended"]) - crossed) / 1e6


def cpu_reaction(trip, written):
    def crossing(limit):
        """The moment at which the window that ends with it has seen 80 % of what the limit allows in a window."""
        enough, first = limit / 1000 * THRESHOLD_PERCENT / 100 * WINDOW_MS * 1e6, 0
        for when, cpu in trip["used"]:
            while trip["used"][first][0] < when - WINDOW_MS * 1e6:
                first += 1
            if cpu - trip["used"][first][1] >= enough:
                return when
        return None
    return reaction(written, "cpu", OWN_MILLICORES, trip, crossing)


def memory_reaction(trip, written):
    def crossing(limit):
        threshold = min(limit // 100 * THRESHOLD_PERCENT, limit - MARGIN)
        return next((when for index, when in enumerate(trip["steps"], 1) if trip["held"] + (index << 20) >= threshold), None)
    return reaction(written, "memory", OWN_MIB << 20, trip, crossing)


def report(results, kind, reactions, busy):
    times = sorted(time for time in reactions if time is not None)
    if len(times) < len(reactions) / 2:
        raise BenchError(f"only {len(times)} of {len(reactions)} calls had lent {kind} and then crossed the threshold")
    where = ", every core busy" if busy else ""
    results.keep(f"harvest {kind}{where}", times)
    results.add(SECTION, f"safeguard, {kind}{where}, p50", at(times, 50), "ms")
    # On a busy machine the kernel lets the watcher wait for its turn; that says more about the kernel.
    results.add(SECTION, f"safeguard, {kind}{where}, p99", at(times, 99), "ms", None if busy else 20, note=f"{len(times)} trips")


def at(ordered, percent):
    """The value that so many percent do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def watching(node, results):
    """CPU that the node takes for looking at calls that only sleep."""
    node.deploy("sleeper", "--command", f"sleep {WATCH_SECONDS + 4}", "--memory", "32Mi", "--cpu", "100m", "--max", str(SLEEPERS))
    still = node_cpu(node)
    threads = [threading.Thread(target=node.request, args=("POST", "/function/sleeper")) for _ in range(SLEEPERS)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    busy = node_cpu(node)
    for thread in threads:
        thread.join()
    results.add(SECTION, "watching, idle", still, "% of a core")
    results.add(SECTION, f"watching {SLEEPERS} calls", busy, "% of a core")


def node_cpu(node):
    def ticks():
        fields = pathlib.Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(WATCH_SECONDS)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / WATCH_SECONDS * 100
